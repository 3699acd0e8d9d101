"""The settings pages are what the settings class says."""

from pathlib import Path

import pytest

from cli.configuration import as_env, as_markdown, as_table, rows
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def test_the_settings_page_is_up_to_date() -> None:
    assert (ROOT / "docs/settings.md").read_text() == as_markdown(), "run `make settings-docs`"


def test_the_example_environment_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text() == as_env(), "run `make settings-docs`"


def test_every_setting_is_explained() -> None:
    assert all(row.description.endswith((".", "`.")) for row in rows())
    assert "FACEWARDEN_SAMPLING__MAX_FRAMES" in {row.name for row in rows()}


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWARDEN_REDIS_URL", "redis://:hush@127.0.0.1/0")
    table = as_table(Settings(_env_file=None))
    assert "hush" not in table
    assert "FACEWARDEN_REDIS_URL=**********" in table


def test_a_nested_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWARDEN_SAMPLING__MAX_FRAMES", "7")
    assert Settings(_env_file=None).sampling.max_frames == 7


def test_the_folder_of_training_data_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWARDEN_DATA", "/nowhere")
    assert Settings(_env_file=None) == Settings(_env_file=None)
