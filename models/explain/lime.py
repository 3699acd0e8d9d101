"""LIME (Ribeiro et al., 2016) for face crops, made to hold.

Perturbations, distances and fit are those of `lime.lime_image`: with its settings (`PACKAGE`) the same seed
and segmentation give the same masks, weights and top segments, and the tests compare them with the package's.
By default four things differ, each measured (docs/evaluation.md): the logit is explained, because a
probability near 1 hardly moves; hidden parts of the face leave no hard edge; only one or two are hidden at
once, because a linear model holds close to the crop; and samples are added until another seed can be expected
to find the same parts, or until everything has been asked: of 15 parts there are 120 ones and twos.

The package copies the picture for every sample and masks it segment by segment; here whole batches are
composed at once.
"""

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from core.outcomes import ExplanationMethod
from core.settings import LimeSettings
from models.classifier import Classifier
from models.explain.explanation import Explanation
from models.explain.hiding import Hiding
from models.explain.segmentation import Segments, segment
from models.explain.surrogate import KERNEL_WIDTH, Surrogate, fit, mean_agreement
from models.face import Image, Landmarks

BATCH = 32  # perturbed crops composed at once: 32 at 299 px are 8.6 MB
ROUND = 32  # samples after which the fit is asked again whether it has settled
LEAST_PER_SEGMENT = 4  # samples before it is asked for the first time: fewer cannot tell what is left over
NEAR_ALPHA = 0.1  # of the ridge where few segments are hidden: lime's 1 would pull weights to 0 there

# What the lime package does by default.
PACKAGE = LimeSettings(
    samples=1000,
    target="probability",
    hidden="mean",
    hidden_at_once=0,
    settled=1.0,
    segmentation="quickshift",
)

Answers = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # of crops (N, S, S, 3): (N,), high for fake


def answers_of(classifier: Classifier, settings: LimeSettings) -> Answers:
    """What `settings.target` says is to be explained of the classifier."""
    return classifier.logits if settings.target == "logit" else classifier.probabilities


def explain(
    crop: Image,
    answers: Answers,
    settings: LimeSettings,
    *,
    landmarks: Landmarks | None = None,
    segments: NDArray[np.int32] | None = None,
    heartbeat: Callable[[], None] = lambda: None,
) -> Explanation:
    """Explain why `answers` finds `crop` fake.

    Args:
        crop: uint8 (S, S, 3), exactly what was classified.
        answers: logits or probabilities of "fake", as `settings.target` says, for crops of that size.
        settings: samples, seeds, segmentation.
        landmarks: of the face, in pixels of the crop; None: without them there are no parts of a face.
        segments: a segmentation to use instead of the settings' one: int32 (S, S), from 0 without gaps.
        heartbeat: called between batches; may raise to stop.

    Stability is how far other seeds agree on the top segments: with one seed, what the fit's own uncertainty
    lets expect; with more, the mean pairwise Jaccard index of that many fits. The first fit uses all samples,
    each other one a third as many fresh ones, to limit the cost, so that it is understated. It is None if no
    segment matters (a classifier that answers every perturbation the same).
    """
    chosen = segment(crop, settings, landmarks) if segments is None else Segments(numbers=segments)
    hiding = Hiding(crop, chosen.numbers, settings.hidden)

    def classify(data: NDArray[np.int64]) -> NDArray[np.float64]:
        parts = []
        for start in range(0, len(data), BATCH):
            heartbeat()
            parts.append(answers(hiding.shown(data[start : start + BATCH])))
        return np.concatenate(parts).astype(np.float64)

    first, samples = _settled(classify, chosen.count, settings)
    if settings.stability_seeds == 1:
        stability = first.agreement(settings.top_segments)
    else:
        tops = [set(first.top(settings.top_segments))]
        for number in range(1, settings.stability_seeds):
            data = _data(settings.seed + number, max(10, settings.samples // 3), chosen.count, settings)
            tops.append(set(_fit(data, classify(data), settings).top(settings.top_segments)))
        stability = mean_agreement(tops)
    largest = max(float(np.abs(first.weights).max()), 1e-12)
    return Explanation(
        method=ExplanationMethod.LIME,
        parameters={
            "samples": samples,
            "most_samples": settings.samples,
            "settled_at": settings.settled,
            "target": settings.target,
            "segmentation": chosen.made_by or "given",
            "segments": chosen.count,
            **({"parts": list(chosen.parts)} if chosen.parts else {}),
            "kernel_width": KERNEL_WIDTH,
            "hidden": settings.hidden,
            "hidden_at_once": settings.hidden_at_once,
            "top_segments": settings.top_segments,
            "stability_seeds": settings.stability_seeds,
        },
        seed=settings.seed,
        segments=chosen.numbers,
        weights=[float(weight) for weight in first.weights],
        intercept=first.intercept,
        local_prediction=first.local_prediction,
        r2=first.r2,
        stability=stability,
        top_segments=first.top(settings.top_segments),
        heat=(first.weights / largest)[chosen.numbers].astype(np.float32),
    )


def _settled(
    classify: Callable[[NDArray[np.int64]], NDArray[np.float64]], segments: int, settings: LimeSettings
) -> tuple[Surrogate, int]:
    """The fit to as many samples as it takes until the top segments have settled, and how many those are."""
    data = _data(settings.seed, settings.samples, segments, settings)
    answered = np.empty(0)
    enough = len(data) if settings.settled >= 1 else LEAST_PER_SEGMENT * segments
    while True:
        answered = np.concatenate([answered, classify(data[len(answered) : enough])])
        surrogate = _fit(data[: len(answered)], answered, settings)
        agreement = surrogate.agreement(settings.top_segments)
        if len(answered) == len(data) or agreement is None or agreement >= settings.settled:
            return surrogate, len(answered)
        enough = len(answered) + ROUND


def _data(seed: int, samples: int, segments: int, settings: LimeSettings) -> NDArray[np.int64]:
    if settings.hidden_at_once == 0:
        return masks(seed, samples, segments)
    return near_masks(seed, samples, segments, settings.hidden_at_once)


def _fit(data: NDArray[np.int64], answered: NDArray[np.float64], settings: LimeSettings) -> Surrogate:
    if settings.hidden_at_once == 0:
        return fit(data, answered)
    every = sum(comb(data.shape[1], size) for size in range(1, settings.hidden_at_once + 1))
    return fit(data, answered, alpha=NEAR_ALPHA, unasked=1 - (len(data) - 1) / every)


def masks(seed: int, samples: int, segments: int) -> NDArray[np.int64]:
    """The segments that each sample shows, 0 or 1, (samples, segments), as lime draws them: half of them."""
    drawn = np.random.RandomState(seed).randint(0, 2, samples * segments).reshape((samples, segments))
    drawn[0, :] = 1
    return drawn.astype(np.int64)


def near_masks(seed: int, samples: int, segments: int, hidden_at_once: int) -> NDArray[np.int64]:
    """As `masks`, but each sample hides few segments, and no two the same: close to the crop.

    First every segment is hidden alone, then every two, and so on, in random order, up to `samples` or until
    there is no other mask.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[int, ...]] = [()]
    for size in range(1, min(hidden_at_once, segments) + 1):
        if len(rows) < samples:
            together = list(combinations(range(segments), size))
            rows += [together[index] for index in random.permutation(len(together))[: samples - len(rows)]]
    drawn = np.ones((len(rows), segments), np.int64)
    for row, hidden in zip(drawn, rows, strict=True):
        row[list(hidden)] = 0
    return drawn
