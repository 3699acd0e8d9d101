"""What open pages are told as it changes."""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from core.errors import ServiceUnavailable
from review.pages import live
from tests.integration.review.api.site import FLAGGED, QUEUED, Site, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("site"))
    yield made
    made.engine.dispose()


@pytest.fixture(autouse=True)
def few_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends, as where the service stops, after its third look."""
    look, looks, stopping = live._look, count(1), site.app.state.stopping

    async def counted(*args: Any) -> Any:
        if next(looks) % 3 == 0:
            stopping.set()
        return await look(*args)

    monkeypatch.setattr(live, "_look", counted)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(live, "COUNTS_SECONDS", 0.0)


def told(site: Site, name: str, **params: Any) -> list[tuple[str, dict[str, Any]]]:
    """The events of one stream: name and value."""
    site.app.state.stopping.clear()
    answer = site.client(name).get("/events", params=params)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"
    first, *events, rest = answer.text.split("\n\n")
    assert first == f"retry: {live.RETRY_MILLISECONDS}"
    assert rest == ""
    found = []
    for event in events:
        kind, data = event.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_the_counts_are_told_once_while_they_stay(site: Site) -> None:
    ((event, counts),) = told(site, "reviewer")
    assert (event, counts["review"], counts["progress"], counts["failed"]) == ("counts", "2", "1", "1")


def test_what_has_changed_is_told_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter((1, 1, 2))
    monkeypatch.setattr(live, "tab_counts", lambda _: {"review": str(next(numbers))})
    assert told(site, "reviewer") == [("counts", {"review": "1"}), ("counts", {"review": "2"})]


def test_each_video_asked_for_is_told_of(site: Site) -> None:
    ids = [site.ids[FLAGGED], site.ids[QUEUED]]
    events = told(site, "reviewer", video=ids)
    assert [event for event, _ in events] == ["video", "video"]
    by_id = {value["video_id"]: value for _, value in events}
    assert (by_id[ids[0]]["verdict"], by_id[ids[0]]["status"]) == ("fake", "done")
    assert (by_id[ids[1]]["verdict"], by_id[ids[1]]["status"]) == (None, "queued")


def test_a_blind_reviewer_is_told_no_verdict(site: Site) -> None:
    site.blind("second")
    ((_, video),) = told(site, "second", video=[site.ids[FLAGGED]])
    assert not {"verdict", "score", "flagged", "explained"} & set(video)
    ((_, counts),) = told(site, "second")
    assert not {"review", "clear", "unjudged", "unscored"} & set(counts)


@pytest.mark.parametrize(("name", "blind"), [("reviewer", False), ("second", True)])
def test_a_page_knows_the_state_that_it_shows(site: Site, name: str, blind: bool) -> None:
    if blind:
        site.blind(name)
    video = site.ids[FLAGGED]
    page = site.client(name).get(f"/videos/{video}").text
    shown = re.search(r'<script type="application/json" id="video-state">(.*)</script>', page)
    assert shown is not None
    ((_, state),) = told(site, name, video=[video])
    assert json.loads(shown[1]) == state


def test_a_place_is_free_again_when_a_stream_has_ended(site: Site) -> None:
    for _ in range(site.settings.review.streams_per_account + 1):
        assert told(site, "viewer")
    assert not +site.app.state.streams  # no account holds one


def test_a_database_that_is_away_ends_no_stream(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    away = ServiceUnavailable(
        service="PostgreSQL", address="db", reason="gone", setting="FACEWARDEN_DATABASE_URL"
    )
    answers = iter((away, {"review": "2"}, {"review": "2"}))

    def counts(_: object) -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(live, "tab_counts", counts)
    assert told(site, "reviewer") == [("counts", {"review": "2"})]
