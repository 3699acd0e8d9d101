"""A small pack of faces as `facewarden pack` makes them, of one photograph in changing light."""

import numpy as np
import torch
from skimage.data import astronaut

from models.face import Box, Image, Landmarks
from models.mean_face import MEAN_LANDMARKS
from models.training.gpu.pack import Pack, PackedFace, cut
from models.training.gpu.stock import View

PHOTOGRAPH: Image = np.ascontiguousarray(astronaut()[0:224, 110:334])
BOX = Box(x0=66, y0=50, x1=158, y1=166)
LANDMARKS: Landmarks = (MEAN_LANDMARKS * 45 + np.array([112, 90])).astype(np.float32)


def described(**changes: object) -> PackedFace:
    """A genuine face, but for the changes."""
    values = {
        "fake": False,
        "family": "genuine",
        "method": "genuine",
        "group": "g0",
        "source": "films",
        "side": "train",
        "clip": "g0/genuine",
        "corpus": "tools",
    }
    return PackedFace(**{**values, **changes})  # type: ignore[arg-type]


def make(groups: int = 6, *, tested: int = 2, corpus: str = "tools") -> Pack:
    """Groups of a genuine face and a fake one, whose mouth is green; the last ones are on the test side.

    Fakes are of the methods `even` and `odd` in turn.
    """
    faces, pieces = [], []
    for number in range(groups):
        for fake in (False, True):
            picture = PHOTOGRAPH.astype(np.float32) * (0.7 + 0.3 * number / groups)
            if fake:
                picture[125:160, 85:140] = (20, 220, 20)
            pieces.append(cut(picture.astype(np.uint8), BOX, LANDMARKS))
            truth = {"family": "lipsync", "method": ("even", "odd")[number % 2]} if fake else {}
            side = "test" if number >= groups - tested else "train"
            clip = f"g{number}/{'fake' if fake else 'genuine'}"
            faces.append(
                described(fake=fake, group=f"g{number}", side=side, clip=clip, corpus=corpus, **truth)
            )
    pictures, boxes, landmarks = zip(*pieces, strict=True)
    return Pack(faces=faces, pictures=pictures, boxes=np.stack(boxes), landmarks=np.stack(landmarks))


def view(
    count: int,
    *,
    margin: float = 1.2,
    angle: float = 0.0,
    mirrored: bool = False,
    edges: bool = False,
) -> View:
    """Crops of that many faces, all cut alike."""
    return View(
        margin=torch.full((count,), margin),
        shift=torch.zeros(count, 2),
        angle=torch.full((count,), angle),
        mirrored=torch.full((count,), mirrored),
        edges=torch.full((count,), edges),
    )
