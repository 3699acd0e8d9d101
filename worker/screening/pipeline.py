"""The pipeline: decode, hash, detect, crop, classify, track, aggregate, on one page.

The decoder runs ahead in a process of its own, and the next batch's faces are found in a thread of its own
while those of this one are classified. Frames are dropped as soon as their faces are cropped; only the few
most suspicious pictures are kept (worker.screening.evidence).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.model_version import ModelVersion
from core.policy import Policy
from core.results import FaceResult, TrackResult
from core.settings import ScoringSettings, Settings
from models.classifier import Classifier
from models.detector import FaceDetector
from models.face import Face
from worker.decoder.reader import DecodeReport, Frame, VideoReader
from worker.provenance.reading import read_provenance
from worker.screening.aggregation import (
    Stretch,
    TrackScore,
    VideoScore,
    flagged_stretches,
    resemblance,
)
from worker.screening.ahead import ahead
from worker.screening.evidence import Candidate, Evidence, in_turn, png, worth_keeping
from worker.screening.faces import classify, cut_out
from worker.screening.frame_hashes import FrameHashes
from worker.screening.judging import by_track, judged
from worker.screening.memory import TRIM_EVERY, give_back
from worker.screening.pictures import Pictures
from worker.screening.poster import Poster
from worker.screening.screened import Screened
from worker.screening.shadow import Shadow
from worker.screening.tracks import Tracker, describe
from worker.screening.turning import Turner

STAGES = ("decode", "hash", "detect", "crop", "classify", "track", "aggregate")

# Of one batch of frames, 200 MB: two batches are under way at a time, and a frame may have 100 MB.
MOST_PIXELS = 64_000_000

Progress = Callable[[int, int], None]  # samples done, samples expected


@dataclass
class _Run:
    """What one screening collects on its way."""

    hashes: FrameHashes
    shadow: Shadow | None
    poster: Poster
    turners: dict[int, Turner] = field(default_factory=dict)  # one for each stream
    trackers: dict[int, Tracker] = field(default_factory=dict)  # one for each stream
    numbers: dict[tuple[int, int], int] = field(
        default_factory=dict
    )  # of a stream's tracks, through all streams
    candidates: list[Candidate] = field(default_factory=list)
    unclassified: list[Candidate] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    pictures: Pictures = field(default_factory=Pictures)  # of the frames that are worth keeping

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        since = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - since


class Pipeline:
    """Screens videos one after another with models that are loaded once."""

    reader: type[VideoReader] = VideoReader  # who measures all but the decoder puts another here

    def __init__(self, settings: Settings, detector: FaceDetector, classifier: Classifier) -> None:
        self.settings, self._detector, self._classifier = settings, detector, classifier
        self._untrimmed = 0  # samples, of however many videos

    @property
    def classifier(self) -> Classifier:
        return self._classifier

    def screen(
        self,
        path: Path,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        heartbeat: Callable[[], None] = lambda: None,
        shadow: Shadow | None = None,
    ) -> Screened:
        """Screen one video or image.

        Args:
            path: the file; it is only read.
            name: what messages call it.
            progress: told the samples done and expected.
            heartbeat: called between batches; it may raise to stop (a lost lease, a deadline).
            shadow: what another classifier makes of the same faces is asked of it, and changes nothing.

        Raises InputError if the file cannot be screened.
        """
        began = time.perf_counter()
        with self.reader(path, self.settings.decode, self.settings.sampling, name=name) as reader:
            poster = Poster(reader.probe.expected_samples)
            run = _Run(hashes=FrameHashes(self.settings.known), shadow=shadow, poster=poster)
            with ahead(self._looked_at(reader, run)) as batches:
                for frames, faces in batches:
                    heartbeat()
                    self._forget(run)
                    cropped = self._crop(frames, faces, run)
                    self._classify(run, finish=False)
                    self._track(frames, cropped, run)
                    self._give_back(len(frames))
                    if progress is not None:
                        progress(frames[-1].index + 1, reader.probe.expected_samples)
            heartbeat()
            self._classify(run, finish=True)
            if reader.report is None:
                raise RuntimeError("the decoder ended without a report")
            tracks, video = self._aggregate(run, reader.report)
            evidence = self._evidence(run, tracks, video)
            other = None if shadow is None else shadow.answer(run.candidates, reader.report)
            run.seconds["total"] = time.perf_counter() - began
            return Screened(
                model_version=self._classifier.version,
                probe=reader.probe,
                provenance=read_provenance(path, self.settings.provenance),
                report=reader.report,
                faces=[_face(candidate, self._classifier.version) for candidate in run.candidates],
                tracks=tracks,
                video=video,
                policy=Policy.of(self._classifier.version, self.settings.scoring),
                evidence=evidence,
                hashes=run.hashes.kept,
                shadow=other,
                poster=run.poster.picture,
                timings={stage: round(seconds, 4) for stage, seconds in run.seconds.items()},
            )

    def _looked_at(self, reader: VideoReader, run: _Run) -> Iterator[tuple[list[Frame], list[list[Face]]]]:
        """Batches of frames, each with its faces."""
        for frames in self._decode(reader, run):
            self._hash(frames, run)
            yield frames, self._detect(frames, run)

    def _decode(self, reader: VideoReader, run: _Run) -> Iterator[list[Frame]]:
        """Batches of frames; the time is that spent waiting for the decoder."""
        frames = iter(reader)
        while True:
            with run.stage("decode"):
                batch = self._batch(frames)
            if not batch:
                return
            yield batch

    def _batch(self, frames: Iterator[Frame]) -> list[Frame]:
        batch: list[Frame] = []
        pixels = 0
        for frame in frames:
            batch.append(frame)
            pixels += frame.size[0] * frame.size[1]
            if len(batch) == self.settings.detection.batch_size or pixels >= MOST_PIXELS:
                break
        return batch

    def _hash(self, frames: list[Frame], run: _Run) -> None:
        """What the frames look like, to recognise the video by."""
        with run.stage("hash"):
            for frame in frames:
                run.hashes.add(frame.image, frame.time_seconds)

    def _detect(self, frames: list[Frame], run: _Run) -> list[list[Face]]:
        """The faces of each frame, whichever way up its stream is."""
        with run.stage("detect"):
            found: dict[int, list[Face]] = {}
            for stream in dict.fromkeys(frame.stream for frame in frames):
                turner = run.turners.setdefault(stream, Turner(self._detector, self.settings.detection))
                ours = [frame for frame in frames if frame.stream == stream]
                faces = turner.find([frame.image for frame in ours])
                found |= {frame.index: each for frame, each in zip(ours, faces, strict=True)}
            return [found[frame.index] for frame in frames]

    def _crop(self, frames: list[Frame], faces: list[list[Face]], run: _Run) -> list[list[Candidate]]:
        """The faces of each frame, cropped and checked by the quality gate."""
        version = self._classifier.version
        with run.stage("crop"):
            cropped = []
            for frame, found in zip(frames, faces, strict=True):
                candidates = cut_out(frame, found, version, self.settings.quality)
                usable = [candidate for candidate in candidates if candidate.quality.rejection is None]
                if usable:
                    run.pictures.add(frame.index, frame.image)
                    if run.shadow is not None:
                        run.shadow.add(frame, usable, like=(version.crop.margin, version.input_size))
                run.poster.look(frame, candidates)
                run.unclassified += usable
                run.candidates += candidates
                cropped.append(candidates)
            return cropped

    def _classify(self, run: _Run, *, finish: bool) -> None:
        """Classify in full batches, across frames and faces; the rest waits for the next frames."""
        size = self.settings.batch_size
        with run.stage("classify"):
            while len(run.unclassified) >= size or (finish and run.unclassified):
                batch, run.unclassified = run.unclassified[:size], run.unclassified[size:]
                classify(batch, self._classifier)
        if run.shadow is not None:
            run.shadow.classify(finish=finish)

    def _track(self, frames: list[Frame], cropped: list[list[Candidate]], run: _Run) -> None:
        with run.stage("track"):
            for frame, faces in zip(frames, cropped, strict=True):
                seen = [(one.face.box, describe(one.crop)) for one in faces if one.crop is not None]
                tracker = run.trackers.setdefault(frame.stream, Tracker(self.settings.tracks))
                numbers = tracker.add(frame.time_seconds, seen)
                for candidate, number in zip(faces, numbers, strict=True):
                    candidate.track = run.numbers.setdefault((frame.stream, number), len(run.numbers))

    def _forget(self, run: _Run) -> None:
        """Keep only the pixels of what may still become evidence or waits to be classified."""
        wanted = run.unclassified + worth_keeping(
            run.candidates,
            per_track=self.settings.scoring.flagged_frames,
            top_fraction=self.settings.scoring.top_fraction,
            min_frames=self.settings.tracks.min_frames,
            stretch_frames=self.settings.scoring.stretch_frames,
        )
        kept = {id(candidate) for candidate in wanted}
        for candidate in run.candidates:
            if id(candidate) not in kept:
                candidate.crop = None
        run.pictures.keep({candidate.frame for candidate in wanted})

    def _give_back(self, samples: int) -> None:
        self._untrimmed += samples
        if self._untrimmed >= TRIM_EVERY:
            give_back()
            self._untrimmed = 0

    def _aggregate(self, run: _Run, report: DecodeReport) -> tuple[list[TrackResult], VideoScore]:
        with run.stage("aggregate"):
            version, scoring = self._classifier.version, self.settings.scoring
            logits = [one.logit for one in run.candidates]
            video = judged(
                run.candidates, logits, report=report, version=version, settings=self.settings, families=True
            )
            tracks = [
                _track(number, members, score, video, version=version, scoring=scoring)
                for (number, members), score in zip(
                    by_track(run.candidates).items(), video.tracks, strict=True
                )
            ]
            return tracks, video

    def _evidence(self, run: _Run, tracks: list[TrackResult], video: VideoScore) -> list[Evidence]:
        """The most suspicious frames of the flagged tracks: each track's best before any track's second.

        They come from the flagged parts, as far as their pictures were kept.
        """
        if not video.verdict.flagged:
            return []
        version, scoring = self._classifier.version, self.settings.scoring
        parts = {track.number: track.flagged_ranges for track in tracks}
        flagged = sorted(
            ((track.raw_score, track.number) for track in tracks if track.flagged_ranges), reverse=True
        )
        numbers = {id(candidate): number for number, candidate in enumerate(run.candidates)}
        held = [one for one in run.candidates if one.crop is not None and one.logit is not None]
        ranked = in_turn(
            [[one for one in held if one.track == number] for _, number in flagged],
            per_track=scoring.flagged_frames,
            before_logit=lambda one: float(any(start <= one.time <= end for start, end in parts[one.track])),
        )
        return [
            Evidence(
                face=numbers[id(one)],
                score=version.calibration.probability(one.logit),
                image=run.pictures.jpeg(one.frame),
                crop=png(one.crop),
            )
            for one in ranked[: scoring.flagged_frames]
            if one.crop is not None and one.logit is not None
        ]


def _face(candidate: Candidate, version: ModelVersion) -> FaceResult:
    box, quality = candidate.face.box, candidate.quality
    width, height = candidate.frame_size
    return FaceResult(
        track_number=candidate.track,
        frame_index=candidate.frame,
        time_seconds=candidate.time,
        box=(box.x0, box.y0, box.x1, box.y1),
        frame_width=width,
        frame_height=height,
        landmarks=candidate.face.landmarks.tolist(),
        probability=candidate.face.probability,
        sharpness=quality.sharpness,
        yaw=quality.yaw,
        roll=quality.roll,
        turn=candidate.face.turn,
        rejected_because=None if quality.rejection is None else quality.rejection.value,
        logit=candidate.logit,
        score=None if candidate.logit is None else version.calibration.probability(candidate.logit),
    )


def _track(
    number: int,
    members: list[Candidate],
    score: TrackScore,
    video: VideoScore,
    *,
    version: ModelVersion,
    scoring: ScoringSettings,
) -> TrackResult:
    usable = [(one.time, one.logit) for one in members if one.logit is not None]
    flagged: list[Stretch] = []
    if score.supported:
        flagged = flagged_stretches([time for time, _ in usable], [one for _, one in usable], video, scoring)
    like = resemblance(score, version, scoring)
    return TrackResult(
        number=number,
        stream=members[0].stream,
        start_seconds=min(candidate.time for candidate in members),
        end_seconds=max(candidate.time for candidate in members),
        frames=len(members),
        usable_frames=len(usable),
        score=score.score,
        raw_score=score.raw,
        supported=score.supported,
        flagged_ranges=[(part.start_seconds, part.end_seconds) for part in flagged],
        family=None if like is None else like.family.value,
        family_probability=None if like is None else like.probability,
    )
