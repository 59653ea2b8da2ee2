"""What was tried: by category, how the candidates without a score ended, and what looked better and was not."""

from dataclasses import dataclass

from loopsmith.records import Campaign, Verdict
from loopsmith.report.morning.words import gain
from loopsmith.report.progress.scale import plain
from loopsmith.tracker import Store
from loopsmith.tracker.reading.points import Point
from loopsmith.tracker.reading.tallies import Tally
from loopsmith.workflow import Objective, format_money
from loopsmith.workflow.quote import one_line

ROWS = 15  # of each table
REASON = 200  # characters
RULES = {
    "guardrail": "broke a guardrail",
    "review": "the reviewer rejected it",
    "worker": "its worker left nothing to verify",
    "hook": "a hook before it failed",
    "verifier": "the verifier gave no score",
    "constraint": "a constraint was not met",
    "confirmation": "failed in its confirmation",
    "content": "the same as another",
    "race": "ended, as another had won the round",
}
NO_SCORE = (Verdict.FAILED, Verdict.CRASHED, Verdict.TIMED_OUT, Verdict.REJECTED, Verdict.DUPLICATE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of ideas and what it brought, as the cells of a table."""

    name: str
    tried: int
    kept: int
    discarded: int
    no_score: int
    best: str
    cost: str
    per_keep: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """How candidates without a score ended, with an example."""

    verdict: str
    why: str
    count: int
    number: int
    example: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A candidate that looked better in its first run, and was refused."""

    number: int
    first: str
    measured: str
    hypothesis: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """What was tried. Each table has at most ROWS rows; `more_*` say how many it has beyond."""

    kinds: tuple[Kind, ...]
    more_kinds: int
    failures: tuple[Failure, ...]
    more_failures: int
    misses: tuple[Miss, ...]
    more_misses: int


def attempts_of(store: Store, campaign: Campaign, objective: Objective, refused: int) -> Attempts:
    """What became of all candidates.

    Args:
        refused: how many looked better and were refused.
    """
    minimize = objective.direction == "minimize"
    tallies = store.by_category(campaign.id, minimize=minimize)
    endings = store.endings(campaign.id)
    misses = store.near_misses(campaign.id, objective.metric, minimize=minimize, limit=ROWS) if refused else ()
    return Attempts(
        kinds=tuple(map(kind_of, tallies[:ROWS])),
        more_kinds=max(0, len(tallies) - ROWS),
        failures=tuple(
            Failure(
                verdict=item.verdict.replace("_", " "),
                why=RULES.get(item.rule, one_line(item.rule, 60)) or "for a reason that was not recorded",
                count=item.count,
                number=item.number,
                example=one_line(item.reason, REASON),
            )
            for item in endings[:ROWS]
        ),
        more_failures=max(0, len(endings) - ROWS),
        misses=tuple(miss_of(objective, point) for point in misses),
        more_misses=max(0, refused - len(misses)),
    )


def kind_of(tally: Tally) -> Kind:
    if tally.best is not None:
        best = f"{gain(tally.best)}, kept"
    else:
        best = "not known" if tally.nearest is None else f"{gain(tally.nearest)}, not kept"
    name = one_line(tally.category, 40).replace("_", " ") or f"by {one_line(tally.agent, 60) or 'nobody'}"
    return Kind(
        name=name,
        tried=tally.tried,
        kept=tally.kept,
        discarded=tally.verdicts.get(Verdict.DISCARDED, 0),
        no_score=sum(tally.verdicts.get(verdict, 0) for verdict in NO_SCORE),
        best=best,
        cost=format_money(tally.cost_usd),
        per_keep=format_money(tally.cost_usd / tally.kept) if tally.kept else "none kept",
    )


def miss_of(objective: Objective, point: Point) -> Miss:
    def words(value: float | None) -> str:
        if value is None or point.baseline is None:
            return "not measured"
        if not point.baseline:
            return plain(value)
        return gain(objective.gain(point.baseline, value))

    return Miss(
        number=point.number,
        first=words(point.first),
        measured=words(point.value),
        hypothesis=one_line(point.hypothesis, REASON) or "no hypothesis",
    )
