"""The weights of finished runs come back with their record, and several have a mean."""

from pathlib import Path

import pytest
import torch

from core.errors import SettingsError, WeightsError
from models.architectures import ARCHITECTURES, build
from models.training.gpu.heads import FAMILIES, FILE, Heads, averaged, read_heads, write_heads

CONFIG = {"architecture": "smallcnn", "input_size": 32, "margin": 1.3}


def heads(seed: int, name: str = "smallcnn") -> Heads:
    torch.manual_seed(seed)
    return Heads(build(name), name)


@pytest.mark.parametrize("name", ["smallcnn", "smallcnn256"])
def test_a_network_answers_three_questions_and_is_itself(name: str) -> None:
    both = heads(0, name).eval()
    images = torch.randn(2, 3, 48, 48)
    logits, cells, families = both(images)
    assert torch.equal(logits, both.network(images)[:, 0])
    assert cells.shape[0] == 2
    assert cells.ndim == 3
    assert families.shape == (2, len(FAMILIES))
    assert both.pointer.in_channels == ARCHITECTURES[name].features


def test_a_finished_run_comes_back(tmp_path: Path) -> None:
    weights = {**heads(0).state_dict(), "bn.num_batches_tracked": torch.tensor(3)}
    write_heads(tmp_path, weights, {"config": CONFIG, "steps": 7})
    back, record = read_heads(tmp_path)
    assert record == {"config": CONFIG, "steps": 7}
    assert set(back) == set(weights) - {"bn.num_batches_tracked"}
    assert all(torch.allclose(back[name], weights[name], atol=1e-3) for name in back)
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_the_mean_of_runs_is_that_of_their_weights(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        write_heads(tmp_path / name, heads(seed).state_dict(), {"config": CONFIG, "seed": seed})
    weights, records = averaged([tmp_path / "a", tmp_path / "b"])
    first, second = heads(1).state_dict(), heads(2).state_dict()
    for name, value in weights.items():
        assert torch.allclose(value, (first[name] + second[name]) / 2, atol=1e-3)
    assert [record["seed"] for record in records] == [1, 2]


def test_runs_that_have_no_mean_and_no_runs_are_errors(tmp_path: Path) -> None:
    for name, size in (("a", 32), ("b", 48)):
        (tmp_path / name).mkdir()
        write_heads(tmp_path / name, heads(0).state_dict(), {"config": {**CONFIG, "input_size": size}})
    with pytest.raises(SettingsError, match=r"b.*input_size is 48.*a is 32"):
        averaged([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(WeightsError, match="not a finished run"):
        read_heads(tmp_path / "none")
    (tmp_path / "a" / FILE).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="not a finished run"):
        read_heads(tmp_path / "a")
