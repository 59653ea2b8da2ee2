"""What a person asks of a campaign, and what goes on in it now; an index for the events of one name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KINDS = "'stop', 'pause', 'resume', 'steer', 'set', 'approve', 'reject'"


def upgrade() -> None:
    op.create_index(op.f("ix_event_campaign_id_name_id"), "event", ["campaign_id", "name", "id"], unique=False)
    op.create_table(
        "request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_request_kind")),
        sa.CheckConstraint("status IN ('waiting', 'done', 'refused')", name=op.f("ck_request_status")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_request_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    op.create_index(op.f("ix_request_campaign_id_status_id"), "request", ["campaign_id", "status", "id"], unique=False)
    op.create_table(
        "activity",
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("doing", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("lease", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("doing IN ('working', 'queued', 'measuring')", name=op.f("ck_activity_doing")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_activity_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_activity_candidate_id")),
        sa.PrimaryKeyConstraint("campaign_id", "subject", name=op.f("pk_activity")),
    )
