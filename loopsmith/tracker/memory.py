"""The verbs of reflections: newest first, or nearest to a few words."""

import re
from collections.abc import Collection
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Select, case, column, func, literal_column, select, table, text

from loopsmith.records import Reflection, Verdict
from loopsmith.tracker import tables
from loopsmith.tracker.rows import REFLECTION, Verbs, to_reflection

R = tables.reflection.c
SEARCHED = (R.hypothesis, R.lesson, R.avoid, R.try_next, R.error)  # as in the index's table of the first migration
MOST_WORDS = 32  # of a query; more would cost time and find nothing else

FTS = table("reflection_fts", column("rowid"), column("reflection_fts"))
# What was tried and learned says more than what a program printed.
BEST_FIRST: ColumnElement[float] = literal_column("bm25(reflection_fts, 4.0, 3.0, 2.0, 2.0, 1.0)")


class Memory(Verbs):
    """What the candidates of a campaign taught; `decide` writes it."""

    def reflections(
        self, campaign_id: str, *, limit: int | None = None, outcomes: Collection[Verdict] | None = None
    ) -> tuple[Reflection, ...]:
        """The reflections of a campaign with one of the outcomes, newest first."""
        query = select(*REFLECTION).where(R.campaign_id == campaign_id).order_by(R.id.desc()).limit(limit)
        if outcomes is not None:
            query = query.where(R.outcome.in_(outcomes))
        with self._database.reading() as connection:
            return tuple(map(to_reflection, connection.execute(query)))

    def search_reflections(self, campaign_id: str, query: str, limit: int) -> tuple[Reflection, ...]:
        """The reflections nearest to a few words, best first; none for a query without words.

        SQLite ranks with BM25 (Robertson and Zaragoza 2009, as in FTS5); elsewhere the number of words found ranks.

        Args:
            query: any text; nothing in it is an operator.
        """
        words = list(dict.fromkeys(re.findall(r"\w+", query.lower())))[:MOST_WORDS]
        if not words:
            return ()
        statement = ranked(campaign_id, words) if self._database.sqlite else containing(campaign_id, words)
        with self._database.reading() as connection:
            return tuple(map(to_reflection, connection.execute(statement.limit(limit))))


def ranked(campaign_id: str, words: Collection[str]) -> Select[*tuple[Any, ...]]:
    """A search of the FTS5 index. Each word stands quoted, so that none is an operator."""
    match = " OR ".join(f'"{word}"' for word in words)
    return (
        select(*REFLECTION)
        .join(FTS, FTS.c.rowid == R.id)
        .where(text("reflection_fts MATCH :match").bindparams(match=match), R.campaign_id == campaign_id)
        .order_by(BEST_FIRST, R.id.desc())
    )


def containing(campaign_id: str, words: Collection[str]) -> Select[*tuple[Any, ...]]:
    """A search for any database: the reflections that hold most of the words, the newest first among equals."""
    searched = func.lower(func.concat_ws(" ", *SEARCHED))
    found = (case((searched.contains(word, autoescape=True), 1), else_=0) for word in words)
    hits: ColumnElement[int] = reduce(add, found)
    return select(*REFLECTION).where(R.campaign_id == campaign_id, hits > 0).order_by(hits.desc(), R.id.desc())
