"""From a stored result to what the page draws: sizes of frames, and streams that no player shows."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cli.results import as_object, print_results
from core.outcomes import MediaKind, Verdict
from core.results import ScreeningResult
from review.pages import video_view
from storage import screenings, videos
from storage.engine import reading, transaction
from storage.objects.folder import FolderStore
from storage.read import detail
from storage.read.detail import VideoDetail
from storage.results import complete
from storage.videos import Seen
from tests.screening_results import register_model, screening_result


def stored(engine: Engine, result: ScreeningResult) -> VideoDetail:
    with transaction(engine) as session:
        register_model(session)
        video, _ = videos.add(
            session, sha256="0" * 64, size_bytes=1, media_kind=MediaKind.VIDEO, object_key="k"
        )
        videos.sight(session, Seen(source="s", name="a.mp4", size_bytes=1, mtime_ns=1), video_id=video)
        ticket = screenings.request(session, video_id=video, model_version_id="m-1")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        complete(session, claimed, result)
    with reading(engine) as session:
        return detail.video(session, video)


def test_boxes_of_frames_of_another_size_lie_where_the_player_shows_them(engine: Engine) -> None:
    """A player shows every frame as large as the first, whatever its own size and shape."""
    result = screening_result(Verdict.CLEAR, 0.1, probe={"width": 640, "height": 480, "rotation": 90})
    small, large = result.faces
    small = replace(small, box=(10, 20, 30, 40), frame_width=320, frame_height=240)
    large = replace(large, box=(10, 20, 30, 40), frame_width=640, frame_height=960, time_seconds=1.0)
    found = stored(engine, replace(result, faces=[small, large]))
    assert [(face.frame_width, face.frame_height) for face in found.tracks[0].faces] == [
        (320, 240),
        (640, 960),
    ]
    page = video_view.build(found, blind=False)
    assert (page.width, page.height) == (640, 480)
    assert [face[1:5] for face in page.boxes["tracks"][0]["faces"]] == [
        [20, 40, 60, 80],
        [10, 10, 30, 20],
    ]


def test_faces_of_a_stream_that_the_player_does_not_show_are_not_drawn_over_it(engine: Engine) -> None:
    result = screening_result(Verdict.FAKE, 0.9, flagged_faces=[1], probe={"width": 640, "height": 480})
    first, second = result.faces
    tracks = [result.tracks[0], replace(result.tracks[0], number=1, stream=1)]
    flagged = [replace(result.flagged_frames[0], track_number=1)]
    result = replace(
        result, tracks=tracks, faces=[first, replace(second, track_number=1)], flagged_frames=flagged
    )
    found = stored(engine, result)
    assert [track.stream for track in found.tracks] == [0, 1]
    page = video_view.build(found, blind=False)
    assert page.streams == {0: 0, 1: 1}
    assert [track["letter"] for track in page.boxes["tracks"]] == ["A"]
    assert page.boxes["flagged"] == []
    assert [lane.letter for lane in page.lanes] == ["A", "B"]


def test_where_the_player_shows_another_stream_the_page_says_so(engine: Engine) -> None:
    result = screening_result(Verdict.FAKE, 0.9, probe={"width": 640, "height": 480})
    tracks = [result.tracks[0], replace(result.tracks[0], number=1, stream=1)]
    first, second = result.faces
    result = replace(result, tracks=tracks, faces=[first, replace(second, track_number=1)])
    texts = [caveat.text for caveat in video_view.build(stored(engine, result), blind=False).caveats]
    assert any(text.startswith("Face B is in another video stream of this file") for text in texts)


def test_a_single_picture_has_no_time(engine: Engine) -> None:
    result = screening_result(Verdict.FAKE, 0.9, probe={"expected_samples": 2, "frames": 1})
    track = replace(result.tracks[0], flagged_ranges=[(0.0, 0.0)])
    faces = [replace(face, time_seconds=0.0) for face in result.faces]
    found = stored(engine, replace(result, tracks=[track], faces=faces))
    page = video_view.build(replace(found, item=replace(found.item, duration_seconds=None)), blind=False)
    assert (page.ticks, page.lanes[0].bands) == ([], [])
    assert ("Frames sampled", "2") in page.facts  # a video behind the picture has frames of its own


def test_what_was_not_looked_at_is_said(engine: Engine) -> None:
    result = replace(
        screening_result(Verdict.CLEAR, 0.1, coverage=0.5), unseen=["video stream 1 (codec foo)"]
    )
    found = stored(engine, result)
    assert found.unseen == ["video stream 1 (codec foo)"]
    texts = [caveat.text for caveat in video_view.build(found, blind=False).caveats]
    assert "Not looked at: video stream 1 (codec foo)." in texts


def test_the_page_says_what_the_face_that_decided_most_resembles(engine: Engine) -> None:
    """A face with too few frames for a say may score higher; nobody's verdict is its."""
    result = screening_result(Verdict.FAKE, 0.9)
    fleeting = replace(
        result.tracks[0], number=1, score=0.99, supported=False, family=None, family_probability=None
    )
    first, second = result.faces
    faces = [first, replace(second, track_number=1)]
    found = stored(engine, replace(result, tracks=[result.tracks[0], fleeting], faces=faces))
    page = video_view.build(found, blind=False)
    assert page.likeness == {0: "face swap, 0.71"}
    assert page.meaning is not None
    assert page.meaning.most_like == "face swap, 0.71"
    assert "face A is fake" in page.meaning.sentence
    assert video_view.build(found, blind=True).likeness == {}


def test_the_command_line_tells_stored_families_beside_the_score(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = stored(engine, screening_result(Verdict.FAKE, 0.9, flagged_faces=()))
    objects = FolderStore(tmp_path)
    told = as_object(found, objects)
    assert (told["family"], told["family_probability"]) == ("swap", 0.71)
    assert told["tracks"][0]["family"] == "swap"
    print_results([found], objects)
    assert "face swap, 0.71" in capsys.readouterr().out


def test_a_clear_video_resembles_nothing(engine: Engine, tmp_path: Path) -> None:
    found = stored(engine, screening_result(Verdict.CLEAR, 0.1, flagged_faces=()))
    page = video_view.build(found, blind=False)
    assert page.meaning is not None
    assert (page.likeness, page.meaning.most_like) == ({}, None)
    assert as_object(found, FolderStore(tmp_path))["family"] is None
