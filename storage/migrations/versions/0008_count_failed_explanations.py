"""Count failed explanations"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "flagged_frame", sa.Column("explain_failures", sa.Integer(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    op.drop_column("flagged_frame", "explain_failures")
