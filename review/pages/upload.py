"""The upload page: files dropped here are screened like those in the bucket."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core import media_formats
from review.auth.access import Uploader
from review.rendering import page
from review.resources import Configured

router = APIRouter()


@router.get("/upload")
def upload_page(request: Request, settings: Configured, principal: Uploader) -> Response:
    """The page only; files go to `POST /v1/uploads`."""
    return page(
        request,
        "upload.html",
        principal=principal,
        accepted=media_formats.accepted(),
        formats=media_formats.names(),
        limit=settings.review.upload_bytes,
    )
