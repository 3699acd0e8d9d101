"""Headers that forbid a browser everything our pages do not need."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def policy(media_origin: str | None) -> str:
    """What a page may load, and from where: from here, and media also from `media_origin`."""
    media = "'self'" if media_origin is None else f"'self' {media_origin}"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {media}",
            f"media-src {media}",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


HEADERS = {
    "Content-Security-Policy": policy(None),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}
# For pictures, videos and downloads, and for 304, whose headers a browser merges into its cached copy: opened
# on its own, such a file runs no script and has no origin, whatever it pretends to be.
SANDBOX = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
NOT_MODIFIED = 304
FILES = ("image/", "video/", "audio/", "application/octet-stream")
HSTS = "max-age=31536000"


class SecurityHeaders:
    """Middleware that adds every header that a route has not set itself."""

    def __init__(self, app: ASGIApp, *, https: bool, media_origin: str | None = None) -> None:
        self._app, self._https = app, https
        self._headers = HEADERS | {"Content-Security-Policy": policy(media_origin)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if message["status"] == NOT_MODIFIED or _is_file(headers):
                    headers.setdefault("Content-Security-Policy", SANDBOX)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if self._https or scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_file(headers: MutableHeaders) -> bool:
    kept = headers.get("Content-Disposition", "").startswith("attachment")
    return kept or headers.get("Content-Type", "").startswith(FILES)
