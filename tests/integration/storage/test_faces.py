"""Tracks, faces and scores, stored at once: each with those it belongs to, on both databases."""

from dataclasses import replace

from sqlalchemy import Engine, select

from core.results import TrackResult
from storage import faces
from storage.engine import reading, transaction
from storage.known.index import HashIndex
from storage.tables import FaceRow, FaceTrack, FrameScore
from tests.known_videos import screened
from tests.screening_results import FACE, register_model

TRACK = TrackResult(
    number=0,
    stream=0,
    start_seconds=0.0,
    end_seconds=1.0,
    frames=3,
    usable_frames=2,
    score=0.1 + 0.2,
    raw_score=-12.25,
    supported=True,
    flagged_ranges=[(0.25, 0.75)],
)


def test_each_face_has_its_track_and_its_score(engine: Engine) -> None:
    with transaction(engine) as session:
        register_model(session)
    screened(engine, HashIndex(), 1, [])
    screened(engine, HashIndex(), 2, [])
    tracks = [replace(TRACK, number=7), replace(TRACK, number=3, family='a "quoted" näme')]
    given = [  # as they are seen in the frames: by turns, not all of them classified
        replace(FACE, track_number=3, frame_index=0, logit=0.5, rejected_because=None),
        replace(FACE, track_number=7, frame_index=0, logit=None, rejected_because="blurred"),
        replace(FACE, track_number=7, frame_index=1, logit=-1e-7, landmarks=[(0.1, 2.0)] * 5),
        replace(FACE, track_number=3, frame_index=2, logit=-3.0, box=(0.1, 0.2, 0.3, 0.4)),
    ]
    with transaction(engine) as session:
        session.query(FaceTrack).delete()  # what their screening left
        numbers = faces.add(session, 1, tracks, given)
        assert faces.add(session, 2, [], []) == []
    with reading(engine) as session:
        found = session.execute(
            select(FaceRow, FaceTrack, FrameScore.logit)
            .join(FaceTrack, FaceTrack.id == FaceRow.track_id)
            .outerjoin(FrameScore, FrameScore.face_id == FaceRow.id)
            .order_by(FaceRow.id)
        ).all()
    assert [row.FaceRow.id for row in found] == numbers
    for (face, track, logit), expected in zip(found, given, strict=True):
        assert (face.screening_id, track.screening_id) == (1, 1)
        assert (track.number, logit) == (expected.track_number, expected.logit)
        assert (face.frame_index, face.box) == (expected.frame_index, expected.box)
        assert face.landmarks == [list(point) for point in expected.landmarks]
        assert face.rejected_because == expected.rejected_because
    stored = {row.FaceTrack.number: row.FaceTrack for row in found}
    assert (stored[7].score, stored[7].family) == (0.1 + 0.2, None)
    assert (stored[3].family, stored[3].flagged_ranges) == ('a "quoted" näme', [[0.25, 0.75]])
