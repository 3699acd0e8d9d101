"""A folder like the corpus, of one photograph in changing light: `make(folder, faces=40)`."""

import json
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from models.mean_face import MEAN_LANDMARKS

CROP = np.s_[0:224, 110:334, ::-1]  # the astronaut's head, as BGR


def make(folder: Path, *, faces: int) -> Path:
    """Fill `folder` with that many pictures, each of them a person to the code that reads it."""
    (folder / "faces").mkdir()
    crop = np.ascontiguousarray(astronaut()[CROP])
    landmarks = (MEAN_LANDMARKS * 36 + np.array([112, 100])).tolist()
    with (folder / "faces.jsonl").open("w") as lines:
        for number in range(faces):
            name = f"face_{number}.jpg"
            light = 0.7 + number / (2 * faces)
            cv2.imwrite(str(folder / "faces" / name), cv2.convertScaleAbs(crop, alpha=light))
            row = {"file": name, "box": [50, 30, 174, 190], "landmarks": landmarks, "source": "test"}
            lines.write(json.dumps(row) + "\n")
    return folder
