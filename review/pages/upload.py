"""The upload page: files dropped here are screened like those of the bucket."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from review.access import Uploader
from review.rendering import page
from review.resources import Configured

router = APIRouter()

ACCEPTED = "video/mp4,video/quicktime,video/x-matroska,video/webm,video/x-msvideo,.mkv,.avi,.mov,image/jpeg,image/png,image/webp"  # noqa: E501  an HTML attribute


@router.get("/upload")
def upload_page(request: Request, settings: Configured, principal: Uploader) -> Response:
    """The files themselves go to `POST /v1/uploads`."""
    return page(
        request,
        "upload.html",
        principal=principal,
        accepted=ACCEPTED,
        limit=settings.review.upload_bytes,
    )
