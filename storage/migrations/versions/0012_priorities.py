"""How urgent a screening is"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default, so that workers of the release before can go on meanwhile.
    op.execute(
        "ALTER TABLE screening ADD COLUMN priority VARCHAR(16) DEFAULT 'normal' NOT NULL"
        " CONSTRAINT ck_screening_priority_known CHECK (priority IN ('interactive', 'normal', 'backfill'))"
    )


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the column; restore a backup instead")
