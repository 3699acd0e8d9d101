"""Known content: hashes of frames, lists of them, matches"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "known_list",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_list")),
        sa.UniqueConstraint("name", name=op.f("uq_known_list_name")),
    )
    op.create_table(
        "frame_hash",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=True),
        sa.Column("list_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("pdq", sa.LargeBinary(), nullable=False),
        sa.Column("mirrored", sa.LargeBinary(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("time_seconds", sa.Double(), nullable=True),
        sa.CheckConstraint("(video_id IS NULL) <> (list_id IS NULL)", name=op.f("ck_frame_hash_of_one")),
        sa.ForeignKeyConstraint(
            ["video_id"], ["video.id"], name=op.f("fk_frame_hash_video_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["known_list.id"], name=op.f("fk_frame_hash_list_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frame_hash")),
        sa.UniqueConstraint("list_id", "pdq", name=op.f("uq_frame_hash_list_id_pdq")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_frame_hash_video_id"), "frame_hash", ["video_id"])
    op.create_table(
        "known_match",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("other_video_id", sa.Integer(), nullable=True),
        sa.Column("list_hash_id", sa.Integer(), nullable=True),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("other_share", sa.Double(), nullable=False),
        sa.Column("mirrored", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(other_video_id IS NULL) <> (list_hash_id IS NULL)", name=op.f("ck_known_match_of_one")
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["video.id"], name=op.f("fk_known_match_video_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["other_video_id"], ["video.id"], name=op.f("fk_known_match_other_video_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["list_hash_id"], ["frame_hash.id"], name=op.f("fk_known_match_list_hash_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_match")),
    )
    for column in ("video_id", "other_video_id", "list_hash_id"):
        op.create_index(op.f(f"ix_known_match_{column}"), "known_match", [column])


def downgrade() -> None:
    op.drop_table("known_match")
    op.drop_table("frame_hash")
    op.drop_table("known_list")
