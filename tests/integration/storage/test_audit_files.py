"""The audit log as a file: whoever has only the file sees whether it is whole."""

import csv
import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.errors import BadAuditFile, InvalidValue
from storage import audit, audit_files
from storage.audit_files import Format
from storage.engine import reading, transaction
from storage.tables import utc_now

on_sqlite = pytest.mark.parametrize("bare_engine", ["sqlite"], indirect=True)

SUBJECTS = ("=1+1", "'=1", "two\nlines", 'a "quoted", name', "ä 😀", "")


def record(engine: Engine, *subjects: str) -> None:
    with transaction(engine) as session:
        for subject in subjects:
            audit.record(session, actor="ann", action="test", subject=subject, score=0.1, where=["ü", None])


def exported(engine: Engine, path: Path, format_: Format = Format.JSONL, **options: object) -> Path:
    path.write_text("".join(audit_files.export(engine, format_, actor="ann", **options)), newline="")  # type: ignore[arg-type]
    return path


def head(engine: Engine) -> str:
    with reading(engine) as session:
        return audit.verify(session).head


@pytest.mark.parametrize("format_", Format)
def test_a_file_holds_the_whole_chain(
    engine: Engine, tmp_path: Path, format_: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 4)
    record(engine, *SUBJECTS)
    path = exported(engine, tmp_path / "log", format_)
    found = audit_files.verify(path, expected=head(engine))
    assert (found.first_id, found.after) == (1, audit.FIRST)
    assert found.verification == audit.Verification(
        events=len(SUBJECTS) + 1, head=head(engine), broken_at=None, expected_found=True
    )
    lines = path.read_text().splitlines()
    assert "audit.exported" in lines[-1]  # by whom it was taken is the last that it says


@on_sqlite
def test_a_stranger_needs_nothing_of_ours(engine: Engine, tmp_path: Path) -> None:
    """As docs/accounts.md says."""
    record(engine, *SUBJECTS)
    previous = "0" * 64
    for line in exported(engine, tmp_path / "log").read_text().splitlines():
        event = json.loads(line)
        digest = event.pop("hash")
        canonical = json.dumps(event, sort_keys=True, separators=(",", ":"))
        assert (event["previous_hash"], hashlib.sha256(canonical.encode()).hexdigest()) == (previous, digest)
        previous = digest
    assert previous == head(engine)


@on_sqlite
def test_no_cell_is_a_formula(engine: Engine, tmp_path: Path) -> None:
    record(engine, *SUBJECTS)
    with exported(engine, tmp_path / "log", Format.CSV).open(newline="") as file:
        subjects = [row["subject"] for row in csv.DictReader(file)]
    assert subjects[:3] == ["'=1+1", "''=1", "two\nlines"]


@on_sqlite
def test_a_later_file_goes_on_where_an_earlier_one_ended(engine: Engine, tmp_path: Path) -> None:
    record(engine, "one")
    first = audit_files.verify(exported(engine, tmp_path / "first")).verification
    since = utc_now()
    record(engine, "two", "three")
    later = audit_files.verify(exported(engine, tmp_path / "later", since=since), expected=first.head)
    assert (later.first_id, later.after, later.verification.events) == (3, first.head, 3)
    assert later.verification.sound
    assert not audit_files.verify(tmp_path / "later", expected="0" * 64).verification.sound
    nothing = exported(engine, tmp_path / "nothing", since=utc_now() + timedelta(days=1))
    assert (nothing.read_text(), audit_files.verify(nothing).verification.events) == ("", 0)


def spoiled(path: Path, before: str, after: str) -> audit_files.Checked:
    text = path.read_bytes().decode()
    assert before in text
    (path.parent / "spoiled").write_text(text.replace(before, after, 1), newline="")
    return audit_files.verify(path.parent / "spoiled")


@on_sqlite
@pytest.mark.parametrize("format_", Format)
def test_whatever_is_done_to_a_file_shows(engine: Engine, tmp_path: Path, format_: Format) -> None:
    record(engine, "one", "two", "three")
    path = exported(engine, tmp_path / "log", format_)
    for before, after in (("two", "too"), ("0.1", "0.2"), ("ann", "bob")):
        assert not spoiled(path, before, after).verification.sound, before
    events = path.read_bytes().decode().splitlines(keepends=True)
    heading = events[:-4]
    for left in ([0, 1, 3], [0, 2, 1, 3], [1, 0, 2, 3]):
        changed = tmp_path / "changed"
        changed.write_text("".join([*heading, *(events[len(heading) + each] for each in left)]), newline="")
        assert audit_files.verify(changed).verification.broken_at is not None, left


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("{", "line 1"),
        ("[]", "line 1"),
        ("{}", "line 1"),
        ("id,at\n", "line 1"),
        ('{"id":' + "[" * 100_000, "line 1"),
        (",".join(audit_files.COLUMNS) + '\n1,x,"a', "line 2"),
        (",".join(audit_files.COLUMNS) + "\n1,2,3\n", "line 2"),
        (",".join(audit_files.COLUMNS) + "\n1,2026-01-01,a,b,c,{},,\n", "line 2"),
    ],
)
def test_what_is_no_log_is_named(tmp_path: Path, content: str, place: str) -> None:
    path = tmp_path / "log.txt"
    path.write_text(content)
    with pytest.raises(BadAuditFile, match=re.escape(f"log.txt, {place}: ")):
        audit_files.verify(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(audit_files.COLUMNS), st.none() | st.integers() | st.text(max_size=3)
    ).map(lambda record: json.dumps(record).encode())
)
def test_any_file_is_refused_or_unsound(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    try:
        found = audit_files.verify(path)
    except BadAuditFile:
        return
    assert found.verification.events == 0


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="no date"):
        audit_files.moment(text)


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    assert audit_files.moment("2026-11-27").isoformat() == "2026-11-27T00:00:00+00:00"
    assert audit_files.moment("2026-11-27T08:00+02:00").isoformat() == "2026-11-27T08:00:00+02:00"
