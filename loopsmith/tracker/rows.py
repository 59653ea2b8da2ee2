"""Between rows and records: what is selected, and how a row becomes a frozen record."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Row, Table, insert, select

from loopsmith.errors import UsageError
from loopsmith.records import (
    Artifact,
    Campaign,
    CampaignStatus,
    Candidate,
    Decision,
    Effect,
    Event,
    Measurement,
    Phase,
    Reflection,
    Round,
    Status,
    Task,
    Verdict,
)
from loopsmith.tracker import tables
from loopsmith.tracker.database import Database

AnyRow = Row[*tuple[Any, ...]]
Columns = tuple[ColumnElement[Any], ...]


class Verbs:
    """The root of the store's parts: what each of them works with."""

    def __init__(self, database: Database):
        self._database = database


def now() -> datetime:
    return datetime.now(UTC)


def columns(table: Table, *, without: Iterable[str] = ()) -> Columns:
    """The columns of a record, under the record's names."""
    kept = (column for column in table.c if column.name not in without)
    return tuple(column.label("commit") if column.name == "commit_id" else column for column in kept)


CAMPAIGN = columns(tables.campaign)
TASK = columns(tables.task, without=["number"])
ROUND = columns(tables.round_)
CANDIDATE = columns(tables.candidate)
MEASUREMENT = columns(tables.measurement, without=["id"])
DECISION = columns(tables.decision, without=["id", "campaign_id", "candidate_id"])
COMPARED = (
    select(tables.decision.c.baseline_value)
    .where(tables.decision.c.candidate_id == tables.reflection.c.candidate_id)
    .correlate(tables.reflection)
    .scalar_subquery()
)
REFLECTION = (*columns(tables.reflection), COMPARED.label("baseline_value"))
EVENT = columns(tables.event)
ARTIFACT = columns(tables.artifact, without=["id"])


def to_campaign(row: AnyRow) -> Campaign:
    return Campaign(**{**row._mapping, "status": CampaignStatus(row.status)})


def to_task(row: AnyRow) -> Task:
    return Task(**row._mapping)


def to_round(row: AnyRow) -> Round:
    return Round(**row._mapping)


def to_candidate(row: AnyRow) -> Candidate:
    return Candidate(**{**row._mapping, "status": Status(row.status)})


def to_measurement(row: AnyRow) -> Measurement:
    return Measurement(**{**row._mapping, "phase": Phase(row.phase)})


def to_decision(row: AnyRow) -> Decision:
    fields = dict(row._mapping)
    effect = take_effect(fields, row.baseline_value)
    return Decision(**{**fields, "effect": effect, "verdict": Verdict(row.verdict)})


def to_reflection(row: AnyRow) -> Reflection:
    fields = dict(row._mapping)
    effect = take_effect(fields, fields.pop("baseline_value"))
    return Reflection(**{**fields, "effect": effect, "outcome": Verdict(row.outcome)})


def to_event(row: AnyRow) -> Event:
    return Event(**row._mapping)


def to_artifact(row: AnyRow) -> Artifact:
    return Artifact(**row._mapping)


def take_effect(fields: dict[str, Any], baseline: float | None) -> Effect | None:
    """Move the four effect columns out of `fields`.

    Args:
        baseline: the value that it is over.
    """
    parts = {part: fields.pop(f"effect_{part}") for part in ("mean", "low", "high", "samples")}
    return None if parts["samples"] is None else Effect(**parts, own_unit=baseline == 0)


def effect_columns(effect: Effect | None) -> dict[str, Any]:
    if effect is None:
        return dict.fromkeys(("effect_mean", "effect_low", "effect_high", "effect_samples"))
    return {
        "effect_mean": effect.mean,
        "effect_low": effect.low,
        "effect_high": effect.high,
        "effect_samples": effect.samples,
    }


def new_row(result: CursorResult[*tuple[Any, ...]]) -> int:
    """The number that the database gave to one inserted row."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def add_event(
    connection: Connection, campaign_id: str, name: str, data: Mapping[str, Any], *, candidate_id: str | None = None
) -> None:
    """Append to the campaign's log, as a part of what is written with it."""
    row = {"campaign_id": campaign_id, "name": name, "candidate_id": candidate_id, "data": data, "created_at": now()}
    connection.execute(insert(tables.event), row)


def found(row: AnyRow | None, what: str, name: str) -> AnyRow:
    """`row`, or a clear error that there is none."""
    if row is None:
        raise UsageError(f"there is no {what} {name} in this tracker; `loopsmith status` shows what there is")
    return row
