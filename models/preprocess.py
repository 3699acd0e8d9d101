"""Normalisation: from the pixels of crops to the values a network was trained on."""

from collections.abc import Sequence

import torch
from torch import nn


class Normalise(nn.Module):
    """float32 (N, 3, S, S) for crops on the module's device: uint8 (N, S, S, 3).

    The result is already in channels_last, the layout of the crops themselves.
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

    def of_unit(self, images: torch.Tensor) -> torch.Tensor:
        """The same of float32 (N, 3, S, S) in [0, 1], which need not be channels_last."""
        normalised = images * (255 * self.scale) + self.shift
        return normalised.contiguous(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        return self.scale.device
