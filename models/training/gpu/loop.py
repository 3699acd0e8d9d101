"""The training on one device, in pieces of a few minutes.

    python -m models.training.gpu PACK... --init xception.safetensors --out build/gpu --steps 3000 --seconds 480

The state lies in OUT/state.pt when the seconds are over; the same command again goes on from there. Needs
torch, timm, safetensors, numpy and Pillow alone.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models.architectures import architecture
from models.training.gpu.forging import Forger
from models.training.gpu.mix import SHARES, Draw, Mix
from models.training.gpu.stock import Stock, View
from models.training.gpu.wear import Wear

FAMILIES = ("swap", "reenact", "lipsync", "generate", "photoshop")
LONGEST_GRADIENT = 2.0  # norm, above which a step is shortened


@dataclass(frozen=True, kw_only=True)
class GpuConfig:
    """What a run is asked to do."""

    architecture: str = "xception"
    steps: int = 3000
    pairs: int = 64  # a batch, half of its pictures fake
    input_size: int = 224  # pixels
    margin: float = 1.3  # of the crops that are screened; trained from four fifths to five quarters of it
    shares: Mapping[str, float] | None = None  # of the batch; None: models.training.gpu.mix.SHARES
    without: tuple[str, ...] = ()  # methods left out, to be tested on
    strength: float = 0.7  # of what the world does to pictures, [0, 1]
    learning_rate: float = 3e-4
    warmup_steps: int = 100
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    localisation: float = 0.3  # weight of the loss for where a pseudo-fake is forged
    family: float = 0.2  # weight of the loss for the family of a real manipulation
    dropout: float = 0.3  # of the features that the family and the verdict are read from
    ema_decay: float = 0.998
    seed: int = 0


class Heads(nn.Module):
    """A network with two more answers: where the forgery is, cell by cell, and of which family."""

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
        cells, families = self.pointer(F.relu(self._cells))[:, 0].float(), self.family(self._features).float()
        self._cells = self._features = torch.empty(0)
        return logits, cells, families


class Run:
    """One training run."""

    def __init__(
        self,
        config: GpuConfig,
        stock: Stock,
        network: nn.Module,
        renderers: dict[str, nn.Module] | None = None,
    ) -> None:
        self.config, self._stock = config, stock
        entry = architecture(config.architecture)
        self._mean = torch.tensor(entry.mean, device=stock.device).view(1, 3, 1, 1)
        self._std = torch.tensor(entry.std, device=stock.device).view(1, 3, 1, 1)
        torch.manual_seed(config.seed)
        heads = Heads(network, config.architecture, config.dropout)
        self.heads = heads.to(stock.device).to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.heads.state_dict().items()}
        decayed = [value for value in self.heads.parameters() if value.ndim > 1]
        plain = [value for value in self.heads.parameters() if value.ndim <= 1]
        groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(
            groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=stock.device == "cuda"
        )
        self._mix = Mix(
            stock.faces,
            stock.landmarks_known.cpu().numpy(),
            shares=config.shares or SHARES,
            without=frozenset(config.without),
        )
        self._renderers = renderers
        self.step = 0
        self.history: list[dict[str, float]] = []

    def train(self, seconds: float = math.inf) -> bool:
        """Go on until the run is over (True) or the time is (False)."""
        since = time.monotonic()
        while self.step < self.config.steps and time.monotonic() - since < seconds:
            self._one_step()
            self.step += 1
        return self.step >= self.config.steps

    def _one_step(self) -> None:
        config = self.config
        rng = np.random.default_rng((config.seed, self.step))
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        draw = self._mix.draw(rng, config.pairs)
        with torch.no_grad():
            images, masks = self._pictures(draw, generator)
        self.heads.train()
        with torch.autocast(self._stock.device, torch.bfloat16, enabled=self._stock.device == "cuda"):
            logits, cells, families = self.heads(images)
        losses = self._losses(draw, masks, logits, cells, families)
        self._optimiser.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros((), device=self._stock.device)).backward()
        nn.utils.clip_grad_norm_(self.heads.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()
        self._follow()
        if self.step % 20 == 0:
            self._note(draw, losses, logits)

    def _rate(self) -> float:
        config = self.config
        if self.step < config.warmup_steps:
            return config.learning_rate * (self.step + 1) / config.warmup_steps
        part = (self.step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def _pictures(self, draw: Draw, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised pairs (2 * pairs, 3, S, S), and the masks (pairs, S, S) of the pseudo-fakes."""
        device, size = self._stock.device, self.config.input_size
        side = -(-size // 32) * 32
        genuine, fake = (torch.from_numpy(each).to(device) for each in (draw.genuine, draw.fake))
        view = self._view(len(genuine), generator)
        grid = self._stock.grid(genuine, view, side)
        images = torch.empty(2 * len(genuine), 3, side, side, device=device)
        images[::2] = self._stock.sample(genuine, grid)
        images[1::2] = self._stock.sample(fake, self._stock.grid(fake, view, side))
        masks = torch.zeros(len(genuine), side, side, device=device)
        pseudo = torch.from_numpy(np.flatnonzero(draw.pseudo)).to(device)
        if len(pseudo):
            forged = Forger(self._stock, generator, self._renderers).forge(
                genuine[pseudo], fake[pseudo], grid[pseudo]
            )
            images[2 * pseudo + 1], masks[pseudo] = forged.images, forged.masks
        worn = Wear(generator, strength=self.config.strength)(images)
        if side != size:
            worn = F.interpolate(worn, (size, size), mode="area")
        worn = (worn - self._mean) / self._std
        return worn.contiguous(memory_format=torch.channels_last), masks

    def _view(self, count: int, generator: torch.Generator) -> View:
        def between(low: float, high: float, *shape: int) -> torch.Tensor:
            drawn = low + (high - low) * torch.rand(count, *shape, generator=generator)
            return drawn.to(self._stock.device)

        return View(
            margin=self.config.margin * between(-0.22, 0.22).exp(),
            shift=between(-0.04, 0.04, 2),
            angle=between(-0.17, 0.17),
            mirrored=between(0, 1) < 0.5,
        )

    def _losses(
        self,
        draw: Draw,
        masks: torch.Tensor,
        logits: torch.Tensor,
        cells: torch.Tensor,
        families: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        config, device = self.config, self._stock.device
        labels = torch.tensor([0.0, 1.0], device=device).repeat(len(draw.genuine))
        wanted = labels * (1 - config.label_smoothing) + config.label_smoothing / 2
        losses = {"loss": F.binary_cross_entropy_with_logits(logits, wanted)}
        pseudo = torch.from_numpy(np.flatnonzero(draw.pseudo)).to(device)
        if config.localisation and len(pseudo):
            truth = F.adaptive_avg_pool2d(masks[:, None], (cells.shape[1], cells.shape[2]))[:, 0]
            pointing = F.binary_cross_entropy_with_logits(cells[1::2][pseudo], truth[pseudo])
            nothing = F.binary_cross_entropy_with_logits(cells[::2], torch.zeros_like(cells[::2]))
            losses["localisation"] = config.localisation * (pointing + nothing) / 2
        named = [self._stock.faces[int(place)].family for place in draw.fake]
        kinds = [
            FAMILIES.index(name) if name in FAMILIES and not made else -1
            for name, made in zip(named, draw.pseudo, strict=True)
        ]
        if config.family and max(kinds) >= 0:
            truths = torch.tensor(kinds, device=device)
            losses["family"] = config.family * F.cross_entropy(families[1::2], truths, ignore_index=-1)
        return losses

    @torch.no_grad()
    def _follow(self) -> None:
        """The moving average of the weights; its first steps are short, so that it forgets the start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        now = self.heads.state_dict()
        moving = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in moving], [now[name] for name in moving], 1 - decay)

    def _note(self, draw: Draw, losses: dict[str, torch.Tensor], logits: torch.Tensor) -> None:
        right = ((logits.detach() > 0).view(-1, 2) == torch.tensor([False, True], device=logits.device)).float()
        by_pair = right.mean(1).cpu().numpy()
        entry = {"step": float(self.step), **{name: float(loss.detach()) for name, loss in losses.items()}}
        for name, chosen in (("pseudo", draw.pseudo), ("real", ~draw.pseudo)):
            if chosen.any():
                entry[f"accuracy_{name}"] = float(by_pair[chosen].mean())
        self.history.append({name: round(value, 4) for name, value in entry.items()})

    def averaged(self) -> Heads:
        """The heads with the averaged weights, evaluating."""
        self.heads.load_state_dict(self.average)
        return self.heads.eval()

    def save(self, path: Path) -> None:
        """The state, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        state: dict[str, Any] = {
            "step": self.step,
            "heads": self.heads.state_dict(),
            "average": self.average,
            "optimiser": self._optimiser.state_dict(),
            "history": self.history,
            "config": json.dumps(asdict(self.config)),
        }
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, map_location=self._stock.device, weights_only=True)
        self.step, self.history = state["step"], state["history"]
        self.heads.load_state_dict(state["heads"])
        self.average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])


@torch.no_grad()
def logits_of(
    heads: nn.Module, config: GpuConfig, stock: Stock, *, margin: float | None = None, batch: int = 256
) -> np.ndarray:
    """float32 (N,): the logit of every face of the stock, cut as the worker does."""
    entry = architecture(config.architecture)
    mean = torch.tensor(entry.mean, device=stock.device).view(1, 3, 1, 1)
    std = torch.tensor(entry.std, device=stock.device).view(1, 3, 1, 1)
    found = []
    heads.eval()
    for places in torch.arange(len(stock), device=stock.device).split(batch):
        plain = View(
            margin=torch.full((len(places),), margin or config.margin, device=stock.device),
            shift=torch.zeros(len(places), 2, device=stock.device),
            angle=torch.zeros(len(places), device=stock.device),
            mirrored=torch.zeros(len(places), dtype=torch.bool, device=stock.device),
        )
        crops = stock.sample(places, stock.grid(places, plain, config.input_size))
        crops = ((crops - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(stock.device, torch.bfloat16, enabled=stock.device == "cuda"):
            found.append(heads(crops)[0].float().cpu().numpy())
    return np.concatenate(found)
