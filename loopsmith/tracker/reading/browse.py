"""The verb that lists candidates for people: filtered, searched, sorted and cut in SQL, whatever their number."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, or_, select

from loopsmith.live import Overview, Page
from loopsmith.records import Status
from loopsmith.tracker import tables
from loopsmith.tracker.rows import AnyRow, Verbs, take_effect

C, D, R, U = tables.candidate.c, tables.decision.c, tables.round_.c, tables.usage.c
CUT = 400  # characters of a hypothesis or a reason in a list


def spent_by(which: ColumnElement[bool]) -> Subquery:
    """Dollars and tokens by candidate."""
    cost, tokens = func.sum(U.cost_usd), func.sum(U.input_tokens + U.output_tokens)
    query = select(U.candidate_id.label("id"), cost.label("cost_usd"), tokens.label("tokens"))
    return query.where(which).group_by(U.candidate_id).subquery()


SPENT = spent_by(U.candidate_id.is_not(None))


class SortKey(StrEnum):
    """What a list of candidates may be sorted by."""

    NUMBER = "number"
    STATUS = "status"
    VALUE = "value"
    EFFECT = "effect"
    COST = "cost"
    LINES = "lines"
    UPDATED = "updated"


KEYS: dict[SortKey, ColumnElement[Any]] = {
    SortKey.NUMBER: C.number,
    SortKey.STATUS: C.status,
    SortKey.VALUE: C.value,
    SortKey.EFFECT: D.effect_mean,
    SortKey.COST: func.coalesce(SPENT.c.cost_usd, 0.0),
    SortKey.LINES: C.lines_added + C.lines_removed,
    SortKey.UPDATED: C.updated_at,
}


class Browse(Verbs):
    """Reading many candidates at once."""

    def browse(
        self,
        campaign_id: str,
        *,
        statuses: Collection[Status] | None = None,
        search: str = "",
        sort: SortKey = SortKey.NUMBER,
        descending: bool = True,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """A page of a campaign's candidates, and how many there are in all.

        Args:
            statuses: only those; None: all.
            search: words, each of which hypothesis, summary, lesson, agent or reason must contain; `c12` and `12` are
                also the candidate's number.
            sort: those without a value for it come last.
        """
        wanted = [C.campaign_id == campaign_id]
        if statuses is not None:
            wanted.append(C.status.in_(statuses))
        wanted += [contains(word, self._database.sqlite) for word in search.split()]
        key = KEYS[sort]
        count = joined(select(func.count()), decided=bool(search)).where(*wanted)
        chosen = joined(select(C.id), decided=True, spent=sort is SortKey.COST).where(*wanted)
        chosen = chosen.order_by((key.desc() if descending else key).nulls_last(), C.number.desc())
        with self._database.reading() as connection:
            total = connection.execute(count).scalar_one()
            ids = list(connection.execute(chosen.limit(limit).offset(offset)).scalars())
            rows = {row.id: to_overview(row) for row in connection.execute(overviews(ids))} if ids else {}
        return Page(rows=tuple(rows[each] for each in ids), total=total)


def joined(query: Select[Any], *, decided: bool = False, spent: bool = False) -> Select[Any]:
    query = query.select_from(tables.candidate)
    if decided:
        query = query.join(tables.decision, D.candidate_id == C.id, isouter=True)
    if spent:
        query = query.join(SPENT, SPENT.c.id == C.id, isouter=True)
    return query


def overviews(ids: Collection[str]) -> Select[Any]:
    """The rows of these candidates, in any order; only their own usage is summed."""
    spent = spent_by(U.candidate_id.in_(ids))
    query = select(
        *(C.id, C.number, R.number.label("round"), C.status, C.agent, C.plan, C.value, C.lines_added, C.lines_removed),
        *(C.created_at, C.updated_at, D.effect_mean, D.effect_low, D.effect_high, D.effect_samples),
        D.baseline_value,
        func.substr(C.hypothesis, 1, CUT).label("hypothesis"),
        func.coalesce(func.substr(D.reason, 1, CUT), "").label("reason"),
        func.coalesce(spent.c.cost_usd, 0.0).label("cost_usd"),
        func.coalesce(spent.c.tokens, 0).label("tokens"),
    )
    query = query.select_from(tables.candidate).join(tables.round_, R.id == C.round_id)
    query = query.join(tables.decision, D.candidate_id == C.id, isouter=True)
    return query.join(spent, spent.c.id == C.id, isouter=True).where(C.id.in_(ids))


def contains(word: str, sqlite: bool) -> ColumnElement[bool]:
    """Whatever the case of its letters. SQLite's LIKE sees to that in ASCII, quicker than `lower`, which knows no more
    letters; of others the word is looked for as it is, small, large and with a capital.
    """
    texts = (C.hypothesis, C.summary, C.lesson, C.agent, D.reason)
    folded = texts if sqlite else tuple(func.lower(text) for text in texts)
    forms = {word, word.lower(), word.upper(), word.capitalize()} if sqlite and not word.isascii() else {word.lower()}
    found = [text.contains(form, autoescape=True) for text in folded for form in sorted(forms)]
    number = word.lower().removeprefix("c")
    if number.isascii() and number.isdigit() and len(number) < 10:
        found.append(C.number == int(number))
    return or_(*found)


def to_overview(row: AnyRow) -> Overview:
    fields = dict(row._mapping)
    plan = fields.pop("plan") or {}
    fields["effect"] = take_effect(fields, fields.pop("baseline_value"))
    return Overview(**{**fields, "status": Status(row.status), "category": str(plan.get("category", ""))[:CUT]})
