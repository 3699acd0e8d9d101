"""One process of several has a duty, and the next one gets it as soon as that one ends."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.errors import ServiceUnavailable
from storage.duty import Duty
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from storage.duty import Duty
from storage.engine import connect
duty = Duty(connect(sys.argv[1]), "watch")
print(duty.mine(), flush=True)
sys.stdin.read()
"""


def test_a_duty_is_one_holders_until_it_leaves(bare_engine: Engine) -> None:
    first, second = Duty(bare_engine, "watch"), Duty(bare_engine, "watch")
    assert first.mine()
    assert first.mine()  # still
    assert not second.mine()
    other = Duty(bare_engine, "reconcile")
    assert other.mine()
    other.leave()
    first.leave()
    assert second.mine()
    assert not first.mine()
    second.leave()


def test_a_holder_that_is_killed_has_it_no_longer(bare_engine: Engine) -> None:
    url = bare_engine.url.render_as_string(hide_password=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    next_one = Duty(bare_engine, "watch")
    assert not next_one.mine()
    holder.kill()
    holder.communicate()
    until(next_one.mine, "the next one has it")
    next_one.leave()


def test_a_holder_that_loses_its_connection_notices(bare_engine: Engine) -> None:
    if bare_engine.dialect.name == "sqlite":
        pytest.skip("a locked file needs no connection")
    first, second = Duty(bare_engine, "watch"), Duty(bare_engine, "watch")
    assert first.mine()
    holders = "FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
    ours = " WHERE datname = current_database())"
    with bare_engine.begin() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {holders}{ours}"))
    until(second.mine, "the other one has it")
    with pytest.raises(ServiceUnavailable):
        first.mine()
    assert not first.mine()
    second.leave()
