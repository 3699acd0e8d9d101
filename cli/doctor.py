"""`facewarden doctor`: everything that screening needs, checked for real."""

import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from cli.sweep import summary
from cli.up import queue_server
from core import queues
from core.errors import CheckpointMissing, FacewardenError, SettingsError
from core.model_version import checkpoint_of, read_model_version
from core.s3_address import S3Address
from core.settings import Settings
from evaluation.camera import encode
from models.choice import Choices
from models.classifier import choose_backend
from models.device import choose_device
from storage import model_versions, screenings
from storage.clock import database_now
from storage.engine import connect, reading, transaction
from storage.migrate import is_current
from storage.objects.choice import open_store
from storage.people import accounts
from storage.sweep import look
from worker.decoder.reader import VideoReader
from worker.screening.loading import CONVERTED

LEAST_FREE_BYTES = 2 * 1024**3
SWEEP_SECONDS = 20.0  # to compare objects and rows
MOST_SKEW_SECONDS = 5.0  # leases go by the database's clock; but tokens, signatures and logs do not
ANSWER_SECONDS = 3.0  # for the review service to answer


class _TooMany(Exception):
    """The comparison takes too long for a check."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    check: str
    healthy: bool
    note: str


def examine(settings: Settings, *, as_json: bool) -> bool:
    """Run every check and print what it found; True where all are healthy."""
    findings = list(_findings(settings))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))  # noqa: T201  this command's output
    else:
        table = Table(title="facewarden doctor")
        for column in ("check", "", "note"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            table.add_row(
                finding.check, "[green]ok[/]" if finding.healthy else "[bold red]bad[/]", finding.note
            )
        Console().print(table)
    return all(finding.healthy for finding in findings)


def _findings(settings: Settings) -> Iterator[Finding]:
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("redis", _redis),
        ("queue files", _queue_files),
        ("database", _database),
        ("clocks", _clocks),
        ("leases", _leases),
        ("weights", _weights),
        ("promoted model", _promoted),
        ("device", _device),
        ("speed", _speed),
        ("decoder", _decoder),
        ("objects", _objects),
        ("bucket", _bucket),
        ("disk", _disk),
        ("review", _review),
    ]
    for name, check in checks:
        try:
            yield Finding(check=name, healthy=True, note=check(settings))
        except (FacewardenError, OSError) as error:
            yield Finding(check=name, healthy=False, note=str(error))
        if check is _decoder:
            yield from _sandbox(settings)


def _redis(settings: Settings) -> str:
    connection = queues.connect(settings.queue_url)
    policy = queues.eviction_policy(connection)
    if policy != "noeviction":
        raise SettingsError(
            setting="maxmemory-policy", reason=f"it is {policy}: Redis may drop jobs; set it to noeviction"
        )
    return f"{queues.server_version(connection)}, noeviction"


def _queue_files(settings: Settings) -> str:
    if settings.redis_url is not None:
        return "kept by an external server"
    aside = queue_server.set_aside_before(settings)
    if not aside:
        return "no damaged copies"
    size = sum(path.lstat().st_size for folder in aside for path in folder.rglob("*"))
    return (
        f"{len(aside)} damaged copies set aside, {size / 1024**2:.1f} MiB, the last one {aside[-1]};"
        " remove them once the cause is clear"
    )


def _database(settings: Settings) -> str:
    engine = connect(settings.sql_url)
    with transaction(engine):
        pass  # raises where nothing answers
    if not is_current(engine):
        raise SettingsError(
            setting="FACEWARDEN_DATABASE_URL",
            reason="the schema does not match this release; run `facewarden migrate`",
        )
    version = ".".join(map(str, engine.dialect.server_version_info or ()))
    return f"{engine.dialect.name} {version}, migrated"


def _clocks(settings: Settings) -> str:
    """How far the clocks of database, Redis and objects are ahead of this machine's."""
    connection = queues.connect(settings.queue_url)
    engine = connect(settings.sql_url)

    def database() -> float:
        with reading(engine) as session:
            return database_now(session).timestamp()

    ahead = {
        "database": _ahead(database),
        "redis": _ahead(lambda: queues.now(connection)),
        "objects": _ahead(open_store(settings).now),
    }
    told = ", ".join(f"{name} {seconds:+.1f} s" for name, seconds in ahead.items())
    if max(map(abs, ahead.values())) > MOST_SKEW_SECONDS:
        reason = f"they differ from this machine's: {told}; keep all of them in step with NTP"
        raise SettingsError(setting="clocks", reason=reason)
    return told


def _ahead(ask: Callable[[], float]) -> float:
    """Seconds by which the clock that `ask` reads is ahead, as if it was read midway."""
    ask()  # connecting takes its time
    began = time.time()
    told = ask()
    return told - (began + time.time()) / 2


def _leases(settings: Settings) -> str:
    engine = connect(settings.sql_url)
    if not is_current(engine):
        return "no schema yet"
    with reading(engine) as session:
        stuck = screenings.stuck(session)
    if stuck:
        raise SettingsError(
            setting="leases",
            reason=f"{len(stuck)} screenings lost their worker; run `facewarden ingest --watch`",
        )
    return "none stuck"


