"""HLS from a real server on loopback: which pieces come, with which times, whatever the server does."""

from collections.abc import Iterator

import pytest

from core.errors import BrokenPlaylist, FetchFailed, MediaTooLarge, UnsafeAddress
from core.settings import Settings
from tests.hls import HlsServer, hls_server, moving, playlist, watched
from worker.streams.hls import HlsSource
from worker.streams.source import Gap, Piece, Segment


@pytest.fixture
def server() -> Iterator[HlsServer]:
    with hls_server() as server:
        for number in range(10):
            server.answers[f"/{number}.ts"] = f"segment {number}".encode()
        yield server


NAMES = [f"{number}.ts" for number in range(10)]


class Waits:
    """Does not wait; what happens meanwhile is a list of acts. Gives seconds too, ten more at each look."""

    def __init__(self, *acts: object) -> None:
        self.acts, self.seconds, self.now = list(acts), list[float](), 0.0

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        act = self.acts.pop(0) if self.acts else None
        if callable(act):
            act()
        return len(self.seconds) > 100

    def clock(self) -> float:
        self.now += 10.0
        return self.now


def source(server: HlsServer, settings: Settings, waits: Waits | None = None, **streams: object) -> HlsSource:
    limits = watched(settings, server, **streams).streams
    waits = waits or Waits()
    return HlsSource(limits.guard.target(server.url()), limits, wait=waits, clock=waits.clock)


def told(pieces: list[Piece]) -> list[tuple[float, float, str]]:
    """Start, duration, and the content or the reason why there is none."""
    found = []
    for piece in pieces:
        what = piece.reason if isinstance(piece, Gap) else ""
        if isinstance(piece, Segment):
            piece.file.seek(0)
            what = piece.file.read().decode()
            piece.file.close()
        found.append((piece.start_seconds, piece.duration_seconds, what))
    return found


def test_a_finished_stream_is_read_from_its_beginning(server: HlsServer, settings: Settings) -> None:
    server.answers["/live.m3u8"] = playlist(NAMES[:3], first=40, ended=True)
    stream = source(server, settings)
    assert told(list(stream.pieces())) == [
        (0.0, 2.0, "segment 0"),
        (2.0, 2.0, "segment 1"),
        (4.0, 2.0, "segment 2"),
    ]
    assert not stream.live


def test_a_live_stream_begins_with_its_last_three_and_goes_on(server: HlsServer, settings: Settings) -> None:
    server.answers["/live.m3u8"] = moving(NAMES[:8], window=5)
    waits = Waits()
    stream = source(server, settings, waits)
    assert told(list(stream.pieces())) == [(2.0 * n, 2.0, f"segment {n + 2}") for n in range(6)]
    assert stream.live
    assert waits.seconds == [2.0, 2.0, 2.0]
    assert server.paths.count("/4.ts") == 1


def test_without_news_it_looks_again_sooner_and_at_last_gives_up(
    server: HlsServer, settings: Settings
) -> None:
    server.answers["/live.m3u8"] = playlist(NAMES[:3])
    waits = Waits()
    pieces = source(server, settings, waits).pieces()
    assert len(told([next(pieces) for _ in range(3)])) == 3
    with pytest.raises(FetchFailed, match="nothing new has come for 13 s"):
        next(pieces)
    assert waits.seconds == [2.0, *[1.0] * 12]


def test_what_is_missing_is_a_gap_of_its_length(server: HlsServer, settings: Settings) -> None:
    server.answers["/1.ts"] = 404
    content = playlist(NAMES[:4], ended=True).replace(
        b"#EXTINF:2.0,\n3.ts", b"#EXT-X-GAP\n#EXTINF:2.0,\n3.ts"
    )
    server.answers["/live.m3u8"] = content
    found = told(list(source(server, settings).pieces()))
    assert [(start, seconds) for start, seconds, _ in found] == [(0, 2), (2, 2), (4, 2), (6, 2)]
    assert "its server answers 404" in found[1][2]
    assert found[2][2] == "segment 2"
    assert "no such segment" in found[3][2]


def test_segments_that_were_gone_before_they_came_are_counted(server: HlsServer, settings: Settings) -> None:
    looks = iter([playlist(NAMES[:3]), playlist(NAMES[7:9], first=7, ended=True)])
    server.answers["/live.m3u8"] = lambda: next(looks)
    found = told(list(source(server, settings).pieces()))
    assert found[3:] == [
        (6.0, 8.0, "4 segments were gone before they came"),
        (14.0, 2.0, "segment 7"),
        (16.0, 2.0, "segment 8"),
    ]


def test_after_an_outage_it_goes_on_where_it_was(server: HlsServer, settings: Settings) -> None:
    looks = iter([playlist(NAMES[:3]), 503, playlist(NAMES[2:6], first=2, ended=True)])
    server.answers["/live.m3u8"] = lambda: next(looks)
    stream = source(server, settings)
    found: list[Piece] = []
    with pytest.raises(FetchFailed, match="its server answers 503"):
        found.extend(stream.pieces())
    found += stream.pieces()
    assert [what for _, _, what in told(found)] == [f"segment {n}" for n in range(6)]
    assert [piece.start_seconds for piece in found] == [0, 2, 4, 6, 8, 10]


