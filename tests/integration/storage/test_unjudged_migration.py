"""Screenings of an earlier release whose faces could not be judged."""

import json

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from storage.migrate import upgrade
from tests.integration.storage.test_migrations import migrate_to

# Videos, and why the gate kept their faces from the classifier: a string per track.
STORED = {
    1: ("no_face", "video", ("turned turned small", "turned")),
    2: ("no_face", "video", ()),
    3: ("no_face", "video", ("unsure", "unsure unsure")),
    4: ("no_face", "video", ("unsure unsure unsure",)),
    5: ("no_face", "image", ("unsure",)),
    6: ("too_short", "video", ("blurred",)),
    7: ("fake", "video", ("small small",)),
}


def store(engine: Engine) -> None:
    with engine.begin() as connection:

        def run(statement: str, **values: object) -> None:
            connection.execute(text(statement), values)

        run(
            "INSERT INTO model_version"
            " (id, architecture, label, weights_sha256, input_size, details, created_at)"
            " VALUES ('m', 'a', 'l', 'w', 64, '{}', '2026-01-01 00:00:00')"
        )
        for number, (verdict, kind, tracks) in STORED.items():
            run(
                "INSERT INTO video (id, sha256, size_bytes, media_kind, object_key, created_at)"
                " VALUES (:n, :sha, 5, :kind, 'k', '2026-01-01 00:00:00')",
                n=number,
                sha=str(number),
                kind=kind,
            )
            run(
                "INSERT INTO screening (id, video_id, model_version_id, attempt, failures, status, queued_at,"
                " verdict, coverage, partial)"
                " VALUES (:n, :n, 'm', 1, 0, 'done', '2026-01-01 00:00:00', :verdict, 1, false)",
                n=number,
                verdict=verdict,
            )
            for place, reasons in enumerate(tracks):
                track = 10 * number + place
                run(
                    "INSERT INTO face_track (id, screening_id, number, start_seconds, end_seconds, frames,"
                    " usable_frames, supported) VALUES (:t, :n, :place, 0, 1, 1, 0, false)",
                    t=track,
                    n=number,
                    place=place,
                )
                for reason in reasons.split():
                    run(
                        "INSERT INTO face (screening_id, track_id, frame_index, time_seconds, x0, y0, x1, y1,"
                        " landmarks, probability, sharpness, yaw, rejected_because)"
                        " VALUES (:n, :t, 0, 0, 0, 0, 9, 9, '[]', 0.9, 20, 0, :reason)",
                        n=number,
                        t=track,
                        reason=reason,
                    )


def test_what_stood_as_no_face_although_faces_were_there_is_unjudged(bare_engine: Engine) -> None:
    with bare_engine.begin() as connection:
        migrate_to(connection, "0004")
    store(bare_engine)
    upgrade(bare_engine)
    with bare_engine.begin() as connection:
        rows = connection.execute(text("SELECT id, verdict, rejected_faces FROM screening ORDER BY id")).all()
        faces = connection.scalar(text("SELECT count(*) FROM face"))
    stored = {row.id: row.rejected_faces for row in rows}
    counts = {key: json.loads(value) if isinstance(value, str) else value for key, value in stored.items()}
    assert {row.id: row.verdict for row in rows} == {
        1: "unjudged",
        2: "no_face",
        3: "no_face",  # what the detector hardly believed, and not for long
        4: "unjudged",
        5: "unjudged",
        6: "too_short",
        7: "fake",
    }
    assert counts[1] == {"turned": 3, "small": 1}
    assert (counts[2], counts[7]) == ({}, {"small": 2})
    assert faces == 14


def test_the_database_still_refuses_a_verdict_that_there_is_not(engine: Engine) -> None:
    store(engine)
    for connection_number in range(2):  # the connection that migrated, and another
        with engine.connect() as connection, pytest.raises(IntegrityError):
            connection.execute(text("UPDATE screening SET verdict = 'maybe' WHERE id = 1"))
        if not connection_number:
            engine.dispose()
    with engine.connect() as connection:
        connection.execute(text("UPDATE screening SET verdict = 'unjudged' WHERE id = 1"))
        if engine.dialect.name == "sqlite":
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
