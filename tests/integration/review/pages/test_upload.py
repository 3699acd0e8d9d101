"""The upload page where no script runs: a form, as browsers send it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from core.roles import Role
from review.auth.cookies import SESSION
from storage.engine import reading
from storage.tables import Video
from tests.integration.review.house import House, alert, csrf_token

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        made.cookies.set(SESSION, house.visit(house.account("ann")).cookie)
        yield made


def sizes(house: House) -> list[int]:
    with reading(house.engine) as session:
        return list(session.scalars(select(Video.size_bytes)))


def test_a_file_of_the_form_goes_on_to_its_page(house: House, client: TestClient) -> None:
    token = csrf_token(client.get("/upload").text)
    answer = client.post(
        "/upload", data={"csrf_token": token}, files={"file": ("Käse.mp4", MP4, "video/mp4")}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/videos/1"), answer.text
    assert "Käse.mp4" in client.get("/videos/1").text
    assert sizes(house) == [len(MP4)]


def test_what_cannot_be_taken_is_said_on_the_page(house: House, client: TestClient) -> None:
    token = csrf_token(client.get("/upload").text)
    for content, status, said in ((b"text", 415, "text"), (b"", 422, "empty")):
        answer = client.post("/upload", data={"csrf_token": token}, files={"file": ("x.mp4", content)})
        assert (answer.status_code, said in alert(answer.text)) == (status, True)
    assert sizes(house) == []


@pytest.mark.parametrize("fields", [{}, {"csrf_token": "x"}, {"csrf_token": "x" * 1001}, {"other": "x"}])
def test_a_form_of_another_page_is_refused(house: House, client: TestClient, fields: dict[str, str]) -> None:
    answer = client.post("/upload", data=fields, files={"file": ("x.mp4", MP4)})
    assert answer.status_code in {403, 422}
    token = csrf_token(client.get("/upload").text)
    behind = [("file", ("x.mp4", MP4)), ("csrf_token", (None, token))]  # too late: the file came first
    assert client.post("/upload", files=behind).status_code in {403, 422}
    site = {"Sec-Fetch-Site": "cross-site"}
    ahead = {"data": {"csrf_token": token}, "files": {"file": ("x.mp4", MP4)}}
    assert client.post("/upload", headers=site, **ahead).status_code == 403
    assert sizes(house) == []


def test_who_may_only_look_uploads_nothing(house: House, client: TestClient) -> None:
    client.cookies.set(SESSION, house.visit(house.account("vera", Role.VIEWER)).cookie)
    assert client.post("/upload", files={"file": ("x.mp4", MP4)}).status_code == 403
    assert sizes(house) == []
