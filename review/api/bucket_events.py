"""What a bucket's server says of its objects."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from core.errors import Conflict
from core.s3_address import S3Address
from ingest.s3.hints import keep
from ingest.s3.notifications import notices
from review.auth.access import Uploader
from review.problem_schema import problems
from review.resources import Configured, Database
from storage.engine import transaction

router = APIRouter(tags=["submissions"])


class Noted(BaseModel):
    """How many events came to what."""

    looks: int = Field(description="Keys that an ingest process looks at.")
    removed: int = Field(description="Removed objects, which are noted: what was taken in stays.")
    ignored: int = Field(description="Events of other places, folders, and names that are left alone.")


@router.post("/bucket-events", responses=problems(409))
def note_events(
    engine: Database,
    settings: Configured,
    principal: Uploader,
    body: Annotated[
        dict[str, Any],
        Body(
            description="A notification of AWS (also within SNS, or of EventBridge), MinIO or SeaweedFS.",
            examples=[
                {
                    "Records": [
                        {
                            "eventName": "ObjectCreated:Put",
                            "s3": {"bucket": {"name": "drop"}, "object": {"key": "videos/my+clip.mp4"}},
                        }
                    ]
                }
            ],
        ),
    ],
) -> Noted:
    """Have objects of the watched bucket looked at now, not only when it is listed the next time.

    An event is only a hint: the object is asked for in the bucket that FACEWARDEN_BUCKET names. A test event
    without `Records` is accepted.
    """
    if not isinstance(settings.bucket, S3Address):
        reason = "FACEWARDEN_BUCKET names a folder, which is scanned and has no events"
        raise Conflict(what="Bucket", key=settings.bucket_name, reason=reason)
    found = notices(body)
    with transaction(engine) as session:
        kept = keep(session, settings, settings.bucket, found, actor=principal.name)
    return Noted(looks=kept.looks, removed=kept.removed, ignored=kept.ignored)
