"""Legal hold and erasing, on the page of a video."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from core.outcomes import MediaKind
from core.roles import Role
from storage import screenings, videos
from storage.engine import reading, transaction
from storage.tables import Erasure, Video
from tests.integration.review.house import House
from tests.screening_results import register_model

SHA256 = "a" * 64
REASON = {"reason": "case 7"}


@pytest.fixture
def page(house: House) -> str:
    """The address of a video."""
    with transaction(house.engine) as session:
        register_model(session)
        number, _ = videos.add(
            session, sha256=SHA256, size_bytes=5, media_kind=MediaKind.VIDEO, object_key="aa/" + "0" * 62
        )
        screenings.request(session, video_id=number, model_version_id="m-1")
    return f"/videos/{number}"


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        made.headers.update(house.visit(house.account("boss", Role.ADMIN), confirmed=True).headers)
        yield made


def test_a_held_video_can_only_be_erased_once_the_hold_is_lifted(
    house: House, client: TestClient, page: str
) -> None:
    assert "Put under legal hold" in client.get(page).text
    held = client.post(f"{page}/hold", data=REASON)
    assert (held.status_code, held.headers["location"]) == (303, page)
    shown = client.get(page).text
    assert "Under legal hold: case 7." in shown
    assert "Erase for good" not in shown
    refused = client.post(f"{page}/erase", data=REASON)
    assert (refused.status_code, "lift the hold first" in refused.text) == (409, True)
    assert client.post(f"{page}/lift-hold").status_code == 303
    erased = client.post(f"{page}/erase", data=REASON)
    assert (erased.status_code, erased.headers["location"]) == (303, "/queue")
    with reading(house.engine) as session:
        assert session.query(Video).count() == 0
        assert session.get_one(Erasure, SHA256).reason == "case 7"


def test_erasing_asks_for_the_password_and_comes_back_to_the_video(house: House, page: str) -> None:
    with house.browser() as client:
        client.headers.update(house.visit(house.account("boss", Role.ADMIN)).headers)
        assert "enter your password again" in client.get(page).text
        asked = client.post(f"{page}/erase", data=REASON)
    assert asked.headers["location"] == f"/confirm?next={page.replace('/', '%2F')}"
    with reading(house.engine) as session:
        assert session.query(Video).count() == 1


def test_only_admins_see_the_forms(house: House, page: str) -> None:
    with house.browser() as client:
        client.headers.update(house.visit(house.account("rita", Role.REVIEWER), confirmed=True).headers)
        assert "Erase for good" not in client.get(page).text
