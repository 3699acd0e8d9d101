"""Model versions: a score means nothing without the version that produced it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.model_version import ModelVersion, stored_model_version
from storage import audit, screenings
from storage.tables import ModelPromotion, ModelVersionRow, utc_now


def register(
    session: Session,
    *,
    version_id: str,
    architecture: str,
    label: str,
    weights_sha256: str,
    input_size: int,
    details: Mapping[str, Any],
) -> None:
    """Register the version; doing so again changes nothing."""
    if session.get(ModelVersionRow, version_id) is None:
        session.add(
            ModelVersionRow(
                id=version_id,
                architecture=architecture,
                label=label,
                weights_sha256=weights_sha256,
                input_size=input_size,
                details=dict(details),
            )
        )
        session.flush()


def version(session: Session, version_id: str) -> ModelVersion:
    """Raises NotFound, and WeightsError where it was not stored whole."""
    row = session.get(ModelVersionRow, version_id)
    if row is None:
        raise NotFound(what="Model version", key=version_id)
    return stored_model_version(
        architecture=row.architecture,
        label=row.label,
        weights_sha256=row.weights_sha256,
        input_size=row.input_size,
        details=row.details,
    )


def called(session: Session, named: str) -> str:
    """The id of the version of this id, beginning of an id, or label. Raises NotFound, and Conflict."""
    found = [row.id for row in known(session) if row.id.startswith(named) or row.label == named]
    if named in found:
        return named
    if not found:
        raise NotFound(what="Model version", key=named)
    if len(found) > 1:
        reason = f"it calls {len(found)} model versions: {', '.join(found[:10])}; name one"
        raise Conflict(what="The name", key=named, reason=reason)
    return found[0]


def active(session: Session) -> str | None:
    """The id of the version that screens new videos; None: that of each machine's settings."""
    query = select(ModelPromotion.model_version_id).where(ModelPromotion.undone_at.is_(None))
    return session.scalar(query.order_by(ModelPromotion.id.desc()).limit(1))


def promote(session: Session, version_id: str, *, actor: str) -> None:
    """From now on this version screens new videos; doing so again changes nothing. Raises NotFound."""
    if not is_known(session, version_id):
        raise NotFound(what="Model version", key=version_id)
    before = active(session)
    if before == version_id:
        return
    session.add(ModelPromotion(model_version_id=version_id, actor=actor))
    audit.record(session, actor=actor, action="model.promoted", subject=version_id, before=before)


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    undone: str  # the version whose promotion was undone
    now: str | None  # the version that screens new videos now, as `active`
    moved: int  # screenings that waited for the undone one, and wait for that one instead
    cancelled: int  # those of videos that other versions look at or have looked at


def was_promoted(session: Session, version_id: str) -> bool:
    """Whether it has ever screened new videos: some may still wait for it."""
    query = select(ModelPromotion.id).where(ModelPromotion.model_version_id == version_id).limit(1)
    return session.scalar(query) is not None


def roll_back(session: Session, *, actor: str, otherwise: str | None = None) -> RolledBack:
    """Undo the last promotion that stands, and let the version before screen what still waits.

    `otherwise`: the registered version of this machine's settings, which is the one before where no other
    promotion stands; None: unknown, and what waits then goes on waiting for the undone one.

    Raises Conflict where none stands.
    """
    query = (
        select(ModelPromotion).where(ModelPromotion.undone_at.is_(None)).order_by(ModelPromotion.id.desc())
    )
    row = session.scalar(query.limit(1).with_for_update())
    if row is None:
        raise Conflict(what="The model", key="version", reason="no promotion stands that could be undone")
    row.undone_at = utc_now()
    session.flush()
    undone, now = row.model_version_id, active(session)
    heir, moved, cancelled = now or otherwise, 0, 0
    if heir is not None and heir != undone:
        moved, cancelled = screenings.hand_over(session, undone, heir, actor=actor)
    audit.record(
        session,
        actor=actor,
        action="model.rolled_back",
        subject=undone,
        now=now,
        moved=moved,
        cancelled=cancelled,
    )
    return RolledBack(undone=undone, now=now, moved=moved, cancelled=cancelled)


def is_known(session: Session, version_id: str) -> bool:
    return session.get(ModelVersionRow, version_id) is not None


def known(session: Session) -> list[ModelVersionRow]:
    """All versions, the newest first."""
    return list(session.scalars(select(ModelVersionRow).order_by(ModelVersionRow.created_at.desc())))
