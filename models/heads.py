"""Heads: what turns the features of a network's last convolution into logits."""

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
        hidden = self.dropout(torch.relu(self.norm(self.dense(pooled(features)))))
        both: torch.Tensor = self.classes(hidden)
        return both[:, 1:] - both[:, :1]


class AuxiliaryHeads(nn.Module):
    """The heads that a network was trained with beside its own, as it carries them: their weights.

    The network's own forward pass does not know them.
    """

    def __init__(self, features: int, families: int) -> None:
        """`features`: channels that the network's classifier takes."""
        super().__init__()
        self.family = nn.Linear(features, families)  # which family of manipulation
        self.pointer = nn.Conv2d(features, 1, 1)  # where the forgery is, cell by cell of the last convolution


class Beside(nn.Module):
    """A network's classifier with a family head beside it: both read the same features, in one pass."""

    def __init__(self, classifier: nn.Module, family: nn.Module) -> None:
        super().__init__()
        self.classifier, self.family = classifier, family

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 1 + families): the logit of "fake", then those of the families."""
        return torch.cat([self.classifier(features), self.family(pooled(features))], dim=1)


def pooled(features: torch.Tensor) -> torch.Tensor:
    """(N, C) for features (N, C, h, w), or (N, C) if the network has pooled them itself."""
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features
