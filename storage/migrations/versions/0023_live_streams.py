"""Live streams, their alerts and evidence"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "live_stream",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_asked", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("model_version_id", sa.Text(), nullable=True),
        sa.Column("position_seconds", sa.Double(), nullable=False),
        sa.Column("seen_seconds", sa.Double(), nullable=False),
        sa.Column("view", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'watching', 'ended', 'stopped', 'failed')",
            name=op.f("ck_live_stream_status_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_stream")),
    )
    op.create_index(
        op.f("ix_live_stream_status_lease_expires_at"), "live_stream", ["status", "lease_expires_at"]
    )
    op.create_table(
        "stream_alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("track_number", sa.Integer(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("end_seconds", sa.Double(), nullable=False),
        sa.Column("raised_seconds", sa.Double(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("peak_score", sa.Double(), nullable=False),
        sa.Column("model_version_id", sa.Text(), nullable=False),
        sa.Column("clip_key", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "peak_score >= 0 AND peak_score <= 1", name=op.f("ck_stream_alert_peak_score_unit")
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"], ["live_stream.id"], name=op.f("fk_stream_alert_stream_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_alert")),
    )
    op.create_index(op.f("ix_stream_alert_stream_id_id"), "stream_alert", ["stream_id", "id"])
    op.create_table(
        "stream_evidence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("time_seconds", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("box", sa.JSON(), nullable=False),
        sa.Column("frame_width", sa.Integer(), nullable=False),
        sa.Column("frame_height", sa.Integer(), nullable=False),
        sa.Column("image_key", sa.Text(), nullable=False),
        sa.Column("crop_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["stream_alert.id"], name=op.f("fk_stream_evidence_alert_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_evidence")),
        sa.UniqueConstraint("alert_id", "rank", name=op.f("uq_stream_evidence_alert_id_rank")),
    )
    with op.batch_alter_table("webhook_delivery") as batch:
        batch.alter_column("video_id", existing_type=sa.Integer(), nullable=True)
        batch.add_column(sa.Column("stream_id", sa.Integer(), nullable=True))
        batch.create_index(
            batch.f("ix_webhook_delivery_endpoint_id_stream_id_status_id"),
            ["endpoint_id", "stream_id", "status", "id"],
        )


def downgrade() -> None:
    raise NotImplementedError("older releases do not know the tables; restore a backup instead")
