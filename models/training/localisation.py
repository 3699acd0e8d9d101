"""Where a forgery is: learnt beside whether there is one, and left behind when training ends.

Face X-ray (Li et al., CVPR 2020) predicts the blended region beside the verdict, because a network that must
point at the forgery cannot answer by what merely goes along with it. Here one convolution on the network's
last features says, cell by cell, how much of the cell is forged. It takes part in the loss alone: what ships
is the network without it.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.face import Image

GRID = 20  # cells a side of the truth; a network's own grid is coarser and averages over them
UNSEEN = 2  # gray values: what differs by less is a soft edge's tail, which no codec leaves
CLOSED = 0.1  # of the picture's side: gaps within the forged region, where it changed nothing by chance

Parts = NDArray[np.float32]  # (N, GRID, GRID) in [0, 1], NaN where nobody knows


def forged_part(genuine: Image, fake: Image) -> Parts:
    """The part of each cell that differs between two uint8 (S, S, 3): float32 (GRID, GRID) in [0, 1]."""
    changed = (cv2.absdiff(genuine, fake).max(axis=2) > UNSEEN).astype(np.uint8)
    width = max(1, round(CLOSED * len(changed)))
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((width, width), np.uint8))
    return np.asarray(cv2.resize(closed.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA))


def parts_of(labels: NDArray[np.float32]) -> Parts:
    """What is known without the genuine original: nothing of a genuine picture is forged."""
    known = np.where(labels > 0, np.nan, 0).astype(np.float32)
    return np.broadcast_to(known[:, None, None], (len(labels), GRID, GRID)).copy()


class Localising(nn.Module):
    """A network that says while it trains where it sees the forgery, and is itself when it is evaluated."""

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
    return network.network if isinstance(network, Localising) else network


def pointing_loss(cells: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the cells of known pictures, 0 where none is known.

    Args:
        cells: (N, side * side) logits.
        parts: (N, GRID, GRID), the truth, NaN for a picture that nobody knows it of.
    """
    side = round(cells.shape[1] ** 0.5)
    wanted = nn.functional.adaptive_avg_pool2d(parts[:, None], side).flatten(1)
    known = ~wanted.isnan()
    losses = nn.functional.binary_cross_entropy_with_logits(
        cells.float(), wanted.where(known, 0.0), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp(min=1)
