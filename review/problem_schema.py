"""How the OpenAPI document describes the problems that a route can answer with."""

from typing import Any, TypeAlias

from pydantic import BaseModel, Field

from review.problems import MEDIA_TYPE

Responses: TypeAlias = dict[int | str, dict[str, Any]]


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
    409: "It conflicts with what is there: `detail` says how.",
    413: "It is too large.",
    415: "It is no media that Facewarden takes.",
    422: "The request is not understood.",
    429: "Too often, or too many at once; the header Retry-After says for how long to wait.",
    503: "The database or the object store does not answer; try again.",
}
SCHEMA = "#/components/schemas/Problem"  # review.api.document puts it there
ALWAYS = (400, 401, 403, 422, 503)


def problems(*statuses: int) -> Responses:
    """The `responses` of a route: the problems of any route, plus these."""
    schema = {"$ref": SCHEMA}
    return {
        status: {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*ALWAYS, *statuses})
    }
