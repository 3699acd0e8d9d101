"""The yardstick: the pipeline that one would write first.

Every frame is decoded, MTCNN with its defaults looks at it in full resolution, and each face goes through
torch in fp32 by itself. The same checkpoint, crops, tracks and aggregation as ours, so that verdicts compare.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from facenet_pytorch import MTCNN

from core.outcomes import Verdict
from core.settings import Settings
from models.checkpoint import load_checkpoint
from models.crop import crop_face
from models.face import Box
from models.preprocess import Normalise
from worker.screening.aggregation import score_track, score_video


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    frames: int  # in the clip
    measured: int  # of them, evenly spread, went through detector and classifier
    seconds: dict[str, float]  # per stage, for all frames (scaled where not all were measured)
    verdict: Verdict

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def run(path: Path, settings: Settings, *, measured: int | None) -> Yardstick:
    """Measure the yardstick on `path`; `measured` limits the frames that are detected and classified."""
    network, version = load_checkpoint(settings.weights)
    normalise = Normalise(version.mean, version.std)
    detector = MTCNN(keep_all=True, device="cpu")
    since = time.perf_counter()
    with av.open(str(path)) as container:
        # Kept coded here and converted below, so that memory does not count against it.
        frames = [frame for frame in container.decode(video=0)]
    seconds = {"decode": time.perf_counter() - since, "detect": 0.0, "classify": 0.0}
    every = 1 if measured is None else max(1, len(frames) // measured)
    logits: list[float] = []
    chosen = frames[::every]
    for frame in chosen:
        since = time.perf_counter()
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        boxes, _ = detector.detect(image)
        seconds["detect"] += time.perf_counter() - since
        since = time.perf_counter()
        for x0, y0, x1, y1 in [] if boxes is None else boxes:
            crop = crop_face(image, Box(x0=x0, y0=y0, x1=x1, y1=y1), version.crop, version.input_size)
            with torch.inference_mode():
                logits.append(float(network(normalise(torch.from_numpy(crop)[None]))))
        seconds["classify"] += time.perf_counter() - since
    for stage in ("detect", "classify"):
        seconds[stage] *= len(frames) / len(chosen)
    track = score_track(
        logits, samples=len(chosen), version=version, scoring=settings.scoring, tracks=settings.tracks
    )
    verdict = score_video([track], version=version, scoring=settings.scoring).verdict
    return Yardstick(frames=len(frames), measured=len(chosen), seconds=seconds, verdict=verdict)
