"""Train the renderers (models.synthesis.renderers) on genuine faces of the training side.

Each learns to reproduce a face from the little that it sees of it: by the mean difference and, except for the
decoder, whose kind is trained without, by a patch discriminator trained against it (Isola et al., CVPR 2017;
least squares: Mao et al., ICCV 2017). What they get wrong on faces they never saw are a generator's traces.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from core.errors import SettingsError
from models.checkpoint import stored, write_hashed
from models.datasets.faces import FaceRecord, load_faces, split
from models.device import half
from models.synthesis.blending import eye_distance
from models.synthesis.renderers import RENDERERS, SIDE, SPAN, aligned, as_tensor, halved
from models.training.init import placed

BATCH = 16
LEARNING_RATE = 4e-4
LIKENESS = 10.0  # weight of the mean difference relative to the discriminator's
UNJUDGED = ("decoder",)  # have no discriminator
LEAST_SHARE = 0.6  # of SIDE: smaller faces would teach to draw enlarged ones
GRAY_FACES = 600  # of the gray photographs, so that the renderers know these too

Progress = Callable[[str, int, dict[str, float]], None]  # the renderer, the step, its losses


def train_renderers(
    data: Path, out: Path, *, steps: int, seed: int, device: str = "cpu", on_step: Progress
) -> None:
    """Write all renderers' weights to `out` (fp16), with a `.sha256` file beside it.

    Raises SettingsError if `data` has no genuine face that is large enough.
    """
    faces = _faces(split(load_faces(data), "train"), seed)
    tensors: dict[str, torch.Tensor] = {}
    for name in RENDERERS:
        network = _trained(name, faces, steps=steps, seed=seed, device=device, on_step=on_step)
        tensors |= {f"{name}.{key}": stored(value, half=True) for key, value in network.state_dict().items()}
    # One entry: the order of several would vary, and the hash with it.
    made = json.dumps({"steps": steps, "seed": seed, "faces": len(faces)})
    write_hashed(out, save(tensors, metadata={"made": made}))


def _faces(records: Sequence[FaceRecord], seed: int) -> NDArray[np.uint8]:
    """uint8 (N, SIDE, SIDE, 3), aligned."""
    order = np.random.default_rng(seed).permutation(len(records))
    chosen: list[NDArray[np.uint8]] = []
    gray = 0
    for record in (records[int(index)] for index in order):
        gray += record.source == "gray_photo"
        if record.source == "gray_photo" and gray > GRAY_FACES:
            continue
        if SPAN * eye_distance(record.landmarks) >= LEAST_SHARE * SIDE:
            chosen.append(aligned(record.load(), record.landmarks))
    if not chosen:
        raise SettingsError(setting="--data", reason="no genuine face is large enough to train renderers on")
    return np.stack(chosen)


class Discriminator:
    """Tells patches of drawn faces from real ones; trained together with the renderer."""

    def __init__(self, steps: int, device: str) -> None:
        critic = nn.Sequential(halved(3, 32), halved(32, 64), halved(64, 128), nn.Conv2d(128, 1, 3, 1, 1))
        self._critic = placed(critic, device)
        self._learner = _Learner(self._critic, steps)

    def learn(self, real: torch.Tensor, drawn: torch.Tensor) -> None:
        with half(real.device.type):
            loss = self._judged(real, 1) + self._judged(drawn.detach(), 0)
        self._learner.lower(loss)

    def generator_loss(self, drawn: torch.Tensor) -> torch.Tensor:
        """How far `drawn` is from being taken for real."""
        with half(drawn.device.type):
            return self._judged(drawn, 1)

    def _judged(self, faces: torch.Tensor, wanted: int) -> torch.Tensor:
        judged: torch.Tensor = self._critic(faces)
        return (judged.float() - wanted).square().mean()


class _Learner:
    """An optimiser with its schedule."""

    def __init__(self, network: nn.Module, steps: int) -> None:
        self._optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE, betas=(0.5, 0.999))
        self._rate = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimiser, steps)

    def lower(self, loss: torch.Tensor) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._rate.step()


def _trained(
    name: str, faces: NDArray[np.uint8], *, steps: int, seed: int, device: str, on_step: Progress
) -> nn.Module:
    torch.manual_seed(seed)
    rng = np.random.default_rng((seed, *name.encode()))
    network = placed(RENDERERS[name](), device)
    learner = _Learner(network, steps)
    discriminator = None if name in UNJUDGED else Discriminator(steps, device)
    for step in range(steps):
        real = as_tensor(_some(faces, rng)).to(device).contiguous(memory_format=torch.channels_last)
        with half(real.device.type):
            drawn = network(real)
        losses = {"likeness": (drawn - real).abs().mean()}
        if discriminator is not None:
            discriminator.learn(real, drawn)
            losses["generator"] = discriminator.generator_loss(drawn)
        learner.lower(LIKENESS * losses["likeness"] + losses.get("generator", 0))
        on_step(name, step, {name: loss.item() for name, loss in losses.items()})
    return network


def _some(faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A batch, half of it mirrored."""
    batch = faces[rng.integers(len(faces), size=BATCH)]
    half = BATCH // 2
    return np.concatenate([batch[:half], batch[half:, :, ::-1]])
