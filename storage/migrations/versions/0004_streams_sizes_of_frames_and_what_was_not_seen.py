"""Streams of pictures, the size of each frame, and what was not looked at"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("unseen", sa.JSON(), nullable=True))
    op.add_column("face_track", sa.Column("stream", sa.Integer(), server_default="0", nullable=False))
    op.add_column("face", sa.Column("frame_width", sa.Integer(), nullable=True))
    op.add_column("face", sa.Column("frame_height", sa.Integer(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
