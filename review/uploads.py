"""Receives an upload: its bytes go straight to the object store while they are hashed."""

import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CancelScope, to_thread
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import gate
from core.errors import Conflict, InputError, MediaTooLarge
from core.media_signatures import HEAD_BYTES
from core.priorities import Priority
from core.settings import Settings
from ingest.registration import Intake, Registrar, Stored
from storage import audit, direct_uploads, kept_answers
from storage.direct_uploads import Announced
from storage.engine import reading, transaction
from storage.objects.store import DirectUploads, ObjectStore
from storage.tables import KeptAnswer
from storage.videos import Seen

SOURCE = "upload"

Entered = TypeVar("Entered")


@dataclass(frozen=True, kw_only=True)
class Upload:
    video_id: int
    sha256: str
    name: str
    intake: Intake  # QUEUED or KNOWN
    priority: Priority


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a client wants of an upload."""

    name: str  # as `checked_name` gives it
    priority: Priority
    account_id: int
    actor: str  # the account's name
    key: str | None = None  # of the header Idempotency-Key


def checked_name(name: str) -> str:
    """The last part of the path that a client sends, without characters that no file name has."""
    last = plain_words(name.replace("\\", "/").rpartition("/")[2])
    return last[:255].strip() if last.strip(". ") else "upload"


def plain_words(text: str) -> str:
    """Without what cannot be printed."""
    return "".join(char for char in text if char.isprintable()).strip()


def check_size(size_bytes: int, name: str, settings: Settings, *, direct: bool = False) -> None:
    """Raises MediaTooLarge."""
    limit = settings.ingest.max_file_bytes if direct else settings.review.upload_bytes
    if size_bytes > limit:
        raise MediaTooLarge(
            name=name,
            quantity="the size in bytes",
            value=size_bytes,
            limit=limit,
            setting="FACEWARDEN_INGEST__MAX_FILE_BYTES" if direct else "FACEWARDEN_REVIEW__UPLOAD_BYTES",
        )


class Receiver:
    """Takes uploads in for one application."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self._engine, self._objects = settings, engine, objects

    async def receive(self, body: AsyncIterator[bytes], wish: Wish) -> Upload:
        """Store the content and request its screening; the same content again is the same video.

        Raises MediaTooLarge, EmptyFile, NotMedia, UnsupportedMedia, KeyReused, and RetryableError if a
        service is down.
        """
        known = await to_thread.run_sync(self._answered, wish)
        pieces = _Pieces(body, wish.name, self._settings)
        if known is not None:
            # Only to compare: what was taken in then is not stored once more.
            digest = hashlib.sha256()
            async for piece in pieces:
                await to_thread.run_sync(digest.update, piece)
            kept_answers.check(known, digest.hexdigest())
            return _upload(known.answer)
        async with _in_threads(self._objects.write_stream()) as sink:
            async for piece in pieces:
                await to_thread.run_sync(sink.write, piece)
        content = Stored(sha256=sink.sha256, key=sink.key, head=pieces.head)
        return await to_thread.run_sync(self.register, wish, content, pieces.size)

    def register(self, wish: Wish, content: Stored, size_bytes: int) -> Upload:
        """Take in content that is in the object store."""
        sha256 = content.sha256

        def also(session: Session, video_id: int, intake: Intake) -> None:
            audit.record(
                session,
                actor=wish.actor,
                action="video.uploaded",
                subject=sha256,
                name=wish.name,
                intake=intake,
            )
            if wish.key is not None:
                kept_answers.keep(
                    session,
                    wish.account_id,
                    wish.key,
                    sha256=sha256,
                    answer=_answer(wish, sha256, video_id, intake),
                    hours=self._settings.review.idempotency_hours,
                )

        # A sighting is identified by name, size and time. Here the time is derived from the content, so that
        # repeating an upload gives one sighting, and other content under the same name another.
        seen = Seen(source=SOURCE, name=wish.name, size_bytes=size_bytes, mtime_ns=int(sha256[:15], 16))
        registrar = Registrar(self._settings, self._engine, self._objects)
        receipt = registrar.register_stored(seen, content, priority=wish.priority, also=also)
        if receipt.error is not None:
            raise receipt.error
        # Somebody with the same key may have been quicker.
        known = self._answered(wish)
        if known is not None:
            return _upload(known.answer)
        assert receipt.video_id is not None  # noqa: S101  registered
        return _upload(_answer(wish, sha256, receipt.video_id, receipt.intake))

    def complete(self, direct: DirectUploads, upload_id: str, account_id: int, actor: str) -> Upload:
        """Take in what a client has sent to the store itself; completing twice is completing once.

        Raises NotFound, Conflict where parts are missing, InvalidValue where the content is not the announced
        one, NotMedia, UnsupportedMedia, and RetryableError if a service is down.
        """
        announced = self._announced(upload_id, account_id)
        if announced.answer is not None:
            return _upload(announced.answer)
        upload, head = announced.upload, b""

        def check(piece: bytes) -> None:
            nonlocal head
            head = piece[:HEAD_BYTES]
            gate.sniff(head, announced.name)

        try:
            key = direct.finish(upload, sha256=announced.sha256, check=check)
        except InputError:
            direct.drop(upload)
            raise
        except Conflict:
            # Gone because another request has completed it meanwhile? Who waited too long asks twice.
            answer = self._announced(upload_id, account_id).answer
            if answer is None:
                raise
            return _upload(answer)
        wish = Wish(name=announced.name, priority=announced.priority, account_id=account_id, actor=actor)
        taken = self.register(wish, Stored(sha256=announced.sha256, key=key, head=head), upload.size_bytes)
        with transaction(self._engine) as session:
            answer = _answer(wish, taken.sha256, taken.video_id, taken.intake)
            direct_uploads.answer(session, upload_id, answer)
        direct.drop(upload)
        return taken

    def _announced(self, upload_id: str, account_id: int) -> Announced:
        with reading(self._engine) as session:
            return direct_uploads.find(session, upload_id, account_id=account_id)

    def _answered(self, wish: Wish) -> KeptAnswer | None:
        if wish.key is None:
            return None
        with reading(self._engine) as session:
            hours = self._settings.review.idempotency_hours
            return kept_answers.find(session, wish.account_id, wish.key, hours=hours)


