"""The process that watches streams, with SQLite, a real server and decoder, and models that are known."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from core import metrics
from core.errors import ObjectStoreError, ServiceUnavailable
from core.settings import Settings
from core.signals import Signal
from core.streams import StreamStatus
from storage import migrate
from storage.engine import connect, reading, transaction
from storage.objects.folder import FolderStore
from storage.streams import leases, requests
from storage.streams.requests import AlertView, StreamView
from storage.tables import LiveStream, utc_now
from storage.webhooks import deliveries, endpoints
from tests.hls import HlsServer, hls_server, numbered, playlist, watched
from tests.unit.worker.screening.test_pipeline import (
    HEIGHT,
    LEFT,
    WIDTH,
    BrightnessClassifier,
    KnownDetector,
    face,
)
from tests.unit.worker.streams.test_watcher import (
    FORGED,
    NAMES,
    PER_SEGMENT,
    RATE,
    SECONDS,
    at_once,
    forged_between,
)
from tests.waiting import until
from worker import stream_service
from worker.context import Context
from worker.decoder.reader import VideoReader
from worker.stream_service import StreamService
from worker.streams.feed import Feed
from worker.streams.opening import open_feed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HlsServer]:
    folder = tmp_path_factory.mktemp("stream")
    parts = numbered(
        folder, seconds=SECONDS, rate=RATE, per_segment=PER_SEGMENT, size=(WIDTH, HEIGHT), draw=forged_between
    )
    with hls_server() as server:
        server.answers |= {f"/{number}.ts": part for number, part in enumerate(parts)}
        server.answers["/live.m3u8"] = playlist(NAMES, seconds=PER_SEGMENT, ended=True)
        server.answers["/going-on.m3u8"] = playlist(NAMES[:4], seconds=PER_SEGMENT)
        yield server


@pytest.fixture
def house(settings: Settings, server: HlsServer) -> Iterator["House"]:
    quality = settings.quality.model_copy(update={"min_sharpness": 0.0})
    made = House(watched(settings.model_copy(update={"quality": quality}), server, enabled=True))
    yield made
    made.engine.dispose()


def opened(url: str, settings: Settings) -> Feed:
    return open_feed(url, settings, pause=at_once)


class House:
    """An installation with two processes that could watch."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.engine = settings, connect(settings.sql_url)
        migrate.upgrade(self.engine)

    def process(self, store: FolderStore | None = None) -> StreamService:
        return StreamService(self.context(store), opener=opened)

    def context(self, store: FolderStore | None = None) -> Context:
        context = Context.of(self.settings)
        context.__dict__ |= {
            "engine": self.engine,
            **({} if store is None else {"objects": store}),
            "classifier": BrightnessClassifier(),
            "detector": KnownDetector(face(LEFT)),
        }
        return context

    def ask(self, url: str) -> int:
        with transaction(self.engine) as session:
            guard = self.settings.streams.guard
            return requests.add(session, url=url, name="the stream", guard=guard, actor="ada").id

    def see(self, number: int) -> StreamView:
        with reading(self.engine) as session:
            return requests.get(session, number)

    def alerts(self, number: int) -> list[AlertView]:
        with reading(self.engine) as session:
            return requests.alerts(session, number)

    def over(self, number: int) -> bool:
        return self.see(number).status.over


class Leaving(FolderStore):
    """A store that can be away."""

    away = False

    def put_bytes(self, content: bytes, suffix: str = "") -> str:
        if self.away:
            raise ObjectStoreError(key=suffix, reason="it is away")
        return super().put_bytes(content, suffix)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_service, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(stream_service, "WAIT_SECONDS", 0.02)


def test_a_stream_is_watched_to_its_end_and_its_alert_kept_with_frames_and_clip(
    house: House, server: HlsServer, tmp_path: Path
) -> None:
    with transaction(house.engine) as session:
        guard = house.settings.webhooks.guard
        endpoints.add(
            session, url="https://hooks.example.com/", events=[Signal.ALERT], guard=guard, actor="ada"
        )
    number, process = house.ask(server.url()), house.process()
    until(lambda: house.over(number), "the end", moving=lambda: house.see(number), look=process.step)
    found = house.see(number)
    assert (found.status, found.position_seconds, found.coverage) == (StreamStatus.ENDED, SECONDS, 1.0)
    (alert,) = house.alerts(number)
    assert abs(alert.start_seconds - FORGED.start) <= 0.5
    assert abs(alert.end_seconds - FORGED.stop) <= 1.0
    assert alert.raised_seconds - alert.start_seconds <= 10
    assert (alert.over, alert.has_clip, len(alert.frames)) == (True, True, 3)
    with reading(house.engine) as session:
        image, crop = requests.frame_keys(session, alert.frames[0].id)
        clip = requests.clip_key(session, alert.id)
        (event,) = deliveries.page(session, 1, status=None, before=None, limit=10)
    objects = house.process()._context.objects
    assert objects.read(image, length=2) == b"\xff\xd8"
    assert objects.read(crop, length=4) == b"\x89PNG"
    assert (event.type, event.stream_id) == ("stream.alert", number)
    played = tmp_path / "clip.mp4"
    played.write_bytes(objects.read(clip))
    with VideoReader(played, house.settings.decode, house.settings.sampling) as reader:
        assert 8 <= reader.probe.duration_seconds <= 16
        assert len(list(reader)) == reader.probe.expected_samples
    assert found.now is not None
    points = found.now["points"]
    assert [point["seconds"] for point in points] == sorted(point["seconds"] for point in points)
    assert max(point["score"] for point in points) > 0.9


