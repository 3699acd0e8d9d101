"""What an admin does with a video's data from its page: legal hold, and erasing for good."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from review.auth.access import Admin, ConfirmedAdmin
from review.filters import NO_NUL
from review.resources import Database, Id, Objects
from storage import erasure
from storage.engine import transaction

router = APIRouter()

Reason = Annotated[str, Form(min_length=1, max_length=erasure.LONGEST_REASON, pattern=NO_NUL)]


@router.post("/videos/{video_id}/hold")
def hold(engine: Database, principal: Admin, video_id: Id, reason: Reason) -> Response:
    """Put the video under legal hold."""
    return _held(engine, principal, video_id, reason)


@router.post("/videos/{video_id}/lift-hold")
def lift_hold(engine: Database, principal: Admin, video_id: Id) -> Response:
    """Lift its legal hold."""
    return _held(engine, principal, video_id, None)


def _held(engine: Database, principal: Admin, video_id: int, reason: str | None) -> Response:
    with transaction(engine) as session:
        erasure.hold(session, video_id, reason=reason, actor=principal.name)
    return RedirectResponse(f"/videos/{video_id}", status_code=303)


@router.post("/videos/{video_id}/erase")
def erase(
    engine: Database, objects: Objects, principal: ConfirmedAdmin, video_id: Id, reason: Reason
) -> Response:
    """Erase the video for good; refused under legal hold."""
    erasure.erase(engine, objects, video_id, reason=reason, actor=principal.name)
    return RedirectResponse("/queue", status_code=303)
