"""Files by their address: fetched from public servers only, into the object store, through the one gate.

The address, and that of every redirect, is checked when it is connected to (`core.outgoing`). Neither
credentials nor cookies are sent.
"""

import http.client
from collections.abc import Iterator
from threading import BoundedSemaphore
from urllib.parse import unquote

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import gate
from core.errors import ByUrlOff, FetchFailed, InputError, MediaTooLarge, TooManyFetches
from core.media_signatures import HEAD_BYTES
from core.outgoing import Patience, Target, follow
from core.priorities import Priority
from core.settings import ByUrlSettings, Settings
from ingest.registration import Intake, Receipt, Registrar, Stored
from ingest.steps import Gate, Step, open_gate
from storage import audit
from storage.objects.store import ObjectStore
from storage.videos import Seen

RETRY_SECONDS = 30  # until a fetch may have ended
# No compression: what arrives is what is hashed, and a small answer cannot become a large file.
HEADERS = {"User-Agent": "facewarden", "Accept": "video/*, image/*, */*;q=0.1", "Accept-Encoding": "identity"}


class Fetcher:
    """Takes files in by their address; threads may share it."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self._objects = settings, objects
        self._registrar = Registrar(settings, engine, objects)
        self._places = BoundedSemaphore(settings.by_url.at_once)

    def source(self, url: str) -> str:
        """Under which the sighting of what is fetched from `url` is stored.

        Raises ByUrlOff, UnsafeAddress.
        """
        return _source(self._target(url))

    def take(
        self, url: str, *, actor: str, name: str | None = None, priority: Priority = Priority.NORMAL
    ) -> Receipt:
        """Fetch `url` and request a screening of it.

        Raises ByUrlOff unless FACEWARDEN_BY_URL__ENABLED is set, TooManyFetches, UnsafeAddress,
        FetchFailed, MediaTooLarge, EmptyFile, NotMedia, UnsupportedMedia, and RetryableError if a service is
        down.
        """
        limits = self._settings.by_url
        target = self._target(url)
        if not self._places.acquire(blocking=False):
            raise TooManyFetches(limit=limits.at_once, seconds=RETRY_SECONDS)
        try:
            stored, size = self._fetch(target, limits)
        finally:
            self._places.release()

        def also(session: Session, video_id: int, intake: Intake) -> None:
            del video_id
            audit.record(
                session,
                actor=actor,
                action="video.fetched",
                subject=stored.sha256,
                address=target.name,
                intake=intake,
            )

        # As for uploads, the time is derived from the content: fetched again it is the same sighting.
        seen = Seen(
            source=_source(target),
            name=name or _name(target),
            size_bytes=size,
            mtime_ns=int(stored.sha256[:15], 16),
        )
        return self._registrar.register_stored(seen, stored, priority=priority, also=also)

    def _target(self, url: str) -> Target:
        limits = self._settings.by_url
        if not limits.enabled:  # first: whether its port would be allowed does not matter then
            raise ByUrlOff
        return limits.guard.target(url)

    def _fetch(self, target: Target, limits: ByUrlSettings) -> tuple[Stored, int]:
        patience = Patience(silence_seconds=limits.silence_seconds, total_seconds=limits.total_seconds)
        with follow(target, limits.guard, patience, redirects=limits.redirects, headers=HEADERS) as found:
            target, answer = found
            length = answer.headers.get("Content-Length", "")
            if length.isdecimal():
                _check_size(int(length), target, limits)
            size, head = 0, b""
            with self._objects.write_stream() as sink:
                for piece in _pieces(answer):
                    size += len(piece)
                    _check_size(size, target, limits)
                    if not head:
                        head = piece[:HEAD_BYTES]
                        gate.sniff(head, target.name)  # before the rest of something else is fetched
                    sink.write(piece)
                if not head:
                    gate.sniff(head, target.name)
                if length.isdecimal() and size != int(length):
                    raise FetchFailed(name=target.name, reason=f"it broke off after {size} of {length} bytes")
        return Stored(sha256=sink.sha256, key=sink.key, head=head), size


class Addresses:
    """Addresses that a user names, taken in as a whole."""

    source = "url"  # of what was refused; what was fetched is of its host

    def __init__(self, urls: list[str], fetcher: Fetcher, *, actor: str) -> None:
        self.name = urls[0] if len(urls) == 1 else f"{len(urls)} addresses"
        self._urls, self._fetcher, self._actor = urls, fetcher, actor
        self._done = 0

    def done_before(self) -> int:
        return 0

    def steps(self, *, priority: Priority = Priority.NORMAL, before: Gate = open_gate) -> Iterator[Step]:
        while self._done < len(self._urls):
            before()
            step = self._step(self._urls[self._done], priority)
            self._done += 1  # if a service is down, and this is called again, it is fetched again
            yield step

    def count(self) -> int:
        return len(self._urls)

    def _step(self, url: str, priority: Priority) -> Step:
        try:
            source = self._fetcher.source(url)
            receipt = self._fetcher.take(url, actor=self._actor, priority=priority)
        except InputError as error:
            name = str(error.fields["name"])  # without the query, which may hold a signature
            return Step(files=1, receipt=Receipt(name=name, intake=Intake.REFUSED, error=error))
        return Step(files=1, receipt=receipt, source=source)


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body in pieces, each but the last of gate.PIECE_BYTES, so that the first holds a whole head."""
    while piece := answer.read(gate.PIECE_BYTES):
        yield piece


def _check_size(size_bytes: int, target: Target, limits: ByUrlSettings) -> None:
    if size_bytes > limits.max_bytes:
        raise MediaTooLarge(
            name=target.name,
            quantity="the size in bytes",
            value=size_bytes,
            limit=limits.max_bytes,
            setting="FACEWARDEN_BY_URL__MAX_BYTES",
        )


def _source(target: Target) -> str:
    return f"url:{target.host}"


def _name(target: Target) -> str:
    """The last part of the path, by which people can find it; otherwise the host."""
    last = unquote(target.path.partition("?")[0]).rpartition("/")[2].replace("\\", "/").rpartition("/")[2]
    printable = "".join(char for char in last if char.isprintable()).strip()[:255]
    return printable if printable.strip(". ") else target.host
