"""Files by their address, from a real server on loopback: what is fetched, and what never is."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from cli import intake_report
from cli.main import app
from core import queues
from core.errors import (
    ByUrlOff,
    FacewardenError,
    FetchFailed,
    MediaTooLarge,
    NotMedia,
    TooManyFetches,
    UnsafeAddress,
    UnsupportedMedia,
)
from core.outcomes import ScreeningStatus, Verdict
from core.priorities import Priority
from core.settings import ByUrlSettings
from ingest.by_url import Fetcher
from ingest.registration import Intake
from storage import audit
from storage.engine import reading, transaction
from storage.tables import Screening, Video
from tests.integration.ingest.site import MP4, Site

CONTENT = MP4 + bytes(3_000_000)  # more than one piece


class Server:
    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.headers.append(dict(self.headers.items()))
                with suppress(OSError):
                    server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        path = to.path.partition("?")[0]
        if path == "/redirect":
            to.send_response(302)
            to.send_header("Location", unquote(to.path.partition("?")[2]))
            to.send_header("Set-Cookie", "a=b")
            to.end_headers()
            return
        contents = {
            "/clip.mp4": CONTENT,
            "/empty.mp4": b"",
            "/page.html": b"<html></html>" * 100_000,
            "/a.psd": b"8BPS" + bytes(100),
        }
        if path == "/slow.mp4":
            to.send_response(200)
            to.end_headers()
            to.wfile.write(MP4)
            self.release.wait(60)
            return
        if path == "/cut.mp4":
            to.send_response(200)
            to.send_header("Content-Length", str(len(CONTENT) + 1))
            to.end_headers()
            to.wfile.write(CONTENT)
            return
        if path not in contents:
            to.send_error(404)
            return
        to.send_response(200)
        if "lie" not in to.path:
            to.send_header("Content-Length", str(len(contents[path])))
        to.end_headers()
        to.wfile.write(contents[path])


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=lambda: server.http.serve_forever(0.01))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.paths.clear()
    running.headers.clear()
    running.release.clear()
    return running


Make = Callable[..., Fetcher]


@pytest.fixture
def fetcher(site: Site, server: Server) -> Make:
    def make(**changes: Any) -> Fetcher:
        usual = {"enabled": True, "ports": str(server.port), "private_networks": "127.0.0.0/8"}
        by_url = ByUrlSettings(**(usual | changes))
        return Fetcher(site.settings.model_copy(update={"by_url": by_url}), site.engine, site.objects)

    return make


def test_a_file_is_fetched_and_queued_once(site: Site, server: Server, fetcher: Make) -> None:
    taken = fetcher().take(f"{server.url}/clip.mp4?signature=s", actor="ann")
    again = fetcher().take(f"{server.url}/redirect?/clip.mp4", actor="ann")
    assert (taken.intake, taken.name) == (Intake.QUEUED, "clip.mp4")
    assert (again.intake, again.video_id) == (Intake.KNOWN, taken.video_id)
    assert [(each.source, each.name) for each in site.sightings()] == [
        ("url:127.0.0.1", "clip.mp4"),
        ("url:127.0.0.1", "redirect"),
    ]
    assert (site.settings.objects_folder / _key(site)).read_bytes() == CONTENT
    assert site.depth() == 1
    sent = {name.lower() for headers in server.headers for name in headers}
    assert sent == {"host", "user-agent", "accept", "accept-encoding"}  # no credentials, no cookies
    with reading(site.engine) as session:
        event = audit.page(session, action="video.fetched")[-1]
    assert event.detail == {"address": f"{server.url}/clip.mp4", "intake": "queued"}


def _key(site: Site) -> str:
    with reading(site.engine) as session:
        return session.scalars(select(Video.object_key)).one()


ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:10.0.0.1]/",
    "//10.0.0.1/",
    "http://10.0.0.1/clip.mp4",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "ftp://127.0.0.1/",
    "http://user:password@127.0.0.1/",
    "http://127.0.0.1:22/",
)


def test_a_redirect_leads_nowhere_else(site: Site, server: Server, fetcher: Make) -> None:
    """The first server is allowed, what it points to is not."""
    strict = fetcher(ports=f"80,{server.port}", private_networks="127.0.0.1/32")
    for where in ELSEWHERE:
        with pytest.raises(UnsafeAddress):
            strict.take(f"{server.url}/redirect?{where}", actor="ann")
    assert len(server.paths) == len(ELSEWHERE)  # nothing but the redirects themselves
    assert not site.screenings()


def test_loopback_is_refused_without_the_setting(site: Site, server: Server, fetcher: Make) -> None:
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        with pytest.raises(UnsafeAddress, match="which is not public"):
            fetcher(private_networks="").take(f"http://{host}:{server.port}/clip.mp4", actor="ann")
    assert server.paths == []


REFUSED: dict[str, tuple[type[FacewardenError], str]] = {
    "/empty.mp4": (FacewardenError, "empty"),
    "/page.html": (NotMedia, "text"),
    "/a.psd": (UnsupportedMedia, "Photoshop"),
    "/missing": (FetchFailed, "404"),
    "/cut.mp4": (FetchFailed, "broke off|IncompleteRead"),
    "/clip.mp4": (MediaTooLarge, "FACEWARDEN_BY_URL__MAX_BYTES"),
    "/clip.mp4?lie": (MediaTooLarge, "FACEWARDEN_BY_URL__MAX_BYTES"),
    "/redirect?/redirect?/redirect?/redirect?/clip.mp4": (FetchFailed, "redirects more than 2 times"),
}


def test_what_is_refused_leaves_nothing(site: Site, server: Server, fetcher: Make) -> None:
    for path, (kind, why) in REFUSED.items():
        most = 2_000_000 if kind is MediaTooLarge else 10**9
        with pytest.raises(kind, match=why):
            fetcher(max_bytes=most, redirects=2).take(server.url + path, actor="ann")
    assert not site.screenings()
    files = [each for each in site.settings.objects_folder.rglob("*") if each.is_file()]
    assert not any(each.stat().st_size for each in files)


def test_a_slow_server_is_cut_off_and_others_wait_their_turn(
    site: Site, server: Server, fetcher: Make
) -> None:
    one = fetcher(at_once=1, total_seconds=0.5)
    with pytest.raises(FetchFailed, match="no end after"):
        one.take(f"{server.url}/slow.mp4", actor="ann")
    server.release.set()
    one._places.acquire()
    with pytest.raises(TooManyFetches):
        one.take(f"{server.url}/clip.mp4", actor="ann")
    one._places.release()
    assert fetcher(at_once=1).take(f"{server.url}/clip.mp4", actor="ann").intake is Intake.QUEUED


def test_it_is_off_unless_switched_on(server: Server, fetcher: Make) -> None:
    with pytest.raises(ByUrlOff):
        fetcher(enabled=False).take(f"{server.url}/clip.mp4", actor="ann")
    assert server.paths == []


@pytest.fixture
def command(site: Site, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    for name, value in {
        "HOME": str(site.settings.home),
        "BUCKET": str(site.settings.bucket),
        "WEIGHTS": str(site.settings.weights),
        "REDIS_URL": site.settings.queue_url,
        "BY_URL__ENABLED": "true",
        "BY_URL__PORTS": str(server.port),
        "BY_URL__PRIVATE_NETWORKS": "127.0.0.0/8",
    }.items():
        monkeypatch.setenv(f"FACEWARDEN_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["ingest", *words])


def test_on_the_command_line(site: Site, server: Server, command: Callable[..., Any]) -> None:
    result = command(f"{server.url}/clip.mp4", "http://10.0.0.1/x")
    assert result.exit_code == 3, result.output
    told = " ".join(result.stdout.split())
    assert "queued clip.mp4" in told
    assert "refused http://10.0.0.1/x http://10.0.0.1/x: this address is not asked" in told
    assert "taken in queued 1, refused 1" in told
    assert site.depth() == 1
    again = command(f"{server.url}/clip.mp4", "--resume")
    assert (again.exit_code, "--resume means nothing" in again.output) == (2, True)


def test_on_the_command_line_it_is_off_too(
    server: Server, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says that first, not which ports it would not ask."""
    monkeypatch.setenv("FACEWARDEN_BY_URL__ENABLED", "false")
    monkeypatch.setenv("FACEWARDEN_BY_URL__PORTS", "443")
    result = command(f"{server.url}/clip.mp4")
    assert isinstance(result.exception, ByUrlOff), result.output
    assert server.paths == []


