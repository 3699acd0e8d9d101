"""A bucket of S3 as the source: names, tags, changes, what is left alone, what a process leaves undone."""

import hashlib
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import BucketRefused, BucketUnavailable
from core.s3_address import S3Address
from core.settings import Settings
from ingest.registration import Intake
from ingest.s3 import listing
from ingest.service import _watch
from ingest.source import untaken
from storage import source_cursors
from storage.engine import transaction
from storage.objects.s3.bucket import Bucket, Page
from storage.tables import utc_now
from tests.integration.ingest.s3.place import Place
from tests.integration.ingest.site import MP4
from tests.waiting import until

NAMES = [
    "plain.mp4",
    "with space.mp4",
    "with+plus.mp4",
    "with%2Bpercent.mp4",
    "%41.mp4",
    "ü 漢字 😀.mp4",
    "deep/er/x&y=z?#.mp4",
    "new\nline'\"<>.mp4",
]


def test_every_name_is_taken_once_and_the_bucket_stays_as_it_was(place: Place) -> None:
    for name in NAMES:
        place.put(name)
    before = place.server.names(place.address)
    taken = place.take()
    assert {name: receipt.intake for name, receipt in taken.items()} == dict.fromkeys(NAMES, Intake.QUEUED)
    for name, receipt in taken.items():
        assert receipt.sha256 == hashlib.sha256(MP4 + name.encode()).hexdigest()
        assert place.site.objects.exists(f"{receipt.sha256[:2]}/{receipt.sha256[2:]}")
    assert place.take() == {}
    assert place.server.names(place.address) == before
    assert {row.source for row in place.site.sightings()} == {f"bucket:s3://{place.address.bucket}/"}
    assert place.site.depth() == len(NAMES)


def test_what_is_no_video_is_refused_without_a_copy(place: Place) -> None:
    for name, content in {
        "empty.mp4": b"",
        "text.mp4": b"no film",
        "folder/": b"",
        "film.srt": b"1",
        ".hidden/x.mp4": MP4,
        "large.mp4": MP4 * 9,
    }.items():
        place.put(name, content)
    ingest = place.site.settings.ingest.model_copy(update={"max_file_bytes": 1000})
    place.site.settings = place.site.settings.model_copy(update={"ingest": ingest})
    codes = {name: receipt.error and receipt.error.code for name, receipt in place.take().items()}
    assert codes == {"empty.mp4": "empty_file", "text.mp4": "not_media", "large.mp4": "media_too_large"}
    assert not list(place.site.objects.stored())
    assert place.take() == {}


def test_what_is_left_alone_counts_below_the_watched_prefix(place: Place) -> None:
    place.put(".kept/in/a.mp4")
    place.put(".kept/in/.b.mp4")
    place.address = S3Address(bucket=place.address.bucket, prefix=f"{place.address.prefix}.kept/in/")
    assert list(place.take()) == ["a.mp4"]


def test_a_replaced_object_is_another_look_and_a_removed_one_none(place: Place) -> None:
    place.put("a.mp4")
    first = place.take()["a.mp4"]
    place.put("a.mp4", MP4 + b"other")
    second = place.take()["a.mp4"]
    assert second.intake == Intake.QUEUED
    assert second.sha256 != first.sha256
    place.put("b.mp4", MP4 + b"other")
    assert place.take()["b.mp4"].intake == Intake.KNOWN
    place.remove("a.mp4")
    assert place.take() == {}
    assert len(place.site.sightings()) == 3


def test_the_tag_of_an_upload_in_parts_is_taken_for_no_hash(place: Place) -> None:
    content = MP4 + bytes(5 * 1024**2)
    key, client = place.address.prefix + "parts.mp4", place.server.client
    asked = {"Bucket": place.address.bucket, "Key": key}
    number = client.create_multipart_upload(**asked)["UploadId"]
    pieces = [content[: 5 * 1024**2], content[5 * 1024**2 :]]
    parts = [
        {
            "PartNumber": index,
            "ETag": client.upload_part(**asked, UploadId=number, PartNumber=index, Body=piece)["ETag"],
        }
        for index, piece in enumerate(pieces, 1)
    ]
    client.complete_multipart_upload(**asked, UploadId=number, MultipartUpload={"Parts": parts})
    assert client.head_object(**asked)["ETag"].endswith('-2"')
    assert place.take()["parts.mp4"].sha256 == hashlib.sha256(content).hexdigest()
    assert place.take() == {}


class Moving(Bucket):
    """Calls `before` with each name that is read."""

    before: Callable[[str], None]

    def read(self, name: str, **options: Any) -> bytes:
        self.before(name)
        return super().read(name, **options)


def moving(place: Place, before: Callable[[str], None]) -> Bucket:
    bucket = Moving(place.address.bucket, place.site.settings.s3)
    bucket.before = before
    return bucket


def test_an_object_that_changes_or_goes_while_it_is_listed(place: Place) -> None:
    place.put("changes.mp4")
    place.put("goes.mp4")

    def change(name: str) -> None:
        if name.endswith("goes.mp4"):
            place.remove("goes.mp4")
        else:
            place.put("changes.mp4", MP4 + b"newer")

    taken = place.take(moving(place, change))
    assert taken["changes.mp4"].intake == Intake.UNSETTLED
    assert taken["goes.mp4"].error is not None
    assert taken["goes.mp4"].error.code == "file_vanished"
    assert list(place.take()) == ["changes.mp4"]


