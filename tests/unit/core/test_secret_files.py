"""Secrets come from files that the environment names."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.secret_files import MOST_BYTES
from core.settings import Settings


def test_plain_and_nested_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql+psycopg://me:p=w# d@postgres/facewarden\n")
    (tmp_path / "token").write_text("a-token-of-operators\r\n")
    monkeypatch.setenv("FACEWARDEN_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("FACEWARDEN_SIGNS__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("FACEWARDEN_SIGNS__PORT", "9400")
    monkeypatch.setenv("FACEWARDEN_REDIS_URL_FILE", "")  # as compose passes on what is not set
    settings = Settings.read()
    assert settings.sql_url == "postgresql+psycopg://me:p=w# d@postgres/facewarden"
    assert settings.signs.token is not None
    assert settings.signs.token.get_secret_value() == "a-token-of-operators"
    assert settings.signs.port == 9400
    assert settings.redis_url is None


def test_they_go_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("FACEWARDEN_REDIS_URL=redis://from-env-file/0\n")
    (tmp_path / "url").write_text("redis://from-secret/0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEWARDEN_REDIS_URL_FILE", "url")
    assert Settings.read().queue_url == "redis://from-secret/0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff\xfe", "no UTF-8"), (b"x" * (MOST_BYTES + 1), "longer than")],
)
def test_a_file_that_gives_nothing_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("FACEWARDEN_REDIS_URL_FILE", str(path))
    with pytest.raises(SettingsError, match=f"FACEWARDEN_REDIS_URL_FILE: .*secret .*{reason}"):
        Settings.read()


def test_both_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("redis://from-secret/0")
    monkeypatch.setenv("FACEWARDEN_REDIS_URL", "redis://from-environment/0")
    monkeypatch.setenv("FACEWARDEN_REDIS_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(SettingsError, match="remove one of them") as refused:
        Settings.read()
    assert "redis://" not in str(refused.value)
