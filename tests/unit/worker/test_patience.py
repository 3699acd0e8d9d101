"""Waiting for a service that is away."""

import pytest

from core.errors import DeadlineExceeded, ServiceUnavailable, StaleAttempt
from worker import patience
from worker.patience import patiently

AWAY = ServiceUnavailable(service="The database", address="x", reason="it is locked", setting="Y")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", waited.append)
    return waited


def test_it_asks_until_there_is_an_answer_and_less_and_less_often(pauses: list[float]) -> None:
    answers: list[BaseException | str] = [AWAY] * 8 + ["there"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    assert patiently(ask) == "there"
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_what_is_no_absence_is_not_waited_for(pauses: list[float]) -> None:
    def ask() -> None:
        raise StaleAttempt(work="screening 1", attempt=1)

    with pytest.raises(StaleAttempt):
        patiently(ask)
    assert pauses == []


def test_a_deadline_ends_the_waiting(pauses: list[float]) -> None:
    def ask() -> None:
        raise AWAY

    def heartbeat() -> None:
        if len(pauses) == 3:
            raise DeadlineExceeded(name="clip.mp4", seconds=1)

    with pytest.raises(DeadlineExceeded):
        patiently(ask, heartbeat=heartbeat)
