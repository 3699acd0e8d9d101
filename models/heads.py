"""Heads: what turns the features of a network's last convolution into a logit."""

import torch
from torch import nn

HIDDEN = 512  # units of the published head
DROPOUT = 0.2


class PaperHead(nn.Module):
    """Global average pooling, dense 512 with batch normalisation and ReLU, dropout 0.2, softmax of 2.

    Like every network here it gives one logit: the difference of the two. Its sigmoid is the softmax's
    probability of "fake", and its binary cross entropy is the softmax's cross entropy.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.dense = nn.Linear(features, HIDDEN, bias=False)  # the batch norm has one
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.dropout = nn.Dropout(DROPOUT)
        self.classes = nn.Linear(HIDDEN, 2)  # genuine, fake

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 1) for features (N, C, h, w), or (N, C) if the network has pooled them itself."""
        pooled = features.mean(dim=(2, 3)) if features.ndim == 4 else features
        hidden = self.dropout(torch.relu(self.norm(self.dense(pooled))))
        both: torch.Tensor = self.classes(hidden)
        return both[:, 1:] - both[:, :1]
