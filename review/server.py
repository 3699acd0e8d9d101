"""The review service as a process: uvicorn, stopped by SIGTERM."""

from contextlib import suppress
from types import FrameType

import uvicorn

from core.errors import SettingsError
from core.settings import Settings
from review.app import create_app
from review.protocol import BoundedProtocol, Patience
from storage.migrate import is_current

# For uploads and downloads that still run; what is open then is cut off.
GRACE_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve until stopped.

    Raises SettingsError where the database is not migrated, ServiceUnavailable where it does not answer.
    """
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
        # Believed from nobody unless named: the address counts in the limit on sign-ins.
        proxy_headers=bool(review.proxies),
        forwarded_allow_ips=review.proxies or None,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        access_log=False,
        log_config=None,  # core.logs has set up logging
    )
    with suppress(KeyboardInterrupt):  # uvicorn has stopped by then, and raises the signal once more
        _Server(config).run()


class _Server(uvicorn.Server):
    """Tells the application of the signal at once: uvicorn itself would wait for streams that never end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.stopping.set()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)
