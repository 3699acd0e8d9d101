from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidQuery
from core.families import Family
from core.outcomes import DecisionState, ScreeningStatus, Verdict
from core.provenance import Stated
from review.pages.queue_query import BLIND_TABS, TABS, QueueQuery, tab_counts
from storage.queue.listing import Count, Filters, QueueCounts, Sort


def test_the_queue_begins_with_what_is_open_and_flagged_or_unjudged() -> None:
    assert QueueQuery().filters(blind=False) == Filters(
        verdicts=(Verdict.FAKE, Verdict.SUSPECT, Verdict.UNJUDGED), decision_states=(DecisionState.OPEN,)
    )


def test_every_filter_reaches_the_database() -> None:
    query = QueueQuery(
        tab="all",
        q=" clip ",
        verdict="fake",
        family="lipsync",
        provenance="generated",
        source="bucket:/b",
        least="60",
        most="99,5",
        since="2026-11-01",
        until="2026-11-02",
        model="m-1",
        sort="oldest",
    )
    assert query.filters(blind=False) == Filters(
        verdicts=(Verdict.FAKE,),
        families=(Family.LIPSYNC,),
        provenance=(Stated.GENERATED,),
        score_min=0.6,
        score_max=0.995,
        since=datetime(2026, 11, 1, tzinfo=UTC),
        until=datetime(2026, 11, 3, tzinfo=UTC),  # the whole last day
        source="bucket:/b",
        model_version="m-1",
        text=" clip ",
        sort=Sort.TIME,
        ascending=True,
    )


@pytest.mark.parametrize("tab", [tab.key for tab in TABS] + ["", "made-up"])
def test_a_blind_reviewer_filters_by_nothing_that_tells_a_score(tab: str) -> None:
    query = QueueQuery(tab=tab, verdict="fake", family="swap", least="90", most="95", sort="score")
    filters = query.filters(blind=True)
    assert filters.verdicts == filters.families == ()
    assert (filters.score_min, filters.score_max, filters.sort) == (None, None, Sort.TIME)
    assert not any(tab.verdicts for tab in BLIND_TABS)


@pytest.mark.parametrize(
    "query",
    [
        QueueQuery(least="many"),
        QueueQuery(least="nan"),
        QueueQuery(most="101"),
        QueueQuery(since="yesterday"),
        QueueQuery(until="9999-12-31"),
        QueueQuery(verdict="guilty"),
        QueueQuery(family="magic"),
        QueueQuery(provenance="magic"),
        QueueQuery(sort="beauty"),
    ],
)
def test_nonsense_is_named(query: QueueQuery) -> None:
    with pytest.raises(InvalidQuery):
        query.filters(blind=False)


def test_the_first_letters_of_a_search_seek_nothing_yet() -> None:
    assert QueueQuery(q="ab").filters(blind=False).text is None
    assert QueueQuery(q="abc").filters(blind=False).text == "abc"


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_address_carries_any_text(q: str, source: str) -> None:
    from urllib.parse import parse_qs

    address = QueueQuery(q=q, source=source, cursor="c").address(tab="all")
    parsed = {name: values[0] for name, values in parse_qs(address, keep_blank_values=True).items()}
    assert parsed == {"tab": "all"} | ({"q": q} if q else {}) | ({"source": source} if source else {})


def test_an_export_has_the_same_filters() -> None:
    from urllib.parse import parse_qs

    from review.filters import FilterParams

    query = QueueQuery(
        tab="review",
        q="clip",
        family="swap",
        provenance="signed",
        least="60",
        since="2026-11-01",
        sort="newest",
    )
    lists = {"verdict", "status", "decision_state", "family", "provenance"}
    parsed = {
        name: values if name in lists else values[0]
        for name, values in parse_qs(query.export_address(blind=False)).items()
    }
    assert FilterParams(**parsed).to_filters() == query.filters(blind=False)


def test_counts_are_summed_by_tab() -> None:
    def count(value: int, more: bool = False) -> Count:
        return Count(value=value, more=more)

    counts = QueueCounts(
        to_review=count(10_000, more=True),
        second_opinion=count(1),
        decided=count(2),
        verdicts={verdict.value: count(3, more=verdict is Verdict.NO_FACE) for verdict in Verdict},
        statuses={status.value: count(4) for status in ScreeningStatus if status != ScreeningStatus.DONE},
    )
    assert tab_counts(counts) == {
        "review": "10,000+",
        "second": "1",
        "decided": "2",
        "clear": "3",
        "unjudged": "3",
        "unscored": "6+",
        "progress": "8",
        "failed": "4",
    }
