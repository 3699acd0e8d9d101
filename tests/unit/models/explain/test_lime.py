"""Our LIME gives what the package gives, sooner; and by default an explanation that holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from skimage.data import astronaut

from core.settings import LimeSettings
from models.classifier import Classifier
from models.explain import lime
from models.explain.segmentation import segment
from models.face import Image

CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])
CHANGES = {"samples": 150, "seed": 4, "stability_seeds": 3, "segmentation": "slic", "segments": 30}
SETTINGS = lime.PACKAGE.model_copy(update=CHANGES)
HOT = (slice(20, 45), slice(30, 60))  # where the classifier below looks


def classify(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Fake where the hot region is as it was: a classifier whose reason is known."""
    apart = np.abs(crops[:, *HOT].astype(np.float32) - CROP[HOT]).mean(axis=(1, 2, 3))
    return (1 / (1 + np.exp(0.4 * (apart - 8)))).astype(np.float32)


def both(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    fake = classify(np.asarray(crops, np.uint8)).astype(np.float64)
    return np.stack([1 - fake, fake], axis=1)


def package(
    segments: NDArray[np.int32], settings: LimeSettings, answer: Callable[[Any], NDArray[np.float64]]
) -> Any:
    """The lime package's own explanation."""
    return LimeImageExplainer(random_state=settings.seed).explain_instance(
        CROP,
        answer,
        labels=(1,),
        top_labels=None,
        hide_color=None,
        num_samples=settings.samples,
        segmentation_fn=lambda _: segments,
        random_seed=settings.seed,
    )


@pytest.fixture(scope="module")
def segments() -> NDArray[np.int32]:
    return segment(CROP, SETTINGS).numbers


def test_weights_and_top_segments_are_the_packages(segments: NDArray[np.int32]) -> None:
    ours = lime.explain(CROP, classify, SETTINGS, segments=segments)
    theirs = package(segments, SETTINGS, both)
    weights = dict(theirs.local_exp[1])
    assert ours.weights == pytest.approx([weights[number] for number in range(len(ours.weights))], abs=1e-6)
    top = sorted(weights, key=lambda number: -abs(weights[number]))[:5]
    assert list(ours.top_segments) == top
    assert ours.intercept == pytest.approx(theirs.intercept[1])
    assert ours.r2 == pytest.approx(theirs.score)
    assert ours.local_prediction == pytest.approx(float(theirs.local_pred[0]))


def test_it_finds_what_the_classifier_looks_at(segments: NDArray[np.int32]) -> None:
    found = lime.explain(CROP, classify, SETTINGS, segments=segments)
    strongest = segments == found.top_segments[0]
    assert strongest[HOT].any()
    assert found.weights[found.top_segments[0]] > 0
    assert found.heat[HOT].mean() > found.heat[60:].mean()


def test_the_same_seed_gives_the_same_and_stability_is_measured(segments: NDArray[np.int32]) -> None:
    first, second = (lime.explain(CROP, classify, SETTINGS, segments=segments) for _ in range(2))
    assert first.weights == second.weights
    assert first.stability == second.stability
    assert 0 <= (first.stability or 0) <= 1
    alone = lime.explain(
        CROP, classify, SETTINGS.model_copy(update={"stability_seeds": 1}), segments=segments
    )
    assert alone.weights == first.weights
    assert 0 < (alone.stability or 0) < 1


def test_noise_is_called_unstable(segments: NDArray[np.int32]) -> None:
    rng = np.random.default_rng(0)
    noise = lime.explain(
        CROP, lambda crops: rng.random(len(crops)).astype(np.float32), SETTINGS, segments=segments
    )
    known = lime.explain(CROP, classify, SETTINGS, segments=segments)
    assert (noise.stability or 0) < (known.stability or 0)
    assert (noise.r2 or 0) < (known.r2 or 0)


def test_the_classifier_sees_the_packages_pictures(segments: NDArray[np.int32]) -> None:
    seen: dict[str, list[Image]] = {"ours": [], "theirs": []}

    def record(name: str, crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert np.asarray(crops).dtype == np.uint8
        seen[name].extend(np.asarray(crops))
        return np.asarray(crops)

    few = SETTINGS.model_copy(update={"samples": 40, "stability_seeds": 1})
    lime.explain(CROP, lambda crops: classify(record("ours", crops)), few, segments=segments)
    package(segments, few, lambda crops: both(record("theirs", crops)))
    assert len(seen["ours"]) == 40
    assert (np.stack(seen["ours"]) == np.stack(seen["theirs"])).all()


def test_a_handful_of_segments_is_fitted_like_many() -> None:
    rows, columns = np.indices(CROP.shape[:2])
    quarters = (rows >= 48).astype(np.int32) * 2 + (columns >= 48).astype(np.int32)
    ours = lime.explain(CROP, classify, SETTINGS, segments=quarters)
    weights = dict(package(quarters, SETTINGS, both).local_exp[1])
    assert ours.weights == pytest.approx([weights[number] for number in range(4)], abs=1e-6)
    assert len(ours.top_segments) == 4


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_nothing_is_outlined_where_nothing_matters(segments: NDArray[np.int32], answer: float) -> None:
    flat = lime.explain(
        CROP, lambda crops: np.full(len(crops), answer, np.float32), SETTINGS, segments=segments
    )
    assert list(flat.top_segments) == []
    assert flat.stability is None
    assert (flat.heat == 0).all()
    assert flat.local_prediction == pytest.approx(answer)
    assert np.isfinite(flat.r2 or 0)


def test_it_stops_between_batches_when_told(segments: NDArray[np.int32]) -> None:
    classified = []

    def count(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        classified.append(len(crops))
        return classify(crops)

    def stop_later() -> None:
        if len(classified) == 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        lime.explain(CROP, count, SETTINGS, segments=segments, heartbeat=stop_later)
    assert classified == [lime.BATCH, lime.BATCH]


LANDMARKS = np.array([[32, 40], [62, 40], [47, 58], [34, 72], [60, 72]], np.float32)
HOLDING = LimeSettings(samples=400, seed=4)
MOUTH = (slice(68, 76), slice(38, 56))


def logits(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Nothing but the mouth speaks for fake, so surely that a probability would not move."""
    apart = np.abs(crops[:, *MOUTH].astype(np.float32) - CROP[MOUTH]).mean(axis=(1, 2, 3))
    return (30 - 0.2 * apart).astype(np.float32)


def test_by_default_it_names_the_part_that_speaks_for_fake() -> None:
    found = lime.explain(CROP, logits, HOLDING, landmarks=LANDMARKS)
    parts = found.parameters["parts"]
    assert parts[found.top_segments[0]] == "mouth"
    assert found.weights[found.top_segments[0]] > 0
    assert (found.r2 or 0) > 0.9


def test_samples_are_added_until_the_top_segments_have_settled() -> None:
    rng = np.random.default_rng(0)

    def noisy(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(logits(crops) + rng.normal(0, 20, len(crops)), np.float32)

    first = lime.LEAST_PER_SEGMENT * 15
    one = HOLDING.model_copy(update={"top_segments": 1})
    clear = lime.explain(CROP, logits, one, landmarks=LANDMARKS)
    assert clear.parameters["samples"] <= first
    assert (clear.stability or 0) >= HOLDING.settled
    budget = HOLDING.model_copy(update={"samples": 80})
    doubtful = lime.explain(CROP, noisy, budget, landmarks=LANDMARKS)
    assert doubtful.parameters["samples"] == budget.samples
    assert (doubtful.stability or 0) < HOLDING.settled
    halves = HOLDING.model_copy(update={"hidden_at_once": 0, "settled": 1.0})
    assert lime.explain(CROP, noisy, halves, landmarks=LANDMARKS).parameters["samples"] == HOLDING.samples


def test_few_segments_are_hidden_at_once_and_no_mask_comes_twice() -> None:
    few, many, all_ = (lime.near_masks(3, samples, 15, 2) for samples in (50, 90, 600))
    assert (few == many[:50]).all()
    assert few[0].all()
    assert ((1 - few[1:16]).sum(axis=1) == 1).all()
    assert ((1 - few[1:16]).sum(axis=0) == 1).all()
    assert ((1 - few[16:]).sum(axis=1) == 2).all()
    assert len(np.unique(all_, axis=0)) == len(all_) == 1 + 15 + 105
    assert (lime.near_masks(4, 50, 15, 2) != few).any()
    assert sorted(lime.near_masks(0, 100, 2, 3).tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_once_everything_has_been_asked_no_seed_matters() -> None:
    options = HOLDING.model_copy(update={"settled": 1.0})
    ours, other = (
        lime.explain(CROP, logits, options.model_copy(update={"seed": seed}), landmarks=LANDMARKS)
        for seed in (1, 2)
    )
    count = ours.parameters["segments"]
    assert ours.parameters["samples"] == 1 + count + count * (count - 1) // 2
    assert ours.stability == 1
    assert ours.weights == pytest.approx(other.weights)


def test_what_is_explained_is_what_the_settings_say(plain_checkpoint: Path) -> None:
    classifier = Classifier.load(plain_checkpoint, backend="fp32", device="cpu")
    crops = np.zeros((2, *[classifier.version.input_size] * 2, 3), np.uint8)
    for target, expected in (("logit", classifier.logits), ("probability", classifier.probabilities)):
        answers = lime.answers_of(classifier, LimeSettings.model_validate({"target": target}))
        np.testing.assert_array_equal(answers(crops), expected(crops))
