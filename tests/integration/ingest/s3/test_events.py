"""Events of a bucket: by a queue, kept in the database, looked at by ingest."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import select, update

from core.errors import BucketUnavailable, ServiceUnavailable
from ingest.registration import Intake
from ingest.s3 import event_queue
from ingest.s3.event_queue import EventQueue
from ingest.s3.hints import keep
from ingest.s3.keys import Keys
from ingest.s3.notifications import Notice
from storage.clock import after
from storage.engine import transaction
from storage.tables import AuditEvent, KeyLook
from tests.integration.ingest.s3.place import Place
from tests.integration.ingest.s3.queue_server import QueueServer
from tests.integration.ingest.site import MP4


@pytest.fixture
def queue_server() -> Iterator[QueueServer]:
    with QueueServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def queue(place: Place, queue_server: QueueServer) -> EventQueue:
    return EventQueue(place.site.settings, place.address, place.site.engine, queue_server.url)


def event(place: Place, name: str, kind: str = "ObjectCreated:Put") -> dict[str, Any]:
    key = quote_plus(place.address.prefix + name)
    where = {"bucket": {"name": place.address.bucket}, "object": {"key": key}}
    return {"Records": [{"eventName": kind, "s3": where}]}


def hint(place: Place, *names: str) -> None:
    found = [
        Notice(bucket=place.address.bucket, key=place.address.prefix + name, removed=False) for name in names
    ]
    with transaction(place.site.engine) as session:
        keep(session, place.site.settings, place.address, found, actor="test")


def names(place: Place) -> list[str]:
    return [row.name.removeprefix(place.address.prefix) for row in place.site.sightings()]


def test_what_the_queue_names_is_taken_in(place: Place, queue: EventQueue, queue_server: QueueServer) -> None:
    place.put("my clip+1.mp4")
    place.put("other.mp4")
    queue_server.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": place.address.bucket})
    queue_server.send("no JSON")
    queue_server.send(event(place, "my clip+1.mp4"))
    queue_server.send(event(place, "gone.mp4"))
    queue_server.send(event(place, ".hidden/a.mp4"))
    assert queue.run_once()
    assert not queue_server.messages
    assert place.looker().run_once()
    assert names(place) == ["my clip+1.mp4"]
    assert not place.looker().run_once()
    assert place.take()["other.mp4"].intake == Intake.QUEUED  # by the listing, which takes nothing twice
    assert len(place.site.sightings()) == 2
    assert place.site.untaken() == 0


def test_a_message_stays_until_its_keys_are_in_the_database(
    place: Place, queue: EventQueue, queue_server: QueueServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.mp4")
    queue_server.send(event(place, "a.mp4"))

    def away(*given: Any, **named: Any) -> None:
        raise ServiceUnavailable(service="The database", address="a", reason="r", setting="s")

    monkeypatch.setattr(event_queue, "keep", away)
    with pytest.raises(ServiceUnavailable):
        queue.run_once()
    assert len(queue_server.messages) == 1
    monkeypatch.setattr(event_queue, "keep", keep)
    assert queue.run_once()
    assert place.site.untaken() == 2  # the listing, which has not been, and the key


def test_a_queue_that_does_not_answer_is_named(
    place: Place, silent_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = place.site.settings.s3.model_copy(update={"answer_seconds": 0.1, "attempts": 1})
    settings = place.site.settings.model_copy(update={"s3": s3})
    queue = EventQueue(settings, place.address, place.site.engine, f"{silent_address}/0/events")
    monkeypatch.setattr(event_queue, "WAIT_SECONDS", 0)
    with pytest.raises(ServiceUnavailable, match="FACEWARDEN_S3_SOURCE__QUEUE_URL"):
        queue.run_once()


def test_a_removed_object_is_noted_and_stays(
    place: Place, queue: EventQueue, queue_server: QueueServer
) -> None:
    place.put("a.mp4")
    place.take()
    place.remove("a.mp4")
    queue_server.send(event(place, "a.mp4", "ObjectRemoved:Delete"))
    queue_server.send(event(place, "never seen.mp4", "ObjectRemoved:Delete"))
    queue.run_once()
    with transaction(place.site.engine) as session:
        removed = session.scalars(
            select(AuditEvent.subject).where(AuditEvent.action == "source.removed")
        ).all()
    assert removed == [f"{place.address.prefix}a.mp4"]
    assert names(place) == ["a.mp4"]
    assert not place.looker().run_once()


def test_a_replaced_object_is_looked_at_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("a.mp4")
    hint(place, "a.mp4", "a.mp4")
    stored = Keys._stored

    def replaced(self: Keys, *given: Any) -> Any:
        place.put("a.mp4", MP4 + b"newer")
        return stored(self, *given)

    monkeypatch.setattr(Keys, "_stored", replaced)
    looker = place.looker()
    assert looker.run_once()
    assert names(place) == []
    monkeypatch.setattr(Keys, "_stored", stored)
    assert not looker.run_once()  # not at once
    with transaction(place.site.engine) as session:
        session.execute(update(KeyLook).values(due_at=after(-1)))
    assert looker.run_once()
    assert names(place) == ["a.mp4"]


def test_what_was_not_looked_at_when_the_bucket_went_away_is_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4"):
        place.put(name)
    hint(place, "a.mp4", "b.mp4")
    take = Keys.take

    def failing(self: Keys, entry: Any, priority: Any) -> Any:
        if entry.name.endswith("b.mp4"):
            raise BucketUnavailable(bucket="b", endpoint="e", key=entry.name, reason="503 SlowDown")
        return take(self, entry, priority)

    monkeypatch.setattr(Keys, "take", failing)
    with pytest.raises(BucketUnavailable):
        place.looker().run_once()
    assert names(place) == ["a.mp4"]
    monkeypatch.setattr(Keys, "take", take)
    with transaction(place.site.engine) as session:
        session.execute(update(KeyLook).values(due_at=after(-1)))
    assert place.looker().run_once()
    assert names(place) == ["a.mp4", "b.mp4"]