def _answer(wish: Wish, sha256: str, video_id: int, intake: Intake) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "sha256": sha256,
        "name": wish.name,
        "intake": intake.value,
        "priority": wish.priority.value,
    }


def _upload(answer: dict[str, Any]) -> Upload:
    words = {"intake": Intake(answer["intake"]), "priority": Priority(answer["priority"])}
    return Upload(**{**answer, **words})


class _Pieces:
    """The body in pieces of about gate.PIECE_BYTES, checked as it arrives."""

    def __init__(self, body: AsyncIterator[bytes], name: str, settings: Settings) -> None:
        self._body, self._name, self._settings = body, name, settings
        self.size = 0
        self.head = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = bytearray()
        async for part in self._body:
            self.size += len(part)
            check_size(self.size, self._name, self._settings)
            held += part
            if len(held) >= gate.PIECE_BYTES:
                yield self._checked(bytes(held))
                held.clear()
        if held or not self.head:
            yield self._checked(bytes(held))

    def _checked(self, piece: bytes) -> bytes:
        if not self.head:
            self.head = piece[:HEAD_BYTES]
            gate.sniff(self.head, self._name)  # before receiving the rest of something else
        return piece


@asynccontextmanager
async def _in_threads(manager: AbstractContextManager[Entered]) -> AsyncIterator[Entered]:
    """A context manager whose entry and exit block: the event loop goes on meanwhile."""
    entered = await to_thread.run_sync(manager.__enter__)
    try:
        yield entered
    except BaseException:
        with CancelScope(shield=True):  # what was half written goes, even if the client has gone
            await to_thread.run_sync(manager.__exit__, *sys.exc_info())
        raise
    else:
        await to_thread.run_sync(manager.__exit__, None, None, None)
