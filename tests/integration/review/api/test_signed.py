"""Videos loaded from the object store itself, by signed addresses."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from core.settings import Settings
from review.app import create_app
from tests.integration.review.api.site import MP4, Site
from tests.s3_server import REGION, S3Server


@pytest.fixture
def signing(site: Site, s3: S3Server) -> Iterator[Site]:
    changes = {
        "objects": str(s3.place()),
        "s3": {"endpoint_url": s3.endpoint, "region": REGION, "attempts": 2, "signed_urls": True},
    }
    site.settings = Settings(**(site.settings.model_dump(exclude_unset=True) | changes), _env_file=None)
    site.app = create_app(site.settings)
    yield site
    site.app.state.engine.dispose()


def test_a_player_is_sent_to_the_store_and_nobody_else_is(signing: Site, s3: S3Server) -> None:
    client, content = signing.client(), MP4 + b"signed"
    sent = client.post("/v1/uploads?name=my clip.mp4", content=content)
    address = f"/v1/videos/{sent.json()['video_id']}/media"
    answer = client.get(address, follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["Cache-Control"] == "no-store"
    part = httpx.get(answer.headers["Location"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, content[4:8])
    assert part.headers["Content-Type"] == "video/mp4"
    assert part.headers["Content-Disposition"].startswith("inline")
    parts = urlsplit(answer.headers["Location"])
    assert httpx.get(f"{parts.scheme}://{parts.netloc}{parts.path}").status_code == 403
    stranger = {"Authorization": "Bearer fw_no"}
    assert client.get(address, headers=stranger, follow_redirects=False).status_code == 401
    allowed = {
        each.split()[0]: each for each in client.get("/queue").headers["Content-Security-Policy"].split("; ")
    }
    assert allowed["media-src"] == f"media-src 'self' {s3.endpoint}"
    assert allowed["script-src"] == "script-src 'self'"


def test_pages_load_from_nowhere_else_by_default(site: Site) -> None:
    assert "media-src 'self';" in site.client().get("/queue").headers["Content-Security-Policy"]
