"""What both stores promise, asked of each."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import FileVanished, ObjectStoreError
from core.settings import S3Settings
from storage.objects.folder import FolderStore
from storage.objects.s3.bucket import Bucket
from storage.objects.s3.store import S3Store
from storage.objects.s3.upload import Sizes
from storage.objects.scratch import Scratch
from storage.objects.store import Daily, ObjectStore
from tests.s3_server import REGION, S3Server

DAY = 24 * 3600.0
MISSING = "ab/" + "0" * 62
PART = 5 * 1024**2  # the smallest that S3 allows


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "objects")
    server: S3Server = request.getfixturevalue("s3")
    settings = S3Settings(endpoint_url=server.endpoint, region=REGION)
    scratch = Scratch(tmp_path / "scratch", 10**9)
    sizes = Sizes(part=PART, copy=PART)
    place = server.place()
    return S3Store(Bucket(place.bucket, settings), place.prefix, scratch, sizes)


def content_of(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def streamed(store: ObjectStore, content: bytes, step: int = 1_000_003) -> str:
    with store.write_stream() as sink:
        for start in range(0, len(content), step):
            sink.write(content[start : start + step])
    assert sink.sha256 == hashlib.sha256(content).hexdigest()
    return sink.key


def test_what_goes_in_comes_out_under_its_hash(store: ObjectStore) -> None:
    key = store.put_bytes(b"face", ".jpg")
    assert store.put_bytes(b"face", ".jpg") == key
    assert key == f"{(digest := hashlib.sha256(b'face').hexdigest())[:2]}/{digest[2:]}.jpg"
    assert (store.read(key), store.size(key), store.exists(key)) == (b"face", 4, True)
    assert [(each.key, each.size_bytes) for each in store.stored()] == [(key, 4)]
    assert store.where(key).endswith(f"/{key}")


def test_any_part_is_read(store: ObjectStore) -> None:
    key = store.put_bytes(b"0123456789")
    assert store.read(key, start=2, length=3) == b"234"
    assert store.read(key, start=7) == b"789"
    assert store.read(key, length=4) == b"0123"
    assert store.read(key, start=8, length=100) == b"89"
    assert store.read(key, start=10, length=5) == b""
    assert store.read(key, start=3, length=0) == b""


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART, 2 * PART + 12_345])
def test_streams_of_every_length_arrive_whole(store: ObjectStore, size: int) -> None:
    content = content_of(size)
    key = streamed(store, content)
    assert store.size(key) == size
    assert store.read(key) == content
    assert [each.key for each in store.stored()] == [key]
    assert store.half_written(store.now() + DAY) == 0
    with store.local_path(key) as path:
        assert path.read_bytes() == content


@pytest.mark.parametrize("size", [10, 2 * PART + 10])
def test_a_stream_that_breaks_off_leaves_nothing(store: ObjectStore, size: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield content_of(size)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.write_stream() as sink:
        list(map(sink.write, pieces()))
    assert list(store.stored()) == []
    assert store.half_written(store.now() + DAY) == 0


def test_nothing_is_seen_before_it_is_complete(store: ObjectStore) -> None:
    content = content_of(2 * PART + 10)
    with store.write_stream() as sink:
        sink.write(content)
        assert list(store.stored()) == []
    assert store.read(sink.key) == content


def test_what_is_not_there_has_vanished(store: ObjectStore) -> None:
    assert not store.exists(MISSING)
    with pytest.raises(FileVanished, match=MISSING):
        store.read(MISSING)
    with pytest.raises(FileVanished, match=MISSING):
        store.size(MISSING)
    with pytest.raises(FileVanished, match=MISSING), store.local_path(MISSING):
        pass


@pytest.mark.parametrize("key", ["../../etc/passwd", "ab/../../x", "", "ab/" + "g" * 62, ".swept"])
def test_no_key_climbs_out(store: ObjectStore, key: str) -> None:
    for ask in (store.read, store.size, store.exists, store.where):
        with pytest.raises(ObjectStoreError, match="no key"):
            ask(key)
    with pytest.raises(ObjectStoreError, match="no key"):
        store.discard(key, older_than=0)


def test_only_what_is_old_is_removed(store: ObjectStore) -> None:
    key = store.put_bytes(b"content")
    assert store.discard(key, older_than=store.now() - DAY) is None
    assert store.exists(key)
    assert store.discard(key, older_than=store.now() + DAY) == len(b"content")
    assert not store.exists(key)
    assert store.discard(key, older_than=store.now() + DAY) is None
    assert store.put_bytes(b"content") == key
    assert store.exists(key)


def test_what_was_half_written_long_ago_is_swept(store: ObjectStore) -> None:
    whole = store.put_bytes(b"whole")
    sink = store.write_stream()
    open_sink = sink.__enter__()
    open_sink.write(content_of(2 * PART))
    left = store.spool() / ".incoming-upload"
    left.write_bytes(b"half an upload")
    assert store.half_written(store.now() - DAY) == 0
    assert store.half_written(store.now() + DAY) == 2
    assert store.sweep() == 0
    assert store.sweep(-DAY) == 2
    assert store.half_written(store.now() + DAY) == 0
    assert not left.exists()
    assert store.exists(whole)
    assert not sink.__exit__(ZeroDivisionError, ZeroDivisionError(), None)  # what is gone already is no error


def test_one_process_has_the_turn_to_sweep_and_one_to_purge(store: ObjectStore) -> None:
    first = store.last_done(Daily.SWEEP)
    assert first == pytest.approx(store.now(), abs=60)
    with store.turn(Daily.SWEEP, lambda last: last > first) as mine:
        assert not mine
    turns: list[bool] = []
    both = threading.Barrier(2)

    def due(last: float) -> bool:
        both.wait()  # both have seen the old stamp
        return last == first

    def take() -> None:
        with store.turn(Daily.SWEEP, due) as mine:
            turns.append(mine)
            if isinstance(store, S3Store):
                both.wait()

    if isinstance(store, FolderStore):  # the second gets no lock, and asks nobody
        with (
            store.turn(Daily.SWEEP, lambda last: last == first) as mine,
            store.turn(Daily.SWEEP, due) as other,
        ):
            turns += [mine, other]
    else:
        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(turns) == [False, True]
    with store.turn(Daily.PURGE, lambda _: True) as purges, store.turn(Daily.SWEEP, lambda _: True) as sweeps:
        assert (purges, sweeps) == (True, True)  # each has a stamp of its own


def test_a_probe_leaves_nothing(store: ObjectStore) -> None:
    store.probe()
    assert list(store.stored()) == []
    assert store.half_written(store.now() + DAY) == 0
