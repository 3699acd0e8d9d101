"""The network that a run starts with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core.errors import WeightsError
from core.model_version import read_model_version
from models.architectures import HEADS, architecture, build

if TYPE_CHECKING:
    from models.training.config import TrainConfig


def first_network(config: "TrainConfig") -> nn.Module:
    """Random weights, a hub's, or those of a file (`init`), on the CPU.

    Raises WeightsError if the file is not a backbone of this network, or the hub gives nothing.
    """
    network = build(config.architecture, head=config.head, pretrained=config.pretrained)
    if config.init is not None:
        load_backbone(network, config.init, architecture(config.architecture).classifier)
    return network


def origin(init: Path | None) -> dict[str, Any]:
    """How the weights that a run starts from were trained, where they are a checkpoint of this project."""
    if init is None:
        return {}
    try:
        version = read_model_version(init)
    except WeightsError:  # a backbone from elsewhere
        return {}
    return {"id": version.id} | {
        key: value for key, value in version.training.items() if key != "calibration"
    }


def load_backbone(network: nn.Module, path: Path, classifier: str) -> None:
    """Fill the network from the file; the classifier keeps its random weights if the file's do not fit.

    Raises WeightsError if the file is not a backbone of this network.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(path=path, reason=str(error).splitlines()[0]) from error
    own = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith(f"{HEADS}.")  # of another run, which the training does not begin with
        and (not name.startswith(f"{classifier}.") or (name in own and own[name].shape == tensor.shape))
    }
    try:
        missing, unexpected = network.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        reason = f"not a backbone of this network ({str(error).splitlines()[-1].strip()})"
        raise WeightsError(path=path, reason=reason) from error
    lost = [name for name in missing if not name.startswith(f"{classifier}.") and "num_batches" not in name]
    if lost or unexpected:
        reason = f"not a backbone of this network (first misfit: {[*lost, *unexpected][0]})"
        raise WeightsError(path=path, reason=reason)


def placed(network: nn.Module, device: str) -> nn.Module:
    """The network on its device, in the memory layout that is fastest there."""
    return network.to(device).to(memory_format=torch.channels_last)
