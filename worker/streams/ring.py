"""The latest segments of a stream, kept for clips: bounded in time and bytes, in nameless files."""

from collections import deque

from worker.streams.source import Segment

MOST_BYTES = 256 * 1000**2


class Ring:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._segments: deque[Segment] = deque()

    def add(self, segment: Segment) -> None:
        """Keep the next segment, and let go of those that are too old."""
        self._segments.append(segment)
        oldest = segment.start_seconds + segment.duration_seconds - self._seconds
        while len(self._segments) > 1 and (
            self._segments[0].start_seconds + self._segments[0].duration_seconds < oldest
            or sum(each.size_bytes for each in self._segments) > MOST_BYTES
        ):
            self._segments.popleft().file.close()

    def between(self, start: float, end: float) -> list[Segment]:
        """Those that reach into this part of the stream, in seconds of stream time."""
        return [
            each
            for each in self._segments
            if each.start_seconds < end and each.start_seconds + each.duration_seconds > start
        ]

    def close(self) -> None:
        while self._segments:
            self._segments.popleft().file.close()
