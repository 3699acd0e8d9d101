"""`facewarden status`."""

import json
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from sqlalchemy import Engine

from cli.up.supervisor import read_children
from core import queues
from core.errors import FacewardenError, printable
from core.settings import Settings
from ingest.source import untaken
from storage import videos
from storage.engine import connect, reading
from storage.read import workload
from storage.tables import utc_now

LOOK_SECONDS = 0.5


def show_status(settings: Settings, *, as_json: bool, wait: bool, timeout: float) -> bool:
    """Print the status; False if it was not idle within `timeout` seconds of waiting."""
    deadline = time.monotonic() + timeout
    since = utc_now() if wait else None  # what is in a bucket by now is to be taken in
    engine = connect(settings.sql_url)
    state = gather(settings, engine, since)
    while wait and (state["busy"] or state["untaken"]) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        state = gather(settings, engine, since)
    engine.dispose()
    if as_json:
        print(json.dumps(state))  # noqa: T201  stdout is this command's output
    else:
        _print(state)
    return not (wait and (state["busy"] or state["untaken"]))


def gather(settings: Settings, engine: Engine, since: datetime | None = None) -> dict[str, Any]:
    """The status as one object; `since` as in `untaken`.

    Raises ServiceUnavailable where the database does not answer.
    """
    with reading(engine) as session:
        counts = workload.counts(session)
        waiting = untaken(session, settings, since=since)
        refusals = [asdict(refusal) for refusal in videos.refusals(session, limit=20)]
    state: dict[str, Any] = {
        "busy": counts.busy,
        "untaken": waiting,
        **asdict(counts),
        "refusals": refusals,
        "bucket": settings.bucket_name,
        # The embedded server's address holds no secret: the socket's permissions guard it.
        "redis_url": settings.queue_url if settings.redis_url is None else "set by FACEWARDEN_REDIS_URL",
        "processes": {
            name: entry["pid"]
            for name, entry in read_children(settings.home / "run" / "children.json").items()
        },
        "review": settings.review.address,
        "queues": {},
    }
    try:
        connection = queues.connect(settings.queue_url)
        state["queues"] = {
            queues.name_of(kind, priority): count
            for kind in (queues.SCREEN, queues.EXPLAIN)
            for priority, count in queues.depths(connection, kind).items()
        }
        connection.close()
    except FacewardenError as error:
        state["queues"] = {"error": str(error)}
    return state


def _print(state: dict[str, Any]) -> None:
    console = Console()
    for name in ("screenings", "verdicts", "explanations", "queues", "processes"):
        values = ", ".join(f"{key} {value}" for key, value in state[name].items()) or "-"
        console.print(f"{name:13} {values}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{'bucket':13} {printable(state['bucket'])} ({state['untaken']} files not yet taken)", markup=False
    )
    console.print(f"{'redis':13} {state['redis_url']}", markup=False, soft_wrap=True)
    running = "" if "review" in state["processes"] else " (not run by `facewarden up` here)"
    console.print(f"{'review':13} {state['review']}{running}", markup=False, soft_wrap=True)
    for refusal in state["refusals"]:
        console.print(f"refused       {printable(refusal['message'])}", markup=False)
