"""Processes that go on until they are told to stop."""

import os
import signal

import pytest

from core.stopping import asked_to_stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_ask(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = asked_to_stop()
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(1.0)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