def test_while_the_object_store_is_away_alerts_are_told_and_streams_are_stopped(
    house: House, server: HlsServer, tmp_path: Path
) -> None:
    store = Leaving(tmp_path / "away")
    store.away = True
    number, process = house.ask(server.url("/going-on.m3u8")), house.process(store)
    told = 3 * PER_SEGMENT  # seconds: a live stream begins with its last three segments
    until(lambda: house.see(number).position_seconds >= told, "all of it", look=process.step)
    (alert,) = house.alerts(number)
    assert (alert.over, alert.has_clip, alert.frames) == (False, False, [])
    with transaction(house.engine) as session:
        requests.stop(session, number, actor="bob")
    until(lambda: house.over(number), "the stop", look=process.step)  # its clip is cut only now
    assert house.see(number).status is StreamStatus.STOPPED
    (alert,) = house.alerts(number)
    assert (alert.over, alert.has_clip) == (True, False)


def test_a_lease_that_ran_out_while_the_database_was_away_loses_no_alert(
    house: House, server: HlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, process = house.ask(server.url("/going-on.m3u8")), house.process()
    process.step()
    record = process._records[number]

    def away(*told: object, **also: object) -> None:
        raise ServiceUnavailable(service="The database", address="x", reason="away", setting="X")

    with monkeypatch.context() as outage:
        outage.setattr(leases, "report", away)
        # It is there again just after a report has failed.
        until(lambda: record.told, "an alert", moving=lambda: len(record._points), look=process.step)
        with transaction(house.engine) as session:
            session.execute(update(LiveStream).values(lease_expires_at=utc_now() - timedelta(minutes=1)))
        process.step()
    assert house.alerts(number) == []
    until(lambda: house.alerts(number), "the alert", look=process.step)
    (alert,) = house.alerts(number)
    assert len(alert.frames) == 3
    assert process._records[number] is record
    process.close()
    assert [each.id for each in house.alerts(number)] == [alert.id]
    assert house.alerts(number)[0].has_clip


def test_one_process_takes_over_from_another_that_gives_back_or_is_gone(
    house: House, server: HlsServer
) -> None:
    number, first, second = house.ask(server.url("/going-on.m3u8")), house.process(), house.process()
    until(lambda: house.see(number).position_seconds > 0, "a beginning", look=first.step)
    second.step()
    assert (len(first), len(second)) == (1, 0)
    first.close()
    before = house.see(number)
    assert before.status is StreamStatus.WAITING
    until(lambda: house.see(number).position_seconds > before.position_seconds, "more", look=second.step)
    assert (len(first), len(second)) == (0, 1)
    with transaction(house.engine) as session:
        requests.stop(session, number, actor="bob")
    until(lambda: house.over(number), "the stop", look=second.step)
    assert house.see(number).status is StreamStatus.STOPPED
    assert len(second) == 0


def test_what_cannot_be_watched_fails_with_its_reason(house: House, server: HlsServer) -> None:
    number, process = house.ask(server.url("/nothing.m3u8")), house.process()
    until(lambda: house.over(number), "the end", look=process.step)
    found = house.see(number)
    assert (found.status, found.error_code) == (StreamStatus.FAILED, "fetch_failed")
    assert "its server answers 404" in (found.error_message or "")


def test_the_command_writes_metrics_while_it_watches_and_removes_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone with it, and another process's is not."""
    stop, folder, context = threading.Event(), house.settings.home / "metrics", house.context()
    monkeypatch.setattr(stream_service, "asked_to_stop", lambda: stop)
    monkeypatch.setattr(stream_service.Context, "of", lambda _: context)
    watching = threading.Thread(target=stream_service.watch_streams, args=(house.settings,))
    watching.start()
    try:
        until(lambda: folder.exists() and list(folder.glob("*.prom")), "the first metrics")
        (own,) = folder.glob("*.prom")
        assert own.name == f"facewarden_{metrics.own_name('streams')}.prom"
        (folder / "facewarden_streams_elsewhere_1.prom").touch()
    finally:
        stop.set()
        watching.join()
    assert [file.name for file in folder.iterdir()] == ["facewarden_streams_elsewhere_1.prom"]
