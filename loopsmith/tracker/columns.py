"""The kinds of columns and constraints that the tables are made of."""

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Dialect, Text
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


class Words(TypeDecorator[str]):
    """Text that any database takes: what programs and models print may hold NUL or lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Moment(TypeDecorator[datetime]):
    """A UTC time: SQLite does not keep the zone, and a server may answer in another."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def finite(value: Any) -> Any:
    """`value` with NaN and infinities replaced by None: JSON has no such numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def dump_json(value: Any) -> str:
    try:
        dumped = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        dumped = json.dumps(finite(value), ensure_ascii=False, default=str)
    return dumped if dumped.isascii() else dumped.encode("utf-8", "replace").decode()


def one_of(column: str, values: Iterable[StrEnum] | Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def not_negative(*columns: str) -> CheckConstraint:
    return CheckConstraint(" AND ".join(f"{column} >= 0" for column in columns), name="not_negative")


def whole_effect() -> CheckConstraint:
    """An effect is there with its interval, or not at all."""
    missing = " AND ".join(f"effect_{part} IS NULL" for part in ("mean", "low", "high", "samples"))
    present = " AND ".join(f"effect_{part} IS NOT NULL" for part in ("mean", "low", "high", "samples"))
    return CheckConstraint(f"({missing}) OR ({present} AND effect_samples >= 0)", name="effect")


def words(**options: Any) -> Any:
    return Field(sa_type=Words, **options)


def moment() -> Any:
    return Field(sa_type=Moment)


def json_map() -> Any:
    return Field(sa_type=JSON)
