"""Making packs of what the loaders find."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from core.errors import SettingsError
from models.training.crops import LabelledFace
from models.training.faces import FaceRecord, load_faces, split
from models.training.gpu.pack import Pack, PackedFace, cut
from models.training.media import GENUINE

log = structlog.get_logger()


@dataclass
class Packer:
    """Collects faces."""

    faces: list[PackedFace] = field(default_factory=list)
    _pictures: list[bytes] = field(default_factory=list)
    _boxes: list[np.ndarray] = field(default_factory=list)
    _landmarks: list[np.ndarray] = field(default_factory=list)

    def add(self, record: FaceRecord, face: PackedFace) -> None:
        """Cut and code one face; a damaged picture is left out and said."""
        try:
            image = record.load()
        except SettingsError as error:
            log.warning("not packed", path=str(record.path), reason=str(error))
            return
        picture, box, landmarks = cut(image, record.box, record.landmarks)
        self.faces.append(face)
        self._pictures.append(picture)
        self._boxes.append(box)
        self._landmarks.append(landmarks)

    def add_labelled(self, found: Iterable[LabelledFace], root: Path) -> None:
        """The faces of labelled media below `root`; its folders are the corpora, clips count as tools'."""
        for each in found:
            media = each.media
            corpus = "tools" if media.is_video else media.path.relative_to(root).parts[0]
            self.add(
                each.record,
                PackedFace(
                    fake=media.fake,
                    family=media.family,
                    method=media.method,
                    group=media.group,
                    source=media.source,
                    side=media.split or "train",
                    clip=str(media.path.relative_to(root)),
                    corpus=corpus,
                ),
            )

    def add_genuine(self, data: Path) -> None:
        """A folder of genuine faces (models.training.faces), divided as everywhere else."""
        records = load_faces(data)
        for name, side in (("train", "train"), ("held_out", "test")):
            for record in split(records, "train" if name == "train" else "held_out"):
                clip = record.group if record.source == "video" else str(record.path)
                self.add(
                    record,
                    PackedFace(
                        fake=False,
                        family=GENUINE,
                        method=GENUINE,
                        group=record.group,
                        source=record.source,
                        side=side,
                        clip=clip,
                        corpus=record.source,
                    ),
                )

    def pack(self) -> Pack:
        """What was collected."""
        return Pack(
            faces=self.faces,
            pictures=self._pictures,
            boxes=np.stack(self._boxes).astype(np.float32),
            landmarks=np.stack(self._landmarks).astype(np.float32),
        )
