"""The cookies of the review service: never readable by scripts, never sent by other sites."""

from fastapi import Request, Response

from core.settings import ReviewSettings

SESSION = "facewarden_session"
DOOR = "facewarden_door"  # ties the sign-in form to the browser that loaded it
DOOR_SECONDS = 3600


def _secure(request: Request, settings: ReviewSettings) -> bool:
    return settings.https or request.url.scheme == "https"


def _name(base: str, *, secure: bool) -> str:
    # Browsers take a `__Host-` cookie from this very host over HTTPS only: no neighbour can plant one.
    return f"__Host-{base}" if secure else base


def session_token(request: Request, settings: ReviewSettings) -> str | None:
    return request.cookies.get(_name(SESSION, secure=_secure(request, settings)))


def set_session(request: Request, response: Response, settings: ReviewSettings, token: str) -> None:
    _set(request, response, settings, SESSION, token, seconds=int(settings.session_hours * 3600))


def clear_session(request: Request, response: Response, settings: ReviewSettings) -> None:
    _set(request, response, settings, SESSION, "", seconds=0)


def door_token(request: Request, settings: ReviewSettings) -> str | None:
    return request.cookies.get(_name(DOOR, secure=_secure(request, settings)))


def set_door(request: Request, response: Response, settings: ReviewSettings, token: str) -> None:
    _set(request, response, settings, DOOR, token, seconds=DOOR_SECONDS)


def _set(
    request: Request, response: Response, settings: ReviewSettings, base: str, value: str, *, seconds: int
) -> None:
    secure = _secure(request, settings)
    response.set_cookie(
        _name(base, secure=secure),
        value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
