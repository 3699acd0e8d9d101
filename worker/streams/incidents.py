"""Incidents: parts of a stream in which one face looks fake, from the first such frame to the last so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.settings import ScoringSettings, StreamSettings
from worker.screening.aggregation import Stretch


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A frame that is kept as evidence."""

    time_seconds: float  # stream time
    logit: float
    score: float  # calibrated, [0, 1]
    image: bytes  # JPEG of the whole frame
    crop: bytes  # PNG of exactly what was classified
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the frame
    frame_size: tuple[int, int]  # width and height, pixels


@dataclass(kw_only=True)
class Incident:
    """One face, looking fake."""

    track: int
    start_seconds: float  # stream time
    end_seconds: float  # of the last frame so far
    peak_score: float  # highest score of its track meanwhile, [0, 1]
    raised_seconds: float | None = None  # when the alert was raised
    over: bool = False
    moments: list[Moment] = field(default_factory=list)  # the most suspicious first


class Incidents:
    """Those of one face, one after another."""

    def __init__(self, track: int, streams: StreamSettings, scoring: ScoringSettings) -> None:
        self._track, self._streams, self._most = track, streams, scoring.flagged_frames
        self._since = float("-inf")  # when the last one ended
        self._moments: list[Moment] = []  # since then
        self.open: Incident | None = None

    def keep(self, moment: Moment) -> None:
        """A suspicious frame, which becomes evidence if there is an incident around it."""
        oldest = moment.time_seconds - self._streams.calm_seconds
        if self.open is not None:
            oldest = min(oldest, self.open.start_seconds)
        recent = [one for one in self._moments if one.time_seconds >= oldest]
        self._moments = sorted([*recent, moment], key=lambda one: -one.logit)[: self._most]

    def update(
        self, now: float, *, fake: bool, score: float, stretches: Sequence[Stretch]
    ) -> Incident | None:
        """The track as it is `now` (stream time): an incident whose alert is due, or that is over.

        Args:
            fake: whether its score is at or above the threshold.
            stretches: its flagged parts of the window, by time.
        """
        new = [part for part in stretches if part.end_seconds > self._since]
        if fake and new:
            self._go_on(new, score)
        incident = self.open
        if incident is None:
            return None
        if now - incident.end_seconds > self._streams.calm_seconds:
            self.open, self._since, self._moments = None, incident.end_seconds, []
            incident.over = True
            return incident if incident.raised_seconds is not None else None
        lasted = incident.end_seconds - incident.start_seconds
        if incident.raised_seconds is None and lasted >= self._streams.alert_seconds:
            incident.raised_seconds = now
            incident.moments = [one for one in self._moments if one.time_seconds >= incident.start_seconds]
            return incident
        return None

    def finish(self) -> Incident | None:
        """The stream is over, or the face has gone."""
        incident, self.open = self.open, None
        if incident is None:
            return None
        incident.over = True
        return incident if incident.raised_seconds is not None else None

    def _go_on(self, parts: Sequence[Stretch], score: float) -> None:
        if self.open is None:
            start = max(parts[0].start_seconds, self._since)
            self.open = Incident(
                track=self._track, start_seconds=start, end_seconds=parts[-1].end_seconds, peak_score=score
            )
        self.open.end_seconds = max(self.open.end_seconds, parts[-1].end_seconds)
        self.open.peak_score = max(self.open.peak_score, score)
