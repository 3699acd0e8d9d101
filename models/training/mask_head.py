"""Where a forgery is: learnt alongside whether there is one, and dropped when training ends.

Face X-ray (Li et al., CVPR 2020) predicts the blended region beside the verdict, because a network that must
locate the forgery cannot rely on mere correlates of it. Here one convolution on the network's last features
predicts, cell by cell, how much of the cell is forged. It is only part of the loss: the network ships without
it.
"""

import torch
from torch import nn


class MaskHead(nn.Module):
    """A network that in training also predicts where the forgery is; in evaluation, the plain network."""

    def __init__(self, network: nn.Module, layer: str, features: int) -> None:
        """`layer`: dotted name of the last convolutional layer; `features`: the channels it gives."""
        super().__init__()
        self.network = network
        self.pointer = nn.Conv2d(features, 1, 1)
        self._seen = torch.empty(0)
        network.get_submodule(layer).register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, features: torch.Tensor) -> None:
        self._seen = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 1), the logit; in training (N, 1 + h * w), then the logits of the cells of the layer's grid."""
        logits: torch.Tensor = self.network(images)
        seen, self._seen = self._seen, torch.empty(0)
        if not self.training:
            return logits
        return torch.cat([logits, self.pointer(seen).flatten(1)], dim=1)


def bare(network: nn.Module) -> nn.Module:
    """The network itself."""
    return network.network if isinstance(network, MaskHead) else network


def mask_loss(cells: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the cells of known pictures, 0 if none is known.

    Args:
        cells: (N, side * side) logits.
        parts: (N, GRID, GRID) of models.datasets.masks, the truth; NaN for a picture where it is unknown.
    """
    side = round(cells.shape[1] ** 0.5)
    wanted = nn.functional.adaptive_avg_pool2d(parts[:, None], side).flatten(1)
    known = ~wanted.isnan()
    losses = nn.functional.binary_cross_entropy_with_logits(
        cells.float(), wanted.where(known, 0.0), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp(min=1)
