"""Answers to uploads with an Idempotency-Key, kept for a while so that a repetition is answered alike."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from core.errors import KeyReused
from storage.tables import KeptAnswer, utc_now

FIELD = "Idempotency-Key"


def find(session: Session, account_id: int, key: str, *, hours: float) -> KeptAnswer | None:
    """What this account was answered, within the last `hours`, when it came with this key."""
    row = session.get(KeptAnswer, (account_id, key))
    return row if row is not None and row.created_at > utc_now() - timedelta(hours=hours) else None


def keep(
    session: Session, account_id: int, key: str, *, sha256: str, answer: dict[str, Any], hours: float
) -> None:
    """Keep the answer, unless another request with the key was quicker. Raises KeyReused.

    Answers older than `hours`, of anybody, go.
    """
    session.execute(delete(KeptAnswer).where(KeptAnswer.created_at <= utc_now() - timedelta(hours=hours)))
    row = session.get(KeptAnswer, (account_id, key))
    if row is None:
        session.add(KeptAnswer(account_id=account_id, key=key, sha256=sha256, answer=answer))
    else:
        check(row, sha256)


def check(row: KeptAnswer, sha256: str) -> None:
    """Raises KeyReused where the answer is to other content."""
    if row.sha256 != sha256:
        raise KeyReused(field=FIELD)
