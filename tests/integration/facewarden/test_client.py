"""The client and `facewarden upload` against a real server, over HTTP."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from sqlalchemy import select
from typer.testing import CliRunner

from cli.main import EXIT_INPUTS, app
from core.errors import ServerRefused
from core.outcomes import Verdict
from core.priorities import Priority
from core.settings import Settings
from facewarden.client import Client
from review.app import create_app
from review.protocol import BoundedProtocol, Patience
from storage import screenings
from storage.engine import reading, transaction
from storage.objects.s3 import direct
from storage.results import complete
from storage.tables import Screening
from tests.integration.review.api.site import FLAGGED, MP4, SUSPECT, Site, build
from tests.s3_server import ENVIRONMENT, REGION, S3Server
from tests.screening_results import screening_result
from tests.waiting import until

PART = 5 * 1024**2
LIMIT = PART + 100  # bytes that the service takes itself


@pytest.fixture(scope="module")
def site(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation whose objects are in a bucket."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ENVIRONMENT.items():
            patched.setenv(name, value)
        patched.setattr(direct, "PART_BYTES", PART)
        made = build(tmp_path_factory.mktemp("site"))
        changes = {
            "objects": str(s3_server.place()),
            "s3": {"endpoint_url": s3_server.endpoint, "region": REGION, "attempts": 2},
            "review": {"upload_bytes": LIMIT},
        }
        made.settings = Settings(**(made.settings.model_dump(exclude_unset=True) | changes), _env_file=None)
        yield made
        made.engine.dispose()


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    served = create_app(site.settings)
    served.state.patience = Patience.of(site.settings.review)
    config = uvicorn.Config(served, port=0, http=BoundedProtocol, ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server listens")
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def client(site: Site, address: str) -> Iterator[Client]:
    with Client(address, site.tokens["reviewer"]) as made:
        yield made


def screened(site: Site, verdict: Verdict = Verdict.CLEAR, score: float = 0.1) -> None:
    """What a worker does with all that waits."""
    with transaction(site.engine) as session:
        for ticket in screenings.LEASES.queued(session):
            claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
            assert claimed is not None
            complete(session, claimed, screening_result(verdict, score))


def test_a_file_is_sent_followed_and_screened(site: Site, address: str, tmp_path: Path) -> None:
    path = tmp_path / "Käse.mp4"
    path.write_bytes(MP4 + b"followed")
    # The worker comes while the client sleeps.
    with Client(address, site.tokens["reviewer"], sleep=lambda _: screened(site)) as client:
        sent = client.upload(path, priority=Priority.INTERACTIVE)
        assert (sent.name, sent.intake, sent.priority) == ("Käse.mp4", "queued", "interactive")
        assert client.status(sent.video_id).status == "queued"
        status = client.wait(sent.video_id)
        assert (status.verdict, status.score) == ("clear", 0.1)
        assert client.upload(path).intake == "known"
        with pytest.raises(ServerRefused, match="it has ended"):
            client.cancel(sent.video_id)


def test_what_is_cancelled_has_ended(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(MP4 + b"cancelled")
    sent = client.upload(path)
    assert client.cancel(sent.video_id).error_code == "cancelled"
    assert client.wait(sent.video_id).error_code == "cancelled"


def test_a_file_above_the_limit_goes_to_the_bucket(site: Site, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    path.write_bytes(MP4 + bytes(LIMIT))
    sent = client.upload(path, priority=Priority.BACKFILL)
    assert (sent.intake, sent.priority) == ("queued", "backfill")
    with reading(site.engine) as session:
        row = session.scalars(select(Screening).where(Screening.video_id == sent.video_id)).one()
        assert (row.priority, row.status) == ("backfill", "queued")
    assert client.upload(path).video_id == sent.video_id


def test_flagged_videos_come_page_by_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    ask = client._ask

    def one_each(method: str, wanted: str, **request: object) -> httpx.Response:
        request["params"] = {**request["params"], "limit": 1}  # type: ignore[dict-item]
        pages.append(wanted)
        return ask(method, wanted, **request)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "_ask", one_each)
    found = list(client.flagged())
    assert {each.name for each in found} == {FLAGGED, SUSPECT}
    assert {each.verdict for each in found} == {"fake", "suspect"}
    assert len(pages) >= 2


@pytest.fixture
def token_file(site: Site, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(site.tokens["reviewer"] + "\n")
    return path


def test_the_command_sends_files_and_folders_and_says_what_was_refused(
    address: str, token_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(MP4 + b"by command")
    (folder / "notes.mp4").write_bytes(b"a text, no film")
    words = ["upload", str(folder), "--server", address, "--token-file", str(token_file)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == EXIT_INPUTS
    first, second = done.stdout.splitlines()
    assert first.split()[0::2] == ["queued", str(folder / "good.mp4")]
    assert second.startswith("refused   notes.mp4: ")
    assert "it is text" in second


def test_the_command_waits_for_verdicts(site: Site, address: str, token_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    path.write_bytes(MP4 + b"waited for")
    with Client(address, site.tokens["reviewer"]) as before:
        before.upload(path)
    screened(site)
    words = ["upload", str(path), "--server", address, "--token-file", str(token_file), "--wait", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    sent, status = map(json.loads, done.stdout.splitlines())
    assert (sent["intake"], status["video_id"], status["verdict"]) == ("known", sent["video_id"], "clear")


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("", "it holds no token")])
def test_a_token_that_is_not_there_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    words = ["upload", str(tmp_path), "--server", "http://127.0.0.1:1", "--token-file", str(path)]
    ended = CliRunner().invoke(app, words)
    assert str(path) in str(ended.exception)
    assert said in str(ended.exception)
