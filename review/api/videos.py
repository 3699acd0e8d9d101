"""Lists of videos, and single videos in full."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from core.errors import HiddenUntilDecided
from review.api import schemas
from review.api.answers import UNCHANGED, tagged
from review.auth.access import Principal, Viewer
from review.filters import GIVEN_ONCE, FilterParams, ListParams, Text
from review.problem_schema import problems
from review.resources import Database, Id
from storage.engine import reading
from storage.queue import listing
from storage.queue.filters import Filters, Sort
from storage.read import detail
from storage.read.detail import VideoDetail

router = APIRouter(tags=["videos"])


def visible(params: FilterParams, principal: Principal) -> Filters:
    """The filters. Raises HiddenUntilDecided if they would show a blind reviewer the machine's answer."""
    if not principal.blind:
        return params.to_filters()
    by_score = "sort" in params.model_fields_set and params.sort is Sort.SCORE
    by_range = params.score_min is not None or params.score_max is not None
    if params.verdict or params.family or params.known or by_range or by_score:
        raise HiddenUntilDecided
    return params.model_copy(update={"sort": Sort.TIME}).to_filters()


@router.get("/videos", dependencies=[GIVEN_ONCE], responses=problems())
def list_videos(
    engine: Database, principal: Viewer, params: Annotated[ListParams, Query()]
) -> schemas.VideoPage:
    """List videos by filter and order, page by page."""
    filters = visible(params, principal)
    with reading(engine) as session:
        page = listing.page(
            session, filters, cursor=params.cursor, limit=params.limit, account_id=principal.account_id
        )
        counted = listing.count(session, filters) if params.count else None
    items = [listing.blinded(item) for item in page.items] if principal.blind else page.items
    return schemas.VideoPage(
        items=[schemas.Video.model_validate(item) for item in items],
        next_cursor=page.next_cursor,
        count=None if counted is None else schemas.Count.model_validate(counted),
    )


@router.get("/counts", responses=problems())
def count_videos(engine: Database, principal: Viewer) -> schemas.Counts:
    """What is waiting, by verdict and status; counting stops at 10,000."""
    if principal.blind:
        raise HiddenUntilDecided
    with reading(engine) as session:
        return schemas.Counts.model_validate(listing.counts(session))


@router.get("/videos/{video_id}", responses={**UNCHANGED, **problems(404)})
def get_video(
    request: Request,
    engine: Database,
    principal: Viewer,
    video_id: Id,
    model_version: Annotated[
        Text | None, Query(description="By default the screening that represents the video in the queue.")
    ] = None,
) -> schemas.VideoDetail:
    """One video with its tracks, frame scores, flagged frames, explanations, timings and history."""
    with reading(engine) as session:
        found = detail.video(session, video_id, model_version, account_id=principal.account_id)
    answer = schemas.VideoDetail.model_validate(found)
    if principal.blind and found.item.my_decision is None:
        answer = _blinded(answer, found, principal)
    return tagged(request, answer)  # type: ignore[return-value]  # the model is what the document says


def _blinded(answer: schemas.VideoDetail, found: VideoDetail, principal: Principal) -> schemas.VideoDetail:
    """Without what the machine and other reviewers said."""
    for track in answer.tracks:
        track.score, track.flagged_ranges = None, []
        track.family = track.family_probability = None
        track.evidence = None
        for face in track.faces:
            face.score = None
    for screening in answer.screenings:
        screening.verdict = screening.score = None
    return answer.model_copy(
        update={
            "video": schemas.Video.model_validate(listing.blinded(found.item)),
            "raw_score": None,
            "earlier": [],
            "flagged_frames": [],
            "known": [],
            "decisions": [each for each in answer.decisions if each.account == principal.name],
        }
    )
