"""Videos from other services: taken in, followed, cancelled."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from core.errors import NotFound
from core.priorities import Priority
from review import uploads
from review.api import schemas
from review.api.transfers import BODY, CLIENT_LEFT, UNLIMITED, check_stated_size, taken_in
from review.auth.access import Permission, Principal, Rescreener, Uploader, Viewer, require_more
from review.multipart import file_of
from review.problem_schema import problems
from review.resources import Configured, Database, Id, Objects, Pressed
from storage import kept_answers, screenings
from storage.engine import reading, transaction
from storage.people import decisions
from storage.read import progress

router = APIRouter(tags=["submissions"])

Key = Annotated[
    str | None,
    Header(
        alias=kept_answers.FIELD,
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Chosen by the client for this upload. Repeated with the same key and content it gets the"
        " same answer; with other content it is refused.",
    ),
]


class SubmissionParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None, max_length=500, description="File name by which people can find it; by default the form's."
    )
    priority: Priority = Field(
        Priority.NORMAL, description="`interactive` takes the scope `interactive`, or a person's session."
    )


@router.post(
    "/videos",
    status_code=201,
    response_model=schemas.Uploaded,
    responses={
        200: {"model": schemas.Uploaded, "description": "The content was already there."},
        **problems(413, 415, 429),
    },
    openapi_extra=BODY,
    max_body_size=UNLIMITED,
)
async def submit(
    request: Request,
    response: Response,
    engine: Database,
    settings: Configured,
    objects: Objects,
    pressure: Pressed,
    principal: Uploader,
    params: Annotated[SubmissionParams, Query()],
    key: Key = None,
) -> schemas.Uploaded | Response:
    """Send a video or image in any supported format (docs/formats.md) for screening.

    The body is stored as it arrives. The same content again is the same video. Follow it at
    `/v1/videos/{video_id}/status`.
    """
    allow(principal, params.priority)
    await to_thread.run_sync(pressure.check, principal.account_id, principal.name, params.priority)
    check_stated_size(request, params.name or "", settings)
    try:
        body, name, _ = await file_of(request)
        wish = uploads.Wish(
            name=uploads.checked_name(params.name or name or ""),
            priority=params.priority,
            account_id=principal.account_id,
            actor=principal.name,
            key=key,
        )
        taken = await uploads.Receiver(settings, engine, objects).receive(body, wish)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)  # the client has gone
    return taken_in(taken, response)


def allow(principal: Principal, priority: Priority) -> None:
    """Raises NotAllowed."""
    if priority is Priority.INTERACTIVE:
        require_more(principal, Permission.INTERACTIVE)


@router.get("/videos/{video_id}/status", responses=problems(404))
def get_status(engine: Database, principal: Viewer, video_id: Id) -> schemas.Status:
    """How far a video is: cheap enough to be asked often."""
    with reading(engine) as session:
        found = progress.of_videos(session, [video_id])
        if not found:
            raise NotFound(what="Video", key=video_id)
        hidden = principal.blind and not decisions.has_decided(
            session, video_id=video_id, account_id=principal.account_id
        )
    status = schemas.Status.model_validate(found[0])
    if not hidden:
        return status
    return status.model_copy(
        update={"verdict": None, "score": None, "flagged": 0, "explained": 0, "score_hidden": True}
    )


@router.post("/videos/{video_id}:cancel", responses=problems(404, 409))
def cancel(engine: Database, principal: Rescreener, video_id: Id) -> schemas.Status:
    """Cancel the screening of a video that waits or runs: it fails with `cancelled`.

    A worker that has begun stops when it renews its lease, and its result is dropped. Cancelling twice is
    cancelling once; a screening that has ended otherwise is left as it is (409).
    """
    with transaction(engine) as session:
        screenings.cancel(session, video_id, actor=principal.name)
    return get_status(engine, principal, video_id)
