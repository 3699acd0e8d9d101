"""LIME: the package's own loop with fp32 Xception against ours, on one crop, segmentation and seed."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray

from core.settings import LimeSettings, Settings
from models.checkpoint import load_checkpoint
from models.crop import crop_face, standing_landmarks
from models.explain import lime
from models.explain.segmentation import segment
from models.face import Face, Image
from models.preprocess import Normalise
from worker.screening.pipeline import Pipeline

SEGMENTS = 50  # of SLIC
PUBLISHED_SIZE = 299  # pixels: the input of Xception as published (Chollet, CVPR 2017)


@dataclass(kw_only=True)
class _Cost:
    seconds: float = 0.0  # on the clock
    cpu_seconds: float = 0.0  # of all threads: what other processes on the machine change least


def run(face: Face, photograph: Image, pipeline: Pipeline, *, samples: int) -> dict[str, Any]:
    """Explain one face both ways with `samples` samples: what each costs, the ratios, both top segments.

    The package is measured twice, always with fp32 torch: with the very network and pixels that ours
    explains, where the top segments must agree, and at the 299 pixels for which Xception was published, as
    the obvious pipeline would call it. All are timed from the segmentation on, models loaded, without the
    extra seeds of stability, which the package does not have. Our own settings, with which samples are added
    until the top segments have settled, are timed once more by themselves.
    """
    settings, classifier = pipeline.settings, pipeline.classifier
    version = classifier.version
    changes = {"samples": samples, "segmentation": "slic", "segments": SEGMENTS, "seed": settings.lime.seed}
    options = lime.PACKAGE.model_copy(update=changes)
    crop = crop_face(photograph, face.box, version.crop, version.input_size)
    segments = segment(crop, options).numbers
    theirs, their_top = _package(crop, segments, settings, options)
    with _measured() as ours_cost:
        ours = lime.explain(crop, classifier.probabilities, options, segments=segments)
    with _measured() as settled_cost:
        answers = lime.answers_of(classifier, settings.lime)
        landmarks = standing_landmarks(face, version.crop, version.input_size)
        settled = lime.explain(crop, answers, settings.lime, landmarks=landmarks)
    large = crop_face(photograph, face.box, version.crop, PUBLISHED_SIZE)
    published, _ = _package(large, segment(large, options).numbers, settings, options)
    return {
        "samples": samples,
        "segments": int(segments.max()) + 1,
        "input_size": version.input_size,
        "ours_seconds": ours_cost.seconds,
        "ours_cpu_seconds": ours_cost.cpu_seconds,
        "settled_samples": settled.parameters["samples"],
        "settled_seconds": settled_cost.seconds,
        "same_network": _against(theirs, ours_cost),
        "published_size": {"input_size": PUBLISHED_SIZE, **_against(published, ours_cost)},
        "package_top": their_top,
        "ours_top": list(ours.top_segments),
        "same_top": set(their_top) == set(ours.top_segments),
    }


def _against(package: _Cost, ours: _Cost) -> dict[str, float]:
    return {
        "package_seconds": package.seconds,
        "package_cpu_seconds": package.cpu_seconds,
        "ratio": package.seconds / ours.seconds,
        "cpu_ratio": package.cpu_seconds / ours.cpu_seconds,
    }


def _package(
    crop: Image, segments: NDArray[np.int32], settings: Settings, options: LimeSettings
) -> tuple[_Cost, list[int]]:
    network, version = load_checkpoint(settings.weights)
    normalise = Normalise(version.mean, version.std)

    def classify(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        with torch.inference_mode():
            pixels = normalise(torch.from_numpy(np.asarray(pictures, np.uint8)))
            logits = network(pixels).squeeze(1).numpy()
        fake = np.array([version.calibration.probability(float(logit)) for logit in logits])
        return np.stack([1 - fake, fake], axis=1)

    with _measured() as cost, redirect_stderr(io.StringIO()):  # the package draws a progress bar, unasked
        explanation = LimeImageExplainer(random_state=options.seed).explain_instance(
            crop,
            classify,
            labels=(1,),
            top_labels=None,
            num_samples=options.samples,
            segmentation_fn=lambda _: segments,
            random_seed=options.seed,
        )
    ranked = sorted(explanation.local_exp[1], key=lambda item: -abs(item[1]))
    return cost, [int(number) for number, _ in ranked[: options.top_segments]]


@contextmanager
def _measured() -> Iterator[_Cost]:
    cost = _Cost()
    since, cpu_since = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - since, time.process_time() - cpu_since
