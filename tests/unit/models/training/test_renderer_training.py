"""Training the renderers: seeded, they learn, and what they write can be loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import SettingsError
from models.synthesis import renderers
from models.synthesis.renderers import RENDERERS, SIDE, load_renderer, renderer_record
from models.training import renderer_training
from models.training.renderer_training import train_renderers
from tests import face_folder

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four; faces of a quarter of the side, where a test does not want them at full size."""
    monkeypatch.setattr(renderer_training, "BATCH", 4)
    if request.node.get_closest_marker("full_size"):
        return
    for module in (renderers, renderer_training):
        monkeypatch.setattr(module, "SIDE", SIDE // 4)
    for name in ("ALIGNED", "COARSE", "COLOURS"):
        value = getattr(renderers, name)
        monkeypatch.setattr(renderers, name, value // 4 if isinstance(value, int) else value / 4)


def silent(_name: str, _step: int, _losses: dict[str, float]) -> None:
    pass


def test_they_learn_and_what_is_written_can_be_loaded(tmp_path: Path) -> None:
    data = face_folder.make(tmp_path, faces=40)
    likeness: dict[str, list[float]] = {}

    def on_step(name: str, step: int, losses: dict[str, float]) -> None:
        assert step == len(likeness.setdefault(name, []))
        likeness[name].append(losses["likeness"])

    train_renderers(data, tmp_path / "a.safetensors", steps=30, seed=1, on_step=on_step)
    assert list(likeness) == list(RENDERERS)
    for name, losses in likeness.items():
        assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
        assert load_renderer(name, tmp_path / "a.safetensors")
    assert renderer_record(tmp_path / "a.safetensors")["steps"] == 30


@pytest.mark.full_size
def test_they_are_trained_at_the_size_at_which_they_draw(tmp_path: Path) -> None:
    data = face_folder.make(tmp_path, faces=10)
    losses: list[float] = []
    train_renderers(
        data,
        tmp_path / "a.safetensors",
        steps=1,
        seed=1,
        on_step=lambda *step: losses.extend(step[2].values()),
    )
    assert np.isfinite(losses).all()
    for name in RENDERERS:
        with torch.inference_mode():
            drawn = load_renderer(name, tmp_path / "a.safetensors")(torch.zeros(1, 3, SIDE, SIDE))
        assert drawn.shape == (1, 3, SIDE, SIDE)


def test_the_same_seed_gives_the_same_renderers(tmp_path: Path) -> None:
    data = face_folder.make(tmp_path, faces=10)
    first, again, other = (tmp_path / f"{name}.safetensors" for name in "abc")
    for path, seed in ((first, 1), (again, 1), (other, 2)):
        train_renderers(data, path, steps=2, seed=seed, on_step=silent)
    assert first.read_bytes() == again.read_bytes()
    assert renderer_record(first)["sha256"] != renderer_record(other)["sha256"]


def test_without_a_large_face_there_is_nothing_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer_training, "LEAST_SHARE", 9.0)
    data = face_folder.make(tmp_path, faces=10)
    with pytest.raises(SettingsError, match="large enough"):
        train_renderers(data, tmp_path / "a.safetensors", steps=1, seed=0, on_step=silent)
