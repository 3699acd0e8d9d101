"""The JSON API /v1."""

from fastapi import APIRouter

from review.api import evidence, overview, reviewing, transfers, videos

router = APIRouter(prefix="/v1")
for part in (videos, evidence, reviewing, transfers, overview):
    router.include_router(part.router)
