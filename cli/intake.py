"""`facewarden ingest`: files, folders, buckets and addresses taken in as a whole, and what came of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text

from cli.configuration import ACTOR
from cli.intake_report import Report, check_path
from core.errors import BucketRefused, FacewardenError, InvalidValue, RetryableError, printable
from core.priorities import Priority
from core.s3_address import SCHEME, S3Address
from core.settings import Settings
from ingest.backlog import Backlog
from ingest.by_url import Addresses, Fetcher
from ingest.folders import Folders
from ingest.registration import Receipt, Registrar
from ingest.service import watch
from ingest.steps import Place, Step
from storage.engine import connect
from storage.migrate import upgrade
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore

RETRIES = 5  # without a file between them: then a service is down for longer, and --resume goes on later
WEB_SCHEMES = ("http://", "https://")
FIRST_PAUSE_SECONDS = 1.0  # twice as long after each


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How places are taken in."""

    # Go on where an interrupted run stopped; what is known is not read again. Not for addresses.
    resume: bool = False
    wait: bool = False  # for the verdicts
    report: Path | None = None  # a file to write, CSV or JSON by its name
    priority: Priority | None = None  # unset is backfill for buckets and what is resumed, else normal


def is_bucket(text: str) -> bool:
    return text.startswith(SCHEME)


def is_address(text: str) -> bool:
    return text.lower().startswith(WEB_SCHEMES)


def take_in(settings: Settings, places: list[str], wish: Wish) -> int:
    """Take in what is at the places; returns how many files were refused, or failed to be screened."""
    if wish.report is not None:
        check_path(wish.report)
    engine = connect(settings.sql_url)
    upgrade(engine)
    objects = open_store(settings)
    registrar = Registrar(settings, engine, objects)
    console = Console()
    with Report(engine) as report, _shown(console) as bar:
        try:
            for place in _opened(places, registrar, settings, objects, wish):
                bulk = wish.resume or is_bucket(place.name)
                priority = wish.priority or (Priority.BACKFILL if bulk else Priority.NORMAL)
                _Run(settings, place, priority, console, bar).go(report)
            if wish.wait:
                task = bar.add_task("screened", total=report.files)
                report.wait(lambda done: bar.update(task, completed=done))
        finally:
            bar.stop()
            report.print(console, judged=wish.wait)
            if wish.report is not None:
                report.write(wish.report, judged=wish.wait)
    engine.dispose()
    return report.bad


def watch_bucket(settings: Settings) -> None:
    """Watch the bucket until stopped."""
    engine = connect(settings.sql_url)
    upgrade(engine)
    engine.dispose()
    watch(settings)


def _opened(
    places: list[str], registrar: Registrar, settings: Settings, objects: ObjectStore, wish: Wish
) -> Iterator[Place]:
    addresses = [each for each in places if is_address(each)]
    if addresses:
        yield Addresses(addresses, Fetcher(settings, registrar.engine, objects), actor=ACTOR)
    files = [Path(each) for each in places if not is_bucket(each) and not is_address(each)]
    if files:
        yield Folders(files, registrar, settings, skip_known=wish.resume)
    for each in places:
        if is_bucket(each):
            yield _bucket(each, registrar, settings, objects, resume=wish.resume)


def _bucket(
    text: str, registrar: Registrar, settings: Settings, objects: ObjectStore, *, resume: bool
) -> Place:
    from ingest.s3.keys import Keys
    from ingest.s3.listing import S3Place
    from storage.objects.s3.bucket import Bucket

    try:
        address = S3Address.parse(text)
        if settings.objects_bucket is not None:
            address.keep_apart(settings.objects_bucket)
    except ValueError as error:
        raise InvalidValue(field="place", reason=str(error)) from error
    keys = Keys(settings, address, registrar, objects, Bucket(address.bucket, settings.s3))
    return S3Place(settings, address, keys, registrar.engine, resume=resume)


class _Run:
    """One place, to its end."""

    def __init__(
        self, settings: Settings, place: Place, priority: Priority, console: Console, bar: Progress
    ) -> None:
        self._place, self._priority, self._console, self._bar = place, priority, console, bar
        self._backlog = Backlog(settings, priority, self._waits)
        self._title = printable(place.name)
        self._task = bar.add_task(self._title, total=None)

    def go(self, report: Report) -> None:
        self._bar.update(self._task, completed=self._place.done_before())
        counting = threading.Thread(target=self._count, name="count", daemon=True)
        counting.start()
        left, pause = RETRIES, FIRST_PAUSE_SECONDS
        while True:
            try:
                for step in self._place.steps(priority=self._priority, before=self._backlog.wait):
                    report.add(step.source or self._place.source, step)
                    self._tell(step)
                    left, pause = RETRIES, FIRST_PAUSE_SECONDS
            except RetryableError as error:
                left -= 1
                if not left or isinstance(error, BucketRefused):
                    raise
                self._console.print(f"waits     {printable(error)}", markup=False, highlight=False)
                time.sleep(pause)
                pause *= 2
            else:
                break
        self._bar.update(self._task, total=self._bar.tasks[self._task].completed)

    def _tell(self, step: Step) -> None:
        self._bar.advance(self._task, step.files)
        if step.receipt is not None and (step.receipt.error is not None or not is_bucket(self._place.name)):
            _print(self._console, step.receipt)

    def _count(self) -> None:
        with suppress(FacewardenError):  # then there is no estimate
            total = self._place.done_before() + self._place.count()
            self._bar.update(self._task, total=total)

    def _waits(self, waiting: int | None) -> None:
        note = "" if waiting is None else f" (waits: {waiting} in the queue)"
        self._bar.update(self._task, description=self._title + note)


def _print(console: Console, receipt: Receipt) -> None:
    console.print(f"{receipt.intake.value:9} {printable(receipt.name)}", markup=False, highlight=False)
    if receipt.error is not None:
        console.print(f"          {receipt.error}", markup=False, highlight=False)


@contextmanager
def _shown(console: Console) -> Iterator[Progress]:
    """A bar for each place, on a terminal only."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Rate())
    with Progress(*columns, Elapsed(), Remaining(), console=console, disable=not console.is_terminal) as bar:
        yield bar


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")
