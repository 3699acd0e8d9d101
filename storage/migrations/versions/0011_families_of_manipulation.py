"""What a flagged face most resembles"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("face_track", sa.Column("family", sa.String(length=16), nullable=True))
    op.add_column("face_track", sa.Column("family_probability", sa.Double(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
