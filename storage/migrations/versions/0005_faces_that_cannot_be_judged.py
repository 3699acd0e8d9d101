"""Faces that cannot be judged: the verdict `unjudged`, and why, in counts"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BEFORE = "'no_face', 'too_short')"
AFTER = "'unjudged', 'no_face', 'too_short')"
CHECK = "verdict IS NULL OR verdict IN ('fake', 'suspect', 'clear', " + AFTER


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _widen_check_on_sqlite()
    else:
        op.drop_constraint(op.f("ck_screening_verdict_known"), "screening", type_="check")
        op.create_check_constraint(op.f("ck_screening_verdict_known"), "screening", CHECK)
    op.execute("ALTER TABLE screening ADD COLUMN rejected_faces JSON DEFAULT '{}' NOT NULL")
    _count_rejected_faces()
    _relabel()


def _widen_check_on_sqlite() -> None:
    # A copy of `screening`, as Alembic's batch mode makes it, would cascade into its faces when the old table
    # is dropped. SQLite's own way for a change that leaves the stored rows as they are: the schema's text
    # ("Making Other Kinds Of Table Schema Changes" in its manual of ALTER TABLE).
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.execute(
        sa.text(
            "UPDATE sqlite_schema SET sql = replace(sql, :before, :after)"
            " WHERE type = 'table' AND name = 'screening' AND instr(sql, :before) > 0"
        ),
        {"before": BEFORE, "after": AFTER},
    )
    if changed.rowcount != 1:
        raise RuntimeError("the table `screening` has no check of its verdicts as 0001 made it")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")  # this connection reads it anew


def _count_rejected_faces() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    made = "json_group_object" if sqlite else "json_object_agg"
    op.execute(
        f"""
        UPDATE screening SET rejected_faces = counted.faces
        FROM (
            SELECT screening_id, {made}(rejected_because, number) AS faces
            FROM (
                SELECT screening_id, rejected_because, count(*) AS number FROM face
                WHERE rejected_because IS NOT NULL GROUP BY screening_id, rejected_because
            ) AS by_reason
            GROUP BY screening_id
        ) AS counted
        WHERE counted.screening_id = screening.id
        """  # noqa: S608  both words are written here
    )


def _relabel() -> None:
    """What stood as "no face" although faces were found, but none of them usable.

    As the worker says it now: what the detector hardly believed counts in a still, or where it lasted.
    """
    op.execute(
        """
        UPDATE screening SET verdict = 'unjudged'
        WHERE verdict = 'no_face' AND (
            id IN (
                SELECT screening_id FROM face GROUP BY screening_id, track_id
                HAVING count(*) >= 3 OR max(CASE WHEN rejected_because = 'unsure' THEN 0 ELSE 1 END) = 1
            )
            OR id IN (
                SELECT face.screening_id FROM face
                JOIN screening AS stored ON stored.id = face.screening_id
                JOIN video ON video.id = stored.video_id AND video.media_kind = 'image'
            )
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the verdict; restore a backup instead")
