import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutations import MOST_BYTES, MUTATIONS, Mutation, spliced, spoiled

contents = st.binary(min_size=1, max_size=600)
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
@given(content=contents, seed=seeds)
def test_a_mutation_takes_any_content_and_is_repeatable(
    mutation: Mutation, content: bytes, seed: int
) -> None:
    first = mutation(bytearray(content), random.Random(seed))
    assert first == mutation(bytearray(content), random.Random(seed))
    assert 0 < len(first) <= len(content) + MOST_BYTES


@given(content=contents, seed=seeds)
def test_spoiling_names_what_was_done(content: bytes, seed: int) -> None:
    _, how = spoiled(content, random.Random(seed))
    assert set(how.split("+")) <= {mutation.__name__ for mutation in MUTATIONS}


@given(first=contents, second=contents, seed=seeds)
def test_a_splice_begins_as_one_file_and_ends_as_the_other(first: bytes, second: bytes, seed: int) -> None:
    both = spliced(first, second, random.Random(seed))
    assert both[:1] == first[:1]
    assert both[-1:] == second[-1:]


def test_lengths_and_sizes_are_found_where_formats_keep_them() -> None:
    box = bytearray(b"\0\0\0\x10moov" + bytes(8))
    forged = {
        next(m for m in MUTATIONS if m.__name__ == "forge_length")(bytearray(box), random.Random(n))
        for n in range(60)
    }
    assert all(each[4:8] == b"moov" and len(each) == 16 for each in forged)
    assert len({each[:4] for each in forged}) > 5
    sized = bytes(
        next(m for m in MUTATIONS if m.__name__ == "forge_size")(bytearray(b"ab\0\xa0cd"), random.Random(0))
    )
    assert sized == b"ab\xff\xffcd"
