"""What the network sees of a clip in bursts of neighbouring frames, and in as many frames spread evenly.

Every frame is decoded, from the first on, by the worker's own decoder: nothing is searched for, so two
frames that are called neighbours are. Of a burst, the places of box and landmarks are smoothed (a straight
line through the burst) before the face is cut out: MTCNN's box trembles, and what the network would make of
that says nothing about the film.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import MediaTooLarge
from core.settings import SamplingSettings, Settings
from models.architectures import architecture
from models.classifier import Classifier
from models.crop import crop_standing
from models.detector import FaceDetector
from models.face import Box, Face, Image
from models.heads import pooled
from models.whole_file import whole
from worker.decoder.reader import Frame, VideoReader
from worker.screening.pipeline import Pipeline
from worker.screening.quality import assess
from worker.screening.screened import Screened
from worker.screening.tracks import Tracker, describe
from worker.screening.turning import Turner

Numbers = NDArray[np.float64]

FORMAT = 1  # of the cached files; another number has every clip read again
LEAST_FRAMES = 3  # of a run, one after another, whose face is usable: fewer say nothing of a change
LONGEST = 20_000  # frames: of a longer clip not every frame would be read, and neighbours would not be any
BATCH = 8  # crops through the network at once
EVERY_FRAME = SamplingSettings(min_frames=LONGEST, max_frames=LONGEST)


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The main face in the runs of one kind: (N,) frames by time."""

    run: NDArray[np.int64]  # (N,) the run each frame belongs to
    position: NDArray[np.int64]  # (N,) its place within the run: neighbours differ by 1
    logits: Numbers  # (N,)
    embeddings: Numbers  # (N, F) what the network's last layer weighs
    landmarks: Numbers  # (N, 5, 2) pixels, as the detector found them
    face_size: Numbers  # (N,) pixels: mean of the box's sides


@dataclass(frozen=True, kw_only=True)
class Recording:
    """All that is measured of a clip."""

    score: float | None  # logit of the worker's own screening; None: no verdict by a score
    screened: int  # frames that this screening looked at
    bursts: Looks
    spread: Looks


@dataclass(frozen=True, kw_only=True)
class Run:
    """Frames that are compared with each other, by number."""

    number: int
    frames: tuple[int, ...]
    neighbours: bool  # a burst; else its frames are spread evenly over its part of the clip


