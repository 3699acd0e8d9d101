"""How the API answers: problems, entity tags, pictures."""

import hashlib
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from core.errors import FileVanished, HiddenUntilDecided
from review.access import Principal
from review.problems import MEDIA_TYPE
from storage import decisions
from storage.objects import FolderStore

Responses: TypeAlias = dict[int | str, dict[str, Any]]

UNCHANGED: Responses = {304: {"description": "You have it already."}}

# The content under a key never changes, but who may see it can: a browser keeps it and asks first.
REVALIDATED = "private, no-cache"


class Fault(BaseModel):
    at: list[str | int] = Field(description="Where in the request.")
    reason: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(description="`urn:facewarden:` and the code.")
    title: str
    status: int
    code: str = Field(description="Stable; tell cases apart by it.")
    detail: str = Field(description="For people.")
    instance: str
    errors: list[Fault] | None = Field(None, description="Of a request that is not understood.")


PROBLEMS = {
    400: "The request is broken.",
    401: "Nobody is signed in, or the token is unknown, expired or revoked.",
    403: "The account, or the token's scopes, do not allow it; or the CSRF token is missing.",
    404: "There is no such thing.",
    409: "It is with another reviewer.",
    413: "It is too large.",
    415: "It is no media that Facewarden takes.",
    422: "The request is not understood.",
    429: "Too often, or too many at once; the header Retry-After says for how long to wait.",
    503: "The database or the object store does not answer; try again.",
}
SCHEMA = "#/components/schemas/Problem"  # review.api.document puts it there
ALWAYS = (400, 401, 403, 422, 503)


def problems(*statuses: int) -> Responses:
    """The `responses` of a route: the problems that any route can have, and these."""
    schema = {"$ref": SCHEMA}
    return {
        status: {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*ALWAYS, *statuses})
    }


def tagged(request: Request, answer: BaseModel) -> Response:
    """`answer` as JSON with an entity tag; 304 where the client has it already."""
    content = answer.model_dump_json().encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def knows(request: Request, tag: str) -> bool:
    """Whether the client says that it has the content of this tag (RFC 9110, 13.1.2)."""
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
    """A stored object, whole or in the ranges asked for. Raises FileVanished where it is gone."""
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
    """Raises HiddenUntilDecided where the reviewer wants to decide without the machine's answer."""
    if principal.blind and not decisions.has_decided(
        session, video_id=video_id, account_id=principal.account_id
    ):
        raise HiddenUntilDecided
