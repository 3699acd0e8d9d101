"""The JSON API /v1."""

from fastapi import APIRouter

from review.api import (
    bucket_events,
    by_url,
    direct,
    keeping,
    media,
    overview,
    reviewing,
    streams,
    submissions,
    transfers,
    videos,
)

router = APIRouter(prefix="/v1")
for part in (
    videos,
    submissions,
    bucket_events,
    by_url,
    direct,
    media,
    reviewing,
    keeping,
    streams,
    transfers,
    overview,
):
    router.include_router(part.router)
