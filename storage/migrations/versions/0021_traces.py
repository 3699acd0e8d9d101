"""The trace that a screening belongs to"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("traceparent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the column; restore a backup instead")
