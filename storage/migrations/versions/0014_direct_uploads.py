"""Uploads straight into the object store"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "direct_upload",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("upload_number", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "priority IN ('interactive', 'normal', 'backfill')", name=op.f("ck_direct_upload_priority_known")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_direct_upload_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_direct_upload")),
    )
    op.create_index(op.f("ix_direct_upload_expires_at"), "direct_upload", ["expires_at"])


def downgrade() -> None:
    op.drop_table("direct_upload")
