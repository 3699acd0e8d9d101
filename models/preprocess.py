"""Normalisation: from the pixels of crops to what a network was trained on."""

from collections.abc import Sequence

import torch
from torch import nn


class Normalise(nn.Module):
    """float32 (N, 3, S, S) for uint8 (N, S, S, 3) on the module's device.

    The result lies in channels_last already: the layout of the crops themselves.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """`mean`, `std`: of each channel, in units of [0, 1]."""
        super().__init__()
        means, stds = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
        # (x / 255 - mean) / std in one multiplication and one addition
        self.register_buffer("scale", 1 / (255 * stds))
        self.register_buffer("shift", -means / stds)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return crops.permute(0, 3, 1, 2).float() * self.scale + self.shift

    @property
    def device(self) -> torch.device:
        return self.scale.device
