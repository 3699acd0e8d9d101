"""Runs the review service with uvicorn until SIGTERM."""

from contextlib import suppress
from types import FrameType

import uvicorn

from core import traces
from core.errors import SettingsError
from core.settings import Settings
from review.app import create_app
from review.protocol import BoundedProtocol, Patience
from storage.migrate import is_current
from storage.signs.server import shown

# For running uploads and downloads; what is still open after that is cut off.
GRACE_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve until stopped.

    Raises SettingsError if the database is not migrated, SchemaTooNew if a newer release has migrated it
    beyond what this one can work with, ServiceUnavailable if it does not answer.
    """
    with traces.exported(settings, "review"):
        _serve(settings)


def _serve(settings: Settings) -> None:
    app = create_app(settings)
    if not is_current(app.state.engine):
        reason = "the schema is not this release's; run `facewarden migrate`"
        raise SettingsError(setting="FACEWARDEN_DATABASE_URL", reason=reason)
    review = settings.review
    app.state.patience = Patience.of(review)
    config = uvicorn.Config(
        app,
        host=review.host,
        port=review.port,
        http=BoundedProtocol,
        ws="none",
        # Trusted only from named proxies, because the address counts in the sign-in limit.
        proxy_headers=bool(review.proxies),
        forwarded_allow_ips=review.proxies or None,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        access_log=False,
        log_config=None,  # core.logs has already set up logging
    )
    with (
        shown(settings, "review"),
        suppress(KeyboardInterrupt),
    ):  # uvicorn raises the signal again once it has stopped
        _Server(config).run()


class _Server(uvicorn.Server):
    """Tells the application of the signal at once; uvicorn itself would wait for streams that never end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.stopping.set()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)
