"""What only a bucket can do wrong: races, damage, refusals."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import (
    BucketRefused,
    BucketUnavailable,
    FileVanished,
    ObjectDamaged,
    ObjectStoreError,
    ScratchFull,
)
from core.s3_address import S3Address
from core.settings import S3Settings, Settings
from storage.objects.choice import open_store
from storage.objects.s3.bucket import Bucket, Entry
from storage.objects.s3.store import MARK_SECONDS, REMOVING, S3Store
from storage.objects.scratch import FETCHING, Scratch
from tests.ports import free_port
from tests.s3_server import BUCKET, REGION, SECRET_KEY, S3Server


class WatchedBucket(Bucket):
    """Calls `after(operation, name)` once each request is answered."""

    reads = 0

    def after(self, operation: str, name: str) -> None:
        pass

    def put(self, name: str, content: bytes) -> None:
        super().put(name, content)
        self.after("put", name)

    def head(self, name: str) -> Entry | None:
        found = super().head(name)
        self.after("head", name)
        return found

    def remove(self, name: str) -> None:
        super().remove(name)
        self.after("remove", name)

    def read(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.reads += 1
        return super().read(name, start=start, length=length)


@pytest.fixture
def place(s3: S3Server) -> S3Address:
    return s3.place()


@pytest.fixture
def bucket(s3: S3Server) -> WatchedBucket:
    return WatchedBucket(BUCKET, S3Settings(endpoint_url=s3.endpoint, region=REGION, attempts=2))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def store(bucket: WatchedBucket, place: S3Address, scratch: Path) -> S3Store:
    return S3Store(bucket, place.prefix, Scratch(scratch, 1000))


def fetched(scratch: Path) -> list[str]:
    return sorted(path.name for path in scratch.iterdir() if not path.name.startswith("."))


def tamper(s3: S3Server, place: S3Address, key: str, content: bytes) -> None:
    s3.client.put_object(Bucket=place.bucket, Key=place.prefix + key, Body=content)


@pytest.mark.parametrize("step", range(4), ids=["marked", "looked", "removed", "unmarked"])
def test_what_is_stored_while_it_is_removed_stays(
    store: S3Store,
    bucket: WatchedBucket,
    s3: S3Server,
    place: S3Address,
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same content comes in after each request of its removal, until its own first write is done."""
    key = store.put_bytes(b"content")
    time.sleep(1.1)  # a server tells ages in whole seconds
    older_than = store.now()
    written, requests = threading.Event(), 0
    remover = threading.current_thread()
    other = threading.Thread(target=store.put_bytes, args=(b"content",))

    def after(operation: str, name: str) -> None:
        nonlocal requests
        if threading.current_thread() is remover:
            if requests == step:
                other.start()
                assert written.wait(60)
            requests += 1
        elif operation == "put" and name.endswith(key):
            written.set()

    monkeypatch.setattr(bucket, "after", after)
    store.discard(key, older_than=older_than)
    other.join()
    assert requests == (3 if step == 0 else 4)  # seen to be young, it was not removed
    assert s3.names(place) == [key]


