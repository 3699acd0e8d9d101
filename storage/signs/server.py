"""A small HTTP server in each process: `/healthz`, `/readyz` and `/metrics`, on a port for operators alone.

Whoever reaches the port learns that the process lives and whether it is ready. What it has counted, and what
is missing, is told to who brings the token, or to everybody where that is switched on.
"""

import errno
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from core import metrics
from core.errors import SettingsError
from core.settings import Settings, SignsSettings
from storage.engine import connect
from storage.signs.backlog import Backlog
from storage.signs.readiness import OK, Readiness, checks_of

log = structlog.get_logger()

CLIENT_SECONDS = 5.0  # for each piece of a request, and for an answer to be taken
MOST_CLIENTS = 16  # at once; more are turned away
JSON = "application/json"


@contextmanager
def shown(settings: Settings, process: str, *, loaded: threading.Event | None = None) -> Iterator[int | None]:
    """Show this process's signs of life meanwhile; yields the port, None where the settings name none.

    Raises SettingsError where no port of the range can be had.
    """
    if settings.signs.port is None:
        yield None
        return
    server, engine = _bound(settings.signs), connect(settings.sql_url)
    server.readiness = Readiness(checks_of(settings, engine, loaded))
    server.live.register(Backlog(settings))
    ProcessCollector(registry=server.live)
    thread = threading.Thread(target=server.serve_forever, name="signs of life", daemon=True)
    thread.start()
    port = server.server_address[1]
    log.info("signs of life", process=process, host=settings.signs.host, port=port)
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        engine.dispose()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that dawdles must not hold up the process's end
    allow_reuse_address = True

    readiness: Readiness

    def __init__(self, port: int, signs: SignsSettings) -> None:
        self.token = None if signs.open or signs.token is None else signs.token.get_secret_value()
        self.live = CollectorRegistry()  # what is looked up when it is read
        self._places = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__((signs.host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": OK})
        elif path == "/readyz":
            self._readiness()
        elif path == "/metrics":
            self._metrics()
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"status": "not found"})

    def _readiness(self) -> None:
        found = self.server.readiness.look()
        ready = all(said == OK for said in found.values())
        told: dict[str, Any] = {"status": OK if ready else "not ready"}
        if self._known():
            told["checks"] = found
        self._answer(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, told)

    def _metrics(self) -> None:
        if not self._known():
            self._answer(HTTPStatus.UNAUTHORIZED, {"status": "bring FACEWARDEN_SIGNS__TOKEN as Bearer"})
            return
        text = generate_latest(metrics.REGISTRY) + generate_latest(self.server.live)
        self._send(HTTPStatus.OK, text, CONTENT_TYPE_LATEST)

    def _known(self) -> bool:
        if self.server.token is None:
            return True
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.server.token.encode())
        return same and kind.lower() == "bearer"

    def _answer(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), JSON)

    def _send(self, status: HTTPStatus, content: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "facewarden"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Probes come every few seconds: none is worth a line."""
        del format, args


def _bound(signs: SignsSettings) -> _Server:
    first = signs.port or 0
    for port in range(first, min(first + signs.ports, 65536)):
        try:
            return _Server(port, signs)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = f"{signs.host}:{port} cannot be had: {error.strerror or error}"
                raise SettingsError(setting="FACEWARDEN_SIGNS__HOST", reason=reason) from error
    reason = f"all {signs.ports} ports of {signs.host} from {first} on are taken"
    raise SettingsError(setting="FACEWARDEN_SIGNS__PORT", reason=reason)
