"""Answers of the API: entity tags, stored objects."""

import hashlib
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.errors import FileVanished, HiddenUntilDecided
from core.media_formats import UNKNOWN_TYPE
from review.api import ranges
from review.auth.access import Principal
from review.problem_schema import Responses
from storage.objects.store import ObjectStore, key_of, tag_of
from storage.people import decisions

UNCHANGED: Responses = {304: {"description": "The client already has it."}}

# The content of a key never changes, but who may see it can: a browser caches it and asks each time.
REVALIDATED = "private, no-cache"
SIGNED_SECONDS = 3600  # a player asks for more of a video as it plays; then it is sent to a new address


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
    objects: ObjectStore,
    key: str,
    *,
    media_type: str,
    filename: str | None = None,
    inline: bool = True,
) -> Response:
    """A stored object, whole or in the requested ranges. Raises FileVanished if it is gone."""
    try:
        size = objects.size(key)
    except FileVanished:
        raise FileVanished(name=filename or key) from None
    tag = tag_of(key)
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    if filename is not None:
        headers["Content-Disposition"] = disposition("inline" if inline else "attachment", filename)
    return ranges.answer(
        request,
        lambda start, length: objects.read(key, start=start, length=length),
        size=size,
        tag=tag,
        media_type=media_type,
        headers=headers,
    )


def redirected(
    objects: ObjectStore, key: str, *, media_type: str, filename: str, inline: bool
) -> Response | None:
    """To the store itself, where clients load objects from there; None where they do not.

    Raises FileVanished if the object is gone.
    """
    kind = "inline" if inline else "attachment"
    address = objects.signed(
        key, media_type=media_type, disposition=disposition(kind, filename), seconds=SIGNED_SECONDS
    )
    if address is None:
        return None
    if not objects.exists(key):
        raise FileVanished(name=filename)
    return RedirectResponse(address, status_code=307)


def media_origin(objects: ObjectStore) -> str | None:
    """Scheme, host and port of signed addresses; None where there are none.

    Raises ObjectStoreError where none can be signed.
    """
    address = objects.signed(
        key_of("0" * 64), media_type=UNKNOWN_TYPE, disposition="inline", seconds=SIGNED_SECONDS
    )
    if address is None:
        return None
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def disposition(kind: str, filename: str) -> str:
    """A Content-Disposition with a name of any characters (RFC 6266)."""
    quoted = quote(filename, errors="replace")
    return f'{kind}; filename="{filename}"' if quoted == filename else f"{kind}; filename*=utf-8''{quoted}"


def refuse_while_blind(session: Session, principal: Principal, video_id: int) -> None:
    """Raises HiddenUntilDecided if the reviewer is in blind mode and has not decided yet."""
    if principal.blind and not decisions.has_decided(
        session, video_id=video_id, account_id=principal.account_id
    ):
        raise HiddenUntilDecided
