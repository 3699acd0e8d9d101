"""When a session's password was given once more; which token made a token"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("login_session", sa.Column("confirmed_at", sa.DateTime(timezone=True)))
    op.add_column("api_token", sa.Column("parent_id", sa.Integer()))
    op.create_index(op.f("ix_api_token_parent_id"), "api_token", ["parent_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_api_token_parent_id"), "api_token")
    op.drop_column("api_token", "parent_id")
    op.drop_column("login_session", "confirmed_at")
