"""The web pages: what reviewers see in a browser."""

from fastapi import APIRouter

from review.pages import (
    dashboard,
    evidence_report,
    keeping,
    live,
    queue,
    static_files,
    streams,
    upload,
    video,
)

router = APIRouter(include_in_schema=False)
for part in (static_files, queue, video, keeping, evidence_report, streams, upload, dashboard, live):
    router.include_router(part.router)
