"""Test and calibration clips from the faces and videos that were held out from training.

The held-out third of the videos and tenth of the persons are divided once more: one half calibrates, the
other half evaluates, so that no threshold is judged by the clips that set it. Videos alone are few, so
held-out photographs serve too: each becomes a clip under a slowly moving camera.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from core.errors import SettingsError
from core.settings import DetectionSettings
from evaluation.camera import encode, grainy, view
from evaluation.clips import RATE, ClipSource, forge
from evaluation.robustness import CONDITIONS, MAIN, Condition
from models.datasets.faces import FaceRecord, held_out_videos, load_photos, split, video_frames
from models.datasets.media import GENUINE
from models.detector import FaceDetector
from models.face import Box, Face, Image
from models.synthesis.kinds import HELD_OUT_KINDS, KINDS

Purpose = Literal["calibration", "evaluation", "training"]
SourceName = Literal["video", "photo"]

LEAST_SIDE = 160  # pixels of a photograph that becomes a clip
LEAST_SHOWN = 0.9  # part of the face's surroundings (CROP_MARGIN) that the photograph must show
CROP_MARGIN = 1.3  # of the crops of the shipped checkpoint
KINDS_PER_PHOTO = 3  # each photograph is forged by this many kinds, in turn
ROBUSTNESS_PHOTOS = 8  # photographs in the robustness table
# Thresholds come from genuine clips under these as well: they must hold on more than clean uploads.
CALIBRATION_CONDITIONS = ("half size", "screenshot")
LONGEST_SIDE = 960  # pixels of a clip made from a video: forging 1080p would take most of the time
SAME_FACE = 0.3  # overlap with the face of the frame before


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to make: more takes longer and gives narrower intervals."""

    frames: int = 12  # of a clip, four a second
    windows: int = 2  # parts of each video that become clips of their own
    photos: int = 16  # photographs that become clips
    robustness: bool = True  # also the conditions beyond MAIN
    kinds: tuple[str, ...] = tuple(KINDS)  # of forgery


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip with a known label, written to `path`."""

    path: Path
    name: str
    group: str  # the person or video
    source: str  # "video" or "photo", or the name of a labelled data set
    side: str  # "evaluation", "calibration", "training"; the split of a labelled data set
    kind: str  # GENUINE, or what forged it
    condition: str  # of CONDITIONS
    main: bool  # belongs to the main tables; else only to the tables of robustness or false positives
    robust: bool  # belongs to the table of robustness
    temporary: bool = True  # made for this evaluation: to be deleted once it has been screened
    cropped: bool = False  # a picture that is itself a face crop
    family: str = ""  # of a real manipulation: swap, reenact, lipsync, generate, photoshop; or "genuine"

    @property
    def fake(self) -> bool:
        return self.kind != GENUINE


def side_of_person(group: str) -> Purpose:
    """The side of a held-out person. The split from training took the first byte, this takes the second."""
    return "calibration" if hashlib.sha256(group.encode()).digest()[1] % 2 else "evaluation"


def sides_of_videos(data: Path) -> dict[str, Purpose]:
    """The side of every video below `data`, by name."""
    names = sorted(path.stem for path in (data / "videos").glob("*.mp4"))
    held = sorted(held_out_videos(names))
    sides: dict[str, Purpose] = dict.fromkeys(names, "training")
    # Alternately, so that neither side gets all of one kind: names that sort together look alike.
    sides |= {name: "calibration" if number % 2 == 0 else "evaluation" for number, name in enumerate(held)}
    return sides


class HeldOut:
    """Makes the clips of one side."""

    @classmethod
    def in_folder(cls, data: Path | None, plan: Plan) -> "HeldOut":
        """The clips of a folder that the user may not have named. Raises SettingsError."""
        if data is None:
            raise SettingsError(setting="--data", reason="name it, or labelled media with --labelled")
        return cls(data, plan)

    def __init__(self, data: Path, plan: Plan) -> None:
        """Raises SettingsError where `data` holds neither photographs nor videos."""
        self.data, self.plan = data, plan
        self.videos = sides_of_videos(data)
        self.photos = split(load_photos(data), "held_out")
        if not self.videos and not self.photos:
            raise SettingsError(setting="--data", reason=f"{data} holds neither faces.jsonl nor videos/*.mp4")

    def records(self, side: Purpose) -> list[FaceRecord]:
        """The held-out photographs of one side."""
        return [record for record in self.photos if side_of_person(record.group) == side]

    def clips(self, side: Purpose, folder: Path) -> Iterator[Clip]:
        """Write the clips of one side into `folder`, one after another; the caller deletes them.

        Genuine and forged clips, under the main conditions and for some under the others too. Faces are
        found at once, clips are made as they are asked for.
        """
        return self._made(side, list(self._sources(side)), folder)

    def _made(
        self, side: Purpose, sources: Sequence[tuple[ClipSource, SourceName]], folder: Path
    ) -> Iterator[Clip]:
        strangers = [record for record in self.records(side) if record.source == "photo"]
        for number, (source, origin) in enumerate(sources):
            robust, conditions = self._robust(side, number, origin)
            for kind in (GENUINE, *self._kinds(number, origin)):
                frames = list(forge(source, kind, strangers, seed=_seed(source.name, kind)))
                for condition in CONDITIONS.values():
                    main = condition.name in MAIN
                    tried = kind in robust and condition.name in conditions
                    if main or tried:
                        name = f"{source.name}-{kind}-{condition.name.replace(' ', '')}"
                        yield Clip(
                            path=_written(folder / f"{name}.mp4", frames, condition),
                            name=name,
                            group=source.name.split("@")[0],
                            source=origin,
                            side=side,
                            kind=kind,
                            condition=condition.name,
                            main=main,
                            robust=tried,
                        )

    def genuine_videos(self, folder: Path) -> Iterator[Clip]:
        """Every genuine video whole, under the main conditions: what false positives are counted on."""
        for name, side in self.videos.items():
            frames = list(video_frames(self._video(name), 2 * self.plan.frames))
            for condition in (CONDITIONS[each] for each in MAIN):
                label = f"{name}-whole-{condition.name.replace(' ', '')}"
                yield Clip(
                    path=_written(folder / f"{label}.mp4", frames, condition),
                    name=label,
                    group=name,
                    source="video",
                    side=side,
                    kind=GENUINE,
                    condition=condition.name,
                    main=False,
                    robust=False,
                )

    def _sources(self, side: Purpose) -> Iterator[tuple[ClipSource, SourceName]]:
        for name in (name for name, where in self.videos.items() if where == side):
            whole = follow_face(self._video(name), self.plan.frames * self.plan.windows)
            for window in range(self.plan.windows):
                part = slice(window * self.plan.frames, (window + 1) * self.plan.frames)
                if len(whole.frames[part]) == self.plan.frames:
                    yield (
                        ClipSource(
                            name=f"{name}@{window}", frames=whole.frames[part], faces=whole.faces[part]
                        ),
                        "video",
                    )
        usable = [record for record in self.records(side) if record.source == "photo" and _roomy(record)]
        for record in usable[: self.plan.photos]:
            yield moving_camera(record, self.plan.frames), "photo"

    def _kinds(self, number: int, origin: SourceName) -> tuple[str, ...]:
        if origin == "video":
            return self.plan.kinds
        return _in_turn(self.plan.kinds, number * KINDS_PER_PHOTO, KINDS_PER_PHOTO)

    def _robust(
        self, side: Purpose, number: int, origin: SourceName
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The kinds of a source that go through more conditions than the main ones, and which these are."""
        if not self.plan.robustness:
            return (), ()
        if side == "calibration":
            return (GENUINE,), CALIBRATION_CONDITIONS
        everything = tuple(CONDITIONS)
        if origin == "photo":
            few = number < self._windows(side) + ROBUSTNESS_PHOTOS
            return ((GENUINE, self._kinds(number, origin)[0]), everything) if few else ((), ())
        if number % self.plan.windows:
            return (), ()
        turn = number // self.plan.windows
        held = [kind for kind in self.plan.kinds if kind in HELD_OUT_KINDS]
        trained = [kind for kind in self.plan.kinds if kind not in HELD_OUT_KINDS]
        return (GENUINE, *_in_turn(trained, turn, 1), *_in_turn(held, turn, 1)), everything

    def _windows(self, side: Purpose) -> int:
        return self.plan.windows * sum(where == side for where in self.videos.values())

    def _video(self, name: str) -> Path:
        return self.data / "videos" / f"{name}.mp4"


