"""The upload page: files dropped here are screened like those in the bucket."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.requests import ClientDisconnect

from core import media_formats
from core.errors import FacewardenError
from core.settings import Settings
from review import uploads
from review.api.transfers import CLIENT_LEFT, UNLIMITED, wish_of
from review.auth.access import CSRF_FIELD, CSRF_HEADER, FormUploader, Principal, Uploader, refuse_forgery
from review.multipart import file_of
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database, Objects

router = APIRouter()


@router.get("/upload")
def upload_page(request: Request, settings: Configured, principal: Uploader) -> Response:
    """The page. Its script sends files to `POST /v1/uploads`; without scripts, its form to `POST /upload`."""
    return _page(request, settings, principal)


def _page(
    request: Request, settings: Settings, principal: Principal, *, error: FacewardenError | None = None
) -> Response:
    return page(
        request,
        "upload.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        accepted=media_formats.accepted(),
        formats=media_formats.names(),
        limit=settings.review.upload_bytes,
        error="" if error is None else str(error),
    )


@router.post("/upload", max_body_size=UNLIMITED)
async def upload_form(
    request: Request, engine: Database, settings: Configured, objects: Objects, principal: FormUploader
) -> Response:
    """One file of a form, for browsers without scripts; goes on to the video's page."""
    body, name, fields = await file_of(request, leading=(CSRF_FIELD,))
    refuse_forgery(principal, request.headers.get(CSRF_HEADER, fields.get(CSRF_FIELD)))
    try:
        wish = wish_of(principal, name or "")
        taken = await uploads.Receiver(settings, engine, objects).receive(body, wish)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)  # the client has gone
    except FacewardenError as error:
        return _page(request, settings, principal, error=error)
    return RedirectResponse(f"/videos/{taken.video_id}", status_code=303)
