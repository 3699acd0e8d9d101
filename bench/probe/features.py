"""What a frozen network sees of the faces of a pack."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.errors import SettingsError
from models.architectures import architecture, build
from models.device import half
from models.preprocess import Normalise
from models.training.gpu.stock import Stock
from models.training.init import load_backbone, placed

BATCH = 64

Features = NDArray[np.float32]  # (N, 2 * channels): mean and spread of each channel over the crop


def frozen(name: str, weights: Path, device: str) -> nn.Module:
    """The network of that architecture with the file's weights. Raises WeightsError."""
    network = build(name)
    load_backbone(network, weights, architecture(name).classifier)
    return placed(network.eval(), device)


@torch.no_grad()
def features(
    network: nn.Module, name: str, layers: Sequence[str], stock: Stock, *, size: int, margin: float
) -> dict[str, Features]:
    """Of each layer what it sees.

    Raises SettingsError if a layer is none of the network's.
    """
    entry = architecture(name)
    normalise = Normalise(entry.mean, entry.std).to(stock.device)
    known = dict(network.named_modules())
    missing = [layer for layer in layers if layer not in known]
    if missing:
        reason = f"{name} has no layer {missing[0]!r}; it has {', '.join(filter(None, known))}"
        raise SettingsError(setting="--layer", reason=reason)
    seen: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}

    def note(layer: str, output: torch.Tensor) -> None:
        spread, mean = torch.std_mean(output.float(), dim=(2, 3))
        seen[layer].append(torch.cat([mean, spread], dim=1).cpu())

    handles = [
        known[layer].register_forward_hook(lambda _module, _inputs, output, layer=layer: note(layer, output))
        for layer in layers
    ]
    for part in torch.arange(len(stock), device=stock.device).split(BATCH):
        crops = normalise.of_unit(stock.plain_crops(part, margin=margin, size=size))
        with half(stock.device):
            network(crops.contiguous(memory_format=torch.channels_last))
    for handle in handles:
        handle.remove()
    return {layer: torch.cat(found).numpy() for layer, found in seen.items()}
