"""What waits for the decoder is bounded: a live stream loses its oldest, another one waits."""

import tempfile
import threading

from worker.streams.backlog import BEHIND, MOST_WAITING, Backlog
from worker.streams.source import Gap, Segment


def segment(number: int) -> Segment:
    return Segment(
        start_seconds=2.0 * number, duration_seconds=2.0, file=tempfile.TemporaryFile(), size_bytes=0
    )


def test_of_a_live_stream_the_oldest_is_dropped_and_said() -> None:
    backlog, pieces = Backlog(6.0), [segment(number) for number in range(5)]
    for piece in pieces:
        backlog.put(piece, live=True)
    assert backlog.seconds == 6.0
    backlog.close()
    got = [backlog.get() for _ in range(6)]
    gaps = [piece for piece in got if isinstance(piece, Gap)]
    assert [(gap.start_seconds, gap.duration_seconds, gap.reason) for gap in gaps] == [
        (0.0, 2.0, BEHIND),
        (2.0, 2.0, BEHIND),
    ]
    assert got[2:5] == pieces[2:]
    assert got[5] is None
    assert [piece.file.closed for piece in pieces] == [True, True, False, False, False]
    for piece in pieces:
        piece.file.close()


def test_the_latest_stays_however_long_it_is() -> None:
    backlog, only = Backlog(0.5), segment(0)
    backlog.put(only, live=True)
    assert backlog.get() is only
    only.file.close()


def test_another_stream_waits_until_there_is_room() -> None:
    backlog, pieces = Backlog(1.0), [segment(number) for number in range(MOST_WAITING + 1)]

    def fill() -> None:
        for piece in pieces:
            backlog.put(piece, live=False)
        backlog.close()

    filling = threading.Thread(target=fill)
    filling.start()
    got = []
    while (piece := backlog.get()) is not None:
        got.append(piece)
    filling.join()
    assert got == pieces
    for each in pieces:
        each.file.close()


def test_what_nobody_wants_is_closed() -> None:
    backlog, first, later = Backlog(9.0), segment(0), segment(1)
    backlog.put(first, live=True)
    backlog.clear()
    backlog.put(later, live=False)
    assert (first.file.closed, later.file.closed) == (True, True)
    assert backlog.get() is None
