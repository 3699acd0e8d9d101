"""The training loop on one device, resumable: what a step draws depends only on its number."""

import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from core.errors import SettingsError
from models.architectures import architecture
from models.device import half, moved
from models.preprocess import Normalise
from models.training.gpu.config import GpuConfig
from models.training.gpu.forging import Forger
from models.training.gpu.frozen import first_layers
from models.training.gpu.heads import FAMILIES, Heads
from models.training.gpu.mix import Draw, Mix
from models.training.gpu.stock import Stock, View
from models.training.gpu.wear import Wear, levelled
from models.whole_file import whole

LONGEST_GRADIENT = 2.0  # norm above which a gradient is clipped
NOTED_EVERY = 20  # steps: reading a number from the device waits for it


class Run:
    """One training run."""

    def __init__(
        self,
        config: GpuConfig,
        stock: Stock,
        network: nn.Module,
        renderers: dict[str, nn.Module] | None = None,
    ) -> None:
        """`renderers`: of models.synthesis.renderers, on the stock's device; without them no such fakes."""
        self.config, self._stock = config, stock
        entry = architecture(config.architecture)
        self._normalise = Normalise(entry.mean, entry.std).to(stock.device)
        torch.manual_seed(config.seed)
        heads = Heads(network, config.architecture, config.dropout)
        self._frozen = first_layers(network, config.frozen) if config.frozen else []
        for layer in self._frozen:
            layer.requires_grad_(False)
        self.heads = heads.to(stock.device).to(memory_format=torch.channels_last)
        live = self.heads.state_dict()
        self.average = {name: value.detach().clone() for name, value in live.items()}
        moving = [name for name, value in live.items() if value.is_floating_point()]
        # The live weights are the heads' own memory: every step and load changes them.
        self._live, self._following = [live[name] for name in moving], [self.average[name] for name in moving]
        learning = [value for value in self.heads.parameters() if value.requires_grad]
        decayed = [value for value in learning if value.ndim > 1]
        plain = [value for value in learning if value.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(
            groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=stock.device == "cuda"
        )
        self._mix = Mix(
            stock.faces,
            stock.landmarks_known.cpu().numpy(),
            shares=config.shares,
            without=frozenset(config.without),
        )
        self._renderers = renderers
        self._recorded = not config.graphs
        self.step = 0
        self.seconds = 0.0  # of training, over all pieces
        self.history: list[dict[str, float]] = []

    @property
    def over(self) -> bool:
        """Whether the run has reached its requested length."""
        if self.config.seconds is not None:
            return self.seconds >= self.config.seconds
        return self.step >= (self.config.steps or 0)

    def train(self, until: float = math.inf, after_step: Callable[["Run"], None] = lambda _run: None) -> bool:
        """Continue until the run is over (True), or the monotonic clock reaches `until` (False)."""
        since = time.monotonic()
        while not self.over and since < until:
            self._one_step()
            self.step += 1
            now = time.monotonic()
            self.seconds, since = self.seconds + now - since, now
            after_step(self)
            since = time.monotonic()  # what the caller did, such as saving, is not training
        return self.over

    def _one_step(self) -> None:
        config = self.config
        rng = np.random.default_rng((config.seed, self.step))
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        # Noise and dropout draw on the device itself.
        torch.manual_seed(config.seed * 1_000_003 + self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        draw = self._mix.draw(rng, config.pairs)
        with torch.no_grad():
            images, masks = self._pictures(draw, generator)
        self.heads.train()
        for layer in self._frozen:  # its batch norms, too
            layer.eval()
        if self._stock.device == "cuda" and not self._recorded:
            self._record(images)
        with half(self._stock.device):
            logits, cells, families = self.heads(images)
        losses = self._losses(draw, masks, logits, cells, families)
        self._optimiser.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros((), device=self._stock.device)).backward()
        nn.utils.clip_grad_norm_(self.heads.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()
        self._follow()
        if self.step % NOTED_EVERY == 0:
            self._note(draw, losses, logits)

    def _record(self, images: torch.Tensor) -> None:
        """Have the network's kernels replayed as one graph: the CPU launches them one by one more slowly than
        the GPU computes them. The pictures' kernels differ from step to step and cannot be recorded.
        """
        torch.backends.cudnn.benchmark = True  # all of the network's shapes are met here, once
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            torch.cuda.make_graphed_callables(self.heads, (images.clone(),))
        torch.backends.cudnn.benchmark = False
        self._recorded = True

    def _rate(self) -> float:
        """The learning rate: warm-up, then a cosine over steps or seconds, down to a hundredth."""
        config = self.config
        warm = min(1.0, (self.step + 1) / max(1, config.warmup_steps))
        if config.seconds is not None:
            part = min(1.0, self.seconds / config.seconds)
        else:
            warmed = self.step - config.warmup_steps
            part = max(0.0, warmed / max(1, (config.steps or 0) - config.warmup_steps))
        return config.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def _pictures(self, draw: Draw, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised pairs (2 * pairs, 3, S, S), and the masks (pairs, S, S) of the pseudo-fakes."""
        device, size = self._stock.device, self.config.input_size
        side = -(-size // 32) * 32
        genuine, fake = (moved(torch.from_numpy(each), device) for each in (draw.genuine, draw.fake))
        view = self._view(len(genuine), generator)
        grid = self._stock.grid(genuine, view, side)
        images = torch.empty(2 * len(genuine), 3, side, side, device=device)
        images[::2] = self._stock.sample(genuine, grid)
        images[1::2] = self._stock.sample(fake, self._stock.grid(fake, view, side))
        masks = torch.zeros(len(genuine), side, side, device=device)
        pseudo = moved(torch.from_numpy(np.flatnonzero(draw.pseudo)), device)
        if len(pseudo):
            forged = Forger(self._stock, generator, self._renderers).forge(
                genuine[pseudo], fake[pseudo], grid[pseudo]
            )
            images[2 * pseudo], images[2 * pseudo + 1] = forged.genuine, forged.images
            masks[pseudo] = forged.masks
        images = self._levelled(images, draw, generator)
        worn = Wear(generator, strength=self.config.strength)(images)
        if side != size:
            worn = F.interpolate(worn, (size, size), mode="area")
        return self._normalise.of_unit(worn), masks

    def _levelled(self, images: torch.Tensor, draw: Draw, generator: torch.Generator) -> torch.Tensor:
        pairs = len(draw.pseudo)
        drawn = moved(torch.rand(2, pairs, generator=generator), images.device)
        real = moved(torch.from_numpy(~draw.pseudo), images.device)
        chosen = (drawn[0] < self.config.levelled) & real
        return torch.where(
            chosen.repeat_interleave(2)[:, None, None, None], levelled(images, drawn[1]), images
        )

    def _view(self, count: int, generator: torch.Generator) -> View:
        def between(low: float, high: float, *shape: int) -> torch.Tensor:
            drawn = low + (high - low) * torch.rand(count, *shape, generator=generator)
            return moved(drawn, self._stock.device)

        return View(
            margin=self.config.margin * between(-0.22, 0.22).exp(),
            shift=between(-0.04, 0.04, 2),
            angle=between(-0.17, 0.17),
            mirrored=between(0, 1) < 0.5,
            edges=between(0, 1) < self.config.edges,
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
        labels = torch.arange(2.0, device=device).repeat(len(draw.genuine))
        wanted = labels * (1 - config.label_smoothing) + config.label_smoothing / 2
        losses = {"loss": F.binary_cross_entropy_with_logits(logits, wanted)}
        pseudo = moved(torch.from_numpy(np.flatnonzero(draw.pseudo)), device)
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
            truths = moved(torch.tensor(kinds), device)
            losses["family"] = config.family * F.cross_entropy(families[1::2], truths, ignore_index=-1)
        return losses

    @torch.no_grad()
    def _follow(self) -> None:
        """The moving average of the weights; its first decays are small, so that it forgets the start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._following, self._live, 1 - decay)

    def _note(self, draw: Draw, losses: dict[str, torch.Tensor], logits: torch.Tensor) -> None:
        right = (
            (logits.detach() > 0).view(-1, 2) == torch.tensor([False, True], device=logits.device)
        ).float()
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
        state: dict[str, Any] = {
            "step": self.step,
            "seconds": self.seconds,
            "heads": self.heads.state_dict(),
            "average": self.average,
            "optimiser": self._optimiser.state_dict(),
            "history": self.history,
            "config": self._settings(),
        }
        with whole(path) as partial:
            torch.save(state, partial)

    def load(self, path: Path) -> None:
        """Continue from a saved state. Raises SettingsError if it is damaged, or another run's."""
        try:
            state = torch.load(path, map_location=self._stock.device, weights_only=True)
            saved, own = json.loads(state["config"]), json.loads(self._settings())
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
            reason = f"this state cannot be read ({type(error).__name__}); remove it to start over"
            raise SettingsError(setting=str(path), reason=reason) from error
        other = [name for name in own if saved.get(name) != own[name]]
        if other:
            reason = (
                f"it is the state of a run whose {other[0]} is {saved.get(other[0])}, not {own[other[0]]}; "
                "give the same options and packs, or another folder"
            )
            raise SettingsError(setting=str(path), reason=reason)
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.heads.load_state_dict(state["heads"])
        for name, value in self.average.items():
            value.copy_(state["average"][name])
        self._optimiser.load_state_dict(state["optimiser"])

    def _settings(self) -> str:
        """What must be the same to continue from a state."""
        return json.dumps({**asdict(self.config), "number of faces": len(self._stock)})
