"""`facewarden purge`, `erase`, `hold` and `readmit`: how long data live."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from cli.configuration import ACTOR
from core.errors import Conflict, NotFound, PermanentError, printable
from core.settings import Settings
from storage import erasure, retention, videos
from storage.engine import opened, reading, transaction
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore

SHORTEST_HASH = 12  # digits alone, and fewer, are the number of a video
MIB = 1024**2


def purge(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Erase, or with `dry_run` count, what has outlived its days."""
    with opened(settings.sql_url) as engine:
        found: Sequence[retention.Due] = (
            retention.due(engine, settings.retention)
            if dry_run
            else retention.purge(engine, open_store(settings), settings.retention)
        )
    if as_json:
        print(json.dumps([vars(each) for each in found]))  # noqa: T201  stdout is this command's output
        return
    if not found:
        Console().print("Nothing has days: FACEWARDEN_RETENTION__ORIGINALS, __FACES and __STREAMS name none.")
        return
    table = Table("what", "of", "days", "how many", *([] if dry_run else ["objects", "MiB"]))
    for each in found:
        row = [each.part, each.keeping or "alerts", str(each.days), str(each.count)]
        if isinstance(each, retention.Purged):
            row += [str(each.objects), f"{each.bytes / MIB:.1f}"]
        table.add_row(*row)
    Console().print(table)


def erase(
    settings: Settings, named: Sequence[str], *, source: str | None, reason: str, dry_run: bool
) -> None:
    """Erase the videos that these ids, names or hashes call, and those seen in `source` alone.

    Those that are under legal hold, or unknown by now, are listed and passed over; `dry_run` lists the same.

    Raises NotFound where nothing is called so or was seen in the source alone, and Conflict where several are
    called so: then nothing is erased. At the end raises NotFound or Conflict where some were passed over.
    """
    passed_over: list[PermanentError] = []
    with opened(settings.sql_url) as engine:
        objects = open_store(settings)
        with reading(engine) as session:
            named_ids = [_one(session, each) for each in named]
            wanted = dict.fromkeys([*named_ids, *([] if source is None else _of_source(session, source))])
        for number in wanted:
            try:
                _say(_erased(engine, objects, number, reason=reason, dry_run=dry_run))
            except (Conflict, NotFound) as error:
                if len(wanted) == 1:
                    raise
                passed_over.append(error)
                _say(f"passed over: {error}")
    if passed_over:
        key = f"{len(passed_over)} of {len(wanted)} videos"
        raise Conflict(what="Erasing", key=key, reason="they were passed over, as listed")


def _erased(engine: Engine, objects: ObjectStore, number: int, *, reason: str, dry_run: bool) -> str:
    """Erases one video, or looks whether that would be refused; returns what to say."""
    if dry_run:
        with reading(engine) as session:
            erasure.check(session, number)
        return f"would erase video {number}"
    gone = erasure.erase(engine, objects, number, reason=reason, actor=ACTOR)
    return f"erased video {number}, {gone.objects} objects, {gone.bytes / MIB:.1f} MiB: {gone.sha256}"


def _of_source(session: Session, source: str) -> list[int]:
    found = erasure.of_source(session, source)
    if not found:
        raise NotFound(what="A video that was seen in no other source than", key=source)
    return found


def hold(settings: Settings, named: str, *, reason: str | None) -> None:
    """Put a video under legal hold, or lift it (None)."""
    with opened(settings.sql_url) as engine, transaction(engine) as session:
        number = _one(session, named)
        erasure.hold(session, number, reason=reason, actor=ACTOR)
    _say(f"video {number} is {'held' if reason is not None else 'held no longer'}")


def readmit(settings: Settings, sha256: str) -> None:
    """Let erased content be taken in again."""
    with opened(settings.sql_url) as engine, transaction(engine) as session:
        erasure.readmit(session, sha256, actor=ACTOR)
    _say(f"{sha256} may be taken in again")


def _one(session: Session, named: str) -> int:
    """The video of this id, name, or beginning of a SHA-256."""
    if named.isdecimal() and len(named) < SHORTEST_HASH:
        return int(named)
    found: Any = {number for number in session.scalars(videos.called(session, named)) if number is not None}
    if not found:
        raise NotFound(what="Video", key=named)
    if len(found) > 1:
        reason = f"it calls {len(found)} videos: {', '.join(map(str, sorted(found)[:10]))}; name one"
        raise Conflict(what="The name", key=named, reason=reason)
    (number,) = found
    return int(number)


def _say(text: str) -> None:
    Console().print(printable(text), markup=False, highlight=False, soft_wrap=True)
