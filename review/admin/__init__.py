"""Administration: accounts, tokens, webhooks and the audit log, as pages and as JSON."""

from fastapi import APIRouter

from review.admin import account_pages, api, audit_pages, known_api, token_pages, webhook_api, webhook_pages

router = APIRouter()
for each in (account_pages, token_pages, webhook_pages, audit_pages, api, webhook_api, known_api):
    router.include_router(each.router)
