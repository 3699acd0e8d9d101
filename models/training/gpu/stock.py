"""The faces of a pack in the device's memory, and crops of them in batches."""

import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch.nn import functional as F

from core.errors import SettingsError
from models.face import LEVELLED_FROM
from models.training.gpu.pack import FACE_PIXELS, MARGIN, Pack, PackedFace

SIDE = int(FACE_PIXELS * MARGIN) + 2  # pixels of a slot in the stock: more than any picture has
MOST_AT_EDGE = 1.1  # how far a crop without edges may reach beyond its picture, as a factor

# Landmarks in an MTCNN box of side 1, for faces with unknown landmarks.
IN_BOX = torch.tensor([[0.31, 0.40], [0.69, 0.40], [0.5, 0.6], [0.35, 0.78], [0.65, 0.78]])


@dataclass(frozen=True, kw_only=True)
class View:
    """How each face of a batch is looked at; all (B,) tensors on the device."""

    margin: torch.Tensor  # side of the crop / longer side of the face box
    shift: torch.Tensor  # (B, 2), of the crop's side
    angle: torch.Tensor  # radians
    mirrored: torch.Tensor  # bool
    edges: torch.Tensor  # bool: repeat the picture's edge beyond it, as the worker does; else show less


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Face coordinates of a batch: origin between the eyes, x along them, one eye distance long."""

    origin: torch.Tensor  # (B, 2) pixels of the stock
    axis: torch.Tensor  # (B, 2) unit vector from the left to the right eye
    unit: torch.Tensor  # (B,) pixels

    def of(self, points: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 2) pixels of the stock as face coordinates."""
        moved = (points - self.origin[:, None, None]) / self.unit[:, None, None, None]
        return _turned(moved, torch.stack([self.axis[:, 0], -self.axis[:, 1]], dim=-1))

    def pixels(self, points: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 2) face coordinates as pixels of the stock."""
        return _turned(points, self.axis) * self.unit[:, None, None, None] + self.origin[:, None, None]


def _turned(points: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    cos, sin = axis[:, 0, None, None], axis[:, 1, None, None]
    x, y = points.unbind(-1)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)


class Stock:
    """All faces of a pack, decoded once."""

    def __init__(self, pack: Pack, device: str) -> None:
        """Raises SettingsError if a picture is damaged."""
        self.faces: list[PackedFace] = list(pack.faces)
        self.device = device
        self._pictures = torch.zeros(len(self.faces), 3, SIDE, SIDE, dtype=torch.uint8, device=device)
        sizes = np.zeros((len(self.faces), 2), np.float32)
        with ThreadPoolExecutor() as threads:
            for index, picture in enumerate(threads.map(_decoded, pack.pictures, pack.faces)):
                height, width = picture.shape[:2]
                sizes[index] = width, height
                placed = torch.from_numpy(picture).permute(2, 0, 1)
                self._pictures[index, :, :height, :width] = placed.to(device)
        self._sizes = torch.from_numpy(sizes).to(device)
        boxes = torch.from_numpy(pack.boxes).to(device)
        self._centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        self._longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
        landmarks = torch.from_numpy(pack.landmarks).to(device)
        guessed = self._centres[:, None] + (IN_BOX.to(device) - 0.5) * self._longer[:, None, None]
        self.landmarks_known = ~landmarks.isnan().flatten(1).any(1)
        self._landmarks = torch.where(self.landmarks_known[:, None, None], landmarks, guessed)
        across = self._landmarks[:, 1] - self._landmarks[:, 0]
        roll = torch.atan2(across[:, 1], across[:, 0])
        self._tilts = torch.where(roll.abs() < math.radians(LEVELLED_FROM), 0.0, roll)

    def __len__(self) -> int:
        return len(self.faces)

    def grid(self, places: torch.Tensor, view: View, size: int) -> torch.Tensor:
        """Where in the stock the pixels of the crops lie: (B, size, size, 2).

        Tilted heads are levelled as in models.crop.crop_standing, then turned by the view's angle. Where the
        view wants no edges, the crop hardly reaches beyond its picture: if all crops of a tightly cropped
        corpus had repeated edges, these would tell it from the others.
        """
        centre, longer = self._centres[places], self._longer[places]
        room = torch.minimum(centre, self._sizes[places] - centre).amin(1) * 2 / longer
        kept = torch.minimum(view.margin, (room * MOST_AT_EDGE).clamp(min=0.9))
        margin = torch.where(view.edges, view.margin, kept)
        steps = (torch.arange(size, device=self.device) + 0.5) / size - 0.5
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        flat = torch.stack([x, y], dim=-1).expand(len(places), -1, -1, -1)
        sign = torch.where(view.mirrored, -1.0, 1.0)
        flat = flat * torch.stack([sign, torch.ones_like(sign)], dim=-1)[:, None, None]
        angle = view.angle + self._tilts[places]
        axis = torch.stack([angle.cos(), angle.sin()], dim=-1)
        shifted = _turned(flat, axis) + view.shift[:, None, None]
        return centre[:, None, None] + shifted * (margin * longer)[:, None, None, None]

    def sample(self, places: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, H, W) in [0, 1] at the grid's places; the edge is repeated beyond it."""
        edge = (self._sizes[places] - 1)[:, None, None]
        inside = torch.minimum((grid - 0.5).clamp(min=0), edge)
        scaled = (2 * inside + 1) / SIDE - 1
        pictures = self._pictures[places].float() / 255
        return F.grid_sample(pictures, scaled, mode="bilinear", padding_mode="border", align_corners=False)

    def plain_crops(self, places: torch.Tensor, *, margin: float, size: int) -> torch.Tensor:
        """float32 (B, 3, size, size) in [0, 1]: these faces as the worker crops them."""
        count = len(places)
        view = View(
            margin=torch.full((count,), margin, device=self.device),
            shift=torch.zeros(count, 2, device=self.device),
            angle=torch.zeros(count, device=self.device),
            mirrored=torch.zeros(count, dtype=torch.bool, device=self.device),
            edges=torch.ones(count, dtype=torch.bool, device=self.device),
        )
        return self.sample(places, self.grid(places, view, size))

    def frames(self, places: torch.Tensor) -> Frames:
        """The face coordinates of these faces."""
        points = self._landmarks[places]
        origin = (points[:, 0] + points[:, 1]) / 2
        across = points[:, 1] - points[:, 0]
        down = (points[:, 3] + points[:, 4]) / 2 - origin
        # In a turned face the eyes come closer together; the distance to the mouth stays.
        unit = torch.maximum(across.norm(dim=1), down.norm(dim=1) / 1.12).clamp(min=1.0)
        length = across.norm(dim=1, keepdim=True).clamp(min=1e-3)
        return Frames(origin=origin, axis=across / length, unit=unit)


def _decoded(picture: bytes, face: PackedFace) -> NDArray[np.uint8]:
    try:
        decoded = np.array(Pictures.open(io.BytesIO(picture), formats=("jpeg",)).convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise _damaged(face) from error
    if max(decoded.shape) > SIDE:
        raise _damaged(face)
    return decoded


def _damaged(face: PackedFace) -> SettingsError:
    reason = "its picture in the pack is damaged; make the pack again with `facewarden pack`"
    return SettingsError(setting=face.clip, reason=reason)
