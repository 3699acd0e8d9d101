"""How long videos are kept, what was erased, and what must not be"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("video", sa.Column("hold", sa.Text(), nullable=True))
    op.add_column("video", sa.Column("original_erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("video", sa.Column("faces_erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "erasure",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_erasure")),
    )


def downgrade() -> None:
    raise NotImplementedError("older releases do not know what was erased; restore a backup instead")
