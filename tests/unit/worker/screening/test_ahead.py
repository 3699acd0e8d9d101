"""Steps that are made one ahead of who takes them."""

import threading
from collections.abc import Iterator

import pytest

from worker.screening.ahead import ahead


def test_the_next_step_is_made_while_the_caller_works() -> None:
    making = [threading.Event() for _ in range(4)]

    def steps() -> Iterator[int]:
        for number in range(3):
            making[number].set()
            yield number
        making[3].set()

    taken = []
    with ahead(steps()) as made:
        for number in made:
            assert making[number + 1].wait(10)  # nobody has asked for it yet
            taken.append(number)
    assert taken == [0, 1, 2]


def test_an_error_comes_where_its_step_would() -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise ValueError("the second is broken")

    with ahead(steps()) as made:
        assert next(made) == 1
        with pytest.raises(ValueError, match="the second"):
            next(made)


def test_nothing_is_made_any_more_once_the_block_has_ended() -> None:
    """What the steps are made of is closed then: a file, a process."""
    begun, may_end, state = threading.Event(), threading.Event(), {"open": True}

    def steps() -> Iterator[bool]:
        yield state["open"]
        begun.set()
        assert may_end.wait(10)
        yield state["open"]
        raise AssertionError("nobody asked for a third")

    def give_up() -> None:
        with ahead(steps()) as made:
            assert next(made)
            assert begun.wait(10)
            raise TimeoutError("enough")

    threading.Timer(0.05, may_end.set).start()
    with pytest.raises(TimeoutError):
        give_up()
    assert may_end.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
