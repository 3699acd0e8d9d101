"""Claims, decisions, and screening again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from review import rescreening
from review.api import schemas
from review.api.videos import visible
from review.auth.access import Rescreener, Reviewer, Viewer
from review.filters import GIVEN_ONCE, FilterParams
from review.problem_schema import problems
from review.resources import Configured, Database, Id
from storage.engine import reading, transaction
from storage.erasure import kept
from storage.people import claims, decisions
from storage.queue import listing

router = APIRouter(tags=["reviewing"])


@router.get("/videos/{video_id}/decisions", responses=problems(404))
def list_decisions(engine: Database, principal: Viewer, video_id: Id) -> list[schemas.Decision]:
    """All decisions on a video, the oldest first; blind reviewers see only their own until they decide."""
    with reading(engine) as session:
        kept(session, video_id)  # raises NotFound
        history = decisions.history(session, video_id)
    mine = [each for each in history if each.account_id == principal.account_id]
    shown = mine if principal.blind and not mine else history
    return [schemas.Decision.model_validate(each) for each in shown]


@router.post("/videos/{video_id}/decisions", status_code=201, responses=problems(404, 409, 413))
def decide(
    engine: Database, settings: Configured, principal: Reviewer, video_id: Id, body: schemas.NewDecision
) -> schemas.Decided:
    """Decide on a video. Your earlier decision is kept, but the new one counts. Your claim ends."""
    with transaction(engine) as session:
        decided = decisions.has_decided(session, video_id=video_id, account_id=principal.account_id)
        state = decisions.decide(
            session,
            video_id=video_id,
            account_id=principal.account_id,
            outcome=body.outcome,
            reason=body.reason,
            note=body.note,
            blind=principal.blind and not decided,
            double_review=settings.review.double_review,
        )
    return schemas.Decided(video_id=video_id, decision_state=state)


@router.post("/videos/{video_id}/claim", responses=problems(404, 409))
def claim(engine: Database, settings: Configured, principal: Reviewer, video_id: Id) -> schemas.Claimed:
    """Claim a video, or extend your claim; no other reviewer gets it meanwhile."""
    with transaction(engine) as session:
        expires_at = claims.claim(
            session,
            video_id=video_id,
            account_id=principal.account_id,
            minutes=settings.review.claim_minutes,
        )
    return schemas.Claimed(video_id=video_id, expires_at=expires_at)


@router.delete("/videos/{video_id}/claim", status_code=204, responses=problems())
def release(engine: Database, principal: Reviewer, video_id: Id) -> Response:
    """Release a video. Does nothing if it is not yours."""
    with transaction(engine) as session:
        claims.release(session, video_id=video_id, account_id=principal.account_id)
    return Response(status_code=204)


@router.post("/videos/{video_id}/skip", status_code=204, responses=problems(404))
def skip(engine: Database, principal: Reviewer, video_id: Id) -> Response:
    """Release a video and do not be offered it again."""
    with transaction(engine) as session:
        claims.skip(session, video_id=video_id, account_id=principal.account_id)
    return Response(status_code=204)


@router.post(
    "/claims",
    dependencies=[GIVEN_ONCE],
    response_model=schemas.Claimed,
    responses={204: {"description": "No matching video is left."}, **problems()},
)
def claim_next(
    engine: Database, settings: Configured, principal: Reviewer, params: Annotated[FilterParams, Query()]
) -> schemas.Claimed | Response:
    """Claim the first free video of the queue that you have neither skipped nor decided."""
    filters = visible(params, principal)
    with transaction(engine) as session:
        video_id = claims.claim_next(
            session,
            account_id=principal.account_id,
            filters=filters,
            minutes=settings.review.claim_minutes,
        )
        if video_id is None:
            return Response(status_code=204)
        expires_at = listing.claims(session, [video_id])[video_id].expires_at
    return schemas.Claimed(video_id=video_id, expires_at=expires_at)


@router.post("/videos/{video_id}/screenings", status_code=202, responses=problems(404, 413))
def screen_again(
    engine: Database,
    settings: Configured,
    principal: Rescreener,
    video_id: Id,
    body: schemas.NewScreening | None = None,
) -> schemas.Requested:
    """Screen a video again, with the model of this installation or another known one.

    A worker with that model must be running. Results of other models are kept.
    """
    body = body or schemas.NewScreening()
    asked = rescreening.ask(
        engine,
        settings,
        video_id=video_id,
        model_version=body.model_version,
        urgent=body.urgent,
        actor=principal.name,
    )
    return schemas.Requested(
        screening_id=asked.ticket.row_id,
        attempt=asked.ticket.attempt,
        model_version=asked.model_version,
        enqueued=asked.enqueued,
    )
