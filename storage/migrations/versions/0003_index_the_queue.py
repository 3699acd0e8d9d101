"""Index the queue and the names"""

from typing import Any

import sqlalchemy as sa
import structlog
from alembic import op

from storage.folding import folded

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

log = structlog.get_logger()

PAGE = 1000  # names folded at once

SQLITE_SEARCH = [
    # Trigrams of the names that `sighting` holds; the index stores no name of its own.
    """
    CREATE VIRTUAL TABLE sighting_search USING fts5(
        folded_name, content='sighting', content_rowid='id', tokenize='trigram case_sensitive 1'
    )
    """,
    """
    CREATE TRIGGER sighting_search_insert AFTER INSERT ON sighting BEGIN
        INSERT INTO sighting_search(rowid, folded_name) VALUES (new.id, new.folded_name);
    END
    """,
    """
    CREATE TRIGGER sighting_search_delete AFTER DELETE ON sighting BEGIN
        INSERT INTO sighting_search(sighting_search, rowid, folded_name)
        VALUES ('delete', old.id, old.folded_name);
    END
    """,
    """
    CREATE TRIGGER sighting_search_update AFTER UPDATE OF folded_name ON sighting BEGIN
        INSERT INTO sighting_search(sighting_search, rowid, folded_name)
        VALUES ('delete', old.id, old.folded_name);
        INSERT INTO sighting_search(rowid, folded_name) VALUES (new.id, new.folded_name);
    END
    """,
    "INSERT INTO sighting_search(sighting_search) VALUES ('rebuild')",
]
POSTGRESQL_SEARCH = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX ix_sighting_search ON sighting USING gin (folded_name gin_trgm_ops)",
]


def upgrade() -> None:
    _add_columns()
    _fill_screenings()
    _fill_names()
    _index_names()
    op.drop_index(op.f("ix_screening_verdict_score_id"), "screening")
    op.drop_index(op.f("ix_screening_verdict_finished_at_id"), "screening")
    op.create_index(
        "ix_screening_finished",
        "screening",
        ["finished_at", "verdict", "error_code", "model_version_id", "score"],
    )
    latest: dict[str, Any] = {
        "sqlite_where": sa.text("latest = 1"),
        "postgresql_where": sa.text("latest"),
    }
    orders = {"score": ["score", "id", "added_at"], "time": ["added_at", "id", "score"]}
    for lead, columns in {"": [], "source_": ["source"], "model_": ["model_version_id"]}.items():
        for order, ending in orders.items():
            op.create_index(
                f"ix_screening_queue_{lead}{order}",
                "screening",
                [*columns, "status", "verdict", "decision_state", *ending],
                **({} if lead == "model_" else latest),
            )


def _add_columns() -> None:
    # In place, as in 0002: a copy of `screening` would cascade into its faces.
    sqlite = op.get_bind().dialect.name == "sqlite"
    moment = "DATETIME" if sqlite else "TIMESTAMP WITH TIME ZONE"
    true = "1" if sqlite else "true"
    op.execute(f"ALTER TABLE screening ADD COLUMN latest BOOLEAN DEFAULT {true} NOT NULL")
    op.execute(f"ALTER TABLE screening ADD COLUMN added_at {moment} DEFAULT '1970-01-01 00:00:00' NOT NULL")
    op.execute("ALTER TABLE screening ADD COLUMN source TEXT DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE sighting ADD COLUMN folded_name TEXT DEFAULT '' NOT NULL")


def _fill_screenings() -> None:
    op.execute(
        """
        UPDATE screening SET
            added_at = (SELECT video.created_at FROM video WHERE video.id = screening.video_id),
            source = COALESCE(
                (
                    SELECT sighting.source FROM sighting WHERE sighting.video_id = screening.video_id
                    ORDER BY sighting.id LIMIT 1
                ),
                ''
            )
        """
    )
    op.execute(
        """
        UPDATE screening SET latest = (
            id = (
                SELECT other.id FROM screening AS other WHERE other.video_id = screening.video_id
                ORDER BY (other.status = 'done') DESC, other.id DESC LIMIT 1
            )
        )
        """
    )


def _fill_names() -> None:
    sighting = sa.table(
        "sighting", sa.column("id", sa.Integer), sa.column("name", sa.Text), sa.column("folded_name", sa.Text)
    )
    changed = sa.update(sighting).where(sighting.c.id == sa.bindparam("key"))
    after = 0
    while True:
        names = sa.select(sighting.c.id, sighting.c.name).where(sighting.c.id > after)
        page = op.get_bind().execute(names.order_by(sighting.c.id).limit(PAGE)).all()
        if not page:
            return
        op.get_bind().execute(
            changed.values(folded_name=sa.bindparam("text")),
            [{"key": row.id, "text": folded(row.name)} for row in page],
        )
        after = page[-1].id


def _index_names() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    try:
        with op.get_bind().begin_nested():
            for statement in SQLITE_SEARCH if sqlite else POSTGRESQL_SEARCH:
                op.execute(statement)
    except sa.exc.DBAPIError as error:
        # An SQLite without FTS5, or a PostgreSQL on which we may not make an extension.
        log.warning("names are not indexed; a search reads them all", reason=str(error.orig).splitlines()[0])


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
