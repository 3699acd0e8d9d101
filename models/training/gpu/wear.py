"""What the world does to pictures, on the device: the same to both halves of a pair.

A batch is processed in chunks that share what cannot differ between pictures (sizes, kernels, block grids);
colours and noise are drawn for each pair.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch.nn import functional as F

from models.device import moved

CHUNK = 32  # pictures: 16 pairs
BLOCK = 8  # pixels of a codec's transform

# The luminance table of JPEG (ITU-T T.81, annex K), and a flat one as video codecs have it.
JPEG_TABLE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)
FLAT_TABLE = torch.full((BLOCK, BLOCK), 40.0)
TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])


class Wear:
    """Random degradations from one generator."""

    def __init__(self, generator: torch.Generator, *, strength: float) -> None:
        """`strength` in [0, 1] scales how bad they may be."""
        self._generator, self._strength = generator, strength

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Pairs float32 (2 * pairs, 3, S, S) in [0, 1], genuine and fake in turn, both degraded alike."""
        worn = [self._chunk(chunk) for chunk in images.split(CHUNK)]
        return torch.cat(worn)

    def uniform(self, low: float, high: float) -> float:
        """A random number."""
        return low + (high - low) * float(torch.rand((), generator=self._generator))

    def _coin(self, probability: float) -> bool:
        return self.uniform(0, 1) < probability

    def _chunk(self, images: torch.Tensor) -> torch.Tensor:
        steps: list[tuple[float, Callable[[torch.Tensor], torch.Tensor]]] = [
            (1.0, self._coloured),
            (0.12, self._overlaid),
            (0.5 * (0.5 + self._strength), self._rescaled),
            (0.2, self._blurred),
            (0.12, self._sharpened),
            (0.3, self._noisy),
            (0.04, self._filmed),
            (0.75, self._coded),
            (0.3, self._coded),
        ]
        for probability, step in steps:
            if self._coin(probability):
                images = step(images).clamp(0, 1)
        return images

    def _by_pair(self, images: torch.Tensor, low: float, high: float, *shape: int) -> torch.Tensor:
        """Random numbers (N, *shape, 1, 1), the same for the two of a pair."""
        pairs = -(-len(images) // 2)
        drawn = torch.rand(pairs, *(shape or (1,)), 1, 1, generator=self._generator)
        return moved(low + (high - low) * drawn, images.device).repeat_interleave(2, 0)[: len(images)]

    def _coloured(self, images: torch.Tensor) -> torch.Tensor:
        gray = images.mean(1, keepdim=True)
        saturation = self._by_pair(images, 0.5, 1.4)
        saturation = torch.where(self._by_pair(images, 0, 1) < 0.1, torch.zeros_like(saturation), saturation)
        images = gray + (images - gray) * saturation
        images = images.clamp(1e-3, 1) ** self._by_pair(images, -0.35, 0.35).exp()
        tint = self._by_pair(images, -0.04, 0.04, 3) * (saturation > 0)
        return (
            (images - 0.5) * self._by_pair(images, 0.75, 1.25) + 0.5 + self._by_pair(images, -0.1, 0.1) + tint
        )

    def _rescaled(self, images: torch.Tensor) -> torch.Tensor:
        side = images.shape[-1]
        small = max(32, round(side * self.uniform(1 - 0.75 * self._strength, 0.95)))
        down = ("area", "bilinear", "bicubic")[int(self.uniform(0, 3))]
        up = ("bilinear", "bicubic", "nearest")[0 if self._coin(0.6) else 1 if self._coin(0.85) else 2]
        less = resized(images, small, down)
        return resized(less, side, up)

    def _blurred(self, images: torch.Tensor) -> torch.Tensor:
        return blurred(images, self.uniform(0.4, 0.6 + 1.8 * self._strength))

    def _sharpened(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.uniform(0.3, 1.2) * (images - blurred(images, self.uniform(0.7, 2)))

    def _noisy(self, images: torch.Tensor) -> torch.Tensor:
        half = (*images[::2].shape[:1], *images.shape[1:])
        noise = torch.randn(half, device=images.device).repeat_interleave(2, 0)[: len(images)]
        if self._coin(0.3):
            noise = blurred(noise, 0.8) * 2
        return images + noise * self._by_pair(images, 0.002, 0.01 + 0.03 * self._strength)

    def _filmed(self, images: torch.Tensor) -> torch.Tensor:
        """Recaptured from a screen: the moire of two grids."""
        side = images.shape[-1]
        steps = torch.arange(side, device=images.device)
        angle, wave = self.uniform(0, math.pi), self.uniform(2.2, 9)
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        stripes = torch.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / wave)
        return images * (1 + self.uniform(0.01, 0.06) * stripes)

    def _overlaid(self, images: torch.Tensor) -> torch.Tensor:
        """A logo, a caption or something held before the face, the same on the whole chunk."""
        side = images.shape[-1]
        width, height = (int(side * self.uniform(0.08, 0.5)) for _ in range(2))
        height = height // 3 + 1 if self._coin(0.6) else height
        left, top = int(self.uniform(0, side - width)), int(self.uniform(0, side - height))
        cells = max(1, height // 3), max(1, width // 3)
        if self._coin(0.6):  # letters, about
            drawn = (torch.rand(1, 1, *cells, generator=self._generator) < 0.5).float()
        else:
            drawn = torch.ones(1, 1, 1, 1)
        shape = moved(F.interpolate(drawn, (height, width)), images.device) * self.uniform(0.4, 1)
        colour = moved(torch.rand(1, 3, 1, 1, generator=self._generator), images.device)
        mask = F.pad(shape, (left, side - left - width, top, side - top - height))
        return images * (1 - mask) + colour * mask

    def _coded(self, images: torch.Tensor) -> torch.Tensor:
        if self._coin(0.5):
            quality = self.uniform(95 - 65 * self._strength, 97)
            scale = 50 / quality if quality < 50 else 2 - quality / 50
            return coded(images, JPEG_TABLE * max(scale, 0.02), self._offset(), subsampled=self._coin(0.7))
        scale = self.uniform(0.1, 0.2 + 1.2 * self._strength)
        first = coded(images, FLAT_TABLE * scale, self._offset(), subsampled=True)
        # Prediction from a moved frame, and the loop filter: blocks of another grid, and soft edges.
        second = coded(first, FLAT_TABLE * scale * 0.8, self._offset(), subsampled=True)
        return blurred(second, self.uniform(0.35, 0.6))

    def _offset(self) -> tuple[int, int]:
        return int(self.uniform(0, BLOCK)), int(self.uniform(0, BLOCK))


def levelled(images: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """Pairs whose two pictures have colours, contrast and sharpness in common.

    A source's camera, generator and encoder leave these on whole pictures, so they tell its fakes from its
    genuine faces, and say nothing about any other source.

    Args:
        images: (2 * pairs, 3, S, S) in [0, 1], genuine and fake in turn.
        part: (pairs,) in [0, 1]: whose colours both get, from the genuine picture's (0) to the fake's (1).
    """
    pairs = images.unflatten(0, (-1, 2))
    spread, mean = torch.std_mean(pairs, dim=(-2, -1), keepdim=True)
    between = part[:, None, None, None, None]
    wanted_mean = torch.lerp(mean[:, :1], mean[:, 1:], between)
    wanted_spread = torch.lerp(spread[:, :1], spread[:, 1:], between)
    gain = (wanted_spread / spread.clamp(min=1e-3)).clamp(0.5, 2)
    images = ((pairs - mean) * gain + wanted_mean).flatten(0, 1)
    soft = blurred(images, 1.0)
    detail = images - soft
    sharp, left = (_strength(each).view(-1, 2) for each in (detail, soft - blurred(soft, 1.0)))
    # A mixture of a picture and its blurred self: the detail of the less sharp one is what both keep.
    excess = (sharp - sharp.amin(1, keepdim=True)) / (sharp - left).clamp(min=1e-6)
    return images - detail * excess.clamp(0, 1).view(-1, 1, 1, 1)


def _strength(detail: torch.Tensor) -> torch.Tensor:
    return detail.square().mean((1, 2, 3)).sqrt()


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of (N, C, H, W); edges are repeated."""
    height, width = images.shape[2:]
    down = moved(_smoothing(height, sigma), images.device)
    across = down if width == height else moved(_smoothing(width, sigma), images.device)
    return down @ (images @ across.T)


def _smoothing(side: int, sigma: float) -> torch.Tensor:
    """Blur along one axis as a matrix (side, side): two products are cheaper than thin convolutions."""
    radius = max(1, math.ceil(2.5 * sigma))
    steps = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    taken = (torch.arange(side)[:, None] + steps).clamp(0, side - 1)
    matrix = torch.zeros(side, side)
    return matrix.scatter_add_(1, taken, (kernel / kernel.sum()).expand(side, -1))


def coded(
    images: torch.Tensor, table: torch.Tensor, offset: tuple[int, int], *, subsampled: bool
) -> torch.Tensor:
    """Through a block transform codec: cosine transform, quantisation by `table`, and back.

    Args:
        images: (N, 3, H, W) in [0, 1]; H and W are multiples of BLOCK.
        table: (BLOCK, BLOCK) steps, in gray values of 255, for luminance; colours have half as many again.
        offset: of the grid of blocks, rows and columns.
        subsampled: colours at half the resolution.
    """
    to_ycc, to_rgb, _ = _matrices(images.device)
    planes = _mixed(to_ycc, images * 255)
    light, colours = planes[:, :1] - 128, planes[:, 1:]
    size = colours.shape[-2:]
    if subsampled:
        colours = F.avg_pool2d(colours, 2)
    table = moved(table, images.device)
    light = _quantised(light, table, offset)
    if min(colours.shape[-2:]) % BLOCK == 0:
        colours = _quantised(colours, table * 1.5, offset)
    if subsampled:
        colours = F.interpolate(colours, size, mode="bilinear", align_corners=False)
    return (_mixed(to_rgb, torch.cat([light + 128, colours], dim=1)) / 255).clamp(0, 1)


def _mixed(matrix: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Other colours, each a mixture of these."""
    return (matrix @ planes.flatten(2)).view_as(planes)


def _quantised(planes: torch.Tensor, table: torch.Tensor, offset: tuple[int, int]) -> torch.Tensor:
    """Products along one axis at a time, on views: nothing is copied to bring the blocks together."""
    _, _, cosine = _matrices(planes.device)
    count, channels, height, width = planes.shape
    rows = (count, channels, height // BLOCK, BLOCK, width)
    columns = (count, channels, height, width // BLOCK, BLOCK)
    moved = planes.roll(offset, (2, 3))
    parts = ((cosine @ moved.view(rows)).view(columns) @ cosine.T).view(rows)
    steps = table.clamp(min=1).repeat(1, width // BLOCK)
    parts = (parts / steps).round_().mul_(steps)
    back = (cosine.T @ parts).view(columns) @ cosine
    return back.view_as(planes).roll((-offset[0], -offset[1]), (2, 3))


@cache
def _matrices(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """To luminance and colours, back, and the orthonormal cosine transform (BLOCK, BLOCK)."""
    steps = torch.arange(BLOCK, dtype=torch.float32)
    rows = torch.cos(math.pi / BLOCK * (steps + 0.5) * steps[:, None]) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return TO_YCC.to(device), torch.linalg.inv(TO_YCC).to(device), rows.to(device)


def resized(images: torch.Tensor, side: int, mode: str) -> torch.Tensor:
    """(N, C, side, side) by F.interpolate's `mode`."""
    if mode in ("area", "nearest"):
        return F.interpolate(images, (side, side), mode=mode)
    return F.interpolate(images, (side, side), mode=mode, align_corners=False)
