"""Pseudo-fakes made on the device, from genuine faces in the stock.

Another rendering of a face, the same person's or another's, is blended into the picture under a soft mask of
the face, its inside, the mouth or the eyes: self-blended images (Shiohara & Yamasaki, CVPR 2022), swaps as in
Face X-ray (Li et al., CVPR 2020), warps as reenactment leaves them, and faces drawn by the small networks of
models.synthesis.renderers. Talking heads and generated faces are drawn from edge to edge: so is the `whole`
kind, by such a network or by the upsampling at the end of most generators.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from models.device import moved
from models.synthesis.renderers import MIDDLE, RENDERERS, SIDE, SPAN
from models.training.gpu.stock import Frames, Stock
from models.training.gpu.wear import FLAT_TABLE, Wear, blurred, coded, resized

CHUNK = 8  # pictures that share a kind
ANGLES = 256
KINDS = ("self", "swap", "warp", *RENDERERS, "whole")
SHARES = torch.tensor([0.27, 0.2, 0.1, 0.1, 0.1, 0.1, 0.06])
REDRAWN = ("restorer", "painter")  # of whole pictures; the decoder knows aligned faces only
WHOLE_SIDES = (80, 96, 112, 128, 160)  # pixels that a generator's last layers double

# Outlines around a centre, in face coordinates: (x, y) of the centre, then (angle in degrees from the right,
# clockwise, radius) of corners.
REGIONS: dict[str, tuple[tuple[float, float], tuple[tuple[float, float], ...]]] = {
    "face": (
        (0.0, 0.55),
        (
            (0, 1.08), (30, 1.15), (60, 1.25), (90, 1.28), (120, 1.25), (150, 1.15), (180, 1.08),
            (220, 1.3), (245, 1.3), (270, 1.25), (295, 1.3), (320, 1.3),
        ),
    ),
    "inner": (
        (0.0, 0.5),
        (
            (0, 0.85), (35, 0.95), (65, 1.0), (90, 0.95), (115, 1.0), (145, 0.95), (180, 0.85),
            (220, 1.1), (270, 0.9), (320, 1.1),
        ),
    ),
    "mouth": (
        (0.0, 1.15),
        (
            (0, 0.65), (45, 0.6), (90, 0.5), (135, 0.6), (180, 0.65), (225, 0.5), (270, 0.4), (315, 0.5),
        ),
    ),
    "eyes": (
        (0.0, 0.0),
        (
            (0, 0.9), (20, 0.85), (90, 0.34), (160, 0.85), (180, 0.9), (200, 0.85), (270, 0.34),
            (340, 0.85),
        ),
    ),
}  # fmt: skip
REGION_SHARES = torch.tensor([0.45, 0.2, 0.22, 0.13])


@dataclass(frozen=True, kw_only=True)
class Forged:
    genuine: torch.Tensor  # (B, 3, S, S) in [0, 1], softened like the fakes where sharpness alone would tell
    images: torch.Tensor  # (B, 3, S, S) in [0, 1]
    masks: torch.Tensor  # (B, S, S) in [0, 1]: how much of each pixel is new


class Forger:
    """Makes fakes of genuine faces, from one generator."""

    def __init__(
        self, stock: Stock, generator: torch.Generator, renderers: dict[str, nn.Module] | None = None
    ) -> None:
        """`renderers`: of models.synthesis.renderers, on the stock's device; without them no such fakes."""
        self._stock, self._generator = stock, generator
        self._renderers = renderers or {}
        self._wear = Wear(generator, strength=0.6)

    def forge(self, targets: torch.Tensor, others: torch.Tensor, grid: torch.Tensor) -> Forged:
        """Fakes of the crops at `grid`.

        Args:
            targets: (B,) places in the stock.
            others: (B,) places of other persons, whose landmarks are known.
            grid: (B, S, S, 2), of Stock.grid for the targets.
        """
        parts = [
            self._chunk(*part)
            for part in zip(targets.split(CHUNK), others.split(CHUNK), grid.split(CHUNK), strict=True)
        ]
        return Forged(
            genuine=torch.cat([part.genuine for part in parts]),
            images=torch.cat([part.images for part in parts]),
            masks=torch.cat([part.masks for part in parts]),
        )

    def _chunk(self, targets: torch.Tensor, others: torch.Tensor, grid: torch.Tensor) -> Forged:
        kind = KINDS[self._drawn(SHARES)]
        if kind in RENDERERS and kind not in self._renderers:
            kind = "self"
        genuine = self._stock.sample(targets, grid)
        frames = self._stock.frames(targets)
        points = frames.of(grid)
        if kind == "whole":
            return self._whole(targets, genuine, frames, points)
        mask = self._mask(points, region=list(REGIONS)[self._drawn(REGION_SHARES)])
        swapped = kind == "swap" or (kind in RENDERERS and self._coin(0.5))
        sources = others if swapped else targets
        source_frames = self._stock.frames(sources) if swapped else frames
        content = self._content(kind, sources, source_frames, points)
        content = self._finished(content, genuine, mask, swapped=swapped, plain=kind == "warp")
        opacity = self._between(len(targets), 0.75, 1.0)[:, None, None]
        mask = mask * (opacity if self._coin(0.4) else 1.0)
        weight = mask[:, None]
        return Forged(genuine=genuine, images=genuine * (1 - weight) + content * weight, masks=mask)

    def _whole(
        self, targets: torch.Tensor, genuine: torch.Tensor, frames: Frames, points: torch.Tensor
    ) -> Forged:
        """The picture itself, slightly moved and redrawn from edge to edge."""
        side = genuine.shape[-1]
        moved_points = self._moved(points, strong=self._coin(0.5))
        content = self._stock.sample(targets, frames.pixels(moved_points))
        kind = REDRAWN[int(self._wear.uniform(0, len(REDRAWN)))]
        if kind in self._renderers and self._coin(0.5):
            small, half = SIDE, SIDE // 2
            with torch.no_grad():
                content = (self._renderers[kind](scaled(content, SIDE) * 2 - 1) + 1) / 2
        else:
            half = WHOLE_SIDES[int(self._wear.uniform(0, len(WHOLE_SIDES)))]
            small = 2 * half
            content = self._doubled(scaled(content, half))
        content = scaled(content, side).clamp(0, 1)
        if self._coin(0.5):  # else softness would tell the fakes
            genuine = scaled(scaled(genuine, small if self._coin(0.5) else half), side)
        return Forged(genuine=genuine, images=content, masks=torch.ones_like(content[:, 0]))

    def _doubled(self, pictures: torch.Tensor) -> torch.Tensor:
        """Twice as many pixels a side, by an uneven transposed convolution (Odena et al., 2016)."""
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        noise = torch.randn(4, 4, generator=self._generator) * self._wear.uniform(0.0, 0.06)
        kernel = torch.outer(ramp, ramp) + noise - noise.mean()
        kernel = moved(kernel.expand(3, 1, 4, 4).contiguous(), pictures.device)
        doubled = F.conv_transpose2d(
            F.pad(pictures, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, padding=3, groups=3
        )
        sharpness = self._wear.uniform(-0.2, 0.8)
        return doubled + sharpness * (doubled - blurred(doubled, 1.0))

    def _content(
        self, kind: str, sources: torch.Tensor, frames: Frames, points: torch.Tensor
    ) -> torch.Tensor:
        if kind in RENDERERS:
            return self._rendered(kind, sources, frames, points)
        moved = self._moved(points, strong=kind == "warp")
        return self._stock.sample(sources, frames.pixels(moved))

    def _rendered(
        self, kind: str, sources: torch.Tensor, frames: Frames, points: torch.Tensor
    ) -> torch.Tensor:
        steps = (torch.arange(SIDE, device=points.device) + 0.5 - SIDE / 2) * SPAN / SIDE
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        face = torch.stack([x, y + MIDDLE], dim=-1).expand(len(sources), -1, -1, -1)
        seen = self._stock.sample(sources, frames.pixels(face)) * 2 - 1
        with torch.no_grad():
            painted = (self._renderers[kind](seen) + 1) / 2
        x, y = points.unbind(-1)
        centred = torch.stack([x, y - MIDDLE], dim=-1) * (2 / SPAN)
        return F.grid_sample(painted, centred, padding_mode="border", align_corners=False)

    def _moved(self, points: torch.Tensor, *, strong: bool) -> torch.Tensor:
        """Slightly displaced face coordinates: an affine change and smooth noise."""
        count = len(points)
        reach = 2.5 if strong else 1.0
        scale = 1 + self._between(count, -0.04, 0.04, 2)[:, None, None] * reach
        angle = self._between(count, -0.04, 0.04) * reach
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        x, y = (points * scale).unbind(-1)
        turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
        turned = turned + self._between(count, -0.04, 0.04, 2)[:, None, None]
        coarse = moved(torch.randn(count, 2, 6, 6, generator=self._generator), points.device)
        size = (points.shape[1], points.shape[2])
        smooth = F.interpolate(coarse, size, mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
        return turned + smooth * self._between(count, 0.0, 0.03)[:, None, None, None] * reach

    def _mask(self, points: torch.Tensor, *, region: str) -> torch.Tensor:
        """(B, S, S) in [0, 1]: the region's outline, deformed, with a soft edge."""
        count = len(points)
        (centre_x, centre_y), table = _outline(region, points.device)
        x, y = (points - self._between(count, -0.06, 0.06, 2)[:, None, None]).unbind(-1)
        x, y = x - centre_x, y - centre_y
        distance, angle = torch.hypot(x, y), torch.atan2(y, x)
        turn = (angle / (2 * math.pi) % 1) * ANGLES
        low = turn.long() % ANGLES
        radius = torch.lerp(table[low], table[(low + 1) % ANGLES], turn - turn.floor())
        deformed = self._between(count, 0.85, 1.15)[:, None, None]
        for harmonic in range(1, 5):
            height = self._between(count, -0.06, 0.06)[:, None, None]
            phase = self._between(count, 0, 2 * math.pi)[:, None, None]
            deformed = deformed + height * torch.sin(harmonic * angle + phase)
        edge = self._between(count, 0.02, 0.5)[:, None, None]
        inside: torch.Tensor = (1 + edge / 2 - distance / (radius * deformed)) / edge
        return inside.clamp(0, 1)

    def _finished(
        self, content: torch.Tensor, genuine: torch.Tensor, mask: torch.Tensor, *, swapped: bool, plain: bool
    ) -> torch.Tensor:
        """Colours, sharpness and encoder traces of its own."""
        count = len(content)
        if swapped or self._coin(0.3):
            content = self._recoloured(content, genuine, mask)
        if plain and self._coin(0.5):
            return content
        gain = 1 + self._between(count, -0.12, 0.12, 3)[:, :, None, None]
        shift = self._between(count, -0.06, 0.06, 3)[:, :, None, None]
        if self._coin(0.6):
            content = content * gain + shift * (1 if self._coin(0.5) else 0)
        side = content.shape[-1]
        if self._coin(0.45):
            small = max(32, round(side * self._wear.uniform(0.3, 0.85)))
            content = scaled(scaled(content, small), side, "bilinear" if self._coin(0.7) else "bicubic")
        elif self._coin(0.4):
            content = content + self._wear.uniform(0.3, 1) * (content - blurred(content, 1.2))
        if self._coin(0.2):
            content = coded(
                content.clamp(0, 1), FLAT_TABLE * self._wear.uniform(0.1, 0.8), (0, 0), subsampled=True
            )
        return content.clamp(0, 1)

    def _recoloured(self, content: torch.Tensor, genuine: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """With the mean and spread of the genuine colours under the mask (Reinhard et al., 2001)."""
        weight = mask[:, None] + 1e-6
        total = weight.sum((2, 3), keepdim=True)

        def moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean = (images * weight).sum((2, 3), keepdim=True) / total
            variance = ((images - mean) ** 2 * weight).sum((2, 3), keepdim=True) / total
            return mean, (variance + 1e-6).sqrt()

        (mean, spread), (wanted, width) = moments(content), moments(genuine)
        moved = (content - mean) * (width / spread).clamp(0.5, 2) + wanted
        strength = self._between(len(content), 0.5, 1.0)[:, None, None, None]
        return content + strength * (moved - content)

    def _between(self, count: int, low: float, high: float, *shape: int) -> torch.Tensor:
        drawn = torch.rand(count, *shape, generator=self._generator)
        return moved(low + (high - low) * drawn, self._stock.device)

    def _drawn(self, shares: torch.Tensor) -> int:
        return int(torch.multinomial(shares, 1, generator=self._generator))

    def _coin(self, probability: float) -> bool:
        return self._wear.uniform(0, 1) < probability


def scaled(pictures: torch.Tensor, side: int, mode: str = "bilinear") -> torch.Tensor:
    """(N, C, side, side): averaged where they shrink, else interpolated."""
    return resized(pictures, side, "area" if side < pictures.shape[-1] else mode)


@cache
def _outline(region: str, device: torch.device) -> tuple[tuple[float, float], torch.Tensor]:
    """The centre, and the radius at each of ANGLES angles."""
    centre, corners = REGIONS[region]
    angles = torch.arange(ANGLES) * (360 / ANGLES)
    known = torch.tensor([*corners, (corners[0][0] + 360, corners[0][1])])
    right = torch.searchsorted(known[:, 0].contiguous(), angles, right=True).clamp(1, len(known) - 1)
    (a0, r0), (a1, r1) = known[right - 1].T, known[right].T
    return centre, moved(r0 + (angles - a0) / (a1 - a0) * (r1 - r0), device)
