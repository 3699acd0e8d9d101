import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import WeightsError
from core.families import Family
from core.model_version import ModelVersion
from models.architectures import build
from models.checkpoint import load_checkpoint, save_checkpoint


def version(architecture: str = "smallcnn") -> ModelVersion:
    return ModelVersion(
        architecture=architecture,
        label="test",
        weights_sha256="",
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 1e-3)])
@pytest.mark.parametrize("name", ["smallcnn", pytest.param("xception", marks=pytest.mark.full_size)])
def test_the_network_comes_back(tmp_path: Path, name: str, half: bool, tolerance: float) -> None:
    torch.manual_seed(1)
    network = build(name).eval()
    path = tmp_path / "a.safetensors"
    saved = save_checkpoint(path, network, version(name), half=half)
    loaded, read = load_checkpoint(path)
    images = torch.randn(3, 3, 75, 75)
    with torch.inference_mode():
        difference = (network(images).sigmoid() - loaded(images).sigmoid()).abs().max()
    assert difference <= tolerance
    assert read == saved
    assert not loaded.training
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_heads_that_a_network_was_trained_with_travel_with_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build("smallcnn", families=2)
    families = (Family.SWAP, Family.LIPSYNC)
    save_checkpoint(tmp_path / "a.safetensors", network, replace(version(), families=families), half=False)
    loaded, read = load_checkpoint(tmp_path / "a.safetensors")
    assert read.families == families
    for name in ("heads.family.weight", "heads.family.bias", "heads.pointer.weight"):
        assert torch.equal(loaded.state_dict()[name], network.state_dict()[name])
    images = torch.randn(2, 3, 64, 64)
    bare = build("smallcnn")
    bare.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("heads.")})
    assert torch.equal(loaded(images), bare.eval()(images))  # they change nothing of the verdict


def test_a_family_head_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build("smallcnn", families=2), replace(version(), families=tuple(Family)))
    with pytest.raises(WeightsError, match="do not fit smallcnn"):
        load_checkpoint(path)


def test_half_is_half_the_size_and_leaves_no_partial_file(tmp_path: Path) -> None:
    network = build("smallcnn")
    save_checkpoint(tmp_path / "half.safetensors", network, version())
    save_checkpoint(tmp_path / "full.safetensors", network, version(), half=False)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.52 * sizes[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "full.safetensors",
        "full.safetensors.sha256",
        "half.safetensors",
        "half.safetensors.sha256",
    ]


def test_what_fp16_cannot_hold_stays_wide(tmp_path: Path) -> None:
    network = build("smallcnn")
    with torch.no_grad():
        next(network.parameters())[0] = 1e6
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, network, version())
    loaded, _ = load_checkpoint(path)
    assert next(loaded.parameters())[0].eq(1e6).all()


def test_one_flipped_bit_is_noticed(make_checkpoint: Callable[..., Path]) -> None:
    path = make_checkpoint()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_checkpoint(path)


def test_a_change_that_keeps_time_and_size_is_noticed(make_checkpoint: Callable[..., Path]) -> None:
    path = make_checkpoint()
    path.with_name(path.name + ".sha256").unlink()
    load_checkpoint(path)
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_checkpoint(path)


def test_other_weights_than_expected_are_refused(make_checkpoint: Callable[..., Path]) -> None:
    path = make_checkpoint()
    _, read = load_checkpoint(path)
    load_checkpoint(path, expected_sha256=read.weights_sha256)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_checkpoint(path, expected_sha256="0" * 64)


@pytest.mark.parametrize("claimed", ["resnet50", "smallcnn256"])
def test_weights_of_another_architecture_are_refused(tmp_path: Path, claimed: str) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build("smallcnn"), version(claimed))
    with pytest.raises(WeightsError, match=rf"a\.safetensors.*do not fit {claimed} \(.+\)"):
        load_checkpoint(path)


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build("smallcnn"), version("resnet9000"))
    with pytest.raises(WeightsError, match="resnet9000"):
        load_checkpoint(path)


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def test_a_pickle_is_never_unpickled(tmp_path: Path) -> None:
    path, mark = tmp_path / "a.safetensors", tmp_path / "ran"
    path.write_bytes(pickle.dumps(_Bomb(mark)))
    with pytest.raises(WeightsError):
        load_checkpoint(path)
    assert not mark.exists()
