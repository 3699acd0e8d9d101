"""What libav is given to read."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decoder.container.opening import MediaBytes


@given(offset=st.integers(-(2**64), 2**64), whence=st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]))
def test_no_place_that_a_damaged_index_names_raises(
    tmp_path_factory: pytest.TempPathFactory, offset: int, whence: int
) -> None:
    """An error would come out of PyAV later, in the middle of something else, and end the decoder."""
    path = tmp_path_factory.getbasetemp() / "hundred.bin"
    path.write_bytes(bytes(range(100)))
    with path.open("rb", buffering=0) as file:
        given_to_libav = MediaBytes(file)
        given_to_libav.seek(40)
        place = given_to_libav.seek(offset, whence)
        assert place == (-1 if place < 0 else file.tell())
        if place < 0:
            assert file.tell() == 40
            assert given_to_libav.read(1) == bytes([40])


def test_places_of_the_file_are_gone_to() -> None:
    content = MediaBytes(io.BytesIO(b"0123456789"))
    assert content.seek(3) == 3
    assert content.read(2) == b"34"
    assert content.seek(0, os.SEEK_END) == 10
