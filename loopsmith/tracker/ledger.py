"""The verbs of money and tokens: reserved before a model call, settled after it, summed over any scope."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, bindparam, func, insert, literal, select, update

from loopsmith.errors import TrackerError
from loopsmith.records import Spent, Usage
from loopsmith.tracker import tables
from loopsmith.tracker.rows import Verbs, new_row, now

U = tables.usage.c


def total(column: Column[Any]) -> ColumnElement[Any]:
    """The sum of a column under its own name, as a number of the column's type even over no rows."""
    return func.coalesce(func.sum(column), literal(0, column.type)).label(column.name)


SUMS = tuple(total(column) for column in (U.input_tokens, U.cached_tokens, U.output_tokens, U.cost_usd))
RESERVE = insert(tables.usage)
SETTLE = update(tables.usage).where(U.id == bindparam("row"), ~U.settled)


class Ledger(Verbs):
    """Every model call is a row. A reservation that a kill left open keeps counting in full: nothing fails open."""

    def reserve(self, *, campaign_id: str, round_id: str | None, candidate_id: str | None, usage: Usage) -> int:
        """Write down the most that a call can use, before it is made.

        Returns:
            the row, for `settle`.
        """
        scope = {"campaign_id": campaign_id, "round_id": round_id, "candidate_id": candidate_id}
        row = {**scope, **amounts(usage), "settled": False, "created_at": now()}
        with self._database.writing() as connection:
            return new_row(connection.execute(RESERVE, row))

    def settle(self, row: int, usage: Usage) -> None:
        """Replace a reservation by what the call really used.

        Raises:
            TrackerError: there is no open reservation of this number: settled before, or never made.
        """
        with self._database.writing() as connection:
            settle(connection, row, usage)

    def spent(
        self,
        campaign_id: str,
        *,
        round_id: str | None = None,
        candidate_id: str | None = None,
        role: str | None = None,
    ) -> Spent:
        """The sum over what fits everything given; open reservations count in full."""
        query = select(func.count().label("calls"), *SUMS).where(U.campaign_id == campaign_id)
        if round_id is not None:
            query = query.where(U.round_id == round_id)
        if candidate_id is not None:
            query = query.where(U.candidate_id == candidate_id)
        if role is not None:
            query = query.where(U.role == role)
        with self._database.reading() as connection:
            return Spent(**connection.execute(query).one()._mapping)

    def cost_by_candidate(self, campaign_id: str) -> dict[str, float]:
        """Dollars by candidate's id, of those that made calls; open reservations count in full."""
        query = select(U.candidate_id, total(U.cost_usd)).where(
            U.campaign_id == campaign_id, U.candidate_id.is_not(None)
        )
        with self._database.reading() as connection:
            return {str(row.candidate_id): row.cost_usd for row in connection.execute(query.group_by(U.candidate_id))}

    def usages(self, campaign_id: str) -> tuple[Usage, ...]:
        """One sum for each role and model of a campaign, by name."""
        query = select(U.role, U.model, *SUMS, total(U.seconds)).where(U.campaign_id == campaign_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(U.role, U.model).order_by(U.role, U.model))
            return tuple(Usage(**row._mapping) for row in rows)


def settle(connection: Connection, row: int, usage: Usage) -> None:
    """`Ledger.settle` inside a transaction."""
    if connection.execute(SETTLE, {"row": row, **amounts(usage), "settled": True}).rowcount != 1:
        raise TrackerError(f"ledger row {row} is not an open reservation; a call is settled once")


def amounts(usage: Usage) -> dict[str, Any]:
    return {
        "role": usage.role,
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
        "seconds": usage.seconds,
    }
