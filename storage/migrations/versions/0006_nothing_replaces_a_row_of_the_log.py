"""Nothing replaces a row of the audit log"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# `INSERT OR REPLACE` deletes the rows that are in its way without asking the triggers of DELETE, unless the
# client has switched `recursive_triggers` on. A trigger BEFORE INSERT runs first, whoever the client is.
# PostgreSQL needs nothing: its `ON CONFLICT DO UPDATE` fires the triggers of UPDATE.
REFUSAL = """
CREATE TRIGGER audit_event_no_replace BEFORE INSERT ON audit_event
WHEN EXISTS (SELECT 1 FROM audit_event WHERE id = new.id OR previous_hash = new.previous_hash)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(REFUSAL)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_event_no_replace")
