from collections.abc import Callable
from pathlib import Path

import pytest

from models import choice
from models.choice import Choice, Choices


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that calls pretend to take."""
    now = [0.0]
    monkeypatch.setattr(choice.time, "perf_counter", lambda: now[0])
    return now


def taking(clock: list[float], *seconds: float) -> Callable[[], None]:
    """A call that takes these times in turn."""
    left = list(seconds)

    def call() -> None:
        clock[0] += left.pop(0)

    return call


def test_the_clearly_faster_one_is_chosen_and_remembered(tmp_path: Path, clock: list[float]) -> None:
    choices = Choices(tmp_path / "new")
    assert choices.known("net 1") is None
    made = choices.choose("net 1", {"usual": taking(clock, 9.0, 2.0), "other": taking(clock, 1.5, 7.0)})
    expected = Choice(model="net 1", chosen="other", milliseconds={"usual": 2000.0, "other": 1500.0})
    assert made == expected
    assert Choices(tmp_path / "new").known("net 1") == expected
    assert list(choices.all()) == [expected]
    assert choices.known("net 2") is None


def test_a_little_faster_changes_nothing(tmp_path: Path, clock: list[float]) -> None:
    offered = {"usual": taking(clock, 2.0, 2.0), "other": taking(clock, 1.9, 1.7)}
    assert Choices(tmp_path).choose("net", offered).chosen == "usual"


def test_another_processor_measures_again(tmp_path: Path, clock: list[float]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"model name : {name}\nflags : avx2\ncpu MHz : 1\n")
    one, two = (Choices(tmp_path / "kept", cpuinfo=tmp_path / name) for name in ("one", "two"))
    one.choose("net", {"usual": taking(clock, 1.0, 1.0)})
    assert one.known("net") is not None
    assert two.known("net") is None
    assert list(two.all()) == []
    (tmp_path / "one").write_text("model name : one\nflags : avx2\ncpu MHz : 2\n")  # what always changes
    assert Choices(tmp_path / "kept", cpuinfo=tmp_path / "one").known("net") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": "net", "chosen": "x", "milliseconds": 3}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, clock: list[float], text: str) -> None:
    choices = Choices(tmp_path)
    choices.choose("net", {"usual": taking(clock, 1.0, 1.0)})
    (kept,) = tmp_path.iterdir()
    kept.write_text(text)
    assert choices.known("net") is None
    assert list(choices.all()) == []


def test_a_folder_that_cannot_be_made_costs_only_the_memory(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / "file").write_text("in the way")
    choices = Choices(tmp_path / "file" / "folder")
    assert choices.choose("net", {"usual": taking(clock, 1.0, 1.0)}).chosen == "usual"
    assert choices.known("net") is None
