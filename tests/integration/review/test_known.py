"""Known content as the API and the pages show it."""

import pytest
from sqlalchemy import update

from core.outcomes import DecisionOutcome
from core.roles import Role, Scope
from storage.engine import transaction
from storage.known.index import HashIndex
from storage.people import decisions
from storage.tables import Account
from tests.integration.review.house import House
from tests.known_videos import scene, scenes, screened
from tests.screening_results import register_model


@pytest.fixture
def seen_before(house: House) -> House:
    """Video 2 looks like half of video 1, which ada called fake."""
    index = HashIndex()
    with transaction(house.engine) as session:
        register_model(session)
    screened(house.engine, index, 1, scenes(1, 2, 3, 4))
    screened(house.engine, index, 2, scenes(3, 4, changed=12))
    ada = house.account("ada")
    with transaction(house.engine) as session:
        decisions.decide(session, video_id=1, account_id=ada, outcome=DecisionOutcome.FAKE)
    return house


def test_the_api_tells_what_a_video_looks_like_and_finds_such_videos(seen_before: House) -> None:
    headers = seen_before.bearer(seen_before.account("bot", Role.SERVICE), [Scope.READ])
    with seen_before.browser() as client:
        (known,) = client.get("/v1/videos/2", headers=headers).json()["known"]
        assert known.pop("decision")["outcome"] == "fake"
        assert known == {
            "video_id": 1,
            "name": "1.mp4",
            "list_name": None,
            "distance": 12,
            "share": 1.0,
            "other_share": 0.5,
            "mirrored": False,
        }
        found = client.get("/v1/videos?known=true", headers=headers).json()["items"]
        assert [each["video_id"] for each in found] == [2]


def test_the_page_says_what_it_looks_like_and_who_decided(seen_before: House) -> None:
    ben = seen_before.account("ben")
    headers = seen_before.visit(ben).headers
    with seen_before.browser() as client:
        page = client.get("/videos/2", headers=headers).text
        assert "Looks like known content" in page
        assert "distance 12 of 256; 100% of this video" in page
        assert "by ada" in page
        listed = client.get("/queue?tab=all&known=yes", headers=headers).text
        assert "2.mp4" in listed
        assert "1.mp4" not in listed


def test_who_reviews_blind_is_not_told_what_others_said_of_the_like(seen_before: House) -> None:
    ben = seen_before.account("ben")
    with transaction(seen_before.engine) as session:
        session.execute(update(Account).where(Account.id == ben).values(blind=True))
    headers = seen_before.visit(ben).headers
    with seen_before.browser() as client:
        assert "Looks like known content" not in client.get("/videos/2", headers=headers).text
        assert client.get("/v1/videos/2", headers=headers).json()["known"] == []
        refused = client.get("/v1/videos?known=true", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "hidden_until_decided")


def test_an_admin_imports_exports_and_removes_lists(seen_before: House) -> None:
    headers = seen_before.bearer(seen_before.account("bot", Role.SERVICE), [Scope.ADMIN, Scope.READ])
    data = [
        {"type": "HASH_PDQ", "indicator": scene(4).pdq.hex(), "description": "<b>case 7</b>"},
        {"type": "HASH_PDQ", "indicator": "ab" * 32},
        {"type": "HASH_MD5", "indicator": "ab" * 16},
    ]
    with seen_before.browser() as client:
        made = client.post("/v1/known-lists/shared", headers=headers, json={"data": data})
        assert made.json() == {"added": 2, "already": 0, "other_types": 1, "videos": 2}
        (one,) = client.get("/v1/known-lists", headers=headers).json()
        assert (one["name"], one["hashes"]) == ("shared", 2)
        page = client.get("/v1/known-lists/shared?limit=1", headers=headers).json()
        assert page["data"] == data[:1]
        rest = client.get(f"/v1/known-lists/shared?after={page['next_after']}", headers=headers).json()
        assert rest == {"data": data[1:2], "next_after": None}

        shown = client.get("/videos/2", headers=seen_before.visit(seen_before.account("ben")).headers).text
        assert "&lt;b&gt;case 7&lt;/b&gt; of the list shared" in shown

        bad = client.post("/v1/known-lists/shared", headers=headers, json={"data": [{"indicator": "xy"}]})
        assert bad.json()["code"] == "bad_hash_list"
        assert "entry 1" in bad.json()["detail"]
        assert client.delete("/v1/known-lists/shared", headers=headers).status_code == 204
        assert client.get("/v1/known-lists/shared", headers=headers).status_code == 404
