"""What the local model says of its own uncertainty is what other seeds show."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.explain.lime import masks
from models.explain.surrogate import fit, jaccard, mean_agreement

WEIGHTS = np.array([3.0, -2.5, 2.0, 1.6, -1.2, 0.6, 0.5, -0.4, 0.3, 0.2, 0.1, 0.0])


def answers(data: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nearly linear: two segments count for more where both are shown."""
    return np.asarray(data @ WEIGHTS + 1.5 * data[:, 0] * data[:, 5] - 2.0 * data[:, 7] * data[:, 8])


@pytest.mark.parametrize("samples", [60, 240])
def test_the_expected_spread_and_agreement_are_those_of_other_seeds(samples: int) -> None:
    fits = []
    for seed in range(60):
        data = masks(seed, samples, len(WEIGHTS))
        fits.append(fit(data, answers(data)))
    seen = np.std([each.weights for each in fits], axis=0)
    expected = np.mean([np.sqrt(np.diag(each.covariance)) for each in fits], axis=0)
    np.testing.assert_allclose(expected, seen, rtol=0.5)
    measured = mean_agreement([set(each.top(5)) for each in fits])
    said = np.mean([each.agreement(5) or 0.0 for each in fits])
    assert said == pytest.approx(measured, abs=0.12)


def test_more_samples_agree_more() -> None:
    few, many = (fit(data, answers(data)) for data in (masks(1, 40, 12), masks(1, 800, 12)))
    assert (few.agreement(5) or 0) < (many.agreement(5) or 0)
    assert many.top(3) == [0, 1, 2]


def test_where_nothing_matters_nothing_can_agree() -> None:
    data = masks(0, 50, 4)
    assert fit(data, np.full(50, 0.25)).agreement(5) is None
    assert mean_agreement([set(), set()]) is None
    assert mean_agreement([{1}]) is None


def test_agreement_is_the_share_of_what_either_has() -> None:
    assert jaccard({1, 2, 3}, {2, 3, 4}) == 0.5
    assert mean_agreement([{1, 2}, {1, 2}, {1, 3}]) == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
