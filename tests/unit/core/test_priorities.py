"""Turns are shared out exactly and evenly."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.priorities import Priority, order, turns
from core.settings import SharesSettings

SHARES = st.fixed_dictionaries({each: st.integers(1, 20) for each in Priority})


@given(SHARES)
def test_each_priority_has_its_share_and_never_waits_twice_as_long(shares: dict[Priority, int]) -> None:
    made = turns(shares)
    assert Counter(made) == shares
    for priority, share in shares.items():
        at = [place for place, each in enumerate(made + made) if each is priority]
        assert max(after - before for before, after in pairwise(at)) < 2 * len(made) / share


def test_by_default_the_backfill_has_one_turn_in_ten_and_never_the_first() -> None:
    made = turns(SharesSettings().by_priority())
    assert "".join(each[0] for each in made) == "iniinibini"


def test_who_has_the_turn_goes_first_and_the_others_by_urgency() -> None:
    assert order(Priority.BACKFILL) == [Priority.BACKFILL, Priority.INTERACTIVE, Priority.NORMAL]
    assert order(Priority.INTERACTIVE) == list(Priority)
    assert Priority.NORMAL.before(Priority.BACKFILL)
    assert not Priority.NORMAL.before(Priority.NORMAL)