def follow_face(path: Path, count: int) -> ClipSource:
    """`count` frames spread over a trusted video, at most LONGEST_SIDE large, with one face followed.

    It is the largest face, and after that the one in the same place: a forgery that hopped from person to
    person would be found by the hopping.
    """
    frames = [_shrunken(frame) for frame in video_frames(path, count)][:count]
    faces: list[Face | None] = []
    last: Face | None = None
    for found in FaceDetector(DetectionSettings()).detect(frames):
        same = [face for face in found if last is not None and face.box.iou(last.box) >= SAME_FACE]
        last = max(same or found, key=lambda face: face.box.width * face.box.height, default=None)
        faces.append(last)
    return ClipSource(name=path.stem, frames=frames, faces=faces)


def _shrunken(frame: Image) -> Image:
    factor = LONGEST_SIDE / max(frame.shape[:2])
    if factor >= 1:
        return frame
    return np.asarray(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def moving_camera(record: FaceRecord, count: int) -> ClipSource:
    """`count` frames of a photograph under a camera that pans and zooms slowly, with a sensor's noise.

    The face's box and landmarks move along, so that no detector is asked.
    """
    photograph = record.load()
    height, width = (side // 2 * 2 for side in photograph.shape[:2])
    rng = np.random.default_rng(_seed(record.group, "camera"))
    frames: list[Image] = []
    faces: list[Face | None] = []
    for number in range(count):
        turn = 2 * np.pi * number / count
        zoom = 1.06 + 0.03 * np.sin(turn)
        # The view stays inside the photograph: a mirrored edge would be an artefact of its own.
        left, top = (
            side * (zoom - 1) * (0.5 + 0.35 * np.cos(turn + phase))
            for side, phase in ((width, 0), (height, 1))
        )
        seen = view(photograph, (width, height), zoom=zoom, left=left, top=top)
        frames.append(grainy(seen, rng.normal(0, 1.0, seen.shape)))
        faces.append(_moved(record, zoom, left, top))
    return ClipSource(name=record.group, frames=frames, faces=faces)


def _moved(record: FaceRecord, zoom: float, left: float, top: float) -> Face:
    box = record.box
    return Face(
        box=Box(
            x0=box.x0 * zoom - left, y0=box.y0 * zoom - top, x1=box.x1 * zoom - left, y1=box.y1 * zoom - top
        ),
        landmarks=(record.landmarks * zoom - np.array([left, top])).astype(np.float32),
        probability=1.0,
    )


def _roomy(record: FaceRecord) -> bool:
    """Whether the photograph is large enough and shows what the classifier's crop would show."""
    height, width = record.load().shape[:2]
    if min(height, width) < LEAST_SIDE:
        return False
    side = CROP_MARGIN * max(record.box.width, record.box.height)
    (x, y), half = record.box.centre, side / 2
    across = min(x + half, width) - max(x - half, 0)
    down = min(y + half, height) - max(y - half, 0)
    return bool(across * down >= LEAST_SHOWN * side**2)


def _in_turn(kinds: Sequence[str], start: int, count: int) -> tuple[str, ...]:
    return tuple(kinds[(start + step) % len(kinds)] for step in range(min(count, len(kinds))))


def _seed(*names: str) -> int:
    return zlib.crc32("/".join(names).encode())


def _written(path: Path, frames: Sequence[Image], condition: Condition) -> Path:
    encode(path, condition.apply(frames), rate=RATE, crf=condition.crf)
    return path
