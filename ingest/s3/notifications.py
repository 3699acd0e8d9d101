"""What S3, and servers like it, say of their objects, in each of their ways.

A notification is only a hint: it names a key, and whoever acts on it asks the bucket. All else in it is
ignored. AWS and MinIO encode keys as in a form, with a plus for a space; EventBridge and SeaweedFS do not.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, ValidationError

from core.errors import InvalidValue

CREATED = ("ObjectCreated", "ObjectRestore:Completed")  # begin the names of AWS's and MinIO's events
REMOVED = ("ObjectRemoved", "LifecycleExpiration")
BRIDGED = {"Object Created": False, "Object Restore Completed": False, "Object Deleted": True}
LONGEST_KEY = 1024  # bytes
SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can write half a character, and no bucket has it
BUCKETS = "/buckets/"  # SeaweedFS's folder of buckets, unless its administrator chose another


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A hint at one key."""

    bucket: str
    key: str
    removed: bool


class _Named(BaseModel):
    name: str


class _Object(BaseModel):
    key: str


class _Where(BaseModel):
    bucket: _Named
    object: _Object


class _Record(BaseModel):
    event: str = Field(alias="eventName")
    s3: _Where


class _Entry(BaseModel):
    name: str
    is_directory: bool = False


class _Change(BaseModel):
    new_entry: _Entry | None = None
    old_entry: _Entry | None = None
    new_parent_path: str = ""


def notices(told: Any) -> list[Notice]:
    """What a notification hints at; nothing for a test event. Raises InvalidValue for anything else."""
    try:
        return [notice for notice in _notices(told) if _is_key(notice.key)]
    except (ValidationError, RecursionError, json.JSONDecodeError) as error:
        raise InvalidValue(field="event", reason="it has none of the known shapes") from error


def _is_key(text: str) -> bool:
    return 0 < len(text.encode(errors="replace")) <= LONGEST_KEY and not SURROGATE.search(text)


def _notices(told: Any) -> Iterator[Notice]:
    if not isinstance(told, dict):
        raise InvalidValue(field="event", reason="it is no JSON object")
    if told.get("Type") == "Notification" and isinstance(told.get("Message"), str):  # AWS SNS, around it
        inner = json.loads(told["Message"])
        if isinstance(inner, dict) and inner.get("Type") == "Notification":
            raise InvalidValue(field="event", reason="it is wrapped more than once")
        yield from _notices(inner)
    elif isinstance(told.get("Records"), list):
        for record in told["Records"]:
            yield from _of_record(_Record.model_validate(record))
    elif "detail-type" in told:  # AWS EventBridge
        where = _Where.model_validate(told.get("detail"))
        removed = BRIDGED.get(str(told["detail-type"]))
        if removed is not None:
            yield Notice(bucket=where.bucket.name, key=where.object.key, removed=removed)
    elif "event_type" in told:
        yield from _of_path(str(told.get("key", "")), _Change.model_validate(told.get("message")))
    elif told.get("Event") != "s3:TestEvent":
        raise InvalidValue(field="event", reason="it has none of the known shapes")


def _of_record(record: _Record) -> Iterator[Notice]:
    event = record.event.removeprefix("s3:")
    if event.startswith((*CREATED, *REMOVED)):
        key = unquote_plus(record.s3.object.key)
        yield Notice(bucket=record.s3.bucket.name, key=key, removed=event.startswith(REMOVED))


def _of_path(path: str, change: _Change) -> Iterator[Notice]:
    """SeaweedFS tells of files: a new one alone, both for a change, an old one alone for a removal."""
    entry = change.new_entry or change.old_entry
    if entry is None or entry.is_directory:
        return
    if change.new_entry is not None and change.new_parent_path:
        path = f"{change.new_parent_path}/{change.new_entry.name}"  # of a renamed one `path` is the old place
    if path.startswith(BUCKETS):
        bucket, _, key = path.removeprefix(BUCKETS).partition("/")
        yield Notice(bucket=bucket, key=key, removed=change.new_entry is None)
