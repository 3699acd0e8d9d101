"""POST /v1/videos:by-url."""

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from fastapi.testclient import TestClient

from core.settings import ByUrlSettings
from review.app import create_app
from tests.integration.review.api.site import MP4, Site


def client(site: Site, **changes: Any) -> TestClient:
    settings = site.settings.model_copy(update={"by_url": ByUrlSettings(**changes)})
    headers = {"Authorization": f"Bearer {site.tokens['reviewer']}"}
    return TestClient(create_app(settings), headers=headers)


def test_it_is_off_by_default(site: Site) -> None:
    answer = site.client().post("/v1/videos:by-url", json={"url": "https://example.com/clip.mp4"})
    assert (answer.status_code, answer.json()["code"]) == (403, "by_url_off")


def test_private_addresses_are_refused(site: Site) -> None:
    with client(site, enabled=True) as asking:
        answer = asking.post("/v1/videos:by-url", json={"url": "http://169.254.169.254/latest/meta-data/"})
        assert (answer.status_code, answer.json()["code"]) == (422, "unsafe_address")


def test_a_video_is_fetched(site: Site, tmp_path: Path) -> None:
    (tmp_path / "new clip.mp4").write_bytes(MP4 + b"fetched")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/new%20clip.mp4"
        allowed = {"private_networks": "127.0.0.0/8", "ports": str(server.server_port)}
        with client(site, enabled=True, **allowed) as asking:
            first = asking.post("/v1/videos:by-url", json={"url": url})
            again = asking.post("/v1/videos:by-url", json={"url": url, "name": "other.mp4"})
        server.shutdown()
        thread.join()
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert (first.json()["name"], first.json()["intake"]) == ("new clip.mp4", "queued")
    assert first.headers["Location"] == f"/v1/videos/{first.json()['video_id']}"
