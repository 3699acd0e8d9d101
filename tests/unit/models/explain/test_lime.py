"""Our LIME gives what the package gives, sooner."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from skimage.data import astronaut

from core.settings import LimeSettings
from models.explain import lime
from models.explain.segmentation import segment
from models.face import Image

CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])
SETTINGS = LimeSettings(samples=150, seed=4, stability_seeds=3, segments=30)
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
    return segment(CROP, SETTINGS)


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
    assert alone.stability is None


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
