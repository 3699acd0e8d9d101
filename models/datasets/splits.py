"""Data sets of genuine and fake media: found in a folder by their layout, divided without leaks.

    media = divide(discover(Path("FaceForensics++")))

The layouts are those of models.datasets.layouts: a manifest, FaceForensics++, Celeb-DF, DFDC, faces cut from
DFDC, 140k real and fake faces, and plain `real/` and `fake/` folders, which a generator's pictures (those of
a diffusion identity model, say) come in too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import SettingsError
from models.datasets.defaults import SHARES
from models.datasets.layouts import LAYOUTS
from models.datasets.media import GENUINE, LabelledMedia, Split

__all__ = ["GENUINE", "LabelledMedia", "Split", "discover", "divide"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
DEEPEST = 3  # archives wrap their content in folders of one folder


def discover(folder: Path) -> list[LabelledMedia]:
    """Every labelled picture and video below `folder`, or in a manifest, in a fixed order.

    Raises SettingsError where there is none, or where a manifest is wrong.
    """
    here = folder
    for _ in range(DEEPEST):
        for layout in LAYOUTS.values():
            media = layout(here)
            if media:
                return media
        inside = [each for each in here.iterdir() if each.is_dir()] if here.is_dir() else []
        if len(inside) != 1:
            break
        here = inside[0]
    reason = f"no labelled media here in a known layout ({', '.join(LAYOUTS)}); docs/training.md shows them"
    raise SettingsError(setting=str(folder), reason=reason)


def divide(
    media: Sequence[LabelledMedia], *, shares: Sequence[float] = SHARES, seed: int = 0
) -> list[LabelledMedia]:
    """The media with a side for each: the data set's own, or one by group.

    Where a data set has a test side of its own, the rest is divided between the other splits only; where it
    has no validation side, that is taken from its training side. A fake whose two people fall on different
    splits is left out: it would carry a face from one to the other.

    Args:
        shares: of the groups that go to train, validation and test; they need not add up to 1.
        seed: another seed divides otherwise.
    """
    by_source: dict[str, list[LabelledMedia]] = defaultdict(list)
    for each in media:
        by_source[each.source].append(each)
    return [each for own in by_source.values() for each in _divide_source(own, shares, seed)]


def _divide_source(media: Sequence[LabelledMedia], shares: Sequence[float], seed: int) -> list[LabelledMedia]:
    official = {each.split for each in media}
    if "validation" not in official:
        media = [replace(each, split=None) if each.split == "train" else each for each in media]
        official -= {"train"}
    wanted: list[tuple[Split, float]] = list(zip(SPLITS, shares, strict=True))
    splits = _assign(
        (each for each in media if each.split is None),
        [(side, share) for side, share in wanted if side == "train" or side not in official],
        seed,
    )
    divided = []
    for each in media:
        side = each.split or splits[each.group]
        other = splits.get(each.face_group, side) if each.face_group else side
        if each.split is not None or other == side:
            divided.append(replace(each, split=side))
    return divided


def _assign(
    media: Iterable[LabelledMedia], shares: Sequence[tuple[Split, float]], seed: int
) -> dict[str, Split]:
    """A side for each group. Groups of genuine, fake and both are divided apart: each side gets its part."""
    labels: dict[str, set[bool]] = defaultdict(set)
    for each in media:
        labels[each.group].add(each.fake)
    strata: dict[tuple[bool, ...], list[str]] = defaultdict(list)
    for group, kinds in labels.items():
        strata[tuple(sorted(kinds))].append(group)
    assigned: dict[str, Split] = {}
    total = sum(share for _, share in shares)
    for groups in strata.values():
        left = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
        for side, share in reversed(shares[1:]):
            # Few groups must not leave a side empty; fewer groups than splits are not divided.
            divisible = share > 0 and len(groups) >= len(shares)
            count = max(1, round(len(groups) * share / total)) if divisible else 0
            assigned |= dict.fromkeys(left[:count], side)
            left = left[count:]
        assigned |= dict.fromkeys(left, shares[0][0])
    return assigned
