"""What a file says about where it comes from"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("provenance", sa.JSON(), nullable=True))
    op.add_column("screening", sa.Column("provenance_stated", sa.String(length=16), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the columns; restore a backup instead")