def test_what_was_missed_is_told_once_however_often_it_breaks_off(
    server: HlsServer, settings: Settings
) -> None:
    tries = iter(range(3))

    def at_last() -> bytes:
        if next(tries) < 2:
            raise ConnectionError  # its server hangs up
        return b"segment 5"

    later = playlist(NAMES[5:7], first=5, ended=True)
    looks = iter([playlist(NAMES[:3]), later, later, later])
    server.answers["/live.m3u8"] = lambda: next(looks)
    server.answers["/5.ts"] = at_last
    stream = source(server, settings)
    found: list[Piece] = []
    for _ in range(2):
        with pytest.raises(FetchFailed):
            found.extend(stream.pieces())
    found.extend(stream.pieces())
    assert told(found)[3:] == [
        (6.0, 4.0, "2 segments were gone before they came"),
        (10.0, 2.0, "segment 5"),
        (12.0, 2.0, "segment 6"),
    ]


def test_a_server_that_counts_anew_leaves_a_gap_as_long_as_it_was_away(
    server: HlsServer, settings: Settings
) -> None:
    looks = iter([playlist(NAMES[:3], first=90), 503, playlist(NAMES[5:7], first=0, ended=True)])
    server.answers["/live.m3u8"] = lambda: next(looks)
    stream = source(server, settings)
    first: list[Piece] = []
    with pytest.raises(FetchFailed):
        first.extend(stream.pieces())
    found = told(list(stream.pieces()))
    assert found[0] == (6.0, 10.0, "the stream broke off and began anew")  # ten seconds by the test's clock
    assert [(start, what) for start, _, what in found[1:]] == [(16.0, "segment 5"), (18.0, "segment 6")]
    told(first)


def test_parts_of_files_and_their_header_are_fetched_as_such(server: HlsServer, settings: Settings) -> None:
    server.answers["/all.mp4"] = b"HEADERonetwo"
    lines = ['#EXT-X-MAP:URI="all.mp4",BYTERANGE="6@0"', "#EXTINF:2,", "#EXT-X-BYTERANGE:3@6", "all.mp4"]
    lines += ["#EXTINF:2,", "#EXT-X-BYTERANGE:3", "all.mp4", "#EXT-X-ENDLIST"]
    server.answers["/live.m3u8"] = "\n".join(["#EXTM3U", *lines]).encode()
    found = told(list(source(server, settings).pieces()))
    assert [what for _, _, what in found] == ["HEADERone", "HEADERtwo"]
    assert server.paths.count("/all.mp4") == 3  # the header once


def test_of_several_qualities_one_is_watched(server: HlsServer, settings: Settings) -> None:
    master = "#EXTM3U\n" + "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={rate}\n{rate}/live.m3u8\n" for rate in (900, 100, 500, 9_000)
    )
    server.answers["/live.m3u8"] = master.encode()
    server.answers["/500/live.m3u8"] = playlist(["../4.ts"], ended=True)
    found = told(list(source(server, settings, max_bandwidth=1000).pieces()))
    assert [what for _, _, what in found] == ["segment 4"]


def test_playlists_that_lead_to_each_other_are_refused(server: HlsServer, settings: Settings) -> None:
    server.answers["/live.m3u8"] = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n"
    with pytest.raises(BrokenPlaylist, match="leads to no playlist of segments"):
        list(source(server, settings).pieces())


@pytest.mark.parametrize("uri", ["http://10.0.0.1/a.ts", "file:///etc/passwd", "http://169.254.169.254/x"])
def test_no_address_in_a_playlist_gets_around_the_check(
    server: HlsServer, settings: Settings, uri: str
) -> None:
    server.answers["/live.m3u8"] = playlist([uri], ended=True)
    with pytest.raises(UnsafeAddress):
        list(source(server, settings).pieces())


def test_private_addresses_are_refused_unless_they_are_allowed(server: HlsServer, settings: Settings) -> None:
    with pytest.raises(UnsafeAddress, match="FACEWARDEN_STREAMS__PRIVATE_NETWORKS"):
        list(source(server, settings, private_networks="").pieces())
    assert server.paths == []


def test_a_segment_that_is_too_large_is_a_gap_and_a_header_too(server: HlsServer, settings: Settings) -> None:
    server.answers["/1.ts"] = bytes(5000)
    server.answers["/live.m3u8"] = playlist(NAMES[:3], ended=True)
    found = told(list(source(server, settings, max_segment_bytes=1000).pieces()))
    assert [what for _, _, what in found] == ["segment 0", "a segment is larger than 1000 bytes", "segment 2"]
    assert MediaTooLarge.code == "media_too_large"
