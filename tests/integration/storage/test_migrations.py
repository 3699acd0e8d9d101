"""An installation of an earlier release keeps what it has."""

from alembic import command
from sqlalchemy import Connection, Engine, text

from storage import migrate
from storage.engine import reading
from storage.migrate import is_current, upgrade
from storage.read import detail
from storage.tables import utc_now

FIRST_RELEASE = (
    "INSERT INTO video (id, sha256, size_bytes, media_kind, object_key, created_at)"
    " VALUES (1, 'a', 5, 'video', 'k', :now)",
    "INSERT INTO sighting (id, source, name, size_bytes, mtime_ns, video_id, seen_at)"
    " VALUES (1, 's', 'Kraków, clip.mp4', 5, 1, 1, :now)",
    "INSERT INTO model_version (id, architecture, label, weights_sha256, input_size, details, created_at)"
    " VALUES ('m', 'a', 'l', 'w', 64, '{}', :now)",
    "INSERT INTO screening (id, video_id, model_version_id, attempt, failures, status, queued_at,"
    " finished_at, verdict, score, coverage, partial)"
    " VALUES (1, 1, 'm', 1, 0, 'done', :now, :now, 'fake', 0.9, 1, false)",
    "INSERT INTO face_track (id, screening_id, number, start_seconds, end_seconds, frames, usable_frames,"
    " score, supported) VALUES (1, 1, 0, 0, 1, 1, 1, 0.9, true)",
    "INSERT INTO face (id, screening_id, track_id, frame_index, time_seconds, x0, y0, x1, y1, landmarks,"
    " probability, sharpness, yaw) VALUES (1, 1, 1, 0, 0, 0, 0, 9, 9, '[]', 0.9, 20, 0)",
    "INSERT INTO frame_score (face_id, logit) VALUES (1, 2)",
    "INSERT INTO flagged_frame (id, screening_id, face_id, track_number, rank, time_seconds, score,"
    " image_key, crop_key, explain_status, explain_attempt)"
    " VALUES (1, 1, 1, 0, 0, 0, 0.9, 'i', 'c', 'queued', 1)",
)
KEPT = ("video", "sighting", "screening", "face_track", "face", "frame_score", "flagged_frame")


def migrate_to(connection: Connection, revision: str) -> None:
    config = migrate._config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_videos_and_results_of_the_first_release_are_kept(bare_engine: Engine) -> None:
    with bare_engine.begin() as connection:
        migrate_to(connection, "0001")
        for statement in FIRST_RELEASE:
            connection.execute(text(statement), {"now": utc_now().isoformat()})
    upgrade(bare_engine)
    assert is_current(bare_engine)
    with reading(bare_engine) as session:
        for table in KEPT:  # nothing that hangs on a screening has gone with a table that was rebuilt
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 1, table  # noqa: S608  named above
        row = session.execute(text("SELECT decision_state, verdict FROM screening")).one()
        track = detail.video(session, 1).tracks[0]
    assert tuple(row) == ("open", "fake")
    assert (track.family, track.family_probability) == (None, None)  # not known
