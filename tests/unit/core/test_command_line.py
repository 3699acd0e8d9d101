"""The command as a record keeps it: it can be typed elsewhere."""

import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.command_line import command_line

Say = Callable[..., str]  # the words after `facewarden`


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Say:
    def say(*words: str, data: str = "/home/ann/data", **environment: str) -> str:
        monkeypatch.setenv("FACEWARDEN_DATA", data)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["/home/ann/facewarden/.venv/bin/facewarden", *words])
        return command_line()

    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    return say


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["train", "--data", "/home/ann/data"], 'train --data "$FACEWARDEN_DATA"'),
        (["train", "--init=/home/ann/data/weights/a b"], "train --init=\"$FACEWARDEN_DATA\"/'weights/a b'"),
        (["train", "--out", "/home/ann/runs/first", "--steps", "9"], "train --out first --steps 9"),
        (["train", "--init", "build/train/x.safetensors"], "train --init build/train/x.safetensors"),
        (
            ["train", "--label", "two words", "--sizes", "112,224@0.5"],
            "train --label 'two words' --sizes 112,224@0.5",
        ),
        (["evaluate", "--data", "/home/ann/database"], "evaluate --data database"),
        (["evaluate", "--label="], "evaluate --label="),
    ],
)
def test_folders_of_this_machine_are_not_in_it(said: Say, words: list[str], kept: str) -> None:
    assert said(*words) == f"facewarden {kept}"


def test_a_folder_of_data_may_be_named_from_here(said: Say) -> None:
    assert said("train", "--data", "data", data="data") == 'facewarden train --data "$FACEWARDEN_DATA"'
    assert said("train", "--out", "build", data=".") == "facewarden train --out build"


def test_several_processes_are_started_by_torchrun(said: Say) -> None:
    kept = said("train", "--steps", "9", LOCAL_WORLD_SIZE="4")
    assert kept == "torchrun --nproc-per-node 4 -m cli train --steps 9"


def test_another_program_names_itself() -> None:
    words = ["/home/ann/build/pack.safetensors", "--out", "gpu"]
    kept = command_line(words, launcher="python -m models.training.gpu")
    assert kept == "python -m models.training.gpu pack.safetensors --out gpu"


@given(words=st.lists(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)))
def test_a_shell_reads_back_what_was_typed(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FACEWARDEN_DATA", raising=False)
        patch.delenv("LOCAL_WORLD_SIZE", raising=False)
        patch.setattr("sys.argv", ["facewarden", *words])
        assert shlex.split(command_line()) == ["facewarden", *words]
