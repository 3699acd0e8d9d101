"""The bucket folder: files that people drop are taken in once they have settled, and never changed.

It is scanned at intervals, not watched by notifications: those do not cross network mounts, and a restart
needs a scan anyway.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import FacewardenError, Unreadable
from core.settings import Settings
from ingest.registration import Intake, Receipt, Registrar
from storage.videos import Seen

log = structlog.get_logger()

DEEPEST = 32  # sub-folders
RETRY_NS = 60 * 10**9  # between retries of an unreadable file: its permissions may have been fixed


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a file shows; it has settled when two looks show the same."""

    size_bytes: int
    mtime_ns: int


def text_name(path: str | Path) -> str:
    """A path as text for SQL: bytes that are not UTF-8 become escapes such as `\\xff`.

    A backslash is doubled, so that no two files share a name.
    """
    return os.fsencode(path).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


class BucketWatcher:
    """Finds new files in a bucket and registers each once."""

    def __init__(self, settings: Settings, registrar: Registrar, known: Iterator[Seen]) -> None:
        self._root = settings.bucket_folder
        self._settle_ns = round(settings.ingest.settle_seconds * 1e9)
        self._left_alone = settings.ingest.left_alone_names
        self._registrar = registrar
        self._source = self.source(settings)
        self._done = {seen.name: Look(size_bytes=seen.size_bytes, mtime_ns=seen.mtime_ns) for seen in known}
        self._last: dict[str, tuple[Look, int]] = {}  # and since when (ns) it has looked like that
        self._not_before: dict[str, int] = {}  # ns; of files that could not be taken

    @staticmethod
    def source(settings: Settings) -> str:
        """The name under which this bucket's sightings are stored."""
        return f"bucket:{text_name(settings.bucket_folder)}"

    def look(self, now_ns: int) -> Iterator[Receipt]:
        """One scan of the bucket: registers, one by one, what has settled since the last scan.

        Raises RetryableError if the database is down; the files stay and are found again.
        """
        last, self._last = self._last, {}
        for inner, entry_look in bucket_files(self._root, self._left_alone):
            name = text_name(inner)
            if self._done.get(name) == entry_look:
                continue
            before, since_ns = last.get(name, (None, now_ns))
            again = before == entry_look
            self._last[name] = entry_look, since_ns if again else now_ns
            # A clock ahead of ours gives future times, so what we saw ourselves counts as well.
            still_ns = max(now_ns - entry_look.mtime_ns, now_ns - since_ns)
            if not again or still_ns < self._settle_ns or now_ns < self._not_before.get(name, now_ns):
                continue
            receipt = self._register(self._root / inner, name, entry_look, now_ns)
            if receipt is not None:
                yield receipt

    def _register(self, path: Path, name: str, look: Look, now_ns: int) -> Receipt | None:
        """Register one file; whatever is wrong with it must not keep the others out."""
        try:
            receipt = self._registrar.register(path, name=name, source=self._source, root=self._root)
        except FacewardenError:
            raise  # the database, the store or the weights: no file can be taken now
        except Exception:
            log.exception("file not taken", name=name)
            self._not_before[name] = now_ns + RETRY_NS
            return None
        if isinstance(receipt.error, Unreadable):
            self._not_before[name] = now_ns + RETRY_NS
        elif receipt.intake != Intake.UNSETTLED:
            self._done[name] = look
            self._not_before.pop(name, None)
        return receipt


def bucket_files(
    root: Path, left_alone: re.Pattern[str], inner: str = "", depth: int = 0
) -> Iterator[tuple[str, Look]]:
    """The files below `root` that should be taken in, each with a look at it; links are not followed.

    Files and folders whose name matches `left_alone` are skipped. The paths are relative to `root`, and
    plain strings: making a Path takes longer than asking the disk.
    """
    folder = os.path.join(root, inner)  # noqa: PTH118  see above
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        log.warning("folder not readable", folder=text_name(folder), reason=error.strerror)
        return
    for entry in sorted(entries, key=lambda each: each.name):
        if left_alone.match(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < DEEPEST:
                yield from bucket_files(root, left_alone, f"{inner}{entry.name}/", depth + 1)
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone since the folder was read
        yield f"{inner}{entry.name}", Look(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)


def named_files(paths: list[Path], left_alone: re.Pattern[str]) -> Iterator[tuple[Path, Path, Path]]:
    """The files that a user names, and those below the folders that they name.

    Each as the user would name it, where it really is, and the folder below which it was found.

    What the user names may be a link and have any name; below it no link is followed, and what matches
    `left_alone` is skipped.
    """
    for path in paths:
        top = Path(os.path.realpath(path))  # which links in a circle do not stop, as they do Path.resolve
        if not top.is_dir():
            yield path, top, top.parent
            continue
        for inner, _ in bucket_files(top, left_alone):
            yield path / inner, top / inner, top