def plan_runs(usable: Sequence[int], total: int, *, places: int, frames: int) -> list[Run]:
    """`places` bursts of `frames`, and as many runs of as many frames spread evenly over the same parts.

    Args:
        usable: numbers of frames, ascending, in which the worker found the face usable: bursts lie around
            some of these, the spread frames between them, because most others show it turned or blurred.
        total: frames of the clip.

    A clip with fewer such frames gets fewer places; bursts never overlap.
    """
    bursts: list[tuple[int, ...]] = []
    for place in _evenly(usable, min(places, len(usable))):
        start = min(max(place - frames // 2, bursts[-1][-1] + 1 if bursts else 0), total - frames)
        if start >= 0 and not (bursts and start <= bursts[-1][-1]):
            bursts.append(tuple(range(start, start + frames)))
    even = _evenly(usable, len(bursts) * frames)
    spread = [tuple(even[start : start + frames]) for start in range(0, len(even), frames)]
    return [
        Run(number=number, frames=chosen, neighbours=neighbours)
        for neighbours, each in ((True, bursts), (False, spread))
        for number, chosen in enumerate(each)
    ]


def _evenly(usable: Sequence[int], count: int) -> list[int]:
    """`count` frames at equal steps through `usable` and what lies between; fewer where they coincide."""
    steps = (np.arange(count) + 0.5) * len(usable) / max(count, 1) - 0.5
    return sorted({round(each) for each in np.interp(steps, np.arange(len(usable)), usable)}) if count else []


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A usable face in one frame of a run."""

    run: int
    position: int
    track: int
    face: Face
    crop: Image


class Recorder:
    """Records clips one after another; what was recorded once is read from `cache`."""

    def __init__(
        self, settings: Settings, pipeline: Pipeline, detector: FaceDetector, *, cache: Path
    ) -> None:
        self._settings, self._pipeline, self._detector = settings, pipeline, detector
        self._cache = cache
        self._watched = _Watched(pipeline.classifier)

    def record(self, path: Path, *, places: int, frames: int) -> Recording:
        """Raises InputError if the clip cannot be decoded."""
        version = self._pipeline.classifier.version
        asked = f"{FORMAT} {path.name} {path.stat().st_size} {version.id} {places} {frames}"
        cached = self._cache / f"{path.stem}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.npz"
        if not cached.is_file():
            write(cached, self._read(path, places=places, frames=frames))
        return read(cached)

    def _read(self, path: Path, *, places: int, frames: int) -> Recording:
        screened = self._pipeline.screen(path)
        seen: dict[bool, list[_Seen]] = {True: [], False: []}
        trackers = {kind: Tracker(self._settings.tracks) for kind in seen}
        turner = Turner(self._detector, self._settings.detection)
        usable = _usable_seconds(screened)
        for run, images in self._runs(path, usable, places=places, frames=frames):
            found = turner.find([image.image for image in images])
            seen[run.neighbours] += self._faces(run, images, found, trackers[run.neighbours])
        return Recording(
            score=screened.video.raw,
            screened=screened.report.taken,
            bursts=self._looks(seen[True]),
            spread=self._looks(seen[False]),
        )

    def _runs(
        self, path: Path, usable: Sequence[float], *, places: int, frames: int
    ) -> Iterator[tuple[Run, list[Frame]]]:
        """Each run with its frames, once the last of them has come.

        `usable`: times in seconds, ascending, around which the runs lie.
        """
        with VideoReader(path, self._settings.decode, EVERY_FRAME) as reader:
            total = reader.probe.frames
            if total > LONGEST:
                raise MediaTooLarge(
                    name=str(path),
                    quantity="the number of frames",
                    value=total,
                    limit=LONGEST,
                    setting="LONGEST in bench/bursts/recording.py",
                )
            rate = reader.probe.frame_rate or 1.0
            near = [min(round(seconds * rate), total - 1) for seconds in usable]
            runs = plan_runs(near, total, places=places, frames=frames)
            waiting = {run: list[Frame]() for run in runs}
            for frame in reader:
                for run in [each for each in waiting if frame.index in each.frames]:
                    waiting[run].append(frame)
                for run in [each for each in waiting if each.frames[-1] <= frame.index]:
                    sound = [each for each in waiting.pop(run) if not each.damaged and each.stream == 0]
                    if len(sound) >= LEAST_FRAMES:
                        yield run, sound
                if not waiting:
                    return

    def _faces(
        self, run: Run, frames: Sequence[Frame], found: Sequence[Sequence[Face]], tracker: Tracker
    ) -> list[_Seen]:
        """The usable faces of a run, in stretches of neighbours of one track, cut out."""
        version = self._pipeline.classifier.version
        seen: list[_Seen] = []
        images = {}
        for frame, faces in zip(frames, found, strict=True):
            position = run.frames.index(frame.index)
            images[position] = frame.image
            crops = [crop_standing(frame.image, face, version.crop, version.input_size) for face in faces]
            tracks = tracker.add(
                frame.time_seconds,
                [(face.box, describe(crop)) for face, crop in zip(faces, crops, strict=True)],
            )
            seen += [
                _Seen(run=run.number, position=position, track=track, face=face, crop=crop)
                for track, face, crop in zip(tracks, faces, crops, strict=True)
                if assess(face, crop, self._settings.quality).rejection is None
            ]
        stretches = list(_stretches(seen))
        if run.neighbours:
            stretches = [self._steadied(each, images) for each in stretches]
        return [each for stretch in stretches for each in stretch]

    def _steadied(self, stretch: Sequence[_Seen], images: dict[int, Image]) -> list[_Seen]:
        version = self._pipeline.classifier.version
        return [
            replace(each, crop=crop_standing(images[each.position], face, version.crop, version.input_size))
            for each, face in zip(stretch, steady([each.face for each in stretch]), strict=True)
        ]

    def _looks(self, seen: Sequence[_Seen]) -> Looks:
        """Of the face that is there most often; of equals, the first."""
        often = Counter(each.track for each in seen).most_common(1)
        main = [each for each in seen if each.track == often[0][0]] if often else []
        main.sort(key=lambda each: (each.run, each.position))
        logits, embeddings = self._watched.look([each.crop for each in main])
        boxes = [each.face.box for each in main]
        return Looks(
            run=np.array([each.run for each in main], np.int64),
            position=np.array([each.position for each in main], np.int64),
            logits=logits,
            embeddings=embeddings,
            landmarks=np.array([each.face.landmarks for each in main], np.float64).reshape(-1, 5, 2),
            face_size=np.array([(box.width + box.height) / 2 for box in boxes], np.float64),
        )


def _usable_seconds(screened: Screened) -> list[float]:
    """When the worker found the face usable that it found usable most often."""
    usable = [face for face in screened.faces if face.logit is not None]
    often = Counter(face.track_number for face in usable).most_common(1)
    return [face.time_seconds for face in usable if face.track_number == often[0][0]] if often else []


def _stretches(seen: Sequence[_Seen]) -> Iterator[list[_Seen]]:
    """Of each track, the longest series of neighbours in a run, if it is long enough."""
    tracks: dict[int, list[_Seen]] = defaultdict(list)
    for each in seen:
        tracks[each.track].append(each)
    for own in tracks.values():
        numbered = enumerate(own)
        series = [[each for _, each in part] for _, part in groupby(numbered, lambda x: x[1].position - x[0])]
        longest = max(series, key=len)
        if len(longest) >= LEAST_FRAMES:
            yield longest


def steady(faces: Sequence[Face]) -> list[Face]:
    """The faces of neighbouring frames with their boxes and landmarks moved onto straight lines over time."""
    points = np.array(
        [[*_corners(face.box), *face.landmarks.astype(np.float64).ravel()] for face in faces], np.float64
    )
    smooth = on_lines(points)
    return [
        replace(
            face,
            box=Box(x0=row[0], y0=row[1], x1=row[2], y1=row[3]),
            landmarks=row[4:].reshape(5, 2).astype(np.float32),
        )
        for face, row in zip(faces, smooth, strict=True)
    ]


def on_lines(values: Numbers) -> Numbers:
    """Each column (N, C) of values at equal times replaced by its least-squares line."""
    times = np.arange(len(values), dtype=np.float64)
    design = np.stack([np.ones_like(times), times], axis=1)
    weights, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(design @ weights, np.float64)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x0, box.y0, box.x1, box.y1


class _Watched:
    """A classifier's network in fp32, with what goes into its last layer."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        entry = architecture(classifier.version.architecture)
        self._network = classifier.network
        self._last = self._network.get_submodule(entry.classifier)
        self._features = entry.features

    def look(self, crops: Sequence[Image]) -> tuple[Numbers, Numbers]:
        """Logits (N,) and embeddings (N, F) of crops."""
        logits, embeddings = [np.empty(0)], [np.empty((0, self._features))]
        kept: list[torch.Tensor] = []
        hook = self._last.register_forward_pre_hook(lambda _module, given: kept.append(given[0]))
        try:
            for start in range(0, len(crops), BATCH):
                pixels = self._classifier.normalise(np.stack(crops[start : start + BATCH]))
                with torch.inference_mode():
                    logits.append(self._network(pixels)[:, 0].double().numpy())
                embeddings.append(pooled(kept.pop()).double().numpy())
        finally:
            hook.remove()
        return np.concatenate(logits), np.concatenate(embeddings)


def write(path: Path, recording: Recording) -> None:
    """Keep a recording, whole or not at all."""
    score = np.nan if recording.score is None else recording.score
    values: dict[str, Any] = {"score": score, "screened": recording.screened}
    for kind in ("bursts", "spread"):
        values |= {f"{kind}_{name}": value for name, value in asdict(getattr(recording, kind)).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **values)


def read(path: Path) -> Recording:
    with np.load(path, allow_pickle=False) as kept:
        looks = {
            kind: Looks(**{field.name: kept[f"{kind}_{field.name}"] for field in fields(Looks)})
            for kind in ("bursts", "spread")
        }
        score = float(kept["score"])
        return Recording(
            score=None if np.isnan(score) else score,
            screened=int(kept["screened"]),
            **looks,
        )
