"""Videos from other services: sent, sent again, held back, followed, cancelled."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from sqlalchemy import func, select, update

from core import gate, queues, traces
from core.errors import KeyReused
from core.priorities import Priority
from core.roles import Role, Scope
from core.settings import ReviewSettings
from ingest.registration import Stored
from review import pressure, uploads
from review.app import create_app
from storage import screenings
from storage.engine import reading, transaction
from storage.objects.store import INCOMING
from storage.people import tokens
from storage.tables import AuditEvent, KeptAnswer, Screening, Video, utc_now
from tests.integration.review.api.site import CLEAR, FAILED, MP4, QUEUED, Site

KEY = "Idempotency-Key"


@pytest.fixture
def machine(site: Site) -> TestClient:
    site.account("machine", Role.SERVICE, (Scope.READ, Scope.UPLOAD, Scope.RESCREEN))
    return site.client("machine")


def videos(site: Site) -> int:
    with reading(site.engine) as session:
        return session.scalar(select(func.count()).select_from(Video)) or 0


def left_behind(site: Site) -> list[str]:
    return [path.name for path in site.settings.objects_folder.glob(f"{INCOMING}*")]


def test_a_file_is_taken_raw_or_as_a_form(site: Site, machine: TestClient) -> None:
    raw = machine.post("/v1/videos?name=a/holiday.mp4&priority=backfill", content=MP4 + b"raw")
    form = machine.post("/v1/videos", files={"file": ("Käse.mp4", MP4 + b"form", "video/mp4")})
    for answer, name, priority, content in (
        (raw, "holiday.mp4", "backfill", b"raw"),
        (form, "Käse.mp4", "normal", b"form"),
    ):
        assert answer.status_code == 201, answer.text
        assert answer.json() == {
            "video_id": answer.json()["video_id"],
            "sha256": hashlib.sha256(MP4 + content).hexdigest(),
            "name": name,
            "intake": "queued",
            "priority": priority,
        }
        followed = machine.get(f"{answer.headers['Location']}/status").json()
        assert (followed["status"], followed["priority"]) == ("queued", priority)
        assert machine.get(f"{answer.headers['Location']}/media").content == MP4 + content
    page = machine.post("/v1/uploads", files={"file": ("Käse 2.mp4", MP4 + b"page", "video/mp4")})
    assert (page.status_code, page.json()["name"]) == (201, "Käse 2.mp4")
    assert machine.get(f"{page.headers['Location']}/media").content == MP4 + b"page"
    broken = machine.post("/v1/uploads", content=HEAD, headers=BOUND)
    assert (broken.status_code, "last boundary" in broken.json()["detail"]) == (422, True)
    again = machine.post("/v1/videos", files={"other": ("b.mp4", MP4 + b"raw")})
    assert (again.status_code, again.json()["video_id"]) == (200, raw.json()["video_id"])
    assert left_behind(site) == []


def test_a_request_goes_on_with_the_trace_that_it_names(site: Site) -> None:
    above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    kept = InMemorySpanExporter()
    with (
        traces.exported(site.settings, "test", exporter=kept),
        served(site, ReviewSettings(hosts="testserver")) as client,
    ):
        answer = client.post("/v1/videos", content=MP4 + b"traced", headers={"traceparent": above})
    assert answer.status_code == 201, answer.text
    with reading(site.engine) as session:
        stored = session.scalar(
            select(Screening.traceparent).where(Screening.video_id == answer.json()["video_id"])
        )
    assert stored is not None
    assert stored.split("-")[1] == above.split("-")[1]
    request = next(each for each in kept.get_finished_spans() if "/v1/videos" in each.name)
    assert "traceparent" not in str(request.attributes)
    assert {each.name for each in kept.get_finished_spans()} >= {request.name, "take in"}


@pytest.mark.parametrize(
    ("above", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("nonsense\xff", False),
        (None, False),
    ],
)
def test_its_id_goes_on_where_no_spans_are_collected(site: Site, above: str | None, kept: bool) -> None:
    headers = {} if above is None else {"traceparent": above.encode("latin-1")}
    with served(site, ReviewSettings(hosts="testserver")) as client:
        answer = client.post("/v1/videos", content=MP4 + b"traced", headers=headers)
    assert answer.status_code == 201, answer.text
    with reading(site.engine) as session:
        of_it = Screening.video_id == answer.json()["video_id"]
        stored = session.scalar(select(Screening.traceparent).where(of_it))
    assert stored is not None
    assert ("0af7651916cd43dd8448eb211c80319c" in stored) is kept


BOUND = {"Content-Type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\n' + MP4


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (HEAD, BOUND, 422, "it ends before its last boundary"),
        (b"", BOUND, 422, "it ends before its last boundary"),
        (b"no boundary", BOUND, 422, "multipart body"),
        (HEAD + b"\r\n" + HEAD + b"\r\n--b--\r\n", BOUND, 422, "more than one part"),
        (HEAD, {"Content-Type": "multipart/form-data"}, 422, "names no boundary"),
        (HEAD.replace(MP4, b"text") + b"\r\n--b--\r\n", BOUND, 415, "it is text"),
        (HEAD.replace(MP4, b"") + b"\r\n--b--\r\n", BOUND, 422, "the file is empty"),
    ],
)
def test_a_body_that_is_not_one_file_is_refused_and_leaves_nothing(
    site: Site, machine: TestClient, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    before = videos(site)
    answer = machine.post("/v1/videos", content=body, headers=headers)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert (videos(site), left_behind(site)) == (before, [])


@pytest.mark.parametrize("form", [False, True])
def test_what_is_too_large_is_refused_on_the_way(site: Site, form: bool) -> None:
    limited = ReviewSettings(upload_bytes=2_000_000, hosts="testserver")
    with served(site, limited) as client:
        content = MP4 + bytes(2_000_000)
        answer = client.post("/v1/videos", **({"files": {"file": content}} if form else {"content": content}))
        assert (answer.status_code, answer.json()["code"]) == (413, "media_too_large")
        fits = content[:2_000_000]
        answer = client.post("/v1/videos", **({"files": {"file": fits}} if form else {"content": fits}))
        assert answer.status_code == 201
    assert left_behind(site) == []


def test_no_more_than_a_piece_is_held_in_memory(site: Site) -> None:
    part, written = 64 * 1024, []

    class Sink:
        sha256 = key = "ab"

        def write(self, piece: bytes) -> None:
            written.append(len(piece))

    class Store:
        @contextmanager
        def write_stream(self) -> Iterator[Sink]:
            yield Sink()

    async def body() -> Any:
        yield MP4
        for _ in range(100):
            yield bytes(part)

    async def pieces() -> None:
        receiver = uploads.Receiver(site.settings, site.engine, Store())  # type: ignore[arg-type]
        receiver.register = lambda *_: None  # type: ignore[assignment, method-assign, return-value]
        await receiver.receive(body(), wish(site))

    anyio.run(pieces)
    assert sum(written) == len(MP4) + 100 * part
    assert max(written) < gate.PIECE_BYTES + part


def wish(site: Site, key: str | None = None) -> uploads.Wish:
    with reading(site.engine) as session:
        account = tokens.find(session, site.tokens["reviewer"])
    assert account is not None
    return uploads.Wish(
        name="x.mp4",
        priority=Priority.NORMAL,
        account_id=account.account_id,
        actor=account.name,
        key=key,
    )


def test_the_same_key_and_content_get_the_same_answer(site: Site, machine: TestClient) -> None:
    first = machine.post("/v1/videos?name=a.mp4", content=MP4 + b"1", headers={KEY: "k-1"})
    again = machine.post("/v1/videos?name=a.mp4", content=MP4 + b"1", headers={KEY: "k-1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["Location"]) == (first.json(), first.headers["Location"])
    other_key = machine.post("/v1/videos?name=a.mp4", content=MP4 + b"1", headers={KEY: "k-2"})
    assert (other_key.status_code, other_key.json()["intake"]) == (200, "known")
    with reading(site.engine) as session:
        uploaded = select(func.count()).where(AuditEvent.action == "video.uploaded")
        assert session.scalar(uploaded) == 2  # the repetition did nothing


def test_the_same_key_with_other_content_is_refused_and_takes_nothing_in(
    site: Site, machine: TestClient
) -> None:
    assert machine.post("/v1/videos", content=MP4 + b"1", headers={KEY: "k"}).status_code == 201
    before = videos(site)
    other = machine.post("/v1/videos", content=MP4 + b"2", headers={KEY: "k"})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert "new key for each upload" in other.json()["detail"]
    assert videos(site) == before
    # Another account has its own keys, and after a day the key is free again.
    assert site.client().post("/v1/videos", content=MP4 + b"2", headers={KEY: "k"}).status_code == 201
    with transaction(site.engine) as session:
        session.execute(update(KeptAnswer).values(created_at=utc_now() - timedelta(hours=25)))
    assert machine.post("/v1/videos", content=MP4 + b"3", headers={KEY: "k"}).status_code == 201
    with reading(site.engine) as session:
        assert session.scalar(select(func.count()).select_from(KeptAnswer)) == 1


@pytest.mark.parametrize("same", [True, False])
def test_of_two_at_once_with_one_key_the_first_to_commit_is_answered(site: Site, same: bool) -> None:
    """Both were received before either was in the database."""
    receiver, asked = uploads.Receiver(site.settings, site.engine, site.objects), wish(site, "k")

    def stored(content: bytes) -> Stored:
        key = site.objects.put_bytes(content)
        return Stored(sha256=key.replace("/", ""), key=key, head=content)

    first = receiver.register(asked, stored(MP4 + b"1"), 25)
    before = videos(site)
    if same:
        assert receiver.register(asked, stored(MP4 + b"1"), 25) == first
    else:
        with pytest.raises(KeyReused):
            receiver.register(asked, stored(MP4 + b"2"), 25)
    assert videos(site) == before


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256])
def test_a_key_is_printable_and_short(machine: TestClient, key: str) -> None:
    answer = machine.post("/v1/videos", content=MP4, headers={KEY: key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_only_who_may_goes_first(site: Site, machine: TestClient) -> None:
    refused = machine.post("/v1/videos?priority=interactive", content=MP4 + b"1")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert "a token with the scope interactive" in refused.json()["detail"]
    assert machine.post("/v1/videos?priority=urgent", content=MP4 + b"1").status_code == 422
    site.account("quick", Role.SERVICE, (Scope.UPLOAD, Scope.INTERACTIVE))
    taken = site.client("quick").post("/v1/videos?priority=interactive", content=MP4 + b"1")
    assert taken.json()["priority"] == "interactive"
    # What the upload page sends is urgent if it comes from somebody who may.
    for name, priority in (("quick", "interactive"), ("machine", "normal")):
        sent = site.client(name).post("/v1/uploads", content=MP4 + name.encode())
        assert sent.json()["priority"] == priority


@contextmanager
def served(site: Site, review: ReviewSettings, redis_url: str | None = None) -> Iterator[TestClient]:
    changes: dict[str, Any] = {"review": review}
    if redis_url is not None:
        queues.connect(redis_url).flushall()
        changes["redis_url"] = SecretStr(redis_url)
    site.app = create_app(site.settings.model_copy(update=changes))
    yield site.client()
    site.app.state.engine.dispose()


def test_a_full_queue_takes_no_more_of_its_priority(site: Site, valkey_url: str) -> None:
    with served(site, ReviewSettings(queue_limit=2, hosts="testserver"), valkey_url) as client:
        for number in range(2):
            assert client.post("/v1/videos?priority=backfill", content=MP4 + bytes([number])).is_success
        before = videos(site)
        full = client.post("/v1/videos?priority=backfill", content=MP4 + b"2")
        assert (full.status_code, full.json()["code"]) == (429, "queue_full")
        assert full.headers["Retry-After"] == str(pressure.QUEUE_SECONDS)
        assert "2 screenings of priority backfill are waiting" in full.json()["detail"]
        assert videos(site) == before
        assert client.post("/v1/videos", content=MP4 + b"2").status_code == 201
        queues.connect(valkey_url).flushall()
        assert client.post("/v1/videos?priority=backfill", content=MP4 + b"3").status_code == 201


def test_an_account_that_sends_too_fast_is_told_when_to_go_on(
    site: Site, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000_010.0
    monkeypatch.setattr(pressure, "time", SimpleNamespace(time=lambda: now, monotonic=lambda: now))
    with served(site, ReviewSettings(uploads_per_minute=2, hosts="testserver"), valkey_url) as client:
        answers = [client.post("/v1/videos", content=MP4 + bytes([number])) for number in range(3)]
        assert [each.status_code for each in answers] == [201, 201, 429]
        assert answers[2].json()["code"] == "too_many_uploads"
        assert answers[2].headers["Retry-After"] == "10"  # until the minute is over
        assert site.client("second").post("/v1/videos", content=MP4).status_code == 201
        now += 31
        assert client.post("/v1/videos", content=MP4 + b"2").status_code == 201


def test_a_blind_reviewer_follows_without_the_answer(site: Site) -> None:
    site.blind("reviewer")
    for name, hidden in (("reviewer", True), ("second", False)):
        status = site.client(name).get(f"/v1/videos/{site.ids[CLEAR]}/status").json()
        assert (status["status"], status["score_hidden"]) == ("done", hidden)
        assert (status["verdict"] is None, status["score"] is None) == (hidden, hidden)
    assert site.client().get("/v1/videos/99999/status").status_code == 404


def test_what_waits_is_cancelled_and_can_be_sent_again(site: Site, machine: TestClient) -> None:
    sent = machine.post("/v1/videos?name=a.mp4", content=MP4 + b"1").json()
    address = f"/v1/videos/{sent['video_id']}"
    for _ in range(2):
        cancelled = machine.post(f"{address}:cancel")
        assert cancelled.status_code == 200
        assert (cancelled.json()["status"], cancelled.json()["error_code"]) == ("failed", "cancelled")
        assert cancelled.json()["error_message"].startswith("a.mp4: machine cancelled the screening.")
    with reading(site.engine) as session:
        events = session.scalars(select(AuditEvent).where(AuditEvent.action == "screening.cancelled")).all()
        assert [(each.actor, each.subject) for each in events] == [("machine", "a.mp4")]
        assert screening_of(site, sent["video_id"]).id not in {
            ticket.row_id for ticket in screenings.LEASES.queued(session)
        }
    again = machine.post("/v1/videos?name=a.mp4", content=MP4 + b"1").json()
    assert (again["intake"], again["video_id"]) == ("queued", sent["video_id"])
    assert machine.get(f"{address}/status").json()["status"] == "queued"


def test_what_runs_loses_its_lease_and_what_has_ended_stays(site: Site, machine: TestClient) -> None:
    with transaction(site.engine) as session:
        waiting = next(
            each
            for each in screenings.LEASES.queued(session)
            if each.row_id == screening_of(site, site.ids[QUEUED]).id
        )
        claimed = screenings.LEASES.claim(session, waiting, owner="w", lease_seconds=60)
        assert claimed is not None
    assert machine.post(f"/v1/videos/{site.ids[QUEUED]}:cancel").json()["error_code"] == "cancelled"
    with transaction(site.engine) as session:
        assert not screenings.LEASES.renew(session, claimed, lease_seconds=60)
    for name, status in ((CLEAR, "done"), (FAILED, "failed")):
        answer = machine.post(f"/v1/videos/{site.ids[name]}:cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert machine.get(f"/v1/videos/{site.ids[name]}/status").json()["status"] == status
    assert machine.post("/v1/videos/99999:cancel").status_code == 404
    assert site.client("viewer").post(f"/v1/videos/{site.ids[QUEUED]}:cancel").status_code == 403


def screening_of(site: Site, video_id: int) -> Screening:
    with reading(site.engine) as session:
        return session.scalars(select(Screening).where(Screening.video_id == video_id)).one()
