"""The faces of one stream: tracks, and for each the score of its frames within a rolling window.

The score is that of a video (worker.screening.aggregation) that lasted as long as the window and ends now.
What is older is folded away: of a track only its highest score and its times are kept, and of one that has
gone nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.settings import Settings
from core.streams import TrackNow
from worker.decoder.reader import Frame
from worker.screening.aggregation import (
    TrackScore,
    VideoScore,
    flagged_stretches,
    score_track,
    score_video,
    verdict_of,
)
from worker.screening.evidence import Candidate, jpeg, png
from worker.screening.quality import Rejection
from worker.screening.tracks import Tracker, describe
from worker.streams.incidents import Incident, Incidents, Moment


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One frame's face."""

    time_seconds: float
    logit: float | None
    rejection: Rejection | None


@dataclass(kw_only=True)
class LiveTrack:
    """One person, as far as the window reaches."""

    number: int
    start_seconds: float  # when it was first seen, stream time
    incidents: Incidents
    looks: deque[_Look] = field(default_factory=deque)  # of the window
    score: float | None = None  # calibrated, [0, 1]; None without usable frames
    supported: bool = False  # enough usable frames to count
    peak_score: float = 0.0  # the highest while it was supported

    @property
    def end_seconds(self) -> float:
        return self.looks[-1].time_seconds


class StreamScores:
    """All faces of one stream; frames must come in order of time."""

    def __init__(self, version: ModelVersion, settings: Settings) -> None:
        self._version, self._settings = version, settings
        self._tracker = Tracker(settings.tracks)
        self._tracks: dict[int, LiveTrack] = {}
        self._samples: deque[float] = deque()  # times of the window's frames
        self.now = 0.0  # stream time of the last frame
        self.verdict: Verdict | None = None  # of the window; None before the first frame

    @property
    def tracks(self) -> list[TrackNow]:
        """Those of the window, by number."""
        return [
            TrackNow(
                number=track.number,
                start_seconds=track.start_seconds,
                end_seconds=track.end_seconds,
                score=track.score,
                supported=track.supported,
                peak_score=track.peak_score,
            )
            for _, track in sorted(self._tracks.items())
        ]

    def add(self, frame: Frame, faces: Sequence[Candidate]) -> list[Incident]:
        """The next frame and its faces, classified where fit: incidents to tell of, new or over."""
        self.now = max(self.now, frame.time_seconds)
        self._samples.append(self.now)
        self._assign(faces)
        told = self._forget()
        video, numbers = self._score()
        self.verdict = video.verdict
        self._keep(frame, faces, video)
        for number, score in zip(numbers, video.tracks, strict=True):
            incident = self._update(self._tracks[number], score, video)
            if incident is not None:
                told.append(incident)
        return told

    def finish(self) -> list[Incident]:
        """The stream is over: so are its incidents."""
        ends = [track.incidents.finish() for track in self._tracks.values()]
        return [incident for incident in ends if incident is not None]

    def _assign(self, faces: Sequence[Candidate]) -> None:
        cropped = [one for one in faces if one.crop is not None]
        seen = [(one.face.box, describe(one.crop)) for one in cropped if one.crop is not None]
        numbers = self._tracker.add(self.now, seen)
        for candidate, number in zip(cropped, numbers, strict=True):
            candidate.track = number
            track = self._tracks.get(number)
            if track is None:
                incidents = Incidents(number, self._settings.streams, self._settings.scoring)
                track = LiveTrack(number=number, start_seconds=self.now, incidents=incidents)
                self._tracks[number] = track
            look = _Look(time_seconds=self.now, logit=candidate.logit, rejection=candidate.quality.rejection)
            track.looks.append(look)
        self._tracker.forget(self.now)

    def _forget(self) -> list[Incident]:
        """Drop what the window has left behind; the incidents of tracks that have gone are over."""
        oldest = self.now - self._settings.streams.window_seconds
        while self._samples and self._samples[0] < oldest:
            self._samples.popleft()
        told = []
        for number, track in list(self._tracks.items()):
            while track.looks and track.looks[0].time_seconds < oldest:
                track.looks.popleft()
            if not track.looks:
                incident = self._tracks.pop(number).incidents.finish()
                if incident is not None:
                    told.append(incident)
        return told

    def _score(self) -> tuple[VideoScore, list[int]]:
        settings, numbers = self._settings, sorted(self._tracks)
        scores = []
        for number in numbers:
            looks = self._tracks[number].looks
            scores.append(
                score_track(
                    [look.logit for look in looks if look.logit is not None],
                    rejections=[look.rejection for look in looks if look.rejection is not None],
                    samples=len(self._samples),
                    version=self._version,
                    scoring=settings.scoring,
                    tracks=settings.tracks,
                )
            )
        return score_video(scores, version=self._version, scoring=settings.scoring), numbers

    def _keep(self, frame: Frame, faces: Sequence[Candidate], video: VideoScore) -> None:
        """The suspicious faces of the frame, in case there is an incident around it."""
        high = [one for one in faces if one.logit is not None and one.logit >= video.high_from]
        image = jpeg(frame.image) if high else b""
        for one in high:
            if one.crop is None or one.logit is None:
                continue
            box = one.face.box
            moment = Moment(
                time_seconds=self.now,
                logit=one.logit,
                score=self._version.calibration.probability(one.logit),
                image=image,
                crop=png(one.crop),
                box=(box.x0, box.y0, box.x1, box.y1),
                frame_size=frame.size,
            )
            self._tracks[one.track].incidents.keep(moment)

    def _update(self, track: LiveTrack, score: TrackScore, video: VideoScore) -> Incident | None:
        track.score, track.supported = score.score, score.supported
        fake, stretches, scoring = False, [], self._settings.scoring
        if score.supported and score.score is not None:
            track.peak_score = max(track.peak_score, score.score)
            verdict = verdict_of(score.score, self._version, scoring)
            fake = verdict.flagged and (
                verdict is Verdict.FAKE or self._settings.streams.alert_from == "suspect"
            )
        if fake:
            usable = [(look.time_seconds, look.logit) for look in track.looks if look.logit is not None]
            stretches = flagged_stretches(
                [time for time, _ in usable], [logit for _, logit in usable], video, scoring
            )
        return track.incidents.update(self.now, fake=fake, score=score.score or 0.0, stretches=stretches)
