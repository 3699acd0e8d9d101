"""Errors as people and programs get them: RFC 9457 problem+json under /v1, a page elsewhere."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from core import errors
from core.errors import FacewardenError, printable
from review.headers import HEADERS
from review.rendering import page

log = structlog.get_logger()

API = "/v1/"
MEDIA_TYPE = "application/problem+json"

# The first matching class gives the status.
STATUSES: list[tuple[type[FacewardenError], int]] = [
    (errors.NotSignedIn, 401),
    (errors.SignInFailed, 401),
    (errors.AccessError, 403),
    (errors.NotFound, 404),
    (errors.FileVanished, 404),
    (errors.Conflict, 409),
    (errors.MediaTooLarge, 413),
    (errors.NotMedia, 415),
    (errors.UnsupportedMedia, 415),
    (errors.InputError, 422),
    (errors.InvalidQuery, 422),
    (errors.InvalidValue, 422),
    (errors.UnknownHost, 400),
    (errors.TooManySignIns, 429),
    (errors.TooManyStreams, 429),
    (errors.TooManyUploads, 429),
    (errors.TooManyFetches, 429),
    (errors.QueueFull, 429),
    (errors.RetryableError, 503),
]
RETRY_SECONDS = 5  # when a service does not answer
SENTENCES = {
    401: "Sign in first.",
    403: "You may not do this.",
    404: "There is no such page.",
    405: "This address does not accept this method.",
    413: "The request is too large.",
    500: "Something went wrong here. It has been logged.",
}


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(FacewardenError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_surprise)


def status_of(error: FacewardenError) -> int:
    """The HTTP status for this error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def problem(
    request: Request,
    status: int,
    *,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """An RFC 9457 problem; `code` is stable, `detail` is for people."""
    content = {
        "type": f"urn:facewarden:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.url.path,
        **members,
    }
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _answer(request: Request, status: int, *, code: str, detail: str, **members: Any) -> Response:
    headers: dict[str, str] = members.pop("headers", {})
    if request.url.path.startswith(API):
        return problem(request, status, code=code, detail=detail, headers=headers, **members)
    title = HTTPStatus(status).phrase
    return page(
        request,
        "error.html",
        principal=getattr(request.state, "principal", None),
        status_code=status,
        headers=headers,
        status=status,
        title=title,
        message=detail,
    )


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FacewardenError)  # noqa: S101  registered for it
    status = status_of(error)
    if not request.url.path.startswith(API):
        if isinstance(error, errors.NotSignedIn):
            return _to_sign_in(request)
        if isinstance(error, errors.PasswordMustChange):
            return _redirect(request, "/account")
        if isinstance(error, errors.PasswordNeeded):
            # Back to the page of the form afterwards; what was typed is not kept.
            return _redirect(request, f"/confirm?next={quote(_page_of(request.url.path), safe='')}")
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif status == 429:
        headers["Retry-After"] = str(error.fields["seconds"])
    elif status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status >= 500:
        log.error("request failed", path=request.url.path, error=error.code, reason=str(error))
    return _answer(request, status, code=error.code, detail=str(error), headers=headers)


def _page_of(path: str) -> str:
    """The page of the form from which a request came that needs the password again."""
    deep = path.startswith(("/admin/", "/videos/"))
    return "/" + "/".join(path.split("/")[1 : 3 if deep else 2])


def _to_sign_in(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"} or request.url.path == "/":
        return _redirect(request, "/sign-in")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return _redirect(request, f"/sign-in?next={quote(wanted, safe='')}")


def _redirect(request: Request, where: str) -> Response:
    if "HX-Request" in request.headers:
        # htmx would swap the page into a part of this one; this header makes it navigate.
        return Response(status_code=401, headers={"HX-Redirect": where})
    return RedirectResponse(where, status_code=303)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it
    # Neither the input (which may be a password) nor the context (which may not be JSON) is sent back. Keys
    # of the body come from the client and may not be encodable, hence `printable`.
    faults = [
        {
            "at": [part if isinstance(part, int) else printable(part) for part in each["loc"]],
            "reason": printable(each["msg"]),
        }
        for each in error.errors()
    ]
    first = faults[0] if faults else {"at": ["request"], "reason": "it could not be understood"}
    detail = f"{'.'.join(str(part) for part in first['at'])}: {first['reason']}"
    return _answer(request, 422, code="invalid_request", detail=detail, errors=faults)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    status = error.status_code
    if status in {204, 304} or status < 200:
        return Response(status_code=status, headers=error.headers)
    phrase = HTTPStatus(status).phrase
    detail = error.detail if error.detail != phrase else SENTENCES.get(status, phrase + ".")
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return _answer(request, status, code=code, detail=detail, headers=dict(error.headers or {}))


async def _on_surprise(request: Request, error: Exception) -> Response:
    log.exception("request failed", path=request.url.path, exc_info=error)
    response = _answer(request, 500, code="internal_error", detail=SENTENCES[500])
    for name, value in HEADERS.items():  # this answer does not pass through the middleware
        response.headers.setdefault(name, value)
    return response
