"""Processes that go on until they are told to stop."""

import signal
import subprocess
import sys

import pytest

# In a process of its own: a signal to the one that runs the tests is not ours alone.
ASKED = """
import os, sys
from core.stopping import asked_to_stop
stop = asked_to_stop()
assert not stop.is_set()
os.kill(os.getpid(), int(sys.argv[1]))
assert stop.wait(1.0)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_ask(number: signal.Signals) -> None:
    subprocess.run([sys.executable, "-c", ASKED, str(int(number))], check=True)
