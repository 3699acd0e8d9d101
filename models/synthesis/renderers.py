"""Small networks that redraw a face, as real tools do: they leave a generator's traces.

    decoder    an autoencoder with a narrow bottleneck and sub-pixel upsampling (Shi et al., CVPR 2016), like
               those that the first face swappers train for each person
    restorer   a face from its coarse copy, through residual blocks and upsampling by repetition, like the
               face restoration that swapping tools end with
    painter    a face from its edges and a few colours, through a U-Net with transposed convolutions, like
               pix2pix (Isola et al., CVPR 2017) and the neural rendering built on it

They see aligned faces: all that MEAN_LANDMARKS spans, with eyes, nose and mouth always in the same places.
Their weights are in `models/weights/renderers.safetensors`, made by models.training.renderer_training.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import nn
from torch.nn import functional as F

from core.errors import WeightsError
from models.face import Image, Landmarks
from models.mean_face import MEAN_LANDMARKS

SIDE = 128  # pixels of an aligned face
SPAN = 3.0  # eye distances that SIDE shows
MIDDLE = 0.56  # eye distances from between the eyes down to the middle of an aligned face
COARSE = 40  # pixels of what the restorer is given
COLOURS = 16  # pixels of the colours that the painter is given
EDGE = 0.12  # of the range of 2, between neighbours: what counts as an edge
WEIGHTS = Path(__file__).parents[1] / "weights" / "renderers.safetensors"

ALIGNED: Landmarks = ((MEAN_LANDMARKS - np.array([0, MIDDLE])) * (SIDE / SPAN) + SIDE / 2).astype(np.float32)


def _conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.2))


def halved(inputs: int, outputs: int) -> nn.Sequential:
    """A layer that halves the resolution."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2))


class Decoder(nn.Module):
    """(N, 3, SIDE, SIDE) in [-1, 1] to the same, through 8 x 8 x 48 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 32, stride=2),
            _conv(32, 64, stride=2),
            _conv(64, 128, stride=2),
            _conv(128, 192, stride=2),
            nn.Conv2d(192, 48, 1),
            *self._grown(48, 96),
            *self._grown(96, 64),
            *self._grown(64, 40),
            *self._grown(40, 24),
            nn.Conv2d(24, 3, 3, 1, 1),
        )

    @staticmethod
    def _grown(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return _conv(inputs, 4 * outputs), nn.PixelShuffle(2)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        painted: torch.Tensor = self.body(faces)
        return painted.tanh()


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), nn.Conv2d(channels, channels, 3, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = features + self.body(features)
        return added


class Restorer(nn.Module):
    """(N, 3, SIDE, SIDE) in [-1, 1] to the same, of which it sees COARSE pixels a side."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 64, stride=2),
            *(_Residual(64) for _ in range(4)),
            nn.Upsample(scale_factor=2),
            _conv(64, 48),
            nn.Upsample(scale_factor=2),
            _conv(48, 32),
            nn.Conv2d(32, 3, 3, 1, 1),
        )

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        coarse = F.interpolate(faces, COARSE, mode="area")
        coarse = F.interpolate(coarse, SIDE // 2, mode="bilinear", align_corners=False)
        painted: torch.Tensor = self.body(coarse)
        return painted.tanh()


class Painter(nn.Module):
    """(N, 3, SIDE, SIDE) in [-1, 1] to the same, of which it sees edges and COLOURS pixels a side."""

    DOWN = ((4, 32), (32, 64), (64, 128), (128, 192))
    UP = ((192, 128), (256, 64), (128, 32), (64, 24))

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(halved(inputs, outputs) for inputs, outputs in self.DOWN)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU())
            for inputs, outputs in self.UP
        )
        self.last = nn.Conv2d(24, 3, 3, 1, 1)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        features = self._drawing(faces)
        levels: list[torch.Tensor] = []
        for layer in self.down:
            features = layer(features)
            levels.append(features)
        for layer, level in zip(self.up[:-1], levels[-2::-1], strict=True):
            features = torch.cat([layer(features), level], dim=1)
        painted: torch.Tensor = self.last(self.up[-1](features))
        return painted.tanh()

    @staticmethod
    def _drawing(faces: torch.Tensor) -> torch.Tensor:
        """(N, 4, SIDE, SIDE): the colours without detail, and where the light changes."""
        colours = F.interpolate(F.interpolate(faces, COLOURS, mode="area"), SIDE, mode="bilinear")
        light = F.avg_pool2d(faces.mean(dim=1, keepdim=True), 3, 1, 1)
        across = F.pad(light[..., :, 1:] - light[..., :, :-1], (0, 1))
        down = F.pad(light[..., 1:, :] - light[..., :-1, :], (0, 0, 0, 1))
        edges = (across.abs() + down.abs() > EDGE).float()
        return torch.cat([colours, edges], dim=1)


RENDERERS: dict[str, type[nn.Module]] = {"decoder": Decoder, "restorer": Restorer, "painter": Painter}


def aligned(image: Image, landmarks: Landmarks) -> Image:
    """The face as the renderers see it: uint8 (SIDE, SIDE, 3)."""
    from models.synthesis.blending import align  # noqa: PLC0415  OpenCV: a bare GPU machine has the networks alone

    return align(image, landmarks, (SIDE, SIDE), ALIGNED)


def as_tensor(faces: NDArray[np.uint8]) -> torch.Tensor:
    """float32 (N, 3, SIDE, SIDE) in [-1, 1] of uint8 (N, SIDE, SIDE, 3)."""
    return torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def rendered(name: str, image: Image, landmarks: Landmarks) -> Image:
    """The picture with its face drawn by the renderer `name`, one of RENDERERS.

    Args:
        image: uint8 (H, W, 3) RGB.
        landmarks: float32 (5, 2) pixels in `image`.

    Returns uint8 (H, W, 3); far from the face it is meaningless. Raises WeightsError if the renderers'
    weights are missing or damaged.
    """
    from models.synthesis.blending import align  # noqa: PLC0415  as above

    painted = load_renderer(name)(as_tensor(aligned(image, landmarks)[None]))[0]
    face = ((painted.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return align(face, ALIGNED, (image.shape[0], image.shape[1]), landmarks)


@cache
def load_renderer(name: str, path: Path = WEIGHTS) -> nn.Module:
    """A trained renderer in evaluation mode. Raises WeightsError."""
    try:
        content = path.read_bytes()
        expected = path.with_name(path.name + ".sha256").read_text(encoding="ascii").split()[0]
        if hashlib.sha256(content).hexdigest() != expected:
            raise WeightsError(path=path, reason="its SHA-256 is not the expected one; fetch it again")
        tensors = {
            key.removeprefix(f"{name}."): tensor.float()
            for key, tensor in load(content).items()
            if key.startswith(f"{name}.")
        }
        network = RENDERERS[name]()
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(path=path, reason=str(error).splitlines()[0]) from error
    return network.eval()


def renderer_record(path: Path = WEIGHTS) -> dict[str, Any]:
    """Which renderers these are and how they were made, for the record of what was trained on their faces."""
    with safe_open(path, framework="pt") as file:
        made = json.loads(file.metadata()["made"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"sha256": digest, "steps": made["steps"], "seed": made["seed"]}
