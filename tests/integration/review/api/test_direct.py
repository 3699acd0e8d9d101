"""Large files go past the service: to a real S3 server, in parts, and are read before they count."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from core.settings import Settings
from review.app import create_app
from storage.engine import reading, transaction
from storage.objects.s3 import direct
from storage.objects.store import DirectUpload
from storage.tables import DirectUploadRow, Video, utc_now
from tests.integration.review.api.site import MP4, Site
from tests.s3_server import REGION, S3Server

PART = 5 * 1024**2  # the least that S3 takes of a part that is not the last


@pytest.fixture
def bucket_site(site: Site, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(direct, "PART_BYTES", PART)
    changes = {
        "objects": str(s3.place()),
        "s3": {"endpoint_url": s3.endpoint, "region": REGION, "attempts": 2},
    }
    site.settings = Settings(**(site.settings.model_dump(exclude_unset=True) | changes), _env_file=None)
    site.app = create_app(site.settings)
    yield site
    site.app.state.engine.dispose()


@pytest.fixture
def client(bucket_site: Site) -> TestClient:
    return bucket_site.client()


def names(site: Site, s3: S3Server) -> list[str]:
    place = site.settings.objects_bucket
    assert place is not None
    return s3.names(place)


def announce(client: TestClient, content: bytes, **changes: object) -> dict[str, object]:
    body = {"name": "big.mp4", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    answer = client.post("/v1/direct-uploads", json=body | changes)
    assert answer.status_code == 201, answer.text
    announced: dict[str, object] = answer.json()
    return announced


def send(announced: dict[str, object], content: bytes, *numbers: int) -> None:
    """As any client does: no credentials, no header of ours."""
    parts: list[dict[str, int]] = announced["parts"]  # type: ignore[assignment]
    for part in parts:
        if not numbers or part["number"] in numbers:
            piece = content[part["start"] : part["start"] + part["size_bytes"]]
            assert httpx.put(str(part["url"]), content=piece).status_code == 200


def test_a_file_in_parts_is_taken_in_once_it_is_complete(
    bucket_site: Site, client: TestClient, s3: S3Server
) -> None:
    content = MP4 + bytes(PART + 100)
    announced = announce(client, content, priority="backfill")
    address = f"/v1/direct-uploads/{announced['id']}"
    assert len(announced["parts"]) == 2  # type: ignore[arg-type]
    send(announced, content, 2)
    early = client.post(f"{address}:complete")
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert "parts are missing, or of another size than announced: 1" in early.json()["detail"]
    send(announced, content, 1)
    first = client.post(f"{address}:complete")
    assert first.status_code == 201, first.text
    again = client.post(f"{address}:complete")
    assert (again.status_code, again.json()) == (201, first.json())
    assert first.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert client.get(f"{first.headers['Location']}/status").json()["priority"] == "backfill"
    assert client.get(f"{first.headers['Location']}/media", headers={"Range": "bytes=0-23"}).content == MP4
    key = f"{first.json()['sha256'][:2]}/{first.json()['sha256'][2:]}"
    assert names(bucket_site, s3) == [key]


def test_a_second_request_to_complete_is_answered_as_the_first_that_was_quicker(
    bucket_site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy gave up on the first, so the client asked again while the file was still read."""
    content = MP4 + b"twice"
    announced = announce(client, content)
    send(announced, content)
    address = f"/v1/direct-uploads/{announced['id']}:complete"
    read, answers = direct.S3DirectUploads._read, list[httpx.Response]()

    def overtaken(self: direct.S3DirectUploads, upload: DirectUpload, start: int) -> bytes:
        monkeypatch.setattr(direct.S3DirectUploads, "_read", read)
        answers.append(bucket_site.client().post(address))
        return read(self, upload, start)

    monkeypatch.setattr(direct.S3DirectUploads, "_read", overtaken)
    second = client.post(address)
    assert (second.status_code, second.json()) == (201, answers[0].json())


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [(MP4 + b"yours", 422, "invalid_value"), (b"no film, a text.", 415, "not_media")],
)
def test_what_is_not_what_was_announced_is_not_taken_in(
    bucket_site: Site, client: TestClient, s3: S3Server, sent: bytes, status: int, code: str
) -> None:
    mine = (MP4 + b"mine!") if status == 422 else sent
    announced = announce(client, mine)
    send(announced, sent)
    with reading(bucket_site.engine) as session:
        before = session.scalar(select(func.count()).select_from(Video))
    answer = client.post(f"/v1/direct-uploads/{announced['id']}:complete")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    with reading(bucket_site.engine) as session:
        assert session.scalar(select(func.count()).select_from(Video)) == before
    assert names(bucket_site, s3) == []


def test_an_upload_is_its_accounts_and_ends(bucket_site: Site, client: TestClient, s3: S3Server) -> None:
    content = MP4 + b"1"
    announced = announce(client, content)
    send(announced, content)
    address = f"/v1/direct-uploads/{announced['id']}"
    other = bucket_site.client("second")
    assert other.post(f"{address}:complete").status_code == 404
    assert other.delete(address).status_code == 404
    assert client.delete(address).status_code == 204
    assert client.post(f"{address}:complete").status_code == 404
    expired = announce(client, content)
    with transaction(bucket_site.engine) as session:
        session.execute(update(DirectUploadRow).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert client.post(f"/v1/direct-uploads/{expired['id']}:complete").status_code == 404
    announce(client, content)
    with reading(bucket_site.engine) as session:
        assert session.scalar(select(func.count()).select_from(DirectUploadRow)) == 1


def test_an_address_takes_the_announced_bytes_and_no_more(client: TestClient) -> None:
    parts = announce(client, MP4)["parts"]
    (part,) = parts  # type: ignore[misc]
    assert httpx.put(part["url"], content=MP4 + b"more").status_code == 403
    assert httpx.put(part["url"], content=MP4).status_code == 200


def test_limits_hold_before_anything_is_sent(bucket_site: Site, client: TestClient) -> None:
    body = {"name": "x", "size_bytes": 2 * 10**12, "sha256": "a" * 64}
    large = client.post("/v1/direct-uploads", json=body)
    assert (large.status_code, large.json()["code"]) == (413, "media_too_large")
    assert bucket_site.client("viewer").post("/v1/direct-uploads", json=body).status_code == 403


def test_without_a_bucket_the_service_takes_the_bytes_itself(site: Site) -> None:
    body = {"name": "x", "size_bytes": 5, "sha256": "a" * 64}
    answer = site.client().post("/v1/direct-uploads", json=body)
    assert (answer.status_code, "POST /v1/videos" in answer.json()["detail"]) == (409, True)


def test_addresses_are_those_that_clients_reach(bucket_site: Site, s3: S3Server) -> None:
    public = bucket_site.settings.s3.model_copy(update={"public_url": "https://videos.example.com"})
    bucket_site.app = create_app(bucket_site.settings.model_copy(update={"s3": public}))
    parts = announce(bucket_site.client(), MP4)["parts"]
    (part,) = parts  # type: ignore[misc]
    assert part["url"].startswith("https://videos.example.com/")
    bucket_site.app.state.engine.dispose()
