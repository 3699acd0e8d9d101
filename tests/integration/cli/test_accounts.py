"""`facewarden account`, `token` and `audit`, as an operator types them."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text
from typer.testing import CliRunner, Result

from cli.main import app
from core.errors import Conflict, FacewardenError, InvalidValue, NotFound, SettingsError, WeakPassword
from core.passwords import check_password
from core.settings import Settings
from storage import migrate
from storage.engine import connect, reading
from storage.people import accounts, tokens


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The command sets up logging to a stream that the runner closes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEWARDEN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    engine = connect(Settings().sql_url)
    migrate.upgrade(engine)
    engine.dispose()
    return tmp_path


def facewarden(*words: str, typed: str | None = None) -> str:
    result: Result = CliRunner().invoke(app, words, input=typed)
    if isinstance(result.exception, FacewardenError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def fits(name: str, password: str) -> bool:
    engine = connect(Settings().sql_url)
    with reading(engine) as session:
        found = accounts.password_hash(session, name)
    engine.dispose()
    return found is not None and check_password(password, found[1])


@pytest.mark.usefixtures("home")
def test_an_account_from_its_first_day_to_its_last() -> None:
    made = facewarden("account", "add", "Ann", "--role", "admin")
    password = made.split("one-time password: ")[1].strip()
    assert fits("ann", password)
    with pytest.raises(Conflict):
        facewarden("account", "add", "ann")
    again = facewarden("account", "password", "ann").split("one-time password: ")[1].strip()
    assert fits("ann", again)
    assert not fits("ann", password)
    facewarden("account", "add", "bob", "--role", "admin", "--password-stdin", typed="a chosen password\n")
    assert fits("bob", "a chosen password")
    facewarden("account", "role", "bob", "reviewer")
    facewarden("account", "disable", "bob")
    assert not fits("bob", "a chosen password")
    listed = [json.loads(line) for line in facewarden("account", "list", "--json").splitlines()]
    assert [(each["name"], each["role"], each["active"], each["must_change"]) for each in listed] == [
        ("ann", "admin", True, True),
        ("bob", "reviewer", False, False),
    ]
    facewarden("account", "enable", "bob")
    assert "disabled" not in facewarden("account", "list")
    with pytest.raises(Conflict, match="last active admin"):
        facewarden("account", "disable", "ann")


@pytest.mark.usefixtures("home")
def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValue, match="12 characters"):
        facewarden("account", "add", "ann", "--password-stdin", typed="short\n")
    with pytest.raises(WeakPassword, match="too easy to guess"):
        facewarden("account", "add", "ann", "--password-stdin", typed="qwertyuiopas\n")
    with pytest.raises(InvalidValue, match="service has none"):
        facewarden("account", "add", "ci", "--role", "service", "--password-stdin", typed="x\n")
    with pytest.raises(NotFound, match="nobody"):
        facewarden("account", "password", "nobody")
    with pytest.raises(NotFound):
        facewarden("token", "revoke", "7")


@pytest.mark.usefixtures("home")
def test_tokens_of_a_service() -> None:
    assert "password" not in facewarden("account", "add", "ci", "--role", "service")
    token = facewarden("token", "create", "ci", "--scope", "read", "--scope", "upload", "--days", "2").strip()
    engine = connect(Settings().sql_url)
    with reading(engine) as session:
        bearer = tokens.find(session, token)
    assert bearer is not None
    assert bearer.scopes == {"read", "upload"}
    assert "read,upload" in facewarden("token", "list")
    (listed,) = [json.loads(line) for line in facewarden("token", "list", "--json").splitlines()]
    facewarden("token", "revoke", str(listed["id"]))
    with reading(engine) as session:
        assert tokens.find(session, token) is None
    engine.dispose()
    assert "ended" in facewarden("token", "list")


def test_the_audit_log_is_verified_and_exported(home: Path) -> None:
    facewarden("account", "add", "ann")
    shown = facewarden("audit", "verify")
    (head,) = re.findall(r"head ([0-9a-f]{64})", shown)
    assert shown.startswith("1 events, sound")
    facewarden("account", "add", "bob")
    assert json.loads(facewarden("audit", "verify", "--head", head, "--json"))["sound"]
    missing = CliRunner().invoke(app, ["audit", "verify", "--head", "0" * 63 + "1"])
    assert (missing.exit_code, "the log was cut" in missing.stderr) == (1, True)
    path = home / "log.csv"
    path.write_text(facewarden("audit", "export", "--format", "csv"), newline="")
    assert facewarden("audit", "verify", str(path), "--head", head).startswith("3 events, sound")
    later = home / "later.jsonl"
    later.write_text("".join(facewarden("audit", "export").splitlines(keepends=True)[1:]))
    assert json.loads(facewarden("audit", "verify", str(later), "--head", head, "--json"))["begins"] == (
        f"at event 2, behind the one with the hash {head}"
    )
    for words in (("export", "--format", "xml"), ("export", "--since", "?"), ("verify", str(home / "none"))):
        with pytest.raises(InvalidValue):
            facewarden("audit", *words)
    path.write_text(path.read_text().replace("bob", "rob"))
    changed = CliRunner().invoke(app, ["audit", "verify", str(path)])
    assert (changed.exit_code, "broken at event 2" in changed.stderr) == (1, True)
    engine = connect(Settings().sql_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_event_no_update"))
        connection.execute(text("UPDATE audit_event SET actor = 'x' WHERE id = 2"))
    engine.dispose()
    broken = CliRunner().invoke(app, ["audit", "verify"])
    assert (broken.exit_code, "broken at event 2" in broken.stderr) == (1, True)


def test_without_tables_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWARDEN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for words in (("account", "list"), ("review",)):
        with pytest.raises(SettingsError, match="facewarden migrate"):
            facewarden(*words)
