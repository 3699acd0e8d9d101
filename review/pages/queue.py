"""The queue: what is waiting for a reviewer, the most suspicious first."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from core.outcomes import Verdict
from review import words
from review.auth.access import Reviewer, Viewer
from review.pages import video
from review.pages.queue_query import PER_PAGE, Queued, tab_counts, tabs
from review.rendering import page
from review.resources import Configured, Database
from storage.engine import reading, transaction
from storage.people import claims
from storage.queue import choices, listing

router = APIRouter()


@router.get("/queue")
def queue(request: Request, engine: Database, principal: Viewer, query: Queued) -> Response:
    """One page of the queue; htmx requests only the list."""
    list_only = request.headers.get("HX-Target") == "list"
    with reading(engine) as session:
        found = listing.page(
            session,
            query.filters(blind=principal.blind),
            cursor=query.cursor or None,
            limit=PER_PAGE,
            account_id=principal.account_id,
        )
        around: dict[str, Any] = {} if list_only else _around(session)
    items = [listing.blinded(item) for item in found.items] if principal.blind else found.items
    return page(
        request,
        "queue_list.html" if list_only else "queue.html",
        principal=principal,
        query=query,
        tab=query.chosen(blind=principal.blind),
        tabs=tabs(blind=principal.blind),
        items=items,
        next_cursor=found.next_cursor,
        verdicts=list(Verdict),
        families=words.FAMILIES,
        provenances=words.STATED,
        **around,
    )


def _around(session: Session) -> dict[str, Any]:
    """What the full page shows around the list."""
    return {
        "counts": tab_counts(listing.counts(session)),
        "sources": choices.sources(session),
        "models": choices.model_versions(session),
    }


@router.post("/queue/next")
def take_next(settings: Configured, engine: Database, principal: Reviewer, query: Queued) -> Response:
    """Claim the first free video of the filtered queue and show it."""
    with transaction(engine) as session:
        video_id = claims.claim_next(
            session,
            account_id=principal.account_id,
            filters=query.filters(blind=principal.blind),
            minutes=settings.review.claim_minutes,
        )
    return video.onwards(query, video_id)
