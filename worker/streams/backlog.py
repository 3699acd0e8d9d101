"""Pieces that wait for the decoder: bounded, the oldest are dropped where the stream does not wait."""

import threading
from collections import deque

from worker.streams.source import Gap, Piece, Segment

BEHIND = "the worker was behind"
MOST_WAITING = 3  # segments of a stream that waits for us


class Backlog:
    """Between the thread that fetches one stream and the one that decodes it."""

    def __init__(self, max_delay_seconds: float) -> None:
        self._most = max_delay_seconds
        self._pieces: deque[Piece] = deque()
        self._changed = threading.Condition()
        self._closed = False  # nothing more will come, or nobody waits for it

    @property
    def seconds(self) -> float:
        """What waits."""
        with self._changed:
            return self._seconds()

    def put(self, piece: Piece, *, live: bool) -> None:
        """Add the next piece: where the stream is `live` at once, else once there is room."""
        with self._changed:
            if not live:
                self._changed.wait_for(lambda: self._closed or len(self._pieces) < MOST_WAITING)
            if self._closed:
                _discard(piece)
                return
            self._pieces.append(piece)
            if live:
                self._drop_the_oldest()
            self._changed.notify_all()

    def get(self) -> Piece | None:
        """The oldest piece, once there is one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._pieces)
            piece = self._pieces.popleft() if self._pieces else None
            self._changed.notify_all()
            return piece

    def close(self) -> None:
        """Nothing more will come; what waits can still be had."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Nobody wants anything any more."""
        with self._changed:
            self._closed = True
            while self._pieces:
                _discard(self._pieces.popleft())
            self._changed.notify_all()

    def _seconds(self) -> float:
        return sum(piece.duration_seconds for piece in self._pieces if isinstance(piece, Segment))

    def _drop_the_oldest(self) -> None:
        """The latest segment stays in any case."""
        waiting = [piece for piece in self._pieces if isinstance(piece, Segment)]
        excess = self._seconds() - self._most
        for piece in waiting[:-1]:
            if excess <= 0:
                return
            excess -= piece.duration_seconds
            piece.file.close()
            self._pieces[self._pieces.index(piece)] = Gap(
                start_seconds=piece.start_seconds, duration_seconds=piece.duration_seconds, reason=BEHIND
            )


def _discard(piece: Piece) -> None:
    if isinstance(piece, Segment):
        piece.file.close()
