"""Answers of the API: entity tags, stored objects."""

import hashlib

from fastapi import Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.errors import FileVanished, HiddenUntilDecided
from review.auth.access import Principal
from review.problem_schema import Responses
from storage.objects import FolderStore
from storage.people import decisions

UNCHANGED: Responses = {304: {"description": "The client already has it."}}

# The content of a key never changes, but who may see it can: a browser caches it and asks each time.
REVALIDATED = "private, no-cache"


def tagged(request: Request, answer: BaseModel) -> Response:
    """`answer` as JSON with an entity tag, or 304 if the client already has it."""
    content = answer.model_dump_json().encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def knows(request: Request, tag: str) -> bool:
    """Whether the client already has the content of this tag (RFC 9110, 13.1.2)."""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in given.split(",")}


def stored(
    request: Request,
    objects: FolderStore,
    key: str,
    *,
    media_type: str,
    filename: str | None = None,
    inline: bool = True,
) -> Response:
    """A stored object, whole or in the requested ranges. Raises FileVanished if it is gone."""
    path = objects.path(key)
    if not path.is_file():
        raise FileVanished(name=filename or key)
    tag = f'"{path.parent.name}{path.stem}"'  # the SHA-256 of the content
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path,
        media_type=media_type,
        headers=headers,
        filename=filename,
        stat_result=path.stat(),
        content_disposition_type="inline" if inline else "attachment",
    )


def refuse_while_blind(session: Session, principal: Principal, video_id: int) -> None:
    """Raises HiddenUntilDecided if the reviewer is in blind mode and has not decided yet."""
    if principal.blind and not decisions.has_decided(
        session, video_id=video_id, account_id=principal.account_id
    ):
        raise HiddenUntilDecided
