"""The layouts of the field's data sets, each read into labelled media.

A reader returns None if the folder does not have its layout; the first that fits is used.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import SettingsError
from models.datasets.media import GENUINE, LabelledMedia, Split, is_media

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
CLASSES = {"real": False, "genuine": False, "fake": True}
COMPRESSIONS = ("raw", "c0", "c23", "c40")  # of FaceForensics++; its `masks` lie beside them
FF_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection")
CELEB_FOLDERS = {"celeb-real": False, "youtube-real": False, "celeb-synthesis": True}
DFDC_VIDEO = re.compile(r"[a-z]{10}(?=$|[._-])")  # every video of DFDC is named by ten letters

Layout = Callable[[Path], list[LabelledMedia] | None]

MANIFESTS = ("manifest.jsonl", "manifest.csv", "manipulated.jsonl")


def manifest(folder: Path) -> list[LabelledMedia] | None:
    """`manifest.jsonl`, `manifest.csv` or `manipulated.jsonl`, in the folder or given itself.

    Columns: `path` (relative to the manifest) and `label` (real, genuine, fake, 0, 1, true or false); where
    known `method`, `family`, `group`, `split`, `source`, `corpus` (else the first folder of `path`),
    `face_group`, `cropped`, and of a picture that is a face crop its `margin`.
    """
    if folder.is_file():
        listing = folder
    else:
        found = [folder / name for name in MANIFESTS if (folder / name).is_file()]
        if not found:
            return None
        listing = found[0]
    media = []
    for number, row in _rows(listing):
        try:
            media.append(_listed(listing, row))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = f"line {number} is not a labelled medium ({error}); it needs `path` and `label`"
            raise SettingsError(setting=str(listing), reason=reason) from error
    return media


def _rows(listing: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with listing.open(encoding="utf-8", newline="") as lines:
            if listing.suffix == ".csv":
                yield from enumerate(csv.DictReader(lines), 2)
                return
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except (ValueError, csv.Error) as error:
        raise SettingsError(setting=str(listing), reason=f"this manifest cannot be read ({error})") from error


def _listed(listing: Path, row: Mapping[str, Any]) -> LabelledMedia:
    label = str(row["label"]).strip().lower()
    fake = {"0": False, "1": True, "false": False, "true": True, **CLASSES}[label]
    path = listing.parent / str(row["path"])
    split = str(row.get("split") or "").strip().lower()
    margin = float(row["margin"]) if row.get("margin") else None
    return LabelledMedia(
        path=path,
        fake=fake,
        method=(str(row.get("method") or "fake") if fake else GENUINE),
        group=str(row.get("group") or _group(path)),
        split=SPLITS[split] if split else None,
        source=str(row.get("source") or listing.parent.name),
        face_group=str(row["face_group"]) if row.get("face_group") else None,
        cropped=margin is not None or str(row.get("cropped") or "").lower() in {"1", "true"},
        margin=margin,
        corpus=str(row.get("corpus") or _first_folder(str(row["path"]))),
        family=str(row.get("family") or "") if fake else GENUINE,
    )


def _first_folder(path: str) -> str:
    """Of a path in a manifest; "" where that tells no more than the label, the side, or nothing."""
    first, *rest = PurePosixPath(path).parts or ("",)
    return first if rest and first.strip("/.") and first.lower() not in CLASSES | SPLITS else ""


def faceforensics(folder: Path) -> list[LabelledMedia] | None:
    """FaceForensics++ (Roessler et al., ICCV 2019) as its script downloads it, or flat (`original`, method).

    The official splits are read from `train.json`, `val.json` and `test.json` (pairs of videos), in the
    folder or in `splits/`. A pair that was swapped is one group.
    """
    found = [*_ff_official(folder)] or [*_ff_flat(folder)]
    if not found:
        return None
    splits: dict[str, Split] = {}
    pairs: list[list[str]] = []
    for name, side in (("train", "train"), ("val", "validation"), ("test", "test")):
        for listing in (folder / f"{name}.json", folder / "splits" / f"{name}.json"):
            for pair in json.loads(listing.read_text()) if listing.is_file() else []:
                pairs.append([str(one) for one in pair])
                splits |= dict.fromkeys(pairs[-1], SPLITS[side])
    pairs += [name.split("_") for _, _, name in found if re.fullmatch(r"\d{3,}_\d{3,}", name)]
    groups = _united(pairs)
    media = []
    for path, method, name in found:
        target, face = _ff_people(name)
        media.append(
            LabelledMedia(
                path=path,
                fake=method != GENUINE,
                method=method,
                group=groups.get(target, target),
                split=splits.get(target),
                source="faceforensics++",
                face_group=groups.get(face, face) if face else None,
            )
        )
    return media


def _ff_official(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Path, method and video of each video or extracted frame."""
    for kind in ("original_sequences", "manipulated_sequences"):
        for method in _folders(folder / kind):
            label = GENUINE if kind == "original_sequences" else method.name
            for compression in COMPRESSIONS:
                for path in _media(method / compression / "videos"):
                    yield path, label, path.stem
                for path in _media(method / compression / "images"):
                    yield path, label, path.parent.name


def _ff_flat(folder: Path) -> Iterator[tuple[Path, str, str]]:
    if not (folder / "original").is_dir() or not any((folder / name).is_dir() for name in FF_METHODS):
        return
    for name in ("original", *FF_METHODS):
        for path in _media(folder / name):
            yield path, GENUINE if name == "original" else name, path.stem


def _ff_people(name: str) -> tuple[str, str | None]:
    """Target and face of `012_026` (videos) or `01_02__talking__ABC` (actors)."""
    actors, _, scene = name.partition("__")
    target, _, face = actors.partition("_")
    if not scene:
        return target, face or None
    return f"actor-{target}", f"actor-{face}" if face else None


