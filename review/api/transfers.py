"""Uploads and exports."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from core import media_formats
from core.priorities import Priority
from core.settings import Settings
from ingest.registration import Intake
from review import multipart, uploads
from review.api import schemas
from review.api.videos import visible
from review.auth.access import Exporter, Permission, Principal, Uploader
from review.filters import GIVEN_ONCE, FilterParams
from review.problem_schema import problems
from review.reports.export import MEDIA_TYPES, Format, export
from review.resources import Configured, Database, Objects
from storage import audit
from storage.engine import transaction

router = APIRouter(tags=["transfers"])

UNLIMITED = 2**62  # bytes, for the framework; our own limit is checked while the body arrives
CLIENT_LEFT = 400
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself, or a form with the file as its only part.",
        "content": {
            **{
                each: {"schema": {"type": "string", "format": "binary"}}
                for each in (media_formats.UNKNOWN_TYPE, *media_formats.media_types())
            },
            multipart.MEDIA_TYPE: _FORM,
        },
    }
}


class ExportParams(FilterParams):
    format: Format = Format.CSV


class UploadParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None, max_length=500, description="File name by which people can find it; by default the form's."
    )


@router.post(
    "/uploads",
    status_code=201,
    response_model=schemas.Uploaded,
    responses={
        200: {"model": schemas.Uploaded, "description": "The content was already there."},
        **problems(413, 415),
    },
    openapi_extra=BODY,
    max_body_size=UNLIMITED,
)
async def upload(
    request: Request,
    response: Response,
    engine: Database,
    settings: Configured,
    objects: Objects,
    principal: Uploader,
    params: Annotated[UploadParams, Query()],
) -> schemas.Uploaded | Response:
    """Upload a video or image in any supported format (docs/formats.md) as the request body.

    The same content again is the same video. Ask `/v1/videos/{video_id}` for the verdict. This is what the
    upload page sends; programs take `POST /v1/videos`.
    """
    check_stated_size(request, params.name or "", settings)
    try:
        body, name, _ = await multipart.file_of(request)
        wish = wish_of(principal, params.name or name or "")
        taken = await uploads.Receiver(settings, engine, objects).receive(body, wish)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)  # the client has gone
    return taken_in(taken, response)


def wish_of(principal: Principal, name: str) -> uploads.Wish:
    """What somebody wants who waits for it at a page."""
    interactive = Permission.INTERACTIVE in principal.permissions
    return uploads.Wish(
        name=uploads.checked_name(name),
        priority=Priority.INTERACTIVE if interactive else Priority.NORMAL,
        account_id=principal.account_id,
        actor=principal.name,
    )


def check_stated_size(request: Request, name: str, settings: Settings) -> None:
    """Raises MediaTooLarge, before anything is read."""
    stated = request.headers.get("Content-Length", "")
    if stated.isdecimal() and not multipart.is_form(request):  # a form is larger than its file
        uploads.check_size(int(stated), uploads.checked_name(name), settings)


def taken_in(taken: uploads.Upload, response: Response) -> schemas.Uploaded:
    if taken.intake is Intake.KNOWN:
        response.status_code = 200
    response.headers["Location"] = f"/v1/videos/{taken.video_id}"
    return schemas.Uploaded(**vars(taken))


@router.get(
    "/export",
    dependencies=[GIVEN_ONCE],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "All matching videos, one per line.",
            "content": {"text/csv": {}, "application/jsonl": {}},
        },
        **problems(),
    },
)
def export_videos(
    engine: Database, principal: Exporter, params: Annotated[ExportParams, Query()]
) -> StreamingResponse:
    """All matching videos as CSV (safe to open in a spreadsheet) or JSON Lines."""
    filters = visible(params, principal)
    lines = export(engine, filters, principal, params.format)
    with transaction(engine) as session:
        audit.record(
            session,
            actor=principal.name,
            action="videos.exported",
            subject="videos",
            filters=params.model_dump(mode="json", exclude_defaults=True),
            format=params.format,
        )
    return StreamingResponse(
        lines,
        media_type=MEDIA_TYPES[params.format],
        headers={"Content-Disposition": f'attachment; filename="facewarden-videos.{params.format}"'},
    )
