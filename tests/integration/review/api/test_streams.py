"""/v1/streams and what belongs to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.settings import StreamSettings
from review.app import create_app
from tests.integration.review.api.site import MP4, Site
from tests.live_streams import URL, watched


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    settings = site.settings.model_copy(update={"streams": StreamSettings(enabled=True)})
    headers = {"Authorization": f"Bearer {site.tokens['reviewer']}"}
    with TestClient(create_app(settings), headers=headers) as made:
        yield made


def test_it_is_off_by_default_and_private_addresses_are_refused(site: Site, client: TestClient) -> None:
    answer = site.client().post("/v1/streams", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (403, "streams_off")
    answer = client.post("/v1/streams", json={"url": "ftp://example.com/x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unsafe_address")


def test_a_stream_is_asked_for_seen_and_stopped_without_its_key(site: Site, client: TestClient) -> None:
    made = client.post("/v1/streams", json={"url": URL})
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert made.headers["Location"] == f"/v1/streams/{number}"
    watched(site.engine, site.objects, number, clip=MP4)
    found: dict[str, Any] = client.get(f"/v1/streams/{number}").json()
    told = (found["name"], found["status"], found["coverage"])
    assert told == ("https://example.com/live.m3u8", "watching", 0.9)
    point = found["now"]["points"][15]
    assert (point["seconds"], round(point["score"], 2), point["unseen"]) == (30.0, 0.88, True)
    assert client.get("/v1/streams").json()["streams"][0] == found
    (alert,) = client.get(f"/v1/streams/{number}/alerts").json()["alerts"]
    assert (alert["start_seconds"], alert["over"], alert["has_clip"]) == (20.0, True, True)
    frame = alert["frames"][0]["id"]
    kinds = {
        f"/v1/alert-frames/{frame}/image": "image/jpeg",
        f"/v1/alert-frames/{frame}/crop": "image/png",
        f"/v1/stream-alerts/{alert['id']}/clip": "video/mp4",
    }
    for path, kind in kinds.items():
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert client.delete(f"/v1/streams/{number}").json()["stop_asked"] is True
    everything = "".join(client.get(path).text for path in ("/v1/streams", f"/v1/streams/{number}/alerts"))
    assert "secret" not in everything


@pytest.mark.parametrize(
    ("given", "kept"), [("News 24/7", "News 24/7"), ("a\tb ", "ab"), ("", "https://example.com/live.m3u8")]
)
def test_a_stream_is_called_what_it_was_called(client: TestClient, given: str, kept: str) -> None:
    assert client.post("/v1/streams", json={"url": URL, "name": given}).json()["name"] == kept


def test_what_is_not_there_is_said(client: TestClient) -> None:
    for path in ("/v1/streams/77", "/v1/streams/77/alerts", "/v1/alert-frames/77/image"):
        assert client.get(path).status_code == 404
    assert client.get("/v1/stream-alerts/77/clip").json()["code"] == "not_found"
