"""The page of one video, and the decision on it."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from core.outcomes import DecisionOutcome
from core.settings import Settings
from review.auth.access import Principal, Reviewer, Viewer
from review.filters import NO_NUL
from review.pages import video_view
from review.pages.live import video_states
from review.pages.queue_query import Queued, QueueQuery
from review.rendering import page
from review.resources import Configured, Database, Id
from review.words import named
from storage.engine import reading, transaction
from storage.people import claims, decisions
from storage.read import detail

router = APIRouter()

REASONS = (
    "Blending edge",
    "Teeth, eyes or hair",
    "Flicker between frames",
    "Lips and sound apart",
    "Lighting does not fit",
    "Original is known",
    "Artefact of compression",
    "Quality too low to tell",
    "Satire, or labelled as synthetic",
)


@router.get("/videos/{video_id}")
def video_page(
    request: Request,
    settings: Configured,
    engine: Database,
    principal: Viewer,
    query: Queued,
    video_id: Id,
    done: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Player, timeline, explanations and decision. `done` is the outcome just decided on another video."""
    with reading(engine) as session:
        states = video_states(session, [video_id], blind=principal.blind)
        found = detail.video(session, video_id, query.model or None, account_id=principal.account_id)
    claim = found.item.claim
    return page(
        request,
        "video.html",
        principal=principal,
        detail=found,
        state=next(iter(states), None),
        video=video_view.build(found, blind=principal.blind),
        mine=claim is not None and claim.account_id == principal.account_id,
        query=query,
        reasons=REASONS,
        claim_minutes=settings.review.claim_minutes,
        flash=flash(done),
    )


def flash(done: str) -> str:
    """A message about the decision that led here."""
    if done not in set(DecisionOutcome):
        return ""
    return f"Decided: {named(done)}. Here is the next one."


@router.post("/videos/{video_id}/decision")
def decide(
    settings: Configured,
    engine: Database,
    principal: Reviewer,
    query: Queued,
    video_id: Id,
    outcome: Annotated[DecisionOutcome, Form()],
    reason: Annotated[str, Form(max_length=200, pattern=NO_NUL)] = "",
    note: Annotated[str, Form(max_length=4000, pattern=NO_NUL)] = "",
) -> Response:
    """Store the decision and claim the next video."""
    with transaction(engine) as session:
        before = decisions.has_decided(session, video_id=video_id, account_id=principal.account_id)
        decisions.decide(
            session,
            video_id=video_id,
            account_id=principal.account_id,
            outcome=outcome,
            reason=reason.strip() or None,
            note=note.strip() or None,
            blind=principal.blind and not before,
            double_review=settings.review.double_review,
        )
        following = _take_next(session, settings, principal, query)
    return onwards(query, following, done=outcome)


@router.post("/videos/{video_id}/skip")
def skip(
    settings: Configured, engine: Database, principal: Reviewer, query: Queued, video_id: Id
) -> Response:
    """Leave the video to others and claim the next one."""
    with transaction(engine) as session:
        claims.skip(session, video_id=video_id, account_id=principal.account_id)
        following = _take_next(session, settings, principal, query)
    return onwards(query, following)


@router.post("/videos/{video_id}/claim")
def claim(
    settings: Configured, engine: Database, principal: Reviewer, query: Queued, video_id: Id
) -> Response:
    """Claim this video, so that nobody else works on it."""
    with transaction(engine) as session:
        claims.claim(
            session,
            video_id=video_id,
            account_id=principal.account_id,
            minutes=settings.review.claim_minutes,
        )
    return onwards(query, video_id)


@router.post("/videos/{video_id}/release")
def release(engine: Database, principal: Reviewer, query: Queued, video_id: Id) -> Response:
    """Release the video."""
    with transaction(engine) as session:
        claims.release(session, video_id=video_id, account_id=principal.account_id)
    return onwards(query, None)


def _take_next(session: Session, settings: Settings, principal: Principal, query: QueueQuery) -> int | None:
    return claims.claim_next(
        session,
        account_id=principal.account_id,
        filters=query.filters(blind=principal.blind),
        minutes=settings.review.claim_minutes,
    )


def onwards(query: QueueQuery, video_id: int | None, *, done: str = "") -> Response:
    """Redirect to the video, or to the queue if there is none, keeping the selection."""
    path = "/queue" if video_id is None else f"/videos/{video_id}"
    address = query.address(done=done)
    # 303: the browser fetches the next page with GET.
    return RedirectResponse(f"{path}?{address}" if address else path, status_code=303)