def test_an_object_that_may_not_be_read_keeps_none_of_the_others_out_and_is_tried_again(place: Place) -> None:
    place.put("archived.mp4")
    place.put("free.mp4")

    def refuse(name: str) -> None:
        if name.endswith("archived.mp4"):
            fields = {"bucket": "b", "endpoint": "e", "operation": "reading", "key": name}
            raise BucketRefused(**fields, reason="403 InvalidObjectState: archived")

    taken = place.take(moving(place, refuse))
    assert taken["archived.mp4"].error is not None
    assert "InvalidObjectState" in str(taken["archived.mp4"].error)
    assert taken["free.mp4"].intake == Intake.QUEUED
    assert {name: receipt.intake for name, receipt in place.take().items()} == {"archived.mp4": Intake.QUEUED}


class Paged(Bucket):
    """Lists two at a time; remembers after which name each page was asked."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.address.bucket, place.site.settings.s3)
        self.asked: list[str] = []

    def page(self, prefix: str, *, after: str = "", most: int = 2) -> Page:
        self.asked.append(after.removeprefix(prefix))
        return super().page(prefix, after=after, most=most)


def test_a_listing_goes_on_where_the_last_process_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        place.put(f"{number}.mp4")
    first = Paged(place)
    steps = place.watcher(first).look()
    taken = [next(steps) for _ in range(5)]  # two pages of two, and one of the third
    assert [step.receipt is None for step in taken] == [True, False, False, True, False]
    steps.close()
    assert place.site.untaken() == 1
    second = Paged(place)
    rest = place.take(second)
    assert second.asked == ["1.mp4", "3.mp4", "5.mp4"]
    assert place.site.untaken() == 0
    assert len(rest) + len(place.site.sightings()) >= 7
    assert len(place.site.sightings()) == len(place.site.screenings()) == 7
    with transaction(place.site.engine) as session:
        cursor = source_cursors.find(session, source_cursors.watching(place.address))
    assert cursor is not None
    assert cursor.listed == 7


def test_what_is_in_the_bucket_by_now_waits_for_a_listing_that_begins_later(place: Place) -> None:
    place.take()
    assert place.site.untaken() == 0
    place.put("late.mp4")
    asked = utc_now()
    with transaction(place.site.engine) as session:
        assert untaken(session, place.site.settings, since=asked) == 1
    place.take()
    with transaction(place.site.engine) as session:
        assert untaken(session, place.site.settings, since=asked) == 0
    assert [row.name.rpartition("/")[2] for row in place.site.sightings()] == ["late.mp4"]


def test_a_bucket_that_limits_requests_is_asked_again_from_the_page_it_was_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        place.put(f"{number}.mp4")
    fail = iter([False, True])

    class Limiting(Paged):
        def page(self, prefix: str, **options: Any) -> Page:
            if next(fail, False):
                raise BucketUnavailable(bucket="b", endpoint="e", key=prefix, reason="503 SlowDown")
            return super().page(prefix, **options)

    bucket = Limiting(place)
    watcher = place.watcher(bucket)
    with pytest.raises(BucketUnavailable):
        list(watcher.look())
    assert len(place.site.sightings()) == 2
    list(watcher.look())
    assert len(place.site.sightings()) == 4
    assert bucket.asked == ["", "1.mp4"]


def test_a_watched_bucket_is_listed_again_only_after_its_pause(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.mp4")
    source = place.site.settings.s3_source.model_copy(update={"list_seconds": 60})
    place.site.settings = place.site.settings.model_copy(update={"s3_source": source})
    watcher, now = place.watcher(), 1000.0
    monkeypatch.setattr(listing, "time", SimpleNamespace(monotonic=lambda: now))
    assert list(watcher.look())
    assert not list(watcher.look())
    now += 61
    assert list(watcher.look())


def test_a_bucket_that_is_silent_stops_neither_the_reconciler_nor_the_end(
    place: Place, silent_address: str
) -> None:
    site = place.site
    place.put("a.mp4")
    place.take()
    site.redis.flushall()
    s3 = site.settings.s3.model_copy(
        update={"endpoint_url": silent_address, "answer_seconds": 1, "attempts": 1}
    )
    settings = site.settings.model_copy(update={"s3": s3})
    stop = threading.Event()
    ingest = threading.Thread(target=_watch, args=(settings, stop))
    ingest.start()
    try:
        until(lambda: site.depth() == 1, "the reconciler enqueues")
    finally:
        stop.set()
        ingest.join()


def test_the_object_store_is_no_source() -> None:
    for bucket in ("s3://videos/objects/in", "s3://videos/", "s3://videos/objects"):
        with pytest.raises(ValidationError, match="overlap"):
            Settings(bucket=bucket, objects="s3://videos/objects", _env_file=None)
    assert (
        Settings(bucket="s3://videos/drop", objects="s3://videos/objects", _env_file=None).bucket_name
        == "s3://videos/drop/"
    )
