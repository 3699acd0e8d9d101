"""Many rows at once, on both databases."""

import pytest
from sqlalchemy import Engine, select

from storage import rows
from storage.engine import transaction
from storage.tables import FaceRow, FaceTrack, FrameScore
from tests.known_videos import screened
from tests.screening_results import register_model


@pytest.fixture
def screening(engine: Engine) -> int:
    from storage.known.index import HashIndex

    with transaction(engine) as session:
        register_model(session)
    screened(engine, HashIndex(), 1, [])
    return 1


def test_what_was_given_is_there_and_numbered_in_its_order(engine: Engine, screening: int) -> None:
    track = {
        "screening_id": screening,
        "stream": 0,
        "start_seconds": 0.1,
        "end_seconds": 1e-7,
        "frames": 3,
        "usable_frames": 2,
        "raw_score": -12.25,
        "supported": True,
        "flagged_ranges": [(0.25, 0.75)],
        "family": 'a "quoted" näme',
    }
    scores = [None, 0.1 + 0.2, 1.0, 0.0]
    given = [{**track, "number": 9 - place, "score": score} for place, score in enumerate(scores)]
    with transaction(engine) as session:
        assert rows.add(session, FaceTrack, []) == []
        ids = rows.add(session, FaceTrack, given)
        assert ids == sorted(set(ids))
        stored = {row.id: row for row in session.scalars(select(FaceTrack).where(FaceTrack.id.in_(ids)))}
    for id_, values in zip(ids, given, strict=True):
        expected = {**values, "flagged_ranges": [[0.25, 0.75]], "family_probability": None}
        found = {name: getattr(stored[id_], name) for name in expected}
        assert found == expected


def test_a_key_that_is_given_is_kept(engine: Engine, screening: int) -> None:
    with transaction(engine) as session:
        (face, *_) = session.scalars(
            select(FaceRow.id).where(FaceRow.screening_id == screening).order_by(FaceRow.id.desc())
        )
        session.query(FrameScore).delete()
        assert rows.add(session, FrameScore, [{"face_id": face, "logit": 0.5}]) == [face]
