"""The wheel, installed by the documented command into an environment of its own, away from this folder."""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli.demo import make_photographs, write_clip

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".uv/bin/uv"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# How uv says that it could not get what its cache lacks; packages that do not go together read otherwise.
UNREACHED = re.compile(r"Failed to (?:fetch|download).*")


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=400
    )


def skip_where_nothing_can_be_had(told: str) -> None:
    if unreached := UNREACHED.search(told):
        pytest.skip(f"NO NETWORK, and uv's cache lacks what the wheel needs: {unreached.group()}")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` writes."""
    if not UV.exists():
        pytest.skip(f"NO {UV}: the wheel is neither built nor installed; `make` brings uv")
    folder = tmp_path_factory.mktemp("dist")
    made = run(["make", "--old-file=.venv/.ready", "wheel", f"DIST={folder}"], ROOT, os.environ)
    skip_where_nothing_can_be_had(made.stderr)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Where `uv tool install` puts things, and the Python of these tests, whose packages uv's cache holds."""
    cache = run([str(UV), "cache", "dir"], ROOT, os.environ).stdout.strip()
    # In the cache's own folder, and so on its disk: the packages become hard links, not gigabytes of copies.
    with tempfile.TemporaryDirectory(prefix="facewarden-wheel-", dir=cache) as folder:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        yield ours | {
            "PATH": f"{UV.parent}:{folder}/bin:{os.environ['PATH']}",
            "UV_TOOL_DIR": f"{folder}/tools",
            "UV_TOOL_BIN_DIR": f"{folder}/bin",
            "UV_PYTHON": str(sys._base_executable),  # type: ignore[attr-defined]
        }


@pytest.fixture(scope="module")
def installed(dist: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment in which the documented command has installed the wheel."""
    page = (ROOT / "docs/installation.md").read_text()
    (command,) = re.findall(r"^```sh\n(.+)\n```$", page, re.M)
    # What was installed once before needs no network; else uv asks the registry which versions there are.
    for offline in ({"UV_OFFLINE": "1"}, {}):
        made = run(["sh", "-c", command], dist, environment | offline)
        if made.returncode == 0:
            return environment
    skip_where_nothing_can_be_had(made.stderr)
    pytest.fail(f"{command}\n{made.stderr}")


def test_it_holds_all_of_the_product_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info/" not in name}
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ours = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == ours
    assert {
        "facewarden/py.typed",
        "models/weights/xception.safetensors",
        "models/weights/xception.safetensors.sha256",
        "review/static/app.css",
        "review/templates/base.html",
        "storage/migrations/script.py.mako",
    } <= held
    assert {name.partition("/")[0] for name in held}.isdisjoint({"tests", "bench", "fuzz"})


def test_its_overrides_are_those_of_the_lock() -> None:
    lines = (ROOT / "overrides.txt").read_text().splitlines()
    assert [line for line in lines if line[0] != "#"] == PROJECT["tool"]["uv"]["override-dependencies"]


def test_the_command_is_there(installed: dict[str, str], tmp_path: Path) -> None:
    ended = run(["facewarden", "--version"], tmp_path, installed)
    assert ended.stdout == f"facewarden {PROJECT['project']['version']}\n", ended.stderr


def test_the_library_screens_the_demos_clip(installed: dict[str, str], tmp_path: Path) -> None:
    write_clip(tmp_path / "swapped.mp4", make_photographs()["swapped"], seconds=2)
    python = f"{installed['UV_TOOL_DIR']}/facewarden/bin/python"
    code = "import facewarden; print(facewarden.screen('swapped.mp4').verdict)"
    ended = run([python, "-c", code], tmp_path, installed | {"FACEWARDEN_BACKEND": "openvino"})
    assert ended.stdout in {"fake\n", "suspect\n"}, ended.stderr
