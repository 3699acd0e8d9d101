"""Readiness without any service."""

import threading

import pytest

from core.errors import NotFound
from storage.signs import readiness
from storage.signs.readiness import OK, SLOW, Readiness


def test_each_check_is_told_by_itself_and_kept_for_a_moment() -> None:
    asked = []

    def fails() -> str:
        asked.append("fails")
        raise NotFound(what="The bucket", key="videos")

    def breaks() -> str:
        raise ValueError("no number")

    looked = Readiness({"fine": lambda: OK, "fails": fails, "breaks": breaks})
    expected = {"fine": OK, "fails": "The bucket videos was not found.", "breaks": "ValueError: no number"}
    assert looked.look() == expected
    assert looked.look() == expected
    assert asked == ["fails"]


def test_who_asks_while_a_service_hangs_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    began, over = threading.Event(), threading.Event()

    def hangs() -> str:
        began.set()
        over.wait()
        return OK

    looked = Readiness({"database": hangs})
    first = threading.Thread(target=looked.look)
    first.start()
    began.wait()
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.0)
    try:
        assert looked.look() == {"database": SLOW}
    finally:
        over.set()
        first.join()
    assert looked.look() == {"database": OK}
