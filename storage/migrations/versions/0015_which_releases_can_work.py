"""Which releases can work with the schema"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schema_contract",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest", sa.String(length=4), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_contract_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_contract")),
    )
    # A revision that takes away what older releases need writes its own number here.
    op.execute("INSERT INTO schema_contract (id, oldest) VALUES (1, '0012')")


def downgrade() -> None:
    op.drop_table("schema_contract")
