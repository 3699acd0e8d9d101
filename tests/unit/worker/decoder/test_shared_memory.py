import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decoder.shared_memory import (
    ALIGNMENT,
    MOST_WAITING,
    FrameWriter,
    create_region,
    read_into,
    region_bytes,
)


@given(st.lists(st.integers(1, 3 * 50_000), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_frames_arrive_whole_and_in_order_whatever_their_sizes(sizes: list[int], random: object) -> None:
    """The reader takes frames late, in order; none is written over before that."""
    size = region_bytes(50_000)
    descriptor = create_region(size)
    waiting: list[tuple[int, bytes]] = []

    def take_one() -> None:
        offset, content = waiting.pop(0)
        copy = bytearray(len(content))
        read_into(descriptor, memoryview(copy), offset)
        assert copy == content

    try:
        writer = FrameWriter(descriptor, size, take_one)
        for number, length in enumerate(sizes):
            offset, place = writer.place(length)
            content = bytes([number % 256]) * length
            place[:] = content
            waiting.append((offset, content))
            assert len(waiting) <= MOST_WAITING
            assert offset % ALIGNMENT == 0
        while waiting:
            take_one()
    finally:
        os.close(descriptor)


def test_a_region_holds_two_of_the_largest_frames_and_takes_no_memory_before_they_come() -> None:
    pixels = 8192 * 4320
    descriptor = create_region(region_bytes(pixels))
    try:
        assert os.fstat(descriptor).st_size >= 2 * 3 * pixels
        assert os.fstat(descriptor).st_blocks == 0
    finally:
        os.close(descriptor)


def test_a_region_that_was_cut_short_is_an_error_not_a_crash() -> None:
    descriptor = create_region(1000)
    try:
        with pytest.raises(ValueError, match="shorter"):
            read_into(descriptor, np.empty(2000, np.uint8).data, 0)
    finally:
        os.close(descriptor)


def test_a_frame_that_does_not_fit_is_refused() -> None:
    descriptor = create_region(ALIGNMENT)
    try:
        with pytest.raises(ValueError, match="does not fit"):
            FrameWriter(descriptor, ALIGNMENT, lambda: None).place(2 * ALIGNMENT)
    finally:
        os.close(descriptor)
