"""Logs: one line an event, whatever a stranger calls a file."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from core import logs
from core.settings import Settings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert not captured.out
    return [json.loads(line) for line in captured.err.splitlines()]


def as_json(settings: Settings) -> Settings:
    return settings.model_copy(update={"log_format": "json"})


def test_json_is_one_object_a_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json(settings))
    structlog.get_logger().info("taken in", name="a\nb\x1b[31m.mp4", sha256="ff")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("taken in", "info")
    assert line["name"] == "a\\nb\\x1b[31m.mp4"


def test_a_console_line_cannot_be_forged(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings)
    structlog.get_logger().info("taken in", name="a\n2026-01-01 [info] all clear\x1b[2J")
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "\x1b[2J" not in shown


def test_a_librarys_own_logging_goes_the_same_way(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(as_json(settings))
    logging.getLogger("some.library").info("three lines a job")
    logging.getLogger("some.library").warning("lost %s", "a\nb")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("lost a\\nb", "warning")


def test_levels_and_exceptions(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json(settings).model_copy(update={"log_level": "warning"}))
    log = structlog.get_logger()
    log.info("not shown")
    try:
        int("no number")
    except ValueError:
        log.exception("failed")
    (line,) = lines(capsys)
    assert line["event"] == "failed"
    assert "ValueError: invalid literal" in str(line["exception"])


def test_a_secret_in_the_settings_is_not_logged(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = as_json(settings).model_copy(update={"redis_url": SecretStr("redis://user:geheim@host/0")})
    logs.configure(settings)
    structlog.get_logger().info("settings", settings=str(settings))
    assert "geheim" not in capsys.readouterr().err


def test_a_traceback_shows_no_values_of_variables(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def sign_in(password: str) -> None:
        raise RuntimeError("no")

    for each in (settings, as_json(settings)):
        logs.configure(each)
        try:
            sign_in("hush" + "-hush")
        except RuntimeError:
            structlog.get_logger().exception("failed")
        shown = capsys.readouterr().err
        assert "RuntimeError: no" in shown
        assert "hush-hush" not in shown
