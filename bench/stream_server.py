"""A finished HLS stream on loopback, made of a few segments that are shown again and again."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class StreamServer:
    """Serves while its `with` lasts."""

    def __init__(self, parts: Mapping[str, bytes], names: Sequence[str], *, seconds: int) -> None:
        """`names` of `parts`, in the order in which they are shown, each `seconds` long."""
        lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{seconds}"]
        for name in names:
            lines += ["#EXT-X-DISCONTINUITY", f"#EXTINF:{seconds},", name]
        answers = {f"/{name}": content for name, content in parts.items()}
        answers["/all.m3u8"] = ("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n").encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = answers.get(self.path, b"")
                with suppress(OSError):
                    self.send_response(200 if body else 404)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
                """Nobody reads it."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/all.m3u8"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
