"""The first schema: every table of the tracker, and on SQLite the full-text index of the reflections."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

VERDICTS = "'kept', 'discarded', 'rejected', 'failed', 'crashed', 'timed_out', 'duplicate', 'quarantined'"
EFFECT = (
    "(effect_mean IS NULL AND effect_low IS NULL AND effect_high IS NULL AND effect_samples IS NULL) OR "
    "(effect_mean IS NOT NULL AND effect_low IS NOT NULL"
    " AND effect_high IS NOT NULL AND effect_samples IS NOT NULL AND effect_samples >= 0)"
)

# An FTS5 index without a copy of the text, kept by triggers (https://www.sqlite.org/fts5.html, 4.4.3).
SEARCH = (
    """
    CREATE VIRTUAL TABLE reflection_fts USING fts5(
        hypothesis, lesson, avoid, try_next, error,
        content='reflection', content_rowid='id', tokenize='porter unicode61'
    )
    """,
    """
    CREATE TRIGGER reflection_fts_insert AFTER INSERT ON reflection BEGIN
        INSERT INTO reflection_fts(rowid, hypothesis, lesson, avoid, try_next, error)
        VALUES (new.id, new.hypothesis, new.lesson, new.avoid, new.try_next, new.error);
    END
    """,
    """
    CREATE TRIGGER reflection_fts_delete AFTER DELETE ON reflection BEGIN
        INSERT INTO reflection_fts(reflection_fts, rowid, hypothesis, lesson, avoid, try_next, error)
        VALUES ('delete', old.id, old.hypothesis, old.lesson, old.avoid, old.try_next, old.error);
    END
    """,
    """
    CREATE TRIGGER reflection_fts_update AFTER UPDATE ON reflection BEGIN
        INSERT INTO reflection_fts(reflection_fts, rowid, hypothesis, lesson, avoid, try_next, error)
        VALUES ('delete', old.id, old.hypothesis, old.lesson, old.avoid, old.try_next, old.error);
        INSERT INTO reflection_fts(rowid, hypothesis, lesson, avoid, try_next, error)
        VALUES (new.id, new.hypothesis, new.lesson, new.avoid, new.try_next, new.error);
    END
    """,
)


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("workflow_path", sa.Text(), nullable=False),
        sa.Column("workflow_text", sa.Text(), nullable=False),
        sa.Column("workflow_hash", sa.Text(), nullable=False),
        sa.Column("identity_hash", sa.Text(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin_commit", sa.Text(), nullable=False),
        sa.Column("baseline_commit", sa.Text(), nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=True),
        sa.Column("elapsed", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('running', 'stopped', 'done', 'failed')", name=op.f("ck_campaign_status")),
        sa.CheckConstraint("elapsed >= 0", name=op.f("ck_campaign_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
    )
    op.create_index(op.f("ix_campaign_workflow_path"), "campaign", ["workflow_path"], unique=False)
    op.create_table(
        "task",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('open', 'done')", name=op.f("ck_task_status")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_task_number")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_task_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("uq_task_campaign_id_number")),
    )
    op.create_table(
        "round",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("baseline_commit", sa.Text(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_round_number")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_round_campaign_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_round_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("uq_round_campaign_id_number")),
    )
    op.create_index(
        "uq_round_open",
        "round",
        ["campaign_id"],
        unique=True,
        sqlite_where=sa.text("NOT finished"),
        postgresql_where=sa.text("NOT finished"),
    )
    op.create_table(
        "candidate",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("parent_commit", sa.Text(), nullable=False),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("emphasis", sa.Text(), nullable=False),
        sa.Column("hypothesis", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("tried", sa.Text(), nullable=False),
        sa.Column("lesson", sa.Text(), nullable=False),
        sa.Column("try_next", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=False),
        sa.Column("commit_id", sa.Text(), nullable=True),
        sa.Column("tree", sa.Text(), nullable=True),
        sa.Column("lines_added", sa.Integer(), nullable=False),
        sa.Column("lines_removed", sa.Integer(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            f"status IN ('planned', 'running', 'generated', 'verifying', 'screened', 'confirming', {VERDICTS})",
            name=op.f("ck_candidate_status"),
        ),
        sa.CheckConstraint("lines_added >= 0 AND lines_removed >= 0", name=op.f("ck_candidate_not_negative")),
        sa.CheckConstraint("number >= 1 AND attempt >= 1", name=op.f("ck_candidate_number")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_candidate_campaign_id")),
        sa.ForeignKeyConstraint(["retry_of"], ["candidate.id"], name=op.f("fk_candidate_retry_of")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_candidate_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("uq_candidate_campaign_id_number")),
    )
    op.create_index(
        op.f("ix_candidate_campaign_id_round_id_number"),
        "candidate",
        ["campaign_id", "round_id", "number"],
        unique=False,
    )
    op.create_index(op.f("ix_candidate_campaign_id_status"), "candidate", ["campaign_id", "status"], unique=False)
    op.create_index(
        op.f("ix_candidate_campaign_id_tree_parent_commit"),
        "candidate",
        ["campaign_id", "tree", "parent_commit"],
        unique=False,
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("ck_artifact_not_negative")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_artifact_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_artifact_candidate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
        sa.UniqueConstraint("campaign_id", "path", name=op.f("uq_artifact_campaign_id_path")),
    )
    op.create_index(
        op.f("ix_artifact_campaign_id_candidate_id"), "artifact", ["campaign_id", "candidate_id"], unique=False
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("effect_mean", sa.Float(), nullable=True),
        sa.Column("effect_low", sa.Float(), nullable=True),
        sa.Column("effect_high", sa.Float(), nullable=True),
        sa.Column("effect_samples", sa.Integer(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("baseline_value", sa.Float(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"verdict IN ({VERDICTS})", name=op.f("ck_decision_verdict")),
        sa.CheckConstraint(EFFECT, name=op.f("ck_decision_effect")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_decision_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_decision_candidate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("candidate_id", name=op.f("uq_decision_candidate_id")),
    )
    op.create_index(op.f("ix_decision_campaign_id_id"), "decision", ["campaign_id", "id"], unique=False)
    op.create_index(
        op.f("ix_decision_campaign_id_verdict_id"), "decision", ["campaign_id", "verdict", "id"], unique=False
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("round_id", sa.Text(), nullable=True),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_event_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_event_candidate_id")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_event_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_campaign_id_id"), "event", ["campaign_id", "id"], unique=False)
    op.create_table(
        "measurement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("commit_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("pair", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("log", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "phase IN ('baseline', 'screen', 'confirm', 'holdout', 'canary')", name=op.f("ck_measurement_phase")
        ),
        sa.CheckConstraint("abs(value) <= 1.7976931348623157e308", name=op.f("ck_measurement_finite")),
        sa.CheckConstraint("pair >= 0 AND seconds >= 0", name=op.f("ck_measurement_not_negative")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_measurement_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_measurement_candidate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement")),
        sa.UniqueConstraint(
            "campaign_id", "candidate_id", "commit_id", "phase", "pair", "metric", name="uq_measurement_run"
        ),
    )
    op.create_index(
        op.f("ix_measurement_campaign_id_commit_id"), "measurement", ["campaign_id", "commit_id"], unique=False
    )
    op.create_index(
        "uq_measurement_baseline",
        "measurement",
        ["campaign_id", "commit_id", "phase", "pair", "metric"],
        unique=True,
        sqlite_where=sa.text("candidate_id IS NULL"),
        postgresql_where=sa.text("candidate_id IS NULL"),
    )
    op.create_table(
        "reflection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("hypothesis", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("effect_mean", sa.Float(), nullable=True),
        sa.Column("effect_low", sa.Float(), nullable=True),
        sa.Column("effect_high", sa.Float(), nullable=True),
        sa.Column("effect_samples", sa.Integer(), nullable=True),
        sa.Column("lesson", sa.Text(), nullable=False),
        sa.Column("avoid", sa.Text(), nullable=False),
        sa.Column("try_next", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"outcome IN ({VERDICTS})", name=op.f("ck_reflection_outcome")),
        sa.CheckConstraint(EFFECT, name=op.f("ck_reflection_effect")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_reflection_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_reflection_candidate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reflection")),
        sa.UniqueConstraint("candidate_id", name=op.f("uq_reflection_candidate_id")),
    )
    op.create_index(op.f("ix_reflection_campaign_id_id"), "reflection", ["campaign_id", "id"], unique=False)
    op.create_index(
        op.f("ix_reflection_campaign_id_outcome_id"), "reflection", ["campaign_id", "outcome", "id"], unique=False
    )
    op.create_table(
        "usage",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("round_id", sa.Text(), nullable=True),
        sa.Column("candidate_id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "input_tokens >= 0 AND cached_tokens >= 0 AND output_tokens >= 0 AND cost_usd >= 0 AND seconds >= 0",
            name=op.f("ck_usage_not_negative"),
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_usage_campaign_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], name=op.f("fk_usage_candidate_id")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_usage_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
    )
    op.create_index(op.f("ix_usage_campaign_id_candidate_id"), "usage", ["campaign_id", "candidate_id"], unique=False)
    op.create_index(op.f("ix_usage_campaign_id_round_id"), "usage", ["campaign_id", "round_id"], unique=False)
    op.create_index(
        "ix_usage_sums",
        "usage",
        ["campaign_id", "role", "model", "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "seconds"],
        unique=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in SEARCH:
            op.get_bind().exec_driver_sql(statement)
