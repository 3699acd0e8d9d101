"""Whatever a receiver is up to, each event arrives once in effect, signed, in the order of its video."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.outcomes import Verdict
from core.signals import DeliveryStatus, Signal
from storage import audit
from storage.engine import reading, transaction
from storage.tables import Screening, WebhookDelivery, WebhookEvent
from storage.webhooks import deliveries, endpoints
from tests.integration.webhooks.conftest import SETTINGS, House, carry
from tests.receiver import Receiver
from tests.waiting import until
from webhooks.courier import Courier

# What does not depend on the database is tried on one.
on_sqlite = pytest.mark.parametrize("bare_engine", ["sqlite"], indirect=True)

LIFE = ["video.screened", "video.flagged", "decision.made"]  # of a flagged video


@contextmanager
def sending(courier: Courier) -> Iterator[Courier]:
    try:
        yield courier
    finally:
        courier.stop()


def statuses(house: House, endpoint_id: int) -> dict[DeliveryStatus, int]:
    with reading(house.engine) as session:
        return endpoints.get(session, endpoint_id).deliveries


def test_events_tell_what_happened(house: House) -> None:
    receiver = Receiver()
    house.subscribe(receiver)
    flagged, clear, failed = house.screen(), house.screen(Verdict.CLEAR), house.screen(None)
    house.decide(flagged)
    with receiver.up(), sending(house.courier()) as courier:
        carry(courier)
    assert receiver.faults == []
    assert receiver.types(flagged) == LIFE
    assert receiver.types(clear) == ["video.screened"]
    assert receiver.types(failed) == ["video.failed"]
    told = {event["type"]: event["data"] for event in receiver.events.values()}
    assert told["video.flagged"] | {"screening_id": 0} == {
        "video_id": flagged,
        "sha256": f"{1:064x}",
        "name": "clip1.mp4",
        "screening_id": 0,
        "verdict": "fake",
        "score": 0.97,
        "coverage": 1.0,
        "partial": False,
        "model_version": "m-1",
    }
    assert told["video.failed"]["error"]["code"] == "broken_media"
    assert (told["decision.made"]["account"], told["decision.made"]["decision_state"]) == ("ann", "decided")


def test_an_event_and_what_it_tells_stand_or_fall_together(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.subscribe(Receiver())

    def break_off(session: Session) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(audit, "_append", break_off)  # at the commit, when all else is written
    with pytest.raises(ZeroDivisionError):
        house.screen()
    with reading(house.engine) as session:
        for table in (WebhookEvent, WebhookDelivery, Screening):
            assert session.scalar(select(func.count()).select_from(table)) == 0


@on_sqlite
def test_only_those_who_want_it_are_told(house: House) -> None:
    receiver, off = Receiver(), Receiver()
    house.subscribe(receiver, Signal.FLAGGED)
    disabled = house.subscribe(off)
    with transaction(house.engine) as session:
        endpoints.change(session, disabled, guard=SETTINGS.guard, actor="boss", active=False)
    video = house.screen()
    house.decide(video)
    house.screen(Verdict.CLEAR)
    with reading(house.engine) as session:
        assert session.scalar(select(func.count()).select_from(WebhookDelivery)) == 1
    with receiver.up(), off.up(), sending(house.courier()) as courier:
        carry(courier)
    assert receiver.types(video) == ["video.flagged"]
    assert off.requests == 0


@on_sqlite
def test_a_receiver_is_down_for_an_hour(house: House) -> None:
    receiver = Receiver()
    endpoint = house.subscribe(receiver)
    watched = [house.screen(), house.screen()]
    for video in watched:
        house.decide(video)
    with sending(house.courier()) as courier:
        for _ in range(12):
            carry(courier)
            house.clock.forward(minutes=5)
        assert receiver.requests == 0
        assert statuses(house, endpoint)[DeliveryStatus.WAITING] == 6
        with receiver.up():
            # The longest pause that has begun is three times as long as the outage.
            for _ in range(8):
                carry(courier)
                house.clock.forward(minutes=30)
    assert [receiver.types(video) for video in watched] == [LIFE, LIFE]
    assert (receiver.requests, receiver.faults) == (6, [])  # on the wire, too, each came once
    assert statuses(house, endpoint)[DeliveryStatus.DELIVERED] == 6


def test_500_is_tried_again_and_order_holds(house: House) -> None:
    receiver = Receiver(moods=[500, 503, 302, 500])
    house.subscribe(receiver)
    video = house.screen()
    house.decide(video)
    with receiver.up(), sending(house.courier()) as courier:
        for _ in range(5):
            carry(courier)
            assert receiver.requests <= 5 or receiver.events
            house.clock.forward(hours=1)
    assert receiver.types(video) == LIFE
    assert receiver.requests == 4 + 3  # what waits behind a failure is not tried


@on_sqlite
def test_a_busy_receiver_says_when(house: House) -> None:
    receiver = Receiver(moods=[429], headers={"Retry-After": "3000"})
    house.subscribe(receiver)
    house.screen(Verdict.CLEAR)
    with receiver.up(), sending(house.courier()) as courier:
        for _ in range(4):
            carry(courier)
            house.clock.forward(minutes=14)
        assert receiver.requests == 1  # after 42 minutes
        carry(courier)  # after 56
    assert len(receiver.events) == 1


@on_sqlite
def test_one_slow_receiver_holds_up_nobody(house: House) -> None:
    wake = threading.Event()
    slow, quick = Receiver(moods=[wake] * 50), Receiver()
    house.subscribe(slow)
    house.subscribe(quick)
    for _ in range(12):
        house.screen(Verdict.CLEAR)
    with slow.up(), quick.up(), sending(house.courier()) as courier:
        until(
            lambda: len(quick.events) == 12,
            "the quick one has all",
            look=lambda: (courier.look(), courier.wait(0.05)),
        )
        assert slow.events == {}
        assert slow.requests <= SETTINGS.at_once
        wake.set()
        carry(courier)
    assert len(slow.events) == 12


@on_sqlite
def test_who_does_not_answer_is_given_up_for_now(house: House) -> None:
    wake = threading.Event()
    receiver = Receiver(moods=[wake])
    endpoint = house.subscribe(receiver)
    house.screen(Verdict.CLEAR)
    with receiver.up(), sending(house.courier(silence_seconds=0.2)) as courier:
        carry(courier)
        with reading(house.engine) as session:
            (delivery,) = deliveries.page(session, endpoint)
        assert delivery.error is not None
        assert "does not answer in time" in delivery.error
        assert "key=" not in delivery.error  # the receiver's secrets stay out of messages
        wake.set()
        house.clock.forward(hours=1)
        carry(courier)
    assert (len(receiver.events), receiver.faults) == (1, [])


def test_410_disables_the_endpoint_and_loses_nothing(house: House) -> None:
    receiver = Receiver(moods=[410])
    endpoint = house.subscribe(receiver)
    video = house.screen()
    with receiver.up(), sending(house.courier()) as courier:
        carry(courier)
        house.clock.forward(hours=8)
        carry(courier)
        assert receiver.requests == 1
        with transaction(house.engine) as session:
            view = endpoints.get(session, endpoint)
            assert (view.active, view.gone_at is None) == (False, False)
            assert audit.page(session, limit=1)[0].action == "webhook.gone"
            endpoints.change(session, endpoint, guard=SETTINGS.guard, actor="boss", active=True)
        carry(courier)
    assert receiver.types(video) == LIFE[:2]


@on_sqlite
def test_dead_letters_are_replayed(house: House) -> None:
    receiver = Receiver(moods=[500, 500])
    endpoint = house.subscribe(receiver)
    video = house.screen()
    with receiver.up(), sending(house.courier(attempts=2)) as courier:
        for _ in range(3):
            carry(courier)
            house.clock.forward(hours=1)
        assert receiver.types(video) == ["video.flagged"]  # what is given up blocks nothing
        with transaction(house.engine) as session:
            (dead,) = deliveries.page(session, endpoint, status=DeliveryStatus.DEAD)
            assert (dead.attempts, dead.http_status, dead.due_at) == (2, 500, None)
            assert deliveries.replay(session, endpoint, actor="boss", delivery_ids=[dead.id + 1]) == 0
            assert deliveries.replay(session, endpoint, actor="boss") == 1
        carry(courier)
    assert dead.message_id in receiver.events
    assert sorted(receiver.types(video)) == sorted(LIFE[:2])
    with reading(house.engine) as session:
        assert audit.page(session, limit=1)[0].detail == {"webhook": endpoint, "events": 1}


@on_sqlite
def test_two_secrets_are_valid_for_a_while(house: House) -> None:
    old, new = Receiver(), Receiver()
    new.port = old.port
    endpoint = house.subscribe(old)
    with transaction(house.engine) as session:
        _, new.secret = endpoints.rotate(session, endpoint, hours=24, actor="boss")
    with sending(house.courier()) as courier:
        for receiver in (old, new):
            house.screen(Verdict.CLEAR)
            with receiver.up():
                carry(courier)
            assert (len(receiver.events), receiver.faults) == (1, [])
        house.clock.forward(hours=25)
        house.screen(Verdict.CLEAR)
        with old.up():
            carry(courier)
        assert len(old.faults) == 1


def test_several_processes_send_each_event_once(house: House) -> None:
    receiver = Receiver()
    house.subscribe(receiver)
    watched = [house.screen() for _ in range(8)]
    couriers = [house.courier(f"c{number}") for number in range(3)]
    with receiver.up(), ThreadPoolExecutor(3) as pool:
        list(pool.map(carry, couriers))
        for courier in couriers:
            carry(courier)
            courier.stop()
    assert receiver.requests == 16
    assert all(receiver.types(video) == LIFE[:2] for video in watched)


def test_a_process_that_comes_back_late_changes_nothing(house: House) -> None:
    receiver = Receiver()
    endpoint = house.subscribe(receiver)
    house.screen(Verdict.CLEAR)
    with transaction(house.engine) as session:
        (late,) = deliveries.claim(
            session, endpoint, owner="late", most=4, lease_seconds=60, now=house.clock(session)
        )
    with receiver.up(), sending(house.courier()) as courier:
        carry(courier)
        assert receiver.requests == 0  # it is claimed
        house.clock.forward(seconds=61)
        carry(courier)
    assert len(receiver.events) == 1
    with transaction(house.engine) as session:
        now = house.clock(session)
        assert not deliveries.failed(session, late, error="x", http_status=None, retry_seconds=1, now=now)
        assert not deliveries.delivered(session, late, http_status=200, now=now)
    assert statuses(house, endpoint)[DeliveryStatus.DELIVERED] == 1


def test_what_is_old_is_forgotten_unless_it_waits(house: House) -> None:
    receiver, down = Receiver(), Receiver()
    house.subscribe(receiver, Signal.SCREENED)
    house.subscribe(down, Signal.FLAGGED)
    house.screen()
    with receiver.up(), sending(house.courier()) as courier:
        carry(courier)
        assert courier.forget() == 0
        house.clock.forward(days=31)
        assert courier.forget() == 1
    with reading(house.engine) as session:
        assert [event.type for event in session.scalars(select(WebhookEvent))] == ["video.flagged"]


@on_sqlite
def test_private_addresses_are_refused_unless_they_are_allowed(house: House) -> None:
    receiver = Receiver()
    endpoint = house.subscribe(receiver)
    house.screen(Verdict.CLEAR)
    with receiver.up(), sending(house.courier(private_networks="10.0.0.0/8")) as courier:
        carry(courier)
    assert receiver.requests == 0
    with reading(house.engine) as session:
        (delivery,) = deliveries.page(session, endpoint)
    assert delivery.error is not None
    assert "it leads to 127.0.0.1, which is not public" in delivery.error
