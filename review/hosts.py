"""The host names that this service answers to, which keeps out DNS rebinding."""

import ipaddress
import re

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import UnknownHost
from core.settings import ReviewSettings
from review.problems import API, MEDIA_TYPE

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  compared with
ANY = "*"
# RFC 9110, 7.2: a name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{0,5})?", re.IGNORECASE)


def host_of(value: str) -> str | None:
    """The host in a `Host` header, normalised for comparison; None if it is not valid."""
    found = HOST.fullmatch(value)
    if found is None:
        return None
    if found["v6"] is None:
        return found["name"].lower().removesuffix(".")
    try:
        return str(ipaddress.IPv6Address(found["v6"]))
    except ValueError:
        return None


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class TrustedHosts:
    """Middleware that refuses every request whose `Host` is not one of ours, before anything else sees it."""

    def __init__(self, app: ASGIApp, *, review: ReviewSettings) -> None:
        self._app = app
        named = [each.strip().lower().removesuffix(".") for each in review.hosts.split(",") if each.strip()]
        self._any = ANY in named
        self._endings = tuple(each[1:] for each in named if each.startswith("*."))
        self._hosts = {*LOOPBACK, *named, review.host.lower()}
        # A service that listens on every address may be called by any address; a rebound name is never one.
        self._addresses = review.host in EVERYWHERE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._any:
            given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            host = host_of(given[0]) if len(given) == 1 else None
            if host is None or not self._knows(host):
                await self._refusal(scope, ", ".join(given))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        return (
            host in self._hosts
            or (bool(self._endings) and host.endswith(self._endings))
            or (self._addresses and is_address(host))
        )

    def _refusal(self, scope: Scope, given: str) -> Response:
        error = UnknownHost(host=given[:255] or "(none)")
        if not scope["path"].startswith(API):
            return PlainTextResponse(f"{error}\n", status_code=400)
        # Nothing here may use the request's URL, which is built from the refused host.
        content = {
            "type": f"urn:facewarden:{error.code}",
            "title": "Bad Request",
            "status": 400,
            "code": error.code,
            "detail": str(error),
            "instance": scope["path"],
        }
        return JSONResponse(content, status_code=400, media_type=MEDIA_TYPE)
