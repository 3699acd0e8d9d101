"""`facewarden watch`: one live stream, in this process, without queue and database."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from core.errors import FacewardenError
from core.settings import Settings
from worker.screening.loading import load_classifier, load_detector
from worker.streams.feed import FeedState, Passed
from worker.streams.incidents import Incident
from worker.streams.opening import open_feed
from worker.streams.watcher import News, StreamView, Watcher

ONLY = 1  # the key of the one stream
LINE_SECONDS = 5.0  # of stream time between two lines that say how it is
LOOK_SECONDS = 0.5

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """How watching ended."""

    alerts: int
    error: FacewardenError | None  # why it could not go on


def watch_stream(
    settings: Settings,
    url: str,
    *,
    seconds: float | None,
    as_json: bool,
    evidence: Path | None = None,
    pause: Callable[[float], bool] | None = None,
) -> Watched:
    """Watch the stream at `url` until it ends, for so many seconds of it, or until interrupted.

    Raises UnsafeAddress, WeightsError, SettingsError.
    """
    feed = open_feed(url, settings, pause=pause)  # what is wrong with the address is said before models load
    watcher = Watcher(settings, load_detector(settings), load_classifier(settings, settings.weights))
    stop: list[int] = []
    before = {number: signal.signal(number, _noted(stop)) for number in (signal.SIGINT, signal.SIGTERM)}
    watcher.add(ONLY, feed)
    alerts = 0
    show = _print_json if as_json else _Lines()
    try:
        for event in _events(watcher, seconds, stop, evidence):
            alerts += event["event"] == "alert"
            show(event)
        view = watcher.view(ONLY)
    finally:
        watcher.remove(ONLY)
        for number, handler in before.items():
            signal.signal(number, handler)
    return Watched(alerts=alerts, error=view.error if view.state == FeedState.FAILED else None)


def _noted(stop: list[int]) -> Callable[[int, FrameType | None], None]:
    def note(number: int, frame: FrameType | None) -> None:
        del frame
        stop.append(number)

    return note


def _events(
    watcher: Watcher, seconds: float | None, stop: list[int], evidence: Path | None
) -> Iterator[Event]:
    """What happens, in order, until the stream is over."""
    state, told = None, 0.0
    while True:
        turns = watcher.turn()
        view = watcher.view(ONLY)
        if view.state != state:
            state = view.state
            yield _state(view)
        for news in turns:
            _close(news)
            yield from (_gap(each) for each in news.gaps)
            yield from (_incident(each, evidence) for each in news.incidents)
        over = bool(stop) or any(news.over for news in turns)
        over = over or (seconds is not None and view.position_seconds >= seconds)
        if over or view.position_seconds - told >= LINE_SECONDS:
            told = view.position_seconds
            yield _position(view)
        if over:
            for incident in watcher.finish(ONLY):
                yield _incident(incident, evidence)
            return
        if not turns:
            watcher.wait(LOOK_SECONDS)


def _close(news: News) -> None:
    for each in news.passed:
        if each.segment is not None:
            each.segment.file.close()


def _state(view: StreamView) -> Event:
    error = view.error
    told = None if error is None else {"code": error.code, "message": str(error)}
    return {"event": "state", "state": view.state.value, "error": told}


def _position(view: StreamView) -> Event:
    return {
        "event": "position",
        "position_seconds": round(view.position_seconds, 3),
        "coverage": round(view.coverage, 4),
        "seen_seconds": round(view.seen_seconds, 3),
        "delay_seconds": round(view.delay_seconds, 3),
        "frames": view.frames,
        "verdict": view.verdict,
        "tracks": [vars(track) for track in view.tracks],
    }


def _gap(passed: Passed) -> Event:
    return {
        "event": "unseen",
        "start_seconds": round(passed.start_seconds, 3),
        "seconds": round(passed.duration_seconds - passed.seen_seconds, 3),
        "reason": passed.reason,
    }


def _incident(incident: Incident, evidence: Path | None) -> Event:
    event: Event = {
        "event": "alert_over" if incident.over else "alert",
        "track": incident.track,
        "start_seconds": incident.start_seconds,
        "end_seconds": incident.end_seconds,
        "peak_score": incident.peak_score,
        "raised_seconds": incident.raised_seconds,
    }
    if evidence is not None and not incident.over:
        evidence.mkdir(parents=True, exist_ok=True)
        event["evidence"] = []
        for moment in incident.moments:
            target = evidence / f"track-{incident.track}-{moment.time_seconds:09.2f}s.jpg"
            target.write_bytes(moment.image)
            event["evidence"].append(str(target))
    return event


def _print_json(event: Event) -> None:
    print(json.dumps(event), flush=True)  # noqa: T201  stdout is this command's output


class _Lines:
    """Events as lines for people."""

    def __init__(self) -> None:
        self._console = Console()
        self._now = 0.0

    def __call__(self, event: Event) -> None:
        if event["event"] in {"position", "alert"}:
            self._now = event["position_seconds" if event["event"] == "position" else "raised_seconds"]
        style = {"alert": "bold red", "unseen": "yellow"}.get(event["event"], "")
        line = f"{clock(self._now)}  {_said(event)}"
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _said(event: Event) -> str:
    kind = event["event"]
    if kind == "state":
        error = event["error"]
        return f"{event['state']}{': ' + error['message'] if error else ''}"
    if kind == "unseen":
        return f"unseen  {event['seconds']:.1f} s from {clock(event['start_seconds'])}: {event['reason']}"
    if kind == "alert":
        return (
            f"ALERT   face {event['track']} looks fake since {clock(event['start_seconds'])},"
            f" score {event['peak_score']:.0%}"
        )
    if kind == "alert_over":
        return (
            f"over    face {event['track']} looked fake from {clock(event['start_seconds'])}"
            f" to {clock(event['end_seconds'])}, at most {event['peak_score']:.0%}"
        )
    faces = ", ".join(
        f"face {track['number']} {'-' if track['score'] is None else format(track['score'], '.0%')}"
        for track in event["tracks"]
    )
    return f"{event['verdict'] or '-':8} seen {event['coverage']:.0%}  {faces or 'no face'}"


def clock(seconds: float) -> str:
    """Stream time as hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
