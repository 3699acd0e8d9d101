"""A poster of each screened video"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("poster_key", sa.Text(), nullable=True))
    there = sa.text("poster_key IS NOT NULL")
    op.create_index(
        op.f("ix_screening_poster_key"),
        "screening",
        ["poster_key"],
        sqlite_where=there,
        postgresql_where=there,
    )


def downgrade() -> None:
    raise NotImplementedError("older releases would leave the posters behind; restore a backup instead")
