"""Optimisers, including sharpness-aware minimisation."""

from collections.abc import Iterable

import torch
from torch import nn

from models.training.config import TrainConfig


def make_optimiser(config: TrainConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW, which SAM also uses, or Adam."""
    kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


class SharpnessAware:
    """SAM (Foret et al., ICLR 2021): the gradient is taken where the loss is worst within a small radius.

        loss(...).backward()
        sam = SharpnessAware(network, radius=0.05)
        with sam:                   # the weights are moved uphill
            loss(...).backward()    # the gradient there
        optimiser.step()            # the weights are back; the gradient is the one from uphill

    Batch norm's running statistics are frozen while uphill: they belong to the weights that stay.
    """

    def __init__(self, network: nn.Module, *, radius: float) -> None:
        """`radius`: rho of the paper, the length of the step uphill in weight space."""
        self._network = network
        self._radius = radius
        self._moved: list[tuple[nn.Parameter, torch.Tensor]] = []
        self._momenta: list[tuple[nn.modules.batchnorm._BatchNorm, float | None]] = []

    @torch.no_grad()
    def __enter__(self) -> None:
        moving = [each for each in self._network.parameters() if each.grad is not None]
        gradients = [each.grad for each in moving if each.grad is not None]
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        for parameter, gradient in zip(moving, gradients, strict=True):
            self._moved.append((parameter, parameter.detach().clone()))
            parameter.add_(gradient * (self._radius / (length + 1e-12)))
            parameter.grad = None
        for module in self._network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                self._momenta.append((module, module.momentum))
                module.momentum = 0.0

    @torch.no_grad()
    def __exit__(self, *_: object) -> None:
        for parameter, before in self._moved:
            parameter.copy_(before)
        for module, momentum in self._momenta:
            module.momentum = momentum
        self._moved, self._momenta = [], []
