"""Accounts, sessions, tokens, decisions, claims; the audit log becomes a hash chain"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FIRST = "0" * 64
PAGE = 1000  # events chained at once

NO_TRIGGERS = {
    "sqlite": ["DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete"],
    "postgresql": ["DROP TRIGGER audit_event_append_only ON audit_event"],
}
TRIGGERS = {
    "sqlite": [
        f"""
        CREATE TRIGGER audit_event_no_{action.lower()} BEFORE {action} ON audit_event
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
        """
        for action in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        """
        CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
        FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()
        """,
    ],
}


def upgrade() -> None:
    _create_accounts()
    _create_reviews()
    # Never let Alembic's batch mode copy `screening` on SQLite: dropping the old table would cascade into the
    # faces and tracks of every screening. SQLite adds a column with its check in place.
    op.execute(
        "ALTER TABLE screening ADD COLUMN decision_state VARCHAR(16) DEFAULT 'open' NOT NULL"
        " CONSTRAINT ck_screening_decision_state_known"
        " CHECK (decision_state IN ('open', 'second_opinion', 'decided'))"
    )
    _chain_the_log()


def _create_accounts() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.CheckConstraint(
            "role IN ('viewer', 'reviewer', 'admin', 'service')", name=op.f("ck_account_role_known")
        ),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_account_name_lowercase")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "login_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("csrf_token", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("last_seen_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_login_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
    )
    op.create_index(op.f("ix_login_session_account_id"), "login_session", ["account_id"])
    op.create_index(op.f("ix_login_session_expires_at"), "login_session", ["expires_at"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.Column("last_used_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_api_token_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_token_token_sha256")),
    )
    op.create_index(op.f("ix_api_token_account_id"), "api_token", ["account_id"])
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempt")),
    )
    for columns in (["name", "at"], ["address", "at"], ["at"]):
        op.create_index(op.f(f"ix_sign_in_attempt_{'_'.join(columns)}"), "sign_in_attempt", columns)


def _create_reviews() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("screening_id", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('fake', 'genuine', 'unsure', 'second_opinion')",
            name=op.f("ck_decision_outcome_known"),
        ),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], name=op.f("fk_decision_video_id")),
        sa.ForeignKeyConstraint(["screening_id"], ["screening.id"], name=op.f("fk_decision_screening_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_decision_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    for columns in (["video_id", "id"], ["account_id"], ["created_at"]):
        op.create_index(op.f(f"ix_decision_{'_'.join(columns)}"), "decision", columns)
    op.create_table(
        "review_claim",
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("claimed_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], name=op.f("fk_review_claim_video_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_review_claim_account_id")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_review_claim")),
    )
    for column in ("account_id", "expires_at"):
        op.create_index(op.f(f"ix_review_claim_{column}"), "review_claim", [column])
    op.create_table(
        "review_skip",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_review_skip_account_id")),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], name=op.f("fk_review_skip_video_id")),
        sa.PrimaryKeyConstraint("account_id", "video_id", name=op.f("pk_review_skip")),
    )
    op.create_index(op.f("ix_review_skip_video_id"), "review_skip", ["video_id"])


def _chain_the_log() -> None:
    dialect = op.get_bind().dialect.name
    for statement in NO_TRIGGERS[dialect]:
        op.execute(statement)
    # The empty default stays: a row that comes without a hash is one that `facewarden audit verify` finds.
    for column in ("previous_hash", "hash"):
        op.execute(f"ALTER TABLE audit_event ADD COLUMN {column} VARCHAR(64) DEFAULT '' NOT NULL")
    _chain_events()
    op.create_index(op.f("ix_audit_event_previous_hash"), "audit_event", ["previous_hash"], unique=True)
    for column in ("actor", "action"):
        op.create_index(op.f(f"ix_audit_event_{column}_id"), "audit_event", [column, "id"])
    for statement in TRIGGERS[dialect]:
        op.execute(statement)


def _chain_events() -> None:
    # What storage.audit.event_hash computes, as it was when this revision was written.
    events = sa.table(
        "audit_event",
        sa.column("id", sa.Integer),
        sa.column("at", sa.DateTime(timezone=True)),
        *(sa.column(name, sa.Text) for name in ("actor", "action", "subject", "previous_hash", "hash")),
        sa.column("detail", sa.JSON),
    )
    changed = (
        sa.update(events)
        .where(events.c.id == sa.bindparam("key"))
        .values(previous_hash=sa.bindparam("before"), hash=sa.bindparam("digest"))
    )
    previous = FIRST
    for page in _pages(events):
        values = []
        for row in page:
            digest = _digest(previous, row)
            values.append({"key": row.id, "before": previous, "digest": digest})
            previous = digest
        op.get_bind().execute(changed, values)


def _pages(events: sa.TableClause) -> Iterator[Any]:
    after = 0
    while True:
        query = sa.select(events).where(events.c.id > after).order_by(events.c.id).limit(PAGE)
        page = op.get_bind().execute(query).all()
        if not page:
            return
        yield page
        after = page[-1].id


def _digest(previous: str, row: Any) -> str:
    at: datetime = row.at
    content = {
        "previous_hash": previous,
        "id": row.id,
        # SQLite gives the moment without its zone, which is UTC.
        "at": (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)).isoformat(
            timespec="microseconds"
        ),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "detail": row.detail,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def downgrade() -> None:
    raise NotImplementedError("the audit log's chain must not be taken off; restore a backup instead")
