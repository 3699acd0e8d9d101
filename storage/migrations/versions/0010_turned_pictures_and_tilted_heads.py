"""Pictures that were turned upright, and how far heads are tilted"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("turn", sa.Integer(), server_default="0", nullable=False))
    op.add_column("face", sa.Column("turn", sa.Integer(), server_default="0", nullable=False))
    op.add_column("face", sa.Column("roll", sa.Double(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
