"""What is written down of a stream that is watched: how it is, its curve, its alerts with their evidence."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import structlog

from core.errors import FacewardenError
from core.settings import Settings
from core.streams import Point, StreamNow
from storage.objects.store import ObjectStore
from storage.streams.alerts import Raised, StoredFrame
from storage.streams.leases import WatchClaim
from worker.decoder.clips import join
from worker.streams.incidents import Incident, Moment
from worker.streams.ring import Ring
from worker.streams.watcher import News, StreamView

log = structlog.get_logger()

POINT_SECONDS = 2.0  # of stream time between two points of the curve
MOST_POINTS = 150  # five minutes
BEFORE_SECONDS, AFTER_SECONDS = 2.0, 2.0  # of a clip, around its incident


class Recorder:
    """The record of one stream by one worker; times that leave it run through all workers."""

    def __init__(self, claimed: WatchClaim, settings: Settings, objects: ObjectStore) -> None:
        self.claimed = claimed
        self._settings, self._objects = settings, objects
        self._base = claimed.begins_seconds
        self._clip_seconds = settings.streams.clip_seconds
        # An incident is over only after a calm; until then its segments must be there.
        kept = self._clip_seconds + settings.streams.calm_seconds + settings.streams.window_seconds
        self._ring = Ring(kept)
        self._points: deque[Point] = deque(maxlen=MOST_POINTS)
        if claimed.unseen_seconds > 0:
            self._points.append(Point(seconds=self._base, score=None, unseen=True))
        self._unseen = False  # since the last point
        self._uncut: list[Incident] = []  # told, and without a clip so far
        self._told: list[Raised] = []  # not stored yet

    @property
    def told(self) -> Sequence[Raised]:
        """What has to be stored with the next report."""
        return list(self._told)

    def stored(self, count: int) -> None:
        """The first `count` of what was to be told are stored."""
        del self._told[:count]

    def take(self, news: News, view: StreamView) -> None:
        """What came of one turn."""
        for passed in news.passed:
            if passed.segment is not None:
                self._ring.add(passed.segment)
        self._unseen = self._unseen or bool(news.gaps)
        self.tell(news.incidents)
        self._cut_clips(view.position_seconds, over=news.over)
        self._draw(view)

    def tell(self, incidents: Sequence[Incident]) -> None:
        """Of incidents that are new, or over."""
        for incident in incidents:
            frames = [] if incident.over else self._frames(incident)
            if incident not in self._uncut and not incident.over:
                self._uncut.append(incident)
            self._told.append(self._raised(incident, frames))

    def finish(self, incidents: Sequence[Incident], position: float) -> None:
        """The stream ends here."""
        self.tell(incidents)
        self._cut_clips(position, over=True)

    def close(self) -> None:
        self._ring.close()

    def now(self, view: StreamView) -> StreamNow:
        tracks = [
            replace(
                track,
                start_seconds=self._base + track.start_seconds,
                end_seconds=self._base + track.end_seconds,
            )
            for track in view.tracks
        ]
        return StreamNow(
            state=view.state.value,
            trouble=None if view.error is None else str(view.error),
            coverage=view.coverage,
            delay_seconds=view.delay_seconds,
            reconnects=view.reconnects,
            frames=view.frames,
            verdict=view.verdict,
            tracks=tracks,
            points=list(self._points),
        )

    def position(self, view: StreamView) -> float:
        """Stream time, through all workers."""
        return self._base + view.position_seconds

    def seen(self, view: StreamView) -> float:
        """Of that, looked at."""
        return self.claimed.seen_seconds + view.seen_seconds

    def _draw(self, view: StreamView) -> None:
        seconds = self.position(view)
        if self._points and seconds - self._points[-1].seconds < POINT_SECONDS:
            return
        scores = [track.score for track in view.tracks if track.supported and track.score is not None]
        self._points.append(Point(seconds=seconds, score=max(scores, default=None), unseen=self._unseen))
        self._unseen = False

    def _cut_clips(self, position: float, *, over: bool) -> None:
        for incident in list(self._uncut):
            if over or incident.over or position >= incident.start_seconds + self._clip_seconds:
                self._uncut.remove(incident)
                clip = self._clip(incident)
                if clip is not None:
                    self._told.append(self._raised(incident, [], clip))

    def _clip(self, incident: Incident) -> str | None:
        """The key of an MP4 of the segments around it; None where they cannot be joined or stored."""
        end = min(incident.end_seconds + AFTER_SECONDS, incident.start_seconds + self._clip_seconds)
        segments = self._ring.between(incident.start_seconds - BEFORE_SECONDS, end)
        content = join(
            [each.file.fileno() for each in segments], self._settings.decode, name=self.claimed.name
        )
        try:
            return self._objects.put_bytes(content, ".mp4") if content else None
        except FacewardenError as error:
            log.warning("a clip is lost", stream=self.claimed.stream_id, reason=str(error))
            return None

    def _frames(self, incident: Incident) -> list[StoredFrame]:
        """Its pictures; none where the object store is away: the alert does not wait for it."""
        try:
            return [self._kept(moment) for moment in incident.moments]
        except FacewardenError as error:
            log.warning("pictures are lost", stream=self.claimed.stream_id, reason=str(error))
            return []

    def _kept(self, moment: Moment) -> StoredFrame:
        return StoredFrame(
            time_seconds=self._base + moment.time_seconds,
            score=moment.score,
            box=moment.box,
            frame_size=moment.frame_size,
            image_key=self._objects.put_bytes(moment.image, ".jpg"),
            crop_key=self._objects.put_bytes(moment.crop, ".png"),
        )

    def _raised(self, incident: Incident, frames: Sequence[StoredFrame], clip: str | None = None) -> Raised:
        raised = incident.end_seconds if incident.raised_seconds is None else incident.raised_seconds
        return Raised(
            track=incident.track,
            start_seconds=self._base + incident.start_seconds,
            end_seconds=self._base + incident.end_seconds,
            raised_seconds=self._base + raised,
            peak_score=incident.peak_score,
            over=incident.over,
            frames=frames,
            clip_key=clip,
        )
