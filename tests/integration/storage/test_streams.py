"""Live streams on both databases: who watches which, what is told, what is shown."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select, update

from core.errors import BrokenPlaylist, Conflict, NotFound, StaleAttempt, UnsafeAddress
from core.outgoing import Guard
from core.signals import Signal
from core.streams import StreamNow, StreamStatus
from storage import audit
from storage.clock import after
from storage.engine import reading, transaction
from storage.streams import leases, requests
from storage.streams.alerts import Raised, StoredFrame
from storage.streams.leases import WatchClaim
from storage.tables import LiveStream, WebhookDelivery, WebhookEvent
from storage.webhooks import deliveries, endpoints

GUARD = Guard()
URL = "https://example.com/live.m3u8?key=secret"
NOW = StreamNow(state="live", coverage=0.9, delay_seconds=1.0, reconnects=0, frames=8, verdict="clear")
FRAME = StoredFrame(
    time_seconds=21.0,
    score=0.97,
    box=(1, 2, 3, 4),
    frame_size=(64, 48),
    image_key="aa/" + "0" * 62,
    crop_key="bb/" + "0" * 62,
)


def raised(**changes: object) -> Raised:
    given = {
        "track": 3,
        "start_seconds": 20.0,
        "end_seconds": 24.0,
        "raised_seconds": 24.5,
        "peak_score": 0.95,
        "over": False,
        "frames": [FRAME],
    }
    return Raised(**given | changes)  # type: ignore[arg-type]


def asked(engine: Engine, url: str = URL) -> int:
    with transaction(engine) as session:
        return requests.add(session, url=url, name=None, guard=GUARD, actor="ada").id


def claimed(engine: Engine, owner: str = "one") -> list[WatchClaim]:
    with transaction(engine) as session:
        return leases.claim(session, owner=owner, lease_seconds=30, most=2)


def reported(engine: Engine, claim: WatchClaim, *told: Raised, position: float = 30.0) -> bool:
    with transaction(engine) as session:
        return leases.report(
            session,
            claim,
            NOW,
            position_seconds=position,
            seen_seconds=0.9 * position,
            model_version="m1",
            lease_seconds=30,
            told=told,
        )


def view(engine: Engine, stream_id: int) -> requests.StreamView:
    with reading(engine) as session:
        return requests.get(session, stream_id)


def silent(engine: Engine, stream_id: int, seconds: float) -> None:
    """Its worker reported last so long ago."""
    with transaction(engine) as session:
        session.execute(
            update(LiveStream)
            .where(LiveStream.id == stream_id)
            .values(lease_expires_at=after(-1), seen_at=after(-seconds))
        )


def test_each_stream_has_one_worker_and_a_silent_one_loses_it(engine: Engine) -> None:
    number = asked(engine)
    (first,) = claimed(engine)
    assert (first.stream_id, first.url, first.begins_seconds) == (number, URL, 0.0)
    assert claimed(engine, "two") == []
    assert not reported(engine, first, position=30.0)
    silent(engine, number, 12.0)
    (second,) = claimed(engine, "two")
    assert second.attempt == first.attempt + 1
    assert second.begins_seconds == pytest.approx(42.0, abs=5.0)
    assert second.unseen_seconds == pytest.approx(12.0, abs=5.0)
    with pytest.raises(StaleAttempt):
        reported(engine, first)
    assert not reported(engine, second, position=50.0)
    assert view(engine, number).coverage == pytest.approx(0.9)


def test_an_alert_is_told_once_with_its_evidence_and_brought_up_to_date(engine: Engine) -> None:
    number = asked(engine)
    with transaction(engine) as session:
        endpoint, _ = endpoints.add(
            session, url="https://hooks.example.com/", events=[Signal.ALERT], guard=GUARD, actor="ada"
        )
    (claim,) = claimed(engine)
    reported(engine, claim, raised())
    reported(engine, claim, raised())  # the answer to the first was lost
    assert view(engine, number).open_alerts == 1
    reported(engine, claim, raised(end_seconds=40.0, over=True, frames=[]), raised(frames=[], clip_key="cc"))
    with reading(engine) as session:
        (alert,) = requests.alerts(session, number)
        events = session.scalars(select(WebhookEvent)).all()
        (delivery,) = session.scalars(select(WebhookDelivery)).all()
        assert [frame.score for frame in alert.frames] == [0.97]
        assert requests.frame_keys(session, alert.frames[0].id) == (FRAME.image_key, FRAME.crop_key)
        assert requests.clip_key(session, alert.id) == "cc"
    assert [event.type for event in events] == ["stream.alert"]
    assert '"name":"https://example.com/live.m3u8"' in events[0].body
    assert "secret" not in events[0].body
    assert (delivery.video_id, delivery.stream_id, delivery.endpoint_id) == (None, number, endpoint.id)


def test_events_of_a_stream_go_out_in_order(engine: Engine) -> None:
    asked(engine)
    with transaction(engine) as session:
        endpoints.add(
            session, url="https://hooks.example.com/", events=[Signal.ALERT], guard=GUARD, actor="ada"
        )
    (claim,) = claimed(engine)
    reported(engine, claim, raised(), raised(track=4))
    with transaction(engine) as session:
        now = session.scalars(select(WebhookDelivery.due_at)).all()[-1]
        parcels = deliveries.claim(session, 1, owner="x", most=10, lease_seconds=30, now=now)
        assert len(parcels) == 1


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        (lambda session, claim: leases.end(session, claim, StreamStatus.ENDED), StreamStatus.ENDED),
        (
            lambda session, claim: leases.end(
                session, claim, StreamStatus.FAILED, BrokenPlaylist(name="x", reason="y")
            ),
            StreamStatus.FAILED,
        ),
    ],
)
def test_an_end_closes_alerts_and_is_in_the_audit_log(
    engine: Engine, finish: Callable[[object, WatchClaim], None], status: StreamStatus
) -> None:
    number = asked(engine)
    (claim,) = claimed(engine)
    reported(engine, claim, raised())
    with transaction(engine) as session:
        finish(session, claim)
    found = view(engine, number)
    assert (found.status, found.alerts, found.open_alerts) == (status, 1, 0)
    assert (found.error_code == "broken_playlist") == (status is StreamStatus.FAILED)
    with reading(engine) as session:
        actions = [(event.actor, event.action) for event in audit.page(session)]
    assert actions == [("worker", f"stream.{status}"), ("ada", "stream.requested")]
    assert claimed(engine) == []


def test_stopping_asks_the_worker_and_ends_what_waits(engine: Engine) -> None:
    number, waiting = asked(engine), 0
    (claim,) = claimed(engine)
    waiting = asked(engine)
    with transaction(engine) as session:
        assert requests.stop(session, number, actor="bob").status is StreamStatus.WATCHING
        assert requests.stop(session, waiting, actor="bob").status is StreamStatus.STOPPED
        requests.stop(session, waiting, actor="bob")
    assert reported(engine, claim)
    with transaction(engine) as session:
        leases.end(session, claim, StreamStatus.STOPPED)
    with reading(engine) as session:
        assert [each.id for each in requests.page(session)] == [waiting, number]
        assert [each.id for each in requests.page(session, before=waiting)] == [number]
        stops = [event for event in audit.page(session) if event.action == "stream.stop_requested"]
    assert [event.subject for event in stops] == [str(waiting), str(number)]


def test_one_given_back_is_taken_up_where_it_was(engine: Engine) -> None:
    asked(engine)
    (claim,) = claimed(engine)
    reported(engine, claim, position=100.0)
    with transaction(engine) as session:
        leases.give_back(session, claim)
    (again,) = claimed(engine, "two")
    assert 100.0 <= again.begins_seconds < 110.0


def test_what_cannot_be_is_refused(engine: Engine) -> None:
    with transaction(engine) as session:
        with pytest.raises(UnsafeAddress):
            requests.add(session, url="file:///etc/passwd", name=None, guard=GUARD, actor="ada")
        for missing in (requests.get, requests.frame_keys, requests.clip_key):
            with pytest.raises(NotFound):
                missing(session, 77)
        with pytest.raises(NotFound):
            requests.stop(session, 77, actor="ada")


def test_nobody_fills_the_table(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_OPEN", 1)
    first = asked(engine)
    with pytest.raises(Conflict, match=r"example\.com/live\.m3u8: 1 are watched or wait; stop some first"):
        asked(engine)
    with transaction(engine) as session:
        requests.stop(session, first, actor="ada")
    asked(engine)
