"""Uploads on their way into the object store without us: who announced what, and what they were answered."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.priorities import Priority
from storage.objects.store import DirectUpload
from storage.tables import DirectUploadRow, utc_now


@dataclass(frozen=True, kw_only=True)
class Announced:
    name: str  # by which people can find it
    sha256: str  # hex
    priority: Priority
    upload: DirectUpload
    answer: dict[str, Any] | None = None  # once it is complete


def add(session: Session, announced: Announced, *, account_id: int, expires_at: datetime) -> str:
    """Its id. Those of anybody that have expired go."""
    session.execute(delete(DirectUploadRow).where(DirectUploadRow.expires_at < utc_now()))
    upload_id = uuid.uuid4().hex
    session.add(
        DirectUploadRow(
            id=upload_id,
            account_id=account_id,
            name=announced.name,
            sha256=announced.sha256,
            priority=announced.priority,
            object_name=announced.upload.name,
            upload_number=announced.upload.number,
            size_bytes=announced.upload.size_bytes,
            part_bytes=announced.upload.part_bytes,
            expires_at=expires_at,
        )
    )
    return upload_id


def find(session: Session, upload_id: str, *, account_id: int) -> Announced:
    """Raises NotFound where the account has no such upload, or it has expired."""
    row = session.get(DirectUploadRow, upload_id)
    if row is None or row.account_id != account_id or row.expires_at < utc_now():
        raise NotFound(what="Direct upload", key=upload_id)
    return Announced(
        name=row.name,
        sha256=row.sha256,
        priority=Priority(row.priority),
        upload=DirectUpload(
            name=row.object_name,
            number=row.upload_number,
            size_bytes=row.size_bytes,
            part_bytes=row.part_bytes,
        ),
        answer=row.answer,
    )


def answer(session: Session, upload_id: str, given: dict[str, Any]) -> None:
    session.execute(update(DirectUploadRow).where(DirectUploadRow.id == upload_id).values(answer=given))


def remove(session: Session, upload_id: str) -> None:
    session.execute(delete(DirectUploadRow).where(DirectUploadRow.id == upload_id))
