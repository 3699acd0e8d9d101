"""The JSON API /v1."""

from fastapi import APIRouter

from review.api import by_url, direct, media, overview, reviewing, submissions, transfers, videos

router = APIRouter(prefix="/v1")
for part in (videos, submissions, by_url, direct, media, reviewing, transfers, overview):
    router.include_router(part.router)
