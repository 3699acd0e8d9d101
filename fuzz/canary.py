"""Files and an address that nobody may touch, and the proof that a touch is seen.

Hostile files name them in every way that a format knows. The kernel tells of each opening of one of the
files (inotify), and a server on the loopback counts who connects. Both are touched on purpose first: a trap
that cannot snap proves nothing.
"""

import ctypes
import os
import select
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

IN_ACCESS, IN_OPEN, IN_CLOEXEC, IN_NONBLOCK = 0x1, 0x20, 0o2000000, 0o4000  # of inotify(7)
PATIENCE_SECONDS = 10.0  # for a touch of our own to be seen


class TrapBroken(RuntimeError):
    """A touch on purpose was not seen: whatever the campaign counts would prove nothing."""


class Canary:
    """A watched folder and a listening port, within a `with` block."""

    def __init__(self, folder: Path, content: bytes) -> None:
        """`content` is a valid medium: whoever follows a reference gets what he came for."""
        self.folder = folder
        self.file = folder / "canary.mp4"
        folder.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(content)
        self._lock = threading.Lock()
        self._connections = 0

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if (
            self._watch < 0
            or libc.inotify_add_watch(self._watch, os.fsencode(self.folder), IN_OPEN | IN_ACCESS) < 0
        ):
            raise TrapBroken(os.strerror(ctypes.get_errno()))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._listen, name="canary", daemon=True).start()
        self._prove()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        os.close(self._watch)

    def touches(self) -> int:
        """How often files were opened or the address was called since the last look."""
        with self._lock:
            called, self._connections = self._connections, 0
        return called + self._opened()

    def _prove(self) -> None:
        self.file.read_bytes()
        self._await("an opened file")
        with socket.create_connection(
            ("127.0.0.1", int(self.address.rsplit(":", 1)[1])), timeout=PATIENCE_SECONDS
        ):
            self._await("a connection")
        time.sleep(0.1)  # what the two left behind is not counted
        self.touches()

    def _await(self, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.touches():
            if time.monotonic() > deadline:
                raise TrapBroken(f"{what} was not seen")
            time.sleep(0.01)

    def _opened(self) -> int:
        """Events since the last look; each is 16 bytes and a padded name."""
        events = 0
        while select.select([self._watch], [], [], 0)[0]:
            data, at = os.read(self._watch, 65536), 0
            while at < len(data):
                events += 1
                at += 16 + int.from_bytes(data[at + 12 : at + 16], "little")
        return events

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed: the campaign is over
                return
            with connection, self._lock:
                self._connections += 1