def test_a_mark_that_a_killed_process_left_holds_nobody_up(
    store: S3Store, bucket: WatchedBucket, s3: S3Server, place: S3Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = store.put_bytes(b"content")
    mark = REMOVING + key.replace("/", "-")
    tamper(s3, place, mark, b"")
    monkeypatch.setattr("storage.objects.s3.store.MARK_SECONDS", -1.0)
    assert store.put_bytes(b"content") == key
    assert MARK_SECONDS > 2 * (60 + 60) * 10  # two requests with ten attempts, silent for as long as allowed
    store.sweep(-60)
    assert s3.names(place) == [key]


def test_a_bucket_that_is_not_there_is_no_vanished_object(s3: S3Server, scratch: Path) -> None:
    bucket = Bucket("no-such-bucket", S3Settings(endpoint_url=s3.endpoint, region=REGION, attempts=1))
    store = S3Store(bucket, "", Scratch(scratch, 1000))
    key = "ab/" + "0" * 62
    # A write is not among them: this server makes the bucket then, as AWS does not.
    asks: list[Callable[[], object]] = [
        lambda: store.exists(key),
        lambda: store.size(key),
        lambda: store.read(key),
        lambda: list(store.stored()),
        store.now,
    ]
    for ask in asks:
        with pytest.raises(BucketRefused, match=r"no-such-bucket.*FACEWARDEN_OBJECTS"):
            ask()


@pytest.mark.parametrize("secret", ["wrong", None])
def test_credentials_that_are_wrong_or_missing_are_named_and_never_shown(
    s3: S3Server,
    scratch: Path,
    secret: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if secret is None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(scratch / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(scratch / "none"))
    else:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY + secret)
    bucket = Bucket(BUCKET, S3Settings(endpoint_url=s3.endpoint, region=REGION, attempts=1))
    store = S3Store(bucket, "", Scratch(scratch, 1000))
    with caplog.at_level(logging.DEBUG), pytest.raises(BucketRefused, match="credentials") as refused:
        store.put_bytes(b"x")
    assert SECRET_KEY not in f"{refused.value} {bucket!r} {store!r} {vars(bucket)} {caplog.text}"
    assert "AWS4-HMAC" not in caplog.text


def test_a_server_that_is_not_there_is_unavailable(scratch: Path, s3: S3Server) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    bucket = Bucket("bucket", S3Settings(endpoint_url=endpoint, region=REGION, attempts=1))
    with pytest.raises(BucketUnavailable, match=rf"bucket at {endpoint} .* ab/"):
        S3Store(bucket, "", Scratch(scratch, 1000)).read("ab/" + "0" * 62)


def test_content_that_is_not_what_was_stored_is_told(
    store: S3Store, s3: S3Server, place: S3Address, scratch: Path
) -> None:
    key = store.put_bytes(b"content")
    tamper(s3, place, key, b"CONTENT")
    with pytest.raises(ObjectDamaged, match=key):
        store.read(key)
    with pytest.raises(ObjectDamaged, match=key), store.local_path(key):
        pass
    assert fetched(scratch) == []
    store.put_bytes(b"content")  # once more mends it
    assert store.read(key) == b"content"


def test_a_file_is_fetched_once_and_makes_room_when_it_was_not_used_for_longest(
    store: S3Store, bucket: WatchedBucket, scratch: Path
) -> None:
    first, second, third = (store.put_bytes(letter * 400) for letter in (b"1", b"2", b"3"))
    for key in (first, second, first):
        with store.local_path(key) as path:
            assert path.stat().st_size == 400
    reads = bucket.reads
    with store.local_path(first) as path, store.local_path(third):
        assert bucket.reads == reads + 2  # the third: its content, and its end
        assert fetched(scratch) == sorted(key.replace("/", "") for key in (first, third))
        with pytest.raises(ScratchFull, match=r"FACEWARDEN_S3__SCRATCH_BYTES"), store.local_path(second):
            pass
        assert path.read_bytes() == b"1" * 400, "what is in use is not removed"
    with store.local_path(second) as path:
        assert path.read_bytes() == b"2" * 400


def test_a_full_disk_is_told_and_frees_what_nobody_uses(
    store: S3Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, unused, wanted = (store.put_bytes(letter * 100) for letter in (b"1", b"2", b"3"))
    with store.local_path(unused):
        pass

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with store.local_path(kept):
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(ScratchFull, match="No space left"), store.local_path(wanted):
            pass
        assert fetched(scratch) == [kept.replace("/", "")]


def test_what_a_killed_process_was_fetching_makes_room(store: S3Store, scratch: Path) -> None:
    scratch.mkdir()
    (scratch / f"{FETCHING}dead").write_bytes(bytes(900))
    key = store.put_bytes(b"1" * 400)
    with store.local_path(key):
        assert fetched(scratch) == [key.replace("/", "")]


def test_fetching_ends_when_told_or_when_the_object_goes(
    store: S3Store, s3: S3Server, place: S3Address, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.objects.s3.store.FETCH_BYTES", 10)
    key = store.put_bytes(b"1" * 100)

    def stop() -> None:
        raise ZeroDivisionError

    def remove() -> None:
        s3.client.delete_object(Bucket=place.bucket, Key=place.prefix + key)

    with pytest.raises(ZeroDivisionError), store.local_path(key, heartbeat=stop):
        pass
    assert fetched(scratch) == []
    with pytest.raises(FileVanished, match=key), store.local_path(key, heartbeat=remove):
        pass
    assert fetched(scratch) == []


def test_two_that_want_one_file_share_it(store: S3Store, scratch: Path) -> None:
    key = store.put_bytes(b"1" * 400)
    both = threading.Barrier(2, timeout=60)
    seen: list[bytes] = []

    def use() -> None:
        with store.local_path(key, heartbeat=both.wait) as path:
            both.wait()
            seen.append(path.read_bytes())

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"1" * 400] * 2
    assert fetched(scratch) == [key.replace("/", "")]


def test_what_others_keep_in_the_bucket_stays(s3: S3Server, scratch: Path, bucket: WatchedBucket) -> None:
    place = s3.place()
    theirs = place.prefix + "their/file"
    s3.client.put_object(Bucket=BUCKET, Key=theirs, Body=b"x")
    upload = s3.client.create_multipart_upload(Bucket=BUCKET, Key=theirs)["UploadId"]
    store = S3Store(bucket, place.prefix, Scratch(scratch, 1000))
    assert list(store.stored()) == []
    assert store.sweep(-60) == 0
    assert s3.names(place) == ["their/file"]
    s3.client.abort_multipart_upload(Bucket=BUCKET, Key=theirs, UploadId=upload)  # raises if it were gone


def test_the_setting_chooses_the_store(s3: S3Server, settings: Settings) -> None:
    place = s3.place()
    chosen = Settings(
        **(settings.model_dump(exclude_unset=True) | {"objects": str(place)}),
        s3={"endpoint_url": s3.endpoint, "region": REGION},
        _env_file=None,
    )
    store = open_store(chosen)
    key = store.put_bytes(b"x")
    assert s3.names(place) == [key]
    assert store.where(key) == f"{place}{key}"
    with store.local_path(key) as path:
        assert path.parent == settings.home.resolve() / "scratch"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing fails, as where a policy forbids it."""

    def refuse(self: Bucket, name: str) -> None:
        raise BucketRefused(
            bucket=self.name, endpoint="here", operation="removing", key=name, reason="403 AccessDenied"
        )

    monkeypatch.setattr(Bucket, "remove", refuse)


def test_a_probe_tells_what_is_not_allowed(store: S3Store, broken: None) -> None:
    with pytest.raises(ObjectStoreError, match=r"refused removing .* AccessDenied"):
        store.probe()
