"""POST /v1/bucket-events."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.s3_address import S3Address
from review.app import create_app
from storage import key_looks
from storage.engine import reading
from tests.integration.review.api.site import Site


@pytest.fixture
def asking(site: Site) -> Iterator[TestClient]:
    """Of a service whose bucket is in S3; the server itself is not asked."""
    settings = site.settings.model_copy(update={"bucket": S3Address(bucket="drop", prefix="videos/")})
    headers = {"Authorization": f"Bearer {site.tokens['reviewer']}"}
    with TestClient(create_app(settings), headers=headers) as client:
        yield client


def record(key: str, *, bucket: str = "drop", kind: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"eventName": kind, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def test_a_folder_has_no_events(site: Site) -> None:
    answer = site.client().post("/v1/bucket-events", json={"Event": "s3:TestEvent"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "FACEWARDEN_BUCKET" in answer.json()["detail"]


def test_what_is_below_the_watched_prefix_is_looked_at(site: Site, asking: TestClient) -> None:
    records = [
        record("videos/my+clip.mp4"),
        record("videos/my+clip.mp4"),
        record("videos/old.mp4", kind="ObjectRemoved:Delete"),
        record("videos/notes.json"),
        record("elsewhere/a.mp4"),
        record("videos/a.mp4", bucket="other"),
    ]
    answer = asking.post("/v1/bucket-events", json={"Records": records})
    assert (answer.status_code, answer.json()) == (200, {"looks": 1, "removed": 1, "ignored": 3})
    seaweed = {
        "event_type": "create",
        "key": "/buckets/drop/videos/b+c.mp4",
        "message": {"new_entry": {"name": "b+c.mp4"}, "new_parent_path": "/buckets/drop/videos"},
    }
    assert asking.post("/v1/bucket-events", json=seaweed).json()["looks"] == 1
    with reading(site.engine) as session:
        assert key_looks.waiting(session, "drop") == 2


def test_a_test_event_is_accepted_and_nonsense_is_not(asking: TestClient) -> None:
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drop"}
    assert asking.post("/v1/bucket-events", json=test_event).json()["looks"] == 0
    answer = asking.post("/v1/bucket-events", json={"Records": [{"eventName": "ObjectCreated:Put"}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


def test_it_takes_a_token_with_the_scope_upload(asking: TestClient) -> None:
    answer = asking.post("/v1/bucket-events", json={}, headers={"Authorization": "Bearer fw_no"})
    assert answer.status_code == 401
