"""A receiver of webhooks: real HTTP on loopback, with every mood that receivers have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks import Webhook

from tests.loopback import served
from tests.ports import free_port


@dataclass(kw_only=True)
class Receiver:
    """What arrives is verified by the standard library and kept once, by its id, as receivers must."""

    port: int = field(default_factory=free_port)
    secret: str = ""  # by which signatures must verify
    moods: list[int | threading.Event] = field(default_factory=list)  # of the next requests; then 204
    headers: dict[str, str] = field(default_factory=dict)  # of answers
    requests: int = 0
    events: dict[str, Any] = field(default_factory=dict)  # body by id, in the order of arrival
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=receiver"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            self.requests += 1
            mood = self.moods.pop(0) if self.moods else 204
        if isinstance(mood, threading.Event):
            mood.wait(60)
            mood = 204
        with self._lock:
            try:
                told = Webhook(self.secret).verify(body, headers)
            except Exception as error:
                self.faults.append(repr(error))
                return 400
            if mood < 300:
                self.events.setdefault(headers["webhook-id"], told)
        return mood

    def types(self, video_id: int) -> list[str]:
        return [told["type"] for told in self.events.values() if told["data"]["video_id"] == video_id]

    @contextmanager
    def up(self) -> Iterator[None]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                try:
                    self.send_response(status)
                    for name, value in receiver.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # the sender has given up

        with served(self.port, Handler):
            yield
