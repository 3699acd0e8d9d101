"""`facewarden known`, as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.errors import BadHashList
from core.settings import Settings
from storage.engine import connect
from storage.migrate import upgrade

HASH = "2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724"


def test_a_list_is_imported_exported_and_removed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.known.read_settings", lambda: settings)
    engine = connect(settings.sql_url)
    upgrade(engine)
    engine.dispose()
    file = tmp_path / "list.csv"
    file.write_text(f"pdq,label\n{HASH},case 7\n")

    def ask(*words: str) -> str:
        done = CliRunner().invoke(app, ["known", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert ask("import", str(file), "--list", "shared").startswith("1 hashes added, 0 were there already")
    assert ask("lists").startswith("shared: 1 hashes")
    assert ask("export", "--list", "shared").splitlines() == ["pdq,label", f"{HASH},case 7"]
    exported = json.loads(ask("export", "--list", "shared", "--format", "json"))
    assert exported == {"data": [{"type": "HASH_PDQ", "indicator": HASH, "description": "case 7"}]}
    file.write_text(f"pdq,label\n{HASH[:-1]},case 7\n")
    with pytest.raises(BadHashList, match="line 2"):
        ask("import", str(file), "--list", "shared")
    ask("remove", "--list", "shared")
    assert ask("lists") == ""
