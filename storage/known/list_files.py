"""Lists of hashes as files: CSV, and the JSON of ThreatExchange and Hasher-Matcher-Actioner.

    pdq,label                                   {"data": [{"type": "HASH_PDQ", "indicator": "2d6b…",
    2d6b1af3…,case 12                                      "id": "12", "description": "case 12"}]}

A CSV file names its columns. A hash is 64 hexadecimal digits, in the column or field `pdq`, `indicator`,
`hash` or `value`; what it is called is in `label`, `description` or `id`. Entries whose `type` is not PDQ are
left out.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import BadHashList
from core.known import HASH_BYTES

HASHES, LABELS = ("pdq", "indicator", "hash", "value"), ("label", "description", "id")
PDQ_TYPES = frozenset({"pdq", "hash_pdq"})
LONGEST_LABEL = 500  # characters; what is longer is cut off
DIGITS = re.compile(rf"[0-9a-fA-F]{{{2 * HASH_BYTES}}}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    pdq: bytes  # 32 of them
    label: str | None


@dataclass(frozen=True, kw_only=True)
class ListFile:
    entries: list[Entry]  # each hash once
    other_types: int  # entries that are no PDQ hashes


def read(content: bytes, name: str) -> ListFile:
    """The entries of a file; `name` is what messages call it. Raises BadHashList."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadHashList(name=name, place=f"line {line}", reason="it is not UTF-8 text") from error
    as_json = text.lstrip()[:1] in {"{", "["}
    return of_records(_json_records(text, name) if as_json else _csv_records(text, name), name)


def of_records(records: Iterator[tuple[str, Mapping[str, Any]]], name: str) -> ListFile:
    """The entries of records, each with the place where it stands. Raises BadHashList."""
    found: dict[bytes, Entry] = {}
    others = 0
    for place, record in records:
        kind = record.get("type")
        if isinstance(kind, str) and kind and kind.lower() not in PDQ_TYPES:
            others += 1
            continue
        digits = next((record[each] for each in HASHES if record.get(each)), None)
        if not isinstance(digits, str) or DIGITS.fullmatch(digits.strip()) is None:
            reason = f"a hash is {2 * HASH_BYTES} hexadecimal digits in one of {', '.join(HASHES)}"
            raise BadHashList(name=name, place=place, reason=reason)
        pdq = bytes.fromhex(digits.strip())
        found.setdefault(pdq, Entry(pdq=pdq, label=_label(record)))
    return ListFile(entries=list(found.values()), other_types=others)


def _label(record: Mapping[str, Any]) -> str | None:
    given = next((str(record[each]) for each in LABELS if record.get(each)), "")
    # PostgreSQL cannot store NUL in text.
    return given.replace("\x00", "").strip()[:LONGEST_LABEL] or None


def _csv_records(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = {(each or "").strip().lower() for each in reader.fieldnames or ()}
        if not columns & set(HASHES):
            reason = f"the first line names the columns, one of them {', '.join(HASHES)}"
            raise BadHashList(name=name, place="line 1", reason=reason)
        for row in reader:
            record = {(key or "").strip().lower(): value for key, value in row.items()}
            yield f"line {reader.line_num}", record
    except csv.Error as error:
        raise BadHashList(name=name, place=f"line {reader.reader.line_num}", reason=str(error)) from error


def _json_records(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadHashList(name=name, place=f"line {error.lineno}", reason=error.msg) from error
    except RecursionError as error:
        raise BadHashList(name=name, place="line 1", reason="it is nested too deeply") from error
    listed = given.get("data") if isinstance(given, dict) else given
    if not isinstance(listed, list):
        raise BadHashList(name=name, place="line 1", reason="there is no list of entries under `data`")
    for number, record in enumerate(listed, start=1):
        if not isinstance(record, dict):
            raise BadHashList(name=name, place=f"entry {number}", reason="it is not an object")
        yield f"entry {number}", record


def as_json(entry: Entry) -> dict[str, str]:
    """An entry in ThreatExchange's words."""
    made = {"type": "HASH_PDQ", "indicator": entry.pdq.hex()}
    return made if entry.label is None else {**made, "description": entry.label}