def _weights(settings: Settings) -> str:
    version = read_model_version(settings.weights)
    checked = settings.weights.with_name(settings.weights.name + ".sha256").exists()
    return f"{version.id} ({version.label}), hash {'as recorded' if checked else 'not recorded beside it'}"


def _promoted(settings: Settings) -> str:
    engine = connect(settings.sql_url)
    if not is_current(engine):
        return "no schema yet"
    with reading(engine) as session:
        promoted = model_versions.active(session)
    if promoted is None:
        return "none: the weights above screen new videos"
    path = checkpoint_of(settings.weights, promoted)
    if path is None:
        raise CheckpointMissing(version=promoted, folder=settings.weights.resolve().parent)
    return f"{promoted}, from {path.name}"


def _device(settings: Settings) -> str:
    device = choose_device(settings.device)
    return f"{device}, {choose_backend(settings.backend, device)}"


def _speed(settings: Settings) -> str:
    """What the starts of workers have measured; a model or machine that is new has nothing yet."""
    if choose_device(settings.device) == "cuda":
        return "nothing to choose on CUDA"
    if settings.backend != "auto":
        return f"nothing is measured: the settings name {settings.backend}"
    told = []
    for choice in Choices(settings.home / CONVERTED).all():
        if choice.model.startswith("classifier") or settings.detection.backend == "auto":
            times = ", ".join(f"{name} {spent:.0f} ms" for name, spent in choice.milliseconds.items())
            told.append(f"{choice.model}: {choice.chosen} ({times})")
    return "; ".join(told) or "not measured yet: the first worker's start does"


def _decoder(settings: Settings) -> str:
    """Decode a picture and a clip through the real decoder process."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("probe.png", "probe.mp4"):
            path = Path(folder) / name
            _write_probe(path)
            with VideoReader(path, settings.decode, settings.sampling, name=name) as reader:
                shapes = {frame.image.shape for frame in reader}
            if shapes != {(64, 96, 3)}:
                raise SettingsError(setting="decoder", reason=f"it gave {shapes} for {name} of 96 x 64")
    return "decodes a picture and H.264 in its own process"


def _sandbox(settings: Settings) -> Iterator[Finding]:
    """What the decoder process reports of each part that not every kernel has."""
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(FacewardenError),
    ):  # the decoder's own row reports it
        path = Path(folder) / "probe.png"
        _write_probe(path)
        with VideoReader(path, settings.decode, settings.sampling, name=path.name) as reader:
            for part in reader.sandbox:
                missing = f"missing here ({part.note}); the other parts of the decoder's sandbox are active"
                note = part.note if part.holds else missing
                yield Finding(check=f"sandbox: {part.name}", healthy=part.holds, note=note)


def _write_probe(path: Path) -> None:
    if path.suffix == ".png":
        cv2.imwrite(str(path), np.zeros((64, 96, 3), np.uint8))
        return
    encode(path, (np.full((64, 96, 3), 16 * shade, np.uint8) for shade in range(8)), rate=25)


def _objects(settings: Settings) -> str:
    engine = connect(settings.sql_url)
    objects = open_store(settings)
    objects.probe()
    if not is_current(engine):
        return "no schema yet"
    deadline = time.monotonic() + SWEEP_SECONDS

    def heartbeat() -> None:
        if time.monotonic() > deadline:
            raise _TooMany

    try:
        found = look(engine, objects, settings.sweep, heartbeat=heartbeat)
    except _TooMany:
        return f"too many to compare within {SWEEP_SECONDS:.0f} s; see `facewarden sweep --dry-run`"
    if found.missing:
        lost = f"{summary(found)}, such as {found.examples[0]}; upload these again or restore a backup"
        raise SettingsError(setting="FACEWARDEN_OBJECTS", reason=lost)
    return summary(found)


def _bucket(settings: Settings) -> str:
    if isinstance(settings.bucket, S3Address):
        from storage.objects.s3.bucket import Bucket

        Bucket(settings.bucket.bucket, settings.s3).page(settings.bucket.prefix, most=1)
        return f"{settings.bucket} can be listed"
    settings.bucket.mkdir(parents=True, exist_ok=True)
    next(settings.bucket.iterdir(), None)  # raises if it cannot be read
    return settings.bucket_name


def _disk(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_FREE_BYTES:
        raise SettingsError(setting="FACEWARDEN_HOME", reason=f"only {free >> 20} MiB are free")
    return f"{free >> 30} GiB free"


def _review(settings: Settings) -> str:
    engine = connect(settings.sql_url)
    if not is_current(engine):
        return "no schema yet"
    with reading(engine) as session:
        if not any(account.active for account in accounts.listed(session)):
            return "nobody can sign in yet; run `facewarden account add NAME --role admin`"
    address = settings.review.address
    try:
        with urllib.request.urlopen(f"{address}healthz", timeout=ANSWER_SECONDS):  # noqa: S310  always http
            return f"answers at {address}"
    except urllib.error.URLError as error:
        return f"not running at {address} ({error.reason})"
