"""Checkpoints: one safetensors file that carries its weights and all that a score depends on."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from core.errors import SettingsError, WeightsError
from core.model_version import ModelVersion, read_model_version
from models.architectures import build
from models.whole_file import whole


def save_checkpoint(
    path: Path, network: nn.Module, version: ModelVersion, *, half: bool = True
) -> ModelVersion:
    """Write `network` and `version` to `path`, with a `.sha256` file beside it.

    `half` stores floating-point tensors as fp16: half the size, scores move by less than 0.001.
    Returns the version with the hash of what was written.
    """
    tensors = {
        name: stored(tensor, half=half)
        for name, tensor in network.state_dict().items()
        if "num_batches" not in name
    }
    return replace(version, weights_sha256=write_hashed(path, save(tensors, metadata=version.to_metadata())))


def write_hashed(path: Path, content: bytes) -> str:
    """Write `content` to `path`, whole or not at all, with a `.sha256` file beside it; returns the hash."""
    digest = hashlib.sha256(content).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_bytes(content)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return digest


def stored(tensor: torch.Tensor, *, half: bool) -> torch.Tensor:
    """The tensor as stored: on the CPU, and as fp16 if `half` is set and fp16 can hold it."""
    tensor = tensor.detach().cpu().contiguous()
    if not half or not tensor.is_floating_point():
        return tensor
    shrunk = tensor.half()
    # A value beyond fp16's 65504 would come back as infinity: that tensor keeps its width.
    return shrunk if bool(shrunk.isfinite().all()) else tensor


def load_checkpoint(path: Path, expected_sha256: str | None = None) -> tuple[nn.Module, ModelVersion]:
    """The network in evaluation mode, float32, on the CPU, and its version.

    Args:
        expected_sha256: of the file, where the caller knows which weights it must be.

    Raises:
        WeightsError: the file is missing, damaged, tampered with, or does not fit its architecture.
    """
    version = read_model_version(path)
    try:
        content = path.read_bytes()
        # What is loaded is what was hashed, even if the file was replaced in between.
        if hashlib.sha256(content).hexdigest() != (expected_sha256 or version.weights_sha256):
            raise WeightsError(path=path, reason="its SHA-256 is not the expected one; fetch it again")
        network = build(version.architecture, head=version.head, families=len(version.families))
        tensors = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in load(content).items()
        }
        _fill(network, tensors)
    except (SafetensorError, SettingsError, OSError) as error:
        raise WeightsError(path=path, reason=str(error).splitlines()[0]) from error
    except RuntimeError as error:
        reason = f"they do not fit {version.architecture} ({str(error).splitlines()[-1].strip()})"
        raise WeightsError(path=path, reason=reason) from error
    return network.eval(), version


def _fill(network: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Raises RuntimeError if names or shapes differ."""
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    # Batch norm's counters are only for training and are not stored.
    misfits = [name for name in missing if "num_batches" not in name] + unexpected
    if misfits:
        raise RuntimeError(f"first misfit: {misfits[0]}")
