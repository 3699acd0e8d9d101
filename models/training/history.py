"""The record of a run: JSON, plots, and TensorBoard where it is installed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from core.errors import SettingsError
from models.training.state import Entry

FILE = "history.json"
WINDOW = 100  # most points of a smoothed curve
EVERY_STEP = ("loss", "accuracy")  # the others come with validations
PLOTS = {
    "loss.png": ("loss", {"loss": "training", "validation_loss": "validation"}),
    "accuracy.png": (
        "accuracy, AUC",
        {
            "accuracy": "training accuracy",
            "validation_accuracy": "validation accuracy",
            "validation_auc": "validation AUC",
            "auc_trained_kinds": "AUC, trained kinds",
            "auc_held_out_kinds": "AUC, held-out kinds",
        },
    ),
}


def write_history(out: Path, history: Sequence[Entry]) -> None:
    """`history.json`: an object per step."""
    (out / FILE).write_text(json.dumps(history, indent=1))


def plot_history(out: Path, history: Sequence[Entry]) -> None:
    """`loss.png` and `accuracy.png`: the training's own curve, smoothed, and the validations."""
    for name, (title, curves) in PLOTS.items():
        figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
        axes = figure.subplots()
        for key, label in curves.items():
            points = [(each["step"] + 1, each[key]) for each in history if key in each]
            if points:
                steps, values = _smoothed(np.array(points, np.float64).T)
                axes.plot(steps, values, label=label, marker=None if key in EVERY_STEP else "o")
        axes.set(xlabel="step", ylabel=title)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        figure.savefig(out / name)


def _smoothed(points: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Any, Any]:
    """Means of equal parts, if there are more points than can be told apart."""
    parts = np.array_split(points, min(points.shape[1], WINDOW), axis=1)
    steps, values = np.array([part.mean(axis=1) for part in parts]).T
    return steps, values


class Board(Protocol):
    """What TensorBoard's writer can do."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


def open_board(out: Path) -> Board:
    """TensorBoard's writer on `out/tensorboard`. Raises SettingsError if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  an extra
    except ImportError as error:
        reason = "it is not installed; `pip install facewarden[tensorboard]`"
        raise SettingsError(setting="--tensorboard", reason=reason) from error
    board: Board = SummaryWriter(str(out / "tensorboard"))
    return board


def show(board: Board, entry: Entry) -> None:
    """The numbers of one step."""
    for name, value in entry.items():
        if name != "step":
            board.add_scalar(name, value, entry["step"])
