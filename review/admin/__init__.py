"""Administration: accounts, tokens and the audit log, as pages and as JSON."""

from fastapi import APIRouter

from review.admin import account_pages, api, audit_pages, token_pages

router = APIRouter()
for each in (account_pages, token_pages, audit_pages, api):
    router.include_router(each.router)
