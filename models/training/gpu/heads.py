"""The network with its auxiliary heads, and the file of a finished run: weights and record."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F

from core.errors import SettingsError, WeightsError
from core.families import Family
from models.architectures import architecture
from models.checkpoint import stored
from models.heads import pooled
from models.whole_file import whole

FILE = "heads.safetensors"
METADATA_KEY = "facewarden-gpu-run"
FAMILIES = tuple(Family)  # in the order of the head's logits

Weights = Mapping[str, torch.Tensor]
Record = dict[str, Any]  # config, steps, pictures, seconds, packs, commands, …: models.training.gpu.__main__


class Heads(nn.Module):
    """A network with two auxiliary heads: where the forgery is, cell by cell, and its family."""

    def __init__(self, network: nn.Module, name: str, dropout: float = 0.0) -> None:
        """`name`: of the network in models.architectures."""
        super().__init__()
        entry = architecture(name)
        self.network = network
        self.pointer = nn.Conv2d(entry.features, 1, 1)
        self.family = nn.Linear(entry.features, len(FAMILIES))
        self._drop = nn.Dropout(dropout)
        self._cells, self._features = torch.empty(0), torch.empty(0)
        network.get_submodule(entry.last_conv).register_forward_hook(self._keep_cells)
        network.get_submodule(entry.classifier).register_forward_pre_hook(self._keep_features)

    def _keep_cells(self, _module: nn.Module, _inputs: object, cells: torch.Tensor) -> None:
        self._cells = cells

    def _keep_features(self, _module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        self._features = self._drop(inputs[0])
        return (self._features,)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(N,) logits, (N, h, w) logits of the cells, (N, families) logits."""
        logits = self.network(images)[:, 0].float()
        cells = self.pointer(F.relu(self._cells))[:, 0].float()
        families = self.family(pooled(self._features)).float()
        self._cells = self._features = torch.empty(0)
        return logits, cells, families


def write_heads(folder: Path, weights: Weights, record: Record) -> None:
    """Write FILE, fp16, whole or not at all."""
    tensors = {name: stored(value, half=True) for name, value in weights.items() if "num_batches" not in name}
    with whole(folder / FILE) as partial:
        partial.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(record)}))


def read_heads(folder: Path) -> tuple[dict[str, torch.Tensor], Record]:
    """The weights (float32) and the record of a finished run. Raises WeightsError."""
    path = folder / FILE
    try:
        with safe_open(path, framework="pt") as file:
            record: Record = json.loads(file.metadata()[METADATA_KEY])
            return {name: file.get_tensor(name).float() for name in file.keys()}, record  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = "not a finished run of `python -m models.training.gpu`; run it to its end"
        raise WeightsError(path=path, reason=f"{type(error).__name__}: {reason}") from error


def averaged(folders: Sequence[Path]) -> tuple[dict[str, torch.Tensor], list[Record]]:
    """The mean of several runs' weights (a model soup: Wortsman et al., ICML 2022), and their records.

    Raises SettingsError if their networks or crops differ.
    """
    runs = [read_heads(folder) for folder in folders]
    for folder, (_, record) in zip(folders, runs, strict=True):
        for name in ("architecture", "input_size", "margin"):
            first, own = runs[0][1]["config"][name], record["config"][name]
            if own != first:
                reason = f"its {name} is {own}, that of {folders[0]} is {first}: they cannot be averaged"
                raise SettingsError(setting=str(folder), reason=reason)
    weights = {name: torch.stack([tensors[name] for tensors, _ in runs]).mean(0) for name in runs[0][0]}
    return weights, [record for _, record in runs]
