"""Erasing a video for good, and legal hold."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from review.auth.access import Admin, ConfirmedAdmin
from review.filters import NO_NUL
from review.problem_schema import problems
from review.resources import Database, Id, Objects
from storage import erasure
from storage.engine import transaction

router = APIRouter(tags=["keeping"])

REASON = Field(
    min_length=1, max_length=erasure.LONGEST_REASON, pattern=NO_NUL, description="Why, for the audit log."
)


class Hold(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, REASON]


@router.delete("/videos/{video_id}", status_code=204, responses=problems(404, 409))
def erase_video(
    engine: Database,
    objects: Objects,
    principal: ConfirmedAdmin,
    video_id: Id,
    reason: Annotated[str, Query(min_length=1, max_length=erasure.LONGEST_REASON, pattern=NO_NUL)],
) -> Response:
    """Erase a video for good: file, pictures, results, hashes and decisions.

    Its content is not taken in again. The audit log keeps its SHA-256 and the reason. 409 under legal hold.
    """
    erasure.erase(engine, objects, video_id, reason=reason, actor=principal.name)
    return Response(status_code=204)


@router.put("/videos/{video_id}/hold", status_code=204, responses=problems(404, 409))
def hold_video(engine: Database, principal: Admin, video_id: Id, body: Hold) -> Response:
    """Put a video under legal hold: nothing of it is erased, by anybody, until the hold is lifted.

    409 where it is held for another reason.
    """
    with transaction(engine) as session:
        erasure.hold(session, video_id, reason=body.reason, actor=principal.name)
    return Response(status_code=204)


@router.delete("/videos/{video_id}/hold", status_code=204, responses=problems(404))
def lift_hold(engine: Database, principal: Admin, video_id: Id) -> Response:
    """Lift a legal hold."""
    with transaction(engine) as session:
        erasure.hold(session, video_id, reason=None, actor=principal.name)
    return Response(status_code=204)
