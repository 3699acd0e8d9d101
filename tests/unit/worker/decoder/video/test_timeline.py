from worker.decoder.container.nal_units import WHOLE, Picture
from worker.decoder.sampling import Rank
from worker.decoder.video.timeline import Timeline

DISPOSABLE = Picture(disposable=True)


def timeline(*packets: tuple[int | None, int | None, str]) -> Timeline:
    """Packets as (pts, dts, marks): K keyframe, H hidden, d disposable."""
    made = Timeline(1 / 1000)
    for pts, dts, marks in packets:
        picture = DISPOSABLE if "d" in marks else WHOLE
        made.add(pts=pts, dts=dts, key="K" in marks, hidden="H" in marks, picture=picture)
    made.close()
    return made


def test_frames_are_in_order_of_presentation() -> None:
    made = timeline((0, -80, "K"), (160, -40, ""), (80, 0, ""), (40, 40, "d"), (120, 80, "d"))
    assert made.frames == [0, 3, 2, 4, 1]
    assert made.times() == [0, 40, 80, 120, 160]
    assert list(made.ranks()) == [
        Rank.KEYFRAME,
        Rank.DISPOSABLE,
        Rank.REFERENCE,
        Rank.DISPOSABLE,
        Rank.REFERENCE,
    ]
    assert made.span() == 200


def test_packets_without_presentation_time_follow_decoding_time_or_their_predecessor() -> None:
    made = timeline((None, 0, "K"), (None, 40, ""), (None, None, ""), (None, None, ""))
    assert made.times() == [0, 40, 80, 120]


def test_hidden_packets_are_no_frames() -> None:
    made = timeline((-40, -40, "KH"), (0, 0, ""), (40, 40, ""))
    assert made.frames == [1, 2]
    assert made.key_before(1) == 0


def test_where_all_look_hidden_all_count() -> None:
    assert timeline((0, 0, "KH"), (40, 40, "H")).frames == [0, 1]


def test_a_picture_shown_before_the_keyframe_needs_the_gop_before() -> None:
    open_gop = timeline((0, 0, "K"), (40, 40, ""), (160, 80, "K"), (80, 120, ""), (120, 160, ""))
    assert open_gop.key_before(3) == 0
    assert open_gop.key_before(2) == 2
    assert open_gop.last_key(3) == 2


def test_earlier_keyframes() -> None:
    made = timeline(*((i * 40, i * 40, "K" if i % 2 == 0 else "") for i in range(8)))
    assert made.key_before(7) == 6
    assert made.key_before(7, earlier=1) == 4
    assert made.key_before(7, earlier=8) == 0


def test_a_recording_that_starts_midway_is_decoded_from_its_first_packet() -> None:
    assert timeline((0, 0, ""), (40, 40, ""), (80, 80, "K")).key_before(1) == 0


def test_a_second_recording_spliced_on_is_moved_behind_the_first() -> None:
    made = timeline(*((1400 + i % 100 * 40, 1400 + i % 100 * 40, "K") for i in range(200)))
    assert made.spliced
    assert made.frames == list(range(200))
    assert made.span() == 8000


def test_a_jitter_in_decoding_times_is_no_splice() -> None:
    assert not timeline((0, 0, "K"), (40, 40, ""), (80, 30, "")).spliced


def test_disposable_pictures_of_a_lower_layer_are_kept() -> None:
    made = Timeline(1 / 25)
    for number, layer in enumerate((0, 1, 0, 1)):
        made.add(
            pts=number,
            dts=number,
            key=number == 0,
            hidden=False,
            picture=Picture(disposable=True, layer=layer),
        )
    made.close()
    assert [made.is_disposable(n) for n in range(4)] == [False, True, False, True]


def test_keys_are_found_by_their_time() -> None:
    made = timeline((0, 0, "K"), (40, 40, ""), (80, 80, "K"))
    assert (made.key_at(80), made.key_at(40), made.key_at(1000)) == (2, None, None)
    assert (made.frame_at(0), made.frame_at(41), made.frame_at(1000)) == (0, 2, 3)


def test_empty() -> None:
    made = timeline()
    assert (made.frames, made.span(), made.longest()) == ([], 0.0, 0)
