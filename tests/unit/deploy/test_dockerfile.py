"""The images: built in stages, without what builds them, run by nobody in particular."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.compose_file import ROOT

LINES = (ROOT / "Dockerfile").read_text().splitlines()


def test_hadolint_finds_nothing() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_each_image_runs_as_a_user_of_its_own() -> None:
    stages = "\n".join(LINES).split("\nFROM ")
    for target in ("cpu", "cuda"):
        (stage,) = (each for each in stages if each.splitlines()[0].endswith(f"AS {target}"))
        assert stage.splitlines()[0].startswith("base ")
        users = [line for line in stage.splitlines() if line.startswith("USER")]
        assert users[-1] == "USER 10001:10001"


def test_the_builder_gets_all_that_the_wheel_is_made_of_and_no_secret() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    given = (ROOT / ".dockerignore").read_text().splitlines()
    assert given[1] == "*"
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    files = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml", "uv.lock"}
    assert {line[1:] for line in given if line.startswith("!")} == packages | files
