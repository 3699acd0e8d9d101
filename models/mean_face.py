"""The mean face: what aligned faces are aligned to. Free of OpenCV, which a bare GPU machine lacks."""

import numpy as np

from models.face import Landmarks

# In units of the distance between the eyes, its origin between them, y downwards.
MEAN_LANDMARKS: Landmarks = np.array(
    [[-0.5, 0.0], [0.5, 0.0], [0.0, 0.62], [-0.42, 1.12], [0.42, 1.12]], dtype=np.float32
)
