"""The tables, as SQLModel classes. They never leave this folder: the store returns records.

A `table=True` model does not validate, so what must hold is said as a constraint of the database. The migrations
are the truth about existing databases; a test holds them equal to these classes.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, MetaData, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from loopsmith.lessons import LessonKind
from loopsmith.live import Doing, RequestKind, RequestStatus
from loopsmith.records import CampaignStatus, Phase, Status, Verdict
from loopsmith.tracker.columns import json_map, moment, not_negative, one_of, whole_effect, words

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """The root of the tracker's tables, apart from any other SQLModel tables in the process."""


class Campaign(Base, table=True):
    __table_args__ = (one_of("status", CampaignStatus), not_negative("elapsed"), Index(None, "workflow_path"))

    id: str = words(primary_key=True)
    name: str = words()
    status: str = words()
    stop_reason: str | None = words()
    message: str | None = words()
    workflow_path: str = words()
    workflow_text: str = words()
    workflow_hash: str = words()
    identity_hash: str = words()
    settings: dict[str, Any] = json_map()
    source: str = words()
    origin_commit: str = words()
    baseline_commit: str = words()
    exact: bool | None
    elapsed: float
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Task(Base, table=True):
    __table_args__ = (
        one_of("status", ("open", "done")),
        CheckConstraint("number >= 1", name="number"),
        UniqueConstraint("campaign_id", "number"),
    )

    id: str = words(primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    number: int
    title: str = words()
    status: str = words()


class Round(Base, table=True):
    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        UniqueConstraint("campaign_id", "number"),
        # At most one round of a campaign is open: resuming depends on it.
        Index(
            "uq_round_open",
            "campaign_id",
            unique=True,
            sqlite_where=text("NOT finished"),
            postgresql_where=text("NOT finished"),
        ),
    )

    id: str = words(primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    task_id: str = words(foreign_key="task.id")
    number: int
    baseline_commit: str = words()
    finished: bool
    created_at: datetime = moment()


class Candidate(Base, table=True):
    __table_args__ = (
        one_of("status", Status),
        CheckConstraint("number >= 1 AND attempt >= 1", name="number"),
        not_negative("lines_added", "lines_removed"),
        UniqueConstraint("campaign_id", "number"),
        Index(None, "campaign_id", "status"),
        Index(None, "campaign_id", "tree", "parent_commit"),
        Index(None, "campaign_id", "round_id", "number"),
    )

    id: str = words(primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    round_id: str = words(foreign_key="round.id")
    number: int
    status: str = words()
    attempt: int
    seed: int = Field(sa_type=BigInteger)
    agent: str = words()
    parent_commit: str = words()
    retry_of: str | None = words(foreign_key="candidate.id")
    emphasis: str = words()
    hypothesis: str = words()
    summary: str = words()
    tried: str = words()
    lesson: str = words()
    try_next: str = words()
    finish_reason: str = words()
    commit_id: str | None = words()  # not `commit`, which people would have to quote
    tree: str | None = words()
    lines_added: int
    lines_removed: int
    params: dict[str, Any] = json_map()
    plan: dict[str, Any] = json_map()
    value: float | None
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Measurement(Base, table=True):
    __table_args__ = (
        one_of("phase", Phase),
        not_negative("pair", "seconds"),
        # The comparison also refuses NaN, which some databases sort above every number.
        CheckConstraint("abs(value) <= 1.7976931348623157e308", name="finite"),
        UniqueConstraint(
            "campaign_id", "candidate_id", "commit_id", "phase", "pair", "metric", name="uq_measurement_run"
        ),
        # NULLs differ from each other in the constraint above, so a baseline's own runs need one of theirs.
        Index(
            "uq_measurement_baseline",
            *("campaign_id", "commit_id", "phase", "pair", "metric"),
            unique=True,
            sqlite_where=text("candidate_id IS NULL"),
            postgresql_where=text("candidate_id IS NULL"),
        ),
        Index(None, "campaign_id", "commit_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    commit_id: str = words()
    phase: str = words()
    pair: int
    metric: str = words()
    value: float
    seed: int = Field(sa_type=BigInteger)
    seconds: float
    log: str | None = words()
    created_at: datetime = moment()


class Decision(Base, table=True):
    __table_args__ = (
        one_of("verdict", Verdict),
        whole_effect(),
        UniqueConstraint("candidate_id"),
        Index(None, "campaign_id", "verdict", "id"),
        Index(None, "campaign_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    candidate_id: str = words(foreign_key="candidate.id")
    verdict: str = words()
    reason: str = words()
    rule: str = words()
    effect_mean: float | None
    effect_low: float | None
    effect_high: float | None
    effect_samples: int | None
    value: float | None
    baseline_value: float | None
    evidence: dict[str, Any] = json_map()
    created_at: datetime = moment()


class Reflection(Base, table=True):
    __table_args__ = (
        one_of("outcome", Verdict),
        whole_effect(),
        UniqueConstraint("candidate_id"),
        Index(None, "campaign_id", "outcome", "id"),
        Index(None, "campaign_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    hypothesis: str = words()
    outcome: str = words()
    effect_mean: float | None
    effect_low: float | None
    effect_high: float | None
    effect_samples: int | None
    lesson: str = words()
    avoid: str = words()
    try_next: str = words()
    error: str = words()
    created_at: datetime = moment()


class Usage(Base, table=True):
    __table_args__ = (
        not_negative("input_tokens", "cached_tokens", "output_tokens", "cost_usd", "seconds"),
        # Holds all that is summed, so that the sum over a campaign reads no row.
        Index(
            "ix_usage_sums",
            *("campaign_id", "role", "model"),
            *("input_tokens", "cached_tokens", "output_tokens", "cost_usd", "seconds"),
        ),
        Index(None, "campaign_id", "round_id"),
        Index(None, "campaign_id", "candidate_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    round_id: str | None = words(foreign_key="round.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    role: str = words()
    model: str = words()
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    seconds: float
    settled: bool
    created_at: datetime = moment()


class Event(Base, table=True):
    __table_args__ = (Index(None, "campaign_id", "id"), Index(None, "campaign_id", "name", "id"))

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    name: str = words()
    round_id: str | None = words(foreign_key="round.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    data: dict[str, Any] = json_map()
    created_at: datetime = moment()


class Artifact(Base, table=True):
    __table_args__ = (
        not_negative("size"),
        UniqueConstraint("campaign_id", "path"),
        Index(None, "campaign_id", "candidate_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    kind: str = words()
    path: str = words()
    size: int = Field(sa_type=BigInteger)
    created_at: datetime = moment()


class Answer(Base, table=True):
    __table_args__ = (UniqueConstraint("campaign_id", "role", "key"), Index(None, "campaign_id", "candidate_id"))

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    role: str = words()
    key: str = words()
    round_id: str | None = words(foreign_key="round.id")
    candidate_id: str | None = words(foreign_key="candidate.id")
    data: dict[str, Any] = json_map()
    used: bool
    created_at: datetime = moment()


class Lesson(Base, table=True):
    __table_args__ = (one_of("kind", LessonKind), Index(None, "campaign_id", "id"))

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    kind: str = words()
    text: str = words()
    retired_by: str | None = words(foreign_key="candidate.id")
    retired_because: str = words()
    created_at: datetime = moment()


class Shown(Base, table=True):
    """A candidate that shows a lesson."""

    lesson_id: int = Field(foreign_key="lesson.id", primary_key=True)
    candidate_id: str = words(foreign_key="candidate.id", primary_key=True)


class Request(Base, table=True):
    """What a person asks of a campaign: written by whoever asks, answered by the campaign."""

    __table_args__ = (
        one_of("kind", RequestKind),
        one_of("status", RequestStatus),
        Index(None, "campaign_id", "status", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = words(foreign_key="campaign.id")
    kind: str = words()
    data: dict[str, Any] = json_map()
    by: str = words()
    status: str = words()
    answer: str = words()
    created_at: datetime = moment()
    answered_at: datetime | None = moment()


class Activity(Base, table=True):
    """What goes on now: rewritten while the campaign runs, and empty when it does not."""

    __table_args__ = (one_of("doing", Doing),)

    campaign_id: str = words(foreign_key="campaign.id", primary_key=True)
    subject: str = words(primary_key=True)
    candidate_id: str | None = words(foreign_key="candidate.id")
    doing: str = words()
    text: str = words()
    lease: list[str] = json_map()
    since: datetime = moment()
    updated_at: datetime = moment()


# The verbs use plain statements over the Core tables, which are quicker than a session.
METADATA = Base.metadata
campaign, task, round_, candidate, measurement, decision, reflection, usage, event, artifact = (
    METADATA.tables[name]
    for name in (
        *("campaign", "task", "round", "candidate", "measurement"),
        *("decision", "reflection", "usage", "event", "artifact"),
    )
)
answer, lesson, shown, request, activity = (
    METADATA.tables[name] for name in ("answer", "lesson", "shown", "request", "activity")
)
