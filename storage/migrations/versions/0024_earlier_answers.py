"""By which policy a verdict was reached, and the answers that another one replaced"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("screening", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column("screening", sa.Column("mostly_damaged", sa.Boolean(), nullable=True))
    op.add_column("screening", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "earlier_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("screening_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("because", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("raw_score", sa.Double(), nullable=True),
        sa.Column("looks", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "because IN ('reaggregated', 'screened_again')", name=op.f("ck_earlier_answer_because_known")
        ),
        sa.ForeignKeyConstraint(
            ["screening_id"],
            ["screening.id"],
            name=op.f("fk_earlier_answer_screening_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earlier_answer")),
        sa.UniqueConstraint("screening_id", "number", name=op.f("uq_earlier_answer_screening_id_number")),
    )


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the table; restore a backup instead")
