"""Playlists as values, and what a hostile one may not do."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BrokenPlaylist, Encrypted
from tests.hls import playlist
from worker.streams.playlist import ByteRange, Playlist, Variant, middle, read

TAGS = (
    *("#EXTM3U", "#EXTINF:2.0,", "#EXTINF:", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:7", "a.ts"),
    *("#EXT-X-ENDLIST", "#EXT-X-BYTERANGE:10@5", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXT-X-PART:URI=a"),
    *('#EXT-X-MAP:URI="i.mp4"', "#EXT-X-STREAM-INF:BANDWIDTH=1", "#EXT-X-KEY:METHOD=NONE", "#EXT-X-MEDIA:"),
)


def parse(text: str) -> Playlist:
    found = read(text.encode(), name="x", longest_seconds=60)
    assert isinstance(found, Playlist)
    return found


def test_segments_have_numbers_times_and_headers() -> None:
    found = parse(
        '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI="i.mp4",BYTERANGE="9@0"\n'
        "#EXTINF:4,\n#EXT-X-BYTERANGE:100@9\na.mp4\n#EXTINF:3.5,\n#EXT-X-BYTERANGE:50\na.mp4\n"
        "#EXT-X-GAP\n#EXTINF:4,\nb.mp4\n"
    )
    assert [entry.number for entry in found.entries] == [7, 8, 9]
    assert [entry.duration_seconds for entry in found.entries] == [4, 3.5, 4]
    ranges = [entry.media.range for entry in found.entries]
    assert ranges == [ByteRange(offset=9, length=100), ByteRange(offset=109, length=50), None]
    assert [entry.missing for entry in found.entries] == [False, False, True]
    headers = [entry.header for entry in found.entries if entry.header is not None]
    assert [(header.uri, header.range) for header in headers] == [
        ("i.mp4", ByteRange(offset=0, length=9))
    ] * 3
    assert not found.ended
    assert parse(playlist(["a.ts"], ended=True).decode()).ended


def test_an_encrypted_segment_is_refused() -> None:
    text = playlist(["a.ts"], head='#EXT-X-KEY:METHOD=AES-128,URI="https://keys/1"')
    with pytest.raises(Encrypted, match="AES-128"):
        read(text, name="x", longest_seconds=60)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html>", "does not begin with #EXTM3U"),
        ("", "does not begin with #EXTM3U"),
        ("#EXTM3U\n#EXTINF:abc,\na.ts\n", "could not convert"),
        ("#EXTM3U\n#EXTINF:nan,\na.ts\n", "lasts nan s"),
        ("#EXTM3U\n#EXTINF:-1,\na.ts\n", "lasts -1 s"),
        ("#EXTM3U\n#EXTINF:1e999,\na.ts\n", "lasts inf s"),
        ("#EXTM3U\n#EXTINF:3600,\na.ts\n", "lasts 3600 s, not up to 60 s"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:q\n#EXTINF:1,\na.ts\n", "no byte range"),
        ('#EXTM3U\n#EXT-X-KEY:A="' + "a," * 3000, "longer than 4096 characters"),
    ],
)
def test_what_is_no_playlist_is_said(text: str, reason: str) -> None:
    with pytest.raises(BrokenPlaylist) as refusal:
        parse(text)
    assert reason in str(refusal.value)


@given(st.lists(st.one_of(st.sampled_from(TAGS), st.text(max_size=20)), max_size=12))
def test_no_text_leads_to_another_error(lines: list[str]) -> None:
    with suppress(BrokenPlaylist, Encrypted):
        found = read("\n".join(["#EXTM3U", *lines]).encode(), name="x", longest_seconds=60)
        if isinstance(found, Playlist):
            assert found.target_seconds > 0
            assert all(0 < entry.duration_seconds <= 60 for entry in found.entries)


def test_the_middle_quality_within_the_limit_is_watched() -> None:
    qualities = tuple(Variant(uri=str(rate), bandwidth=rate) for rate in (9, 1, 5, 3))
    assert [middle(qualities, most).bandwidth for most in (9, 5, 3, 1, 0)] == [5, 3, 3, 1, 1]
