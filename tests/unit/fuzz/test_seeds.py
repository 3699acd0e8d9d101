from core.media_formats import SCREENED, format_of
from core.media_signatures import HEAD_BYTES
from fuzz.seeds import seeds


def test_every_format_that_is_screened_has_a_seed() -> None:
    made = seeds()
    found = {known.name for seed in made if (known := format_of(seed.content[:HEAD_BYTES])) is not None}
    assert found == {known.name for known in SCREENED}
    assert len({seed.name for seed in made}) == len(made)
