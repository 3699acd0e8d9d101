"""Files and folders that a user names, taken in as a whole."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from core.errors import Unreadable
from core.priorities import Priority
from core.settings import Settings
from ingest.bucket import named_files, text_name
from ingest.registration import Registrar
from ingest.steps import Gate, Step, open_gate
from storage import videos
from storage.engine import reading
from storage.videos import Seen, Sighted

TOGETHER = 1000  # files that are looked up by one query

Named = tuple[str, Path, Path]  # name in SQL, file, folder below which no link is followed


class Folders:
    """`known` files, of the same size and time as when they were taken in, are not read again."""

    source = "path"

    def __init__(
        self, paths: list[Path], registrar: Registrar, settings: Settings, *, skip_known: bool = False
    ) -> None:
        self.name = ", ".join(map(str, paths))
        self._paths, self._registrar, self._skip_known = paths, registrar, skip_known
        self._left_alone = settings.ingest.left_alone_names

    def done_before(self) -> int:
        return 0

    def steps(self, *, priority: Priority = Priority.NORMAL, before: Gate = open_gate) -> Iterator[Step]:
        skip_known, self._skip_known = (
            self._skip_known,
            True,
        )  # if a service is down, and this is called again
        files = self._files()
        while batch := list(islice(files, TOGETHER if skip_known else 1)):
            known = self._known(batch) if skip_known else {}
            if known:
                yield Step(files=len(known), known=list(known.values()))
            for name, file, root in batch:
                if name not in known:
                    before()
                    receipt = self._registrar.register(
                        file, name=name, source=self.source, root=root, priority=priority
                    )
                    yield Step(files=1, receipt=receipt)

    def count(self) -> int:
        return sum(1 for _ in self._files())

    def _files(self) -> Iterator[Named]:
        for _, file, root in named_files(self._paths, self._left_alone):
            yield text_name(file), file, root

    def _known(self, batch: list[Named]) -> dict[str, Sighted]:
        """By name, those that are as they were when they were taken in."""
        seen = {name: _look(file, name, self.source) for name, file, _ in batch}
        with reading(self._registrar.engine) as session:
            rows = videos.sighted(session, self.source, list(seen))
        return {
            row.seen.name: row
            for row in rows
            if row.error_code != Unreadable.code and seen[row.seen.name] == row.seen
        }


def _look(file: Path, name: str, source: str) -> Seen | None:
    try:
        status = os.lstat(file)
    except OSError:
        return None
    return Seen(source=source, name=name, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)
