"""Large files, which clients send to the object store itself."""

from datetime import timedelta
from itertools import accumulate
from typing import Annotated

from fastapi import APIRouter, Path, Response

from core.errors import Conflict
from review import uploads
from review.api import schemas
from review.api.submissions import allow
from review.api.transfers import taken_in
from review.auth.access import Uploader
from review.problem_schema import problems
from review.resources import Configured, Database, Objects, Pressed
from storage import direct_uploads
from storage.direct_uploads import Announced
from storage.engine import reading, transaction
from storage.objects.store import DirectUploads
from storage.tables import utc_now

router = APIRouter(prefix="/direct-uploads", tags=["submissions"])

UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


def _direct(objects: Objects) -> DirectUploads:
    direct = objects.direct()
    if direct is None:
        reason = "its objects are not in S3; use POST /v1/videos"
        raise Conflict(what="A direct upload", key="to this installation", reason=reason)
    return direct


@router.post("", status_code=201, responses=problems(409, 413, 429))
def begin(
    engine: Database,
    settings: Configured,
    pressure: Pressed,
    principal: Uploader,
    objects: Objects,
    body: schemas.NewDirectUpload,
) -> schemas.DirectUpload:
    """Announce a file, and get the addresses to which to send its parts. Screened is what is complete."""
    direct, name = _direct(objects), uploads.checked_name(body.name)
    allow(principal, body.priority)
    uploads.check_size(body.size_bytes, name, settings, direct=True)
    pressure.check(principal.account_id, principal.name, body.priority)
    hours = min(settings.review.direct_hours, settings.sweep.grace_hours)
    upload, expires_at = direct.begin(body.size_bytes), utc_now() + timedelta(hours=hours)
    announced = Announced(name=name, sha256=body.sha256, priority=body.priority, upload=upload)
    with transaction(engine) as session:
        upload_id = direct_uploads.add(
            session, announced, account_id=principal.account_id, expires_at=expires_at
        )
    addresses = direct.addresses(upload, seconds=int(hours * 3600))
    starts = accumulate(upload.sizes, initial=0)
    return schemas.DirectUpload(
        id=upload_id,
        parts=[
            schemas.DirectPart(number=number, start=start, size_bytes=size, url=url)
            for number, (start, size, url) in enumerate(zip(starts, upload.sizes, addresses, strict=False), 1)
        ],
        expires_at=expires_at,
    )


@router.post(
    "/{upload_id}:complete",
    status_code=201,
    response_model=schemas.Uploaded,
    responses={
        200: {"model": schemas.Uploaded, "description": "The content was already there."},
        **problems(404, 409, 415),
    },
)
def complete(
    response: Response,
    engine: Database,
    settings: Configured,
    objects: Objects,
    principal: Uploader,
    upload_id: UploadId,
) -> schemas.Uploaded:
    """Check size and SHA-256 by reading what arrived, which takes its time, and request its screening.

    Completing twice is completing once.
    """
    receiver = uploads.Receiver(settings, engine, objects)
    return taken_in(
        receiver.complete(_direct(objects), upload_id, principal.account_id, principal.name), response
    )


@router.delete("/{upload_id}", status_code=204, responses=problems(404, 409))
def drop(engine: Database, objects: Objects, principal: Uploader, upload_id: UploadId) -> Response:
    """Drop an upload. What is complete stays."""
    direct = _direct(objects)
    with reading(engine) as session:
        announced = direct_uploads.find(session, upload_id, account_id=principal.account_id)
    direct.drop(announced.upload)
    with transaction(engine) as session:
        direct_uploads.remove(session, upload_id)
    return Response(status_code=204)
