"""The cookies of the review service: not readable by scripts, and all but one not sent with requests from
other sites."""

from typing import Literal

from fastapi import Request, Response

from core.settings import ReviewSettings

SESSION = "facewarden_session"
LOGIN_CSRF = "facewarden_login_csrf"  # ties the sign-in form to the browser that loaded it
LOGIN_CSRF_SECONDS = 3600
JOURNEY = "facewarden_journey"  # to a provider and back


def _secure(request: Request, settings: ReviewSettings) -> bool:
    return settings.https or request.url.scheme == "https"


def _name(base: str, *, secure: bool) -> str:
    # Browsers accept a `__Host-` cookie only from this exact host over HTTPS, so no subdomain can set one.
    return f"__Host-{base}" if secure else base


def session_token(request: Request, settings: ReviewSettings) -> str | None:
    return request.cookies.get(_name(SESSION, secure=_secure(request, settings)))


def set_session(request: Request, response: Response, settings: ReviewSettings, token: str) -> None:
    _set(request, response, settings, SESSION, token, seconds=int(settings.session_hours * 3600))


def clear_session(request: Request, response: Response, settings: ReviewSettings) -> None:
    _set(request, response, settings, SESSION, "", seconds=0)


def login_csrf_token(request: Request, settings: ReviewSettings) -> str | None:
    return request.cookies.get(_name(LOGIN_CSRF, secure=_secure(request, settings)))


def set_login_csrf(request: Request, response: Response, settings: ReviewSettings, token: str) -> None:
    _set(request, response, settings, LOGIN_CSRF, token, seconds=LOGIN_CSRF_SECONDS)


def journey(request: Request, settings: ReviewSettings) -> str | None:
    return request.cookies.get(_name(JOURNEY, secure=_secure(request, settings)))


def set_journey(
    request: Request, response: Response, settings: ReviewSettings, value: str, *, seconds: int
) -> None:
    # Lax: it must come with the request to which the provider, another site, sends the browser.
    _set(request, response, settings, JOURNEY, value, seconds=seconds, samesite="lax")


def clear_journey(request: Request, response: Response, settings: ReviewSettings) -> None:
    set_journey(request, response, settings, "", seconds=0)


def _set(
    request: Request,
    response: Response,
    settings: ReviewSettings,
    base: str,
    value: str,
    *,
    seconds: int,
    samesite: Literal["strict", "lax"] = "strict",
) -> None:
    secure = _secure(request, settings)
    response.set_cookie(
        _name(base, secure=secure),
        value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite=samesite,
    )
