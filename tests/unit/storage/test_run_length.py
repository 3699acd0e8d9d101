"""What is stored of a segmentation."""

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from storage import run_length


@given(arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 5)))
def test_run_lengths_bring_a_segmentation_back(segments: np.ndarray) -> None:
    assert (run_length.decode(run_length.encode(segments)) == segments).all()


@given(st.binary(max_size=64))
def test_damaged_run_lengths_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        run_length.decode(content)


@pytest.mark.parametrize(
    ("shape", "values", "lengths"),
    [
        ([2, 2], [0], [3]),  # does not fill the picture
        ([2, 2], [0, 1], [6, -2]),
        ([2, 2], [2**40], [4]),  # no int32
        ([100_000, 100_000], [0], [10**10]),  # would take 40 GB
    ],
)
def test_run_lengths_that_cannot_be_are_refused(
    shape: list[int], values: list[int], lengths: list[int]
) -> None:
    content = zlib.compress(json.dumps({"shape": shape, "values": values, "lengths": lengths}).encode())
    with pytest.raises(ValueError, match="no run lengths"):
        run_length.decode(content)
