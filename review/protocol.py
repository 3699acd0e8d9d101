"""HTTP/1.1 for clients that may stall: uvicorn's protocol with a limit on every wait.

uvicorn itself waits forever for the rest of a request, and for a client that does not read its answer.
"""

import asyncio
from dataclasses import dataclass

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.settings import ReviewSettings

TOO_SLOW = 408
TOO_MANY = 429


@dataclass(frozen=True, kw_only=True)
class Patience:
    header_seconds: float  # for the request line and all headers, from the first byte (or the connection)
    body_seconds: float  # period over which the rate of a body is measured
    body_bytes: int  # that must arrive in each such period
    reader_seconds: float  # for a client that reads nothing of its answer
    connections_per_address: int
    uncounted: frozenset[str]  # addresses of proxies, whose connections are not counted

    @classmethod
    def of(cls, review: ReviewSettings) -> "Patience":
        return cls(
            header_seconds=review.header_seconds,
            body_seconds=review.body_seconds,
            body_bytes=max(1, int(review.body_seconds * review.body_bytes_per_second)),
            reader_seconds=review.reader_seconds,
            connections_per_address=review.connections_per_address,
            uncounted=frozenset(each.strip() for each in review.proxies.split(",")),
        )


class BoundedProtocol(H11Protocol):
    """One connection. The application keeps its `Patience` in `app.state.patience`."""

    _header_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _received = 0  # bytes of the body in this period

    @property
    def _patience(self) -> Patience:
        patience: Patience = self.config.app.state.patience  # type: ignore[union-attr]
        return patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._is_one_too_many():
            self._refuse(TOO_MANY)
        else:
            self._wait_for_headers()

    def _is_one_too_many(self) -> bool:
        address = self.client[0] if self.client else None
        if address is None or address in self._patience.uncounted:
            return False
        peers = [each.client for each in self.connections if isinstance(each, BoundedProtocol)]
        mine = sum(peer is not None and peer[0] == address for peer in peers)
        return mine > self._patience.connections_per_address

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._body_timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look(answered=True)

    def _look(self, *, answered: bool = False) -> None:
        """Set the timers that this state of the exchange needs."""
        if self.transport.is_closing():
            return
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._stop_waiting_for_headers()
            if self._body_timer is None:
                self._measure_body()
            return
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        if state is not h11.IDLE:
            self._stop_waiting_for_headers()
        elif not answered:  # otherwise uvicorn's keep-alive timer covers the wait for the next request
            self._wait_for_headers()

    def _wait_for_headers(self) -> None:
        if self._header_timer is None:  # set once, so that an occasional byte does not postpone it
            self._header_timer = self.loop.call_later(self._patience.header_seconds, self._refuse, TOO_SLOW)

    def _stop_waiting_for_headers(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _measure_body(self) -> None:
        self._received = 0
        self._body_timer = self.loop.call_later(self._patience.body_seconds, self._judge_body)

    def _judge_body(self) -> None:
        answered = self.cycle is not None and self.cycle.response_complete
        # While we pause reading, the client is not to blame. After the answer it gets one more period.
        if answered or not (self.flow.read_paused or self._received >= self._patience.body_bytes):
            self._refuse(TOO_SLOW)
        else:
            self._measure_body()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader_timer is None:
            self._reader_timer = self.loop.call_later(self._patience.reader_seconds, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _cut_off(self) -> None:
        self.transport.abort()

    def _refuse(self, status: int) -> None:
        """Answer with the reason if nothing has been sent yet, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # drops whatever the application still sends
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = [("Connection", "close"), ("Content-Length", "0"), ("Retry-After", "5")]
            answer = h11.Response(status_code=status, headers=headers, reason=b"")
            self.transport.write(self.conn.send(answer) or b"")
        self.transport.close()
