"""What training left out, split again: one part calibrates, the other evaluates.

    (media,) = divided([folder], shares=(75, 0, 25), test_sources=["FaceForensics"])
    write_manifest(Path("sides.jsonl"), held_out(media, most={"validation": 60, "test": 300}))

`facewarden pack` splits by the same `divided`: with the same shares and test sources the two agree.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from core.errors import SettingsError
from models.datasets.media import LabelledMedia, Split
from models.datasets.splits import discover, divide


def divided(
    folders: Sequence[Path], *, shares: Sequence[float], test_sources: Sequence[str] = ()
) -> list[list[LabelledMedia]]:
    """The media of each data set, with a side for each; sources that only test are all on the test side.

    Args:
        folders: in a layout of models.datasets.layouts, or manifests.
        shares: of the groups, as of `models.datasets.splits.divide`.
        test_sources: texts in the names of sources.

    Raises SettingsError where there is no data set, or no source of any has a text in its name.
    """
    found = [discover(folder) for folder in folders]
    every = iter(with_test_sources([each for media in found for each in media], test_sources))
    return [divide(list(islice(every, len(media))), shares=shares) for media in found]


def with_test_sources(media: Sequence[LabelledMedia], texts: Sequence[str]) -> list[LabelledMedia]:
    """The media, with sources that have one of the texts in their name on the test side.

    Raises SettingsError if a text is in no source's name.
    """
    sources = sorted({each.source for each in media})
    for text in texts:
        if not any(text in source for source in sources):
            reason = f"no source has {text!r} in its name; the sources are {', '.join(sources)}"
            raise SettingsError(setting="--test-source", reason=reason)
    return [replace(each, split="test") if _named(each, texts) else each for each in media]


def held_out(
    media: Sequence[LabelledMedia], *, most: Mapping[Split, int], test_sources: Sequence[str] = ()
) -> list[LabelledMedia]:
    """The media of the test side, their groups alternately on the validation and the test side.

    Args:
        media: divided.
        most: groups of each source and class on a side; the others are left out.
        test_sources: texts; whole sources with one of them in their name stay on the test side.
    """
    left = [each for each in media if each.split == "test"]
    sides: dict[str, Split] = {each.group: "test" for each in left if _named(each, test_sources)}
    strata: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for each in left:
        strata[each.source, each.fake].add(each.group)
    kept: set[str] = set()
    for _, groups in sorted(strata.items()):
        ordered = sorted(groups, key=_drawn)
        for number, group in enumerate(ordered):
            sides.setdefault(group, "test" if number % 2 == 0 else "validation")
        for side, count in most.items():
            kept.update([group for group in ordered if sides[group] == side][:count])
    return [replace(each, split=sides[each.group]) for each in left if each.group in kept]


def write_manifest(path: Path, media: Iterable[LabelledMedia]) -> None:
    """Write a manifest (models.datasets.layouts) whose paths are relative to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.resolve()
    with path.open("w", encoding="utf-8") as file:
        for each in media:
            row = {
                "path": os.path.relpath(each.path.resolve(), folder),
                "label": "fake" if each.fake else "genuine",
                "method": each.method,
                "family": each.family,
                "group": each.group,
                "split": each.split,
                "source": each.source,
                "corpus": each.corpus,
                "face_group": each.face_group,
                "cropped": each.cropped,
                "margin": each.margin,
            }
            file.write(json.dumps({name: value for name, value in row.items() if value}) + "\n")


def _named(media: LabelledMedia, texts: Sequence[str]) -> bool:
    return any(text in media.source for text in texts)


def _drawn(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()
