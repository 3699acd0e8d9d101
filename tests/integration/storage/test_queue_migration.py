"""A database of an earlier release keeps what it holds."""

from datetime import UTC, datetime

from alembic import command
from sqlalchemy import Engine, text

from storage import migrate
from storage.engine import reading
from storage.queue import listing
from storage.queue.filters import Filters

FIRST = "0001"


STATEMENTS = (
    "INSERT INTO model_version VALUES ('m-1', 'm', 'm', 'a', 64, '{}', :now)",
    "INSERT INTO model_version VALUES ('m-2', 'm', 'm', 'b', 64, '{}', :now)",
    "INSERT INTO video (id, sha256, size_bytes, media_kind, object_key, created_at)"
    " VALUES (1, 'a', 1, 'video', 'k', :then), (2, 'b', 1, 'video', 'k', :now)",
    "INSERT INTO sighting (source, name, size_bytes, mtime_ns, video_id, seen_at) VALUES"
    " ('first', 'Été.MP4', 1, 1, 1, :then), ('second', 'other.mp4', 1, 1, 1, :now)",
    "INSERT INTO screening"
    " (id, video_id, model_version_id, attempt, failures, status, queued_at, verdict, score, partial)"
    " VALUES (1, 1, 'm-1', 1, 0, 'done', :then, 'fake', 0.9, :no),"
    " (2, 1, 'm-2', 1, 0, 'queued', :now, NULL, NULL, :no),"
    " (3, 2, 'm-1', 1, 0, 'queued', :now, NULL, NULL, :no)",
    "INSERT INTO face_track (id, screening_id, number, start_seconds, end_seconds, frames, usable_frames,"
    " supported) VALUES (1, 1, 0, 0, 1, 1, 1, :no)",
)


def rows_of_the_first_release(engine: Engine) -> None:
    values: dict[str, object] = {
        "then": datetime(2026, 1, 1, tzinfo=UTC),
        "now": datetime(2026, 2, 1, tzinfo=UTC),
        "no": False,
    }
    if engine.dialect.name == "sqlite":
        values |= {"then": "2026-01-01 00:00:00.000000", "now": "2026-02-01 00:00:00.000000"}
    with engine.begin() as connection:
        for statement in STATEMENTS:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)


def test_the_queue_lists_what_the_first_release_left(bare_engine: Engine) -> None:
    with bare_engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
    rows_of_the_first_release(bare_engine)
    migrate.upgrade(bare_engine)
    with reading(bare_engine) as session:
        items = listing.page(session, Filters()).items
        # The done screening stands for its video, not the one that was asked for later.
        assert [(item.video_id, item.screening_id) for item in items] == [(1, 1), (2, 3)]
        assert items[0].source == "first"
        assert items[0].added_at == datetime(2026, 1, 1, tzinfo=UTC)
        assert [item.screening_id for item in listing.page(session, Filters(text="éTÉ")).items] == [1]
        assert listing.page(session, Filters(model_version="m-2")).items[0].screening_id == 2
        assert session.scalar(text("SELECT count(*) FROM face_track")) == 1
