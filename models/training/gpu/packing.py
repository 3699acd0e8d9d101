"""Makes a pack from what the loaders find, within a number of bytes.

If not everything fits, whole groups are drawn, evenly over corpora and classes: a fake never loses its
genuine partner, and the largest corpus does not crowd out the others.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from core.errors import SettingsError
from models.datasets.crops import LabelledFace
from models.datasets.faces import FaceRecord, Fold, load_faces, split
from models.datasets.media import GENUINE
from models.face import Landmarks
from models.training.gpu.pack import Pack, PackedFace, cut, row_of

log = structlog.get_logger()

BESIDES = 4 * (4 + 10) + 8  # bytes of a face's box, landmarks and place in the file
FULL = 0.98  # fraction of the bytes from which it is not worth looking for a group that still fits
# A data set may hold clips beside pictures: as frames of the same films they form one corpus.
CLIPS, THEIR_FRAMES = "videos", "tools"
SIDES: tuple[tuple[Fold, str], ...] = (("train", "train"), ("held_out", "test"))

Cell = tuple[str, bool]  # corpus, fake
Key = tuple[str, str]  # source, group: what is never divided
Cut = tuple[PackedFace, bytes, "np.ndarray[tuple[int], np.dtype[np.float32]]", Landmarks]


@dataclass(frozen=True, kw_only=True)
class Packed:
    pack: Pack
    left_out: Counter[Cell]  # faces for which there was no room
    damaged: int  # faces whose pictures cannot be read


@dataclass
class Packer:
    """Collects faces."""

    _groups: dict[Key, list[tuple[FaceRecord, PackedFace]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, record: FaceRecord, face: PackedFace) -> None:
        """One face."""
        self._groups[face.source, face.group].append((record, face))

    def add_labelled(self, found: Iterable[LabelledFace], root: Path) -> None:
        """The faces of one data set's divided media below `root`."""
        faces = list(found)
        frames_too = any(each.media.corpus == THEIR_FRAMES for each in faces)
        for each in faces:
            media = each.media
            corpus = THEIR_FRAMES if frames_too and media.corpus == CLIPS else media.corpus
            inside = media.path.is_relative_to(root)
            self.add(
                each.record,
                PackedFace(
                    fake=media.fake,
                    family=media.family or ("" if media.fake else GENUINE),
                    method=media.method,
                    group=media.group,
                    source=media.source,
                    side=media.split or "train",
                    clip=str(
                        media.path.relative_to(root)
                        if inside
                        else Path(media.path.parent.name, media.path.name)
                    ),
                    corpus=corpus or media.source,
                ),
            )

    def add_genuine(self, data: Path) -> None:
        """A folder of genuine faces (models.datasets.faces), split as everywhere else."""
        records = load_faces(data)
        for half, side in SIDES:
            for record in split(records, half):
                face = PackedFace(
                    fake=False,
                    family=GENUINE,
                    method=GENUINE,
                    group=record.group,
                    source=record.source,
                    side=side,
                    clip=record.path.name if record.path else record.group,
                    corpus=record.source,
                )
                self.add(record, face)

    def pack(self, budget: int) -> Packed:
        """What was collected, in at most `budget` bytes. Raises SettingsError if nothing fits."""
        kept: list[Cut] = []
        spent: Counter[Cell] = Counter()  # bytes
        left_out: Counter[Cell] = Counter()
        damaged = 0
        for group in self._evenly(spent):
            cells = [_cell(face) for _, face in group]
            room = budget - spent.total()
            pieces = [_cut(record, face) for record, face in group] if room > (1 - FULL) * budget else []
            whole = [piece for piece in pieces if piece is not None]
            if not pieces or sum(map(_size, whole)) > room:
                left_out.update(cells)
                continue
            kept += whole
            damaged += len(pieces) - len(whole)
            for piece in whole:
                spent[_cell(piece[0])] += _size(piece)
        if not kept:
            raise SettingsError(
                setting="--data", reason=f"none of its faces fits into {budget} bytes, or none is readable"
            )
        return Packed(pack=_packed(kept), left_out=left_out, damaged=damaged)

    def _evenly(self, spent: Counter[Cell]) -> Iterator[list[tuple[FaceRecord, PackedFace]]]:
        """Every group once: always one of the corpus and class with the fewest bytes so far."""
        waiting: dict[Cell, list[Key]] = defaultdict(list)
        # The hash gives an order that does not depend on names or folders, the same in every run.
        for key in sorted(self._groups, key=lambda key: hashlib.sha256("\0".join(key).encode()).digest()):
            for cell in {_cell(face) for _, face in self._groups[key]}:
                waiting[cell].append(key)
        seen: set[Key] = set()
        while waiting:
            cell = min(waiting, key=lambda cell: (spent[cell], cell))
            key = waiting[cell].pop(0)
            if not waiting[cell]:
                del waiting[cell]
            if key not in seen:
                seen.add(key)
                yield self._groups[key]


def _cut(record: FaceRecord, face: PackedFace) -> Cut | None:
    """None where the picture is damaged."""
    try:
        image = record.load()
    except SettingsError as error:
        log.warning("not packed", path=str(record.path), reason=str(error))
        return None
    return (face, *cut(image, record.box, record.landmarks))


def _cell(face: PackedFace) -> Cell:
    return face.corpus, face.fake


def _size(piece: Cut) -> int:
    face, picture, *_ = piece
    # A row is JSON inside JSON: every quotation mark gets a backslash.
    return len(picture) + len(json.dumps(json.dumps(row_of(face)))) + BESIDES


def _packed(pieces: list[Cut]) -> Pack:
    faces, pictures, boxes, landmarks = zip(*pieces, strict=True)
    return Pack(
        faces=faces,
        pictures=pictures,
        boxes=np.stack(boxes).astype(np.float32),
        landmarks=np.stack(landmarks).astype(np.float32),
    )