def _united(pairs: list[list[str]]) -> dict[str, str]:
    """A name of the group for every member of chains of pairs."""
    groups: dict[str, set[str]] = {}
    for pair in pairs:
        joined = set(pair).union(*(groups.get(one, set()) for one in pair))
        groups |= dict.fromkeys(joined, joined)
    return {one: min(members) for one, members in groups.items()}


def celeb_df(folder: Path) -> list[LabelledMedia] | None:
    """Celeb-DF v1 and v2 (Li et al., CVPR 2020); `List_of_testing_videos.txt` lists the test side.

    The official test side shares identities with the rest; those two splits are the authors' own.
    """
    found = [each for each in _folders(folder) if each.name.lower() in CELEB_FOLDERS]
    if not found:
        return None
    listing = folder / "List_of_testing_videos.txt"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    tests = {line.split(maxsplit=1)[1].strip().lower() for line in lines if len(line.split()) > 1}
    media = []
    for each in found:
        fake = CELEB_FOLDERS[each.name.lower()]
        for path in _media(each):
            people = re.findall(r"id\d+", path.stem)
            media.append(
                LabelledMedia(
                    path=path,
                    fake=fake,
                    method="celeb-synthesis" if fake else GENUINE,
                    group=people[0] if people else f"{each.name}/{path.stem}",
                    split="test" if f"{each.name}/{path.name}".lower() in tests else None,
                    source="celeb-df",
                    face_group=people[1] if len(people) > 1 else None,
                )
            )
    return media


def dfdc(folder: Path) -> list[LabelledMedia] | None:
    """The Deepfake Detection Challenge (Dolhansky et al., 2020): parts with videos and a `metadata.json`.

    A fake is in the group of its original, so that no source video is in two splits.
    """
    listings = [path for deep in ("", "*/", "*/*/") for path in sorted(folder.glob(f"{deep}metadata.json"))]
    media = []
    for listing in listings:
        rows = json.loads(listing.read_text())
        for name, row in rows.items() if isinstance(rows, dict) else []:
            path = listing.parent / name
            if not isinstance(row, dict) or not path.is_file():  # a user may have an incomplete part
                continue
            fake = bool(row["is_fake"]) if "is_fake" in row else row.get("label") == "FAKE"
            media.append(
                LabelledMedia(
                    path=path,
                    fake=fake,
                    method="dfdc" if fake else GENUINE,
                    group=Path(row.get("original") or name).stem,
                    split=SPLITS.get(listing.parent.name),
                    source="dfdc",
                )
            )
    return media or None


def dfdc_faces(folder: Path) -> list[LabelledMedia] | None:
    """Faces cut from DFDC: `metadata.csv` (videoname, label, original) beside `faces_224/*.jpg`."""
    listing = folder / "metadata.csv"
    crops = [each for each in _folders(folder) if "faces" in each.name.lower()]
    if not listing.is_file() or not crops:
        return None
    media = []
    for _, row in _rows(listing):
        if "videoname" not in row or "label" not in row:
            return None
        path = crops[0] / f"{Path(row['videoname']).stem}.jpg"
        if path.is_file():
            fake = row["label"] == "FAKE"
            media.append(
                LabelledMedia(
                    path=path,
                    fake=fake,
                    method="dfdc" if fake else GENUINE,
                    group=Path(row.get("original") or row["videoname"]).stem,
                    split=None,
                    source="dfdc-faces",
                    cropped=True,
                )
            )
    return media


def split_folders(folder: Path) -> list[LabelledMedia] | None:
    """`train/`, `valid/`, `test/`, each with `real/` and `fake/`: 140k real and fake faces, DFDC faces."""
    media: list[LabelledMedia] = []
    for each in _folders(folder):
        side = SPLITS.get(each.name.lower())
        if side is not None:
            media += _classes(each, split=side, source=folder.name, cropped=True)
    return media or None


def folders(folder: Path) -> list[LabelledMedia] | None:
    """`real/` and `fake/`, or one of them; `fake/<method>/` names methods, as a generator's pictures have.

    Deeper folders are groups, one per person or video; so is what stands before a double underscore in a
    file's name (`anna__0012.png`). Any other file is a group of its own.
    """
    return _classes(folder, split=None, source=folder.name, cropped=False) or None


def _classes(folder: Path, *, split: Split | None, source: str, cropped: bool) -> list[LabelledMedia]:
    media = []
    for each in _folders(folder):
        if each.name.lower() not in CLASSES:
            continue
        fake = CLASSES[each.name.lower()]
        for path in _media(each):
            inside = path.relative_to(each).parts[:-1]
            people = inside[1:] if fake else inside
            media.append(
                LabelledMedia(
                    path=path,
                    fake=fake,
                    method=(inside[0] if inside else source) if fake else GENUINE,
                    group="/".join(people) or _group(path.relative_to(folder)),
                    split=split,
                    source=source,
                    cropped=cropped,
                )
            )
    return media


def _group(path: Path) -> str:
    video = DFDC_VIDEO.match(path.name)
    if video:
        return video.group()
    before, mark, _ = path.stem.partition("__")
    return before if mark else str(path.with_suffix(""))


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def _media(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if is_media(path)) if folder.is_dir() else []


LAYOUTS: dict[str, Layout] = {
    "manifest": manifest,
    "faceforensics++": faceforensics,
    "celeb-df": celeb_df,
    "dfdc-faces": dfdc_faces,
    "dfdc": dfdc,
    "split folders": split_folders,
    "folders": folders,
}
