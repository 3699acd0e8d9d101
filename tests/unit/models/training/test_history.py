"""The record of a run: JSON, plots, TensorBoard where it is installed."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import SettingsError
from models.training.history import open_board, plot_history, show, write_history
from models.training.state import Entry


def history(steps: int) -> list[Entry]:
    entries: list[Entry] = [{"step": n, "loss": 0.7 - n / 1000, "accuracy": 0.5} for n in range(steps)]
    for entry in entries[::10]:
        entry |= {"validation_loss": 0.68, "validation_auc": 0.6}
    return entries


@pytest.mark.parametrize("steps", [0, 1, 450])
def test_a_run_of_any_length_is_written_and_drawn(tmp_path: Path, steps: int) -> None:
    write_history(tmp_path, history(steps))
    plot_history(tmp_path, history(steps))
    assert json.loads((tmp_path / "history.json").read_text()) == history(steps)
    for name in ("loss.png", "accuracy.png"):
        picture = cv2.imread(str(tmp_path / name))
        assert picture is not None
        assert min(picture.shape[:2]) > 400


def test_the_curves_are_in_the_plot(tmp_path: Path) -> None:
    plot_history(tmp_path, history(450))
    drawn = cv2.imread(str(tmp_path / "loss.png"))
    plot_history(tmp_path, [{**entry, "loss": 0.9} for entry in history(450)])
    other = cv2.imread(str(tmp_path / "loss.png"))
    assert drawn is not None
    assert other is not None
    assert (drawn != other).any()


def test_a_history_of_older_runs_without_accuracy_is_drawn(tmp_path: Path) -> None:
    plot_history(tmp_path, [{"step": 0, "loss": 0.7}, {"step": 1, "loss": 0.6, "auc_held_out_kinds": 0.5}])
    assert (tmp_path / "accuracy.png").exists()


def test_tensorboard_is_an_extra(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(SettingsError, match=r"facewarden\[tensorboard\]"):
            open_board(tmp_path)
        return
    board = open_board(tmp_path)
    show(board, history(1)[0])
    board.close()
    assert any((tmp_path / "tensorboard").iterdir())


def test_a_board_is_told_every_number_of_a_step() -> None:
    class Told(list[tuple[str, float, int]]):
        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            self.append((tag, scalar_value, global_step))

        def close(self) -> None:
            pass

    told = Told()
    show(told, {"step": 7, "loss": 0.5, "validation_auc": np.float64(0.9)})
    assert told == [("loss", 0.5, 7), ("validation_auc", 0.9, 7)]
