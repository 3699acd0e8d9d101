"""The longest stretch nobody looked at, the looks behind a score, and the flagged parts of a track"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    double = "DOUBLE" if op.get_bind().dialect.name == "sqlite" else "DOUBLE PRECISION"
    # In place: Alembic's batch mode would copy the tables and cascade (see 0002).
    op.execute(f"ALTER TABLE screening ADD COLUMN longest_unseen_seconds {double}")
    op.execute(f"ALTER TABLE screening ADD COLUMN looks {double}")
    op.execute("ALTER TABLE face_track ADD COLUMN flagged_ranges JSON DEFAULT '[]' NOT NULL")


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
