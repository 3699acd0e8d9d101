"""Receives an upload: to disk in pieces, then through the same gate as a file in the bucket."""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from sqlalchemy import Engine, select

from core import gate
from core.errors import MediaTooLarge, ObjectStoreError
from core.media_signatures import HEAD_BYTES
from core.priorities import Priority
from core.settings import Settings
from ingest.registration import Intake, Registrar
from storage import audit
from storage.engine import transaction
from storage.objects.store import INCOMING, ObjectStore
from storage.tables import Video

SOURCE = "upload"


@dataclass(frozen=True, kw_only=True)
class Upload:
    video_id: int
    sha256: str
    name: str
    intake: Intake  # QUEUED or KNOWN


def checked_name(name: str) -> str:
    """The last part of the path that a client sends, without characters that no file name has."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(char for char in last if char.isprintable()).strip()
    return printable[:255].strip() if printable.strip(". ") else "upload"


def check_size(size_bytes: int, name: str, settings: Settings) -> None:
    """Raises MediaTooLarge."""
    limit = settings.review.upload_bytes
    if size_bytes > limit:
        raise MediaTooLarge(
            name=name,
            quantity="the size in bytes",
            value=size_bytes,
            limit=limit,
            setting="FACEWARDEN_REVIEW__UPLOAD_BYTES",
        )


async def receive(
    body: AsyncIterator[bytes],
    *,
    name: str,
    actor: str,
    settings: Settings,
    engine: Engine,
    objects: ObjectStore,
) -> Upload:
    """Store the content and request its screening; the same content again is the same video.

    Raises MediaTooLarge, EmptyFile, NotMedia, UnsupportedMedia, and RetryableError if a service is down.
    """
    # Where the sweep also removes what a killed server leaves behind.
    root = objects.spool()
    try:
        descriptor, path = tempfile.mkstemp(prefix=INCOMING, dir=root)
    except OSError as error:
        raise ObjectStoreError(key=root, reason=error.strerror) from error
    partial = Path(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = await _write(body, file, name, settings)
        return await to_thread.run_sync(
            lambda: _register(
                partial, digest, name=name, actor=actor, registrar=Registrar(settings, engine, objects)
            )
        )
    finally:
        partial.unlink(missing_ok=True)


async def _write(body: AsyncIterator[bytes], file: BinaryIO, name: str, settings: Settings) -> str:
    """The SHA-256 of what was written."""
    digest = hashlib.sha256()
    size, piece = 0, bytearray()
    checked = False

    async def flush() -> None:
        nonlocal checked
        if not checked:
            gate.sniff(bytes(piece[:HEAD_BYTES]), name)  # before receiving the rest of something else
            checked = True
        digest.update(piece)
        await to_thread.run_sync(file.write, bytes(piece))
        piece.clear()

    async for part in body:
        size += len(part)
        check_size(size, name, settings)
        piece += part
        if len(piece) >= gate.PIECE_BYTES:
            await flush()
    await flush()
    return digest.hexdigest()


def _register(path: Path, digest: str, *, name: str, actor: str, registrar: Registrar) -> Upload:
    # A sighting is identified by name, size and time. Here the time is derived from the content, so that
    # repeating an upload gives one sighting, and other content under the same name another.
    nanoseconds = int(digest[:15], 16)
    os.utime(path, ns=(nanoseconds, nanoseconds))
    receipt = registrar.register(path, name=name, source=SOURCE, priority=Priority.INTERACTIVE)
    if receipt.error is not None:
        raise receipt.error
    with transaction(registrar.engine) as session:
        video_id = session.scalar(select(Video.id).where(Video.sha256 == digest))
        if video_id is None:
            raise ObjectStoreError(key=name, reason="the upload changed while it was stored; send it again")
        audit.record(
            session, actor=actor, action="video.uploaded", subject=digest, name=name, intake=receipt.intake
        )
    return Upload(video_id=video_id, sha256=digest, name=name, intake=receipt.intake)
