"""Notifications as AWS, MinIO and SeaweedFS write them, and as nobody does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.errors import InvalidValue
from ingest.s3.notifications import Notice, notices

KEY = "videos/ü a+b%20.mp4"
ENCODED = "videos/%C3%BC+a%2Bb%2520.mp4"


def record(event: str, key: str = ENCODED) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventName": event,
        "s3": {"bucket": {"name": "drop", "arn": "arn:aws:s3:::drop"}, "object": {"key": key, "size": 7}},
    }


def seaweed(kind: str, key: str, message: dict[str, Any]) -> dict[str, Any]:
    return {"event_type": kind, "key": f"/buckets/drop/{key}", "message": message}


ENTRY = {"name": "ü a+b%20.mp4", "attributes": {"file_size": 10}}
CREATED = {"new_entry": ENTRY, "delete_chunks": True, "new_parent_path": "/buckets/drop/videos"}
BRIDGE = {"version": "0", "detail": {"bucket": {"name": "drop"}, "object": {"key": KEY}}}

LOOKS: dict[str, Any] = {
    "aws": {"Records": [record("ObjectCreated:CompleteMultipartUpload")]},
    "minio": {"EventName": "s3:ObjectCreated:Put", "Records": [record("s3:ObjectCreated:Put")]},
    "restored": {"Records": [record("ObjectRestore:Completed")]},
    "sns": {"Type": "Notification", "Message": json.dumps({"Records": [record("ObjectCreated:Put")]})},
    "bridge": BRIDGE | {"detail-type": "Object Created"},
    "seaweed": seaweed("create", KEY, CREATED),
    "seaweed changed": seaweed("update", KEY, CREATED | {"old_entry": ENTRY}),
    "seaweed renamed": seaweed("rename", "old/name.mp4", CREATED | {"old_entry": {"name": "name.mp4"}}),
}
REMOVALS: dict[str, Any] = {
    "aws": {"Records": [record("ObjectRemoved:DeleteMarkerCreated")]},
    "minio": {"Records": [record("s3:ObjectRemoved:Delete")]},
    "lifecycle": {"Records": [record("LifecycleExpiration:Delete")]},
    "bridge": BRIDGE | {"detail-type": "Object Deleted"},
    "seaweed": seaweed("delete", KEY, {"old_entry": ENTRY}),
}
NOTHING: dict[str, Any] = {
    "test event": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drop"},
    "test event by sns": {"Type": "Notification", "Message": json.dumps({"Event": "s3:TestEvent"})},
    "tags": {"Records": [record("ObjectTagging:Put")]},
    "access": {"Records": [record("s3:ObjectAccessed:Get")]},
    "bridge": BRIDGE | {"detail-type": "Object Tags Added"},
    "seaweed folder": seaweed("create", "videos", {"new_entry": {"name": "videos", "is_directory": True}}),
    "seaweed elsewhere": {"event_type": "create", "key": "/etc/x", "message": {"new_entry": ENTRY}},
    "no key": {"Records": [record("ObjectCreated:Put", "")]},
    "half a character": {"Records": [record("ObjectCreated:Put", "\ud800")]},
    "longer than a key can be": {"Records": [record("ObjectCreated:Put", "x" * 1025)]},
}
WRONG: dict[str, Any] = {
    "no object": [],
    "empty": {},
    "records": {"Records": [{"eventName": "ObjectCreated:Put"}]},
    "wrapped for ever": {"Type": "Notification", "Message": json.dumps(LOOKS["sns"])},
    "no JSON": {"Type": "Notification", "Message": "hello"},
    "bridge": {"detail-type": "Object Created", "detail": "x"},
    "seaweed": {"event_type": "create", "key": "/buckets/drop/x"},
}


@pytest.mark.parametrize("shape", LOOKS)
def test_a_new_object_is_a_hint_at_its_key(shape: str) -> None:
    assert notices(LOOKS[shape]) == [Notice(bucket="drop", key=KEY, removed=False)]


@pytest.mark.parametrize("shape", REMOVALS)
def test_a_removed_one_too(shape: str) -> None:
    assert notices(REMOVALS[shape]) == [Notice(bucket="drop", key=KEY, removed=True)]


@pytest.mark.parametrize("shape", NOTHING)
def test_what_says_nothing_of_an_object_is_nothing(shape: str) -> None:
    assert notices(NOTHING[shape]) == []


@pytest.mark.parametrize("shape", WRONG)
def test_what_nobody_writes_is_refused(shape: str) -> None:
    with pytest.raises(InvalidValue, match="event: "):
        notices(WRONG[shape])


WORDS = """Records eventName s3 bucket object key name Type Message detail detail-type
    event_type message new_entry new_parent_path"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("/buckets/a/b"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@examples(max_examples=100)
@given(VALUES)
def test_whatever_comes_there_are_keys_or_one_error(told: Any) -> None:
    try:
        found = notices(told)
    except InvalidValue:
        return
    assert all(notice.key for notice in found)
