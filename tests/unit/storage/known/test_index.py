"""The index finds what comparing everything finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.known import HASH_BYTES, distance
from storage.known import index as module
from storage.known.index import HashIndex


def some_hashes(rng: np.random.Generator, number: int) -> list[bytes]:
    """Groups that differ in few bits, so that there is something to find at every distance."""
    centres = rng.integers(0, 256, (max(1, number // 12), HASH_BYTES), dtype=np.uint8)
    made = []
    for place in range(number):
        bits = np.unpackbits(centres[place % len(centres)])
        bits[rng.choice(256, int(rng.integers(0, 45)), replace=False)] ^= 1
        made.append(np.packbits(bits).tobytes())
    return made


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    number=st.integers(1, 120),
    within=st.sampled_from([0, 3, 15, 16, 31, 32, 64]),
    batches=st.integers(1, 3),
    built=st.booleans(),
)
def test_everything_within_the_distance_is_found_and_nothing_else(
    seed: int, number: int, within: int, batches: int, built: bool
) -> None:
    rng = np.random.default_rng(seed)
    stored = some_hashes(rng, number)
    queries = [stored[0], *some_hashes(rng, 3)]
    ids = rng.permutation(10 * number)[:number].astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LATEST_ROWS", 20 if built else 10**6)
        index = HashIndex()
        for part in np.array_split(np.arange(number), batches):
            if len(part):
                index.add(ids[part], np.frombuffer(b"".join(stored[i] for i in part), np.uint8))
        hits = index.search(queries, within)
    found = sorted(zip(hits.query.tolist(), hits.ids.tolist(), hits.distance.tolist(), strict=True))
    expected = [
        (place, int(id_), bits)
        for place, query in enumerate(queries)
        for id_, one in zip(ids, stored, strict=True)
        if (bits := distance(query, one)) <= within
    ]
    assert found == sorted(expected)
    assert len(index) == number


def test_an_empty_index_finds_nothing_and_a_senseless_distance_is_refused() -> None:
    assert len(HashIndex().search([bytes(HASH_BYTES)], 31).ids) == 0
    with pytest.raises(ValueError, match="300 bits"):
        HashIndex().search([], 300)
