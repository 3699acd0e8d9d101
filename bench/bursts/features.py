"""From what the network saw of a clip to a handful of numbers: how much it changes from frame to frame."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.bursts.recording import Looks, on_lines
from core.settings import ScoringSettings
from models.stretches import stretch_logits

Numbers = NDArray[np.float64]

SCORE = "score of these frames"
CHANGES = (
    "change of the logit",
    "spread of that change",
    "change of the embedding",
    "the same, over that between places further apart",
    "jitter of the landmarks",
)
FEATURES = (SCORE, *CHANGES)

LEAST_RUNS = 2  # with one, nothing is further apart
FLOOR = 1e-4  # added before the logarithm: a film that repeats a frame changes by nothing at all


def features(looks: Looks, scoring: ScoringSettings) -> Numbers | None:
    """FEATURES of the runs of one kind; None if the face is usable in fewer than LEAST_RUNS.

    All but the score are logarithms: what matters is by how many times a face changes more than another.
    """
    runs = [looks.run == number for number in np.unique(looks.run)]
    if len(runs) < LEAST_RUNS:
        return None
    stretches = stretch_logits(
        looks.logits.tolist(), frames=scoring.stretch_frames, top_fraction=scoring.top_fraction
    )
    logit = np.concatenate([np.abs(np.diff(looks.logits[run])) for run in runs])
    near = np.concatenate([neighbour_distances(looks.embeddings[run]) for run in runs]).mean()
    apart = distance_apart([looks.embeddings[run] for run in runs])
    jitter = np.mean([trembling(looks.landmarks[run], looks.face_size[run]) for run in runs])
    changes = np.array([logit.mean(), logit.std(), near, near / (apart + FLOOR), jitter])
    return np.array([max(stretches), *np.log(changes + FLOOR)])


def neighbour_distances(embeddings: Numbers) -> Numbers:
    """Cosine distances (N - 1,) of each embedding (N, F) to the next."""
    unit = _unit(embeddings)
    return np.asarray(1 - np.sum(unit[1:] * unit[:-1], axis=1), np.float64)


def distance_apart(runs: list[Numbers]) -> float:
    """The mean cosine distance of frames in the middle of different runs, each (N, F)."""
    middles = _unit(np.stack([run[len(run) // 2] for run in runs]))
    return float(np.mean([1 - one @ other for one, other in combinations(middles, 2)]))


def trembling(landmarks: Numbers, face_size: Numbers) -> float:
    """How far landmarks (N, 5, 2) are from moving in straight lines, in face sizes (root mean square)."""
    moves = landmarks.reshape(len(landmarks), -1)
    off = moves - on_lines(moves)
    # A line takes two of the N degrees of freedom with it: short runs would look calmer.
    squares = np.sum(off**2) / (5 * max(len(moves) - 2, 1))
    return float(np.sqrt(squares) / face_size.mean())


def _unit(vectors: Numbers) -> Numbers:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