def test_addresses_are_waited_for_reported_and_hurried_as_files_are(
    site: Site, server: Server, command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)

    def screen_all(seconds: float) -> None:
        done = {"status": ScreeningStatus.DONE, "verdict": Verdict.CLEAR, "score": 0.1}
        with transaction(site.engine) as session:
            session.execute(update(Screening).values(**done))

    monkeypatch.setattr(intake_report, "time", SimpleNamespace(sleep=screen_all))
    report = tmp_path / "report.json"
    places = f"{server.url}/clip.mp4?signature=s", f"{server.url}/missing?signature=s", str(site.bucket)
    result = command(*places, "--wait", "--report", str(report), "--priority", "interactive")
    assert result.exit_code == 3, result.output
    assert queues.depths(site.redis, queues.SCREEN)[Priority.INTERACTIVE] == 2
    told = json.loads(report.read_text())
    assert (told["taken_in"], told["failures"]) == ({"queued": 2, "refused": 1}, {"fetch_failed": 1})
    assert told["verdicts"] == {"clear": 2}
    assert [(row["source"], row["name"], row["verdict"]) for row in told["files"]] == [
        ("url:127.0.0.1", "clip.mp4", "clear"),
        ("url", f"{server.url}/missing", None),
        ("path", str(site.bucket / "a.mp4"), "clear"),
    ]
