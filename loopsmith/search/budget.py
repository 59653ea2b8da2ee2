"""Limits: when a campaign is over, and whether one more model call may be made."""

from dataclasses import dataclass

from loopsmith.errors import LimitReached, amount
from loopsmith.records import Spent, Usage
from loopsmith.workflow.schema import Budget, Objective


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """What a campaign has used so far, all its runs together."""

    wall_clock: float  # seconds
    rounds: int
    candidates: int
    rounds_since_keep: int
    spent: Spent


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """Why a campaign is over.

    Args:
        reason: a stable name; SPEC.md lists them.
        message: the reason in a sentence.
    """

    reason: str
    message: str


def campaign_end(budget: Budget, used: Used, objective: Objective, best: float | None) -> End | None:
    """The first limit that is met, the target before all; None while the campaign may go on."""
    target = objective.target
    if target is not None and best is not None and not objective.better(target, best):
        return End(reason="target", message=f"the target {objective.metric} = {target:.12g} is reached: {best:.12g}")
    spent = used.spent
    bounds: tuple[tuple[str, float, float | None, str], ...] = (
        ("rounds", used.rounds, budget.rounds, "rounds"),
        ("candidates", used.candidates, budget.candidates, "candidates"),
        ("wall_clock", used.wall_clock, budget.wall_clock, "seconds of wall clock"),
        ("cost_usd", spent.cost_usd, budget.cost_usd, "dollars"),
        ("tokens", spent.tokens, budget.tokens, "tokens"),
        ("stall_rounds", used.rounds_since_keep, budget.stall_rounds, "rounds without a keep"),
    )
    for name, value, bound, unit in bounds:
        if bound is not None and value >= bound:
            return End(reason=name, message=f"{amount(value)} of {amount(bound)} {unit} used (budget.{name})")
    return None


def limit_end(limit: LimitReached) -> End:
    """The end of a campaign whose worker met a limit of the whole campaign."""
    return End(
        reason=limit.limit.removeprefix("budget."), message=f"{limit} ({limit.limit}); the next call would pass it"
    )


def check_call(scope: str, spent: Spent, call: Usage, *, cost_usd: float | None, tokens: int | None) -> None:
    """Refuse a model call that could pass a limit.

    Args:
        scope: the dotted key above the limits, such as `budget.per_worker`.
        spent: what the scope has spent, reservations included.
        call: the most that the call can use.

    Raises:
        LimitReached: with the limit's key. Nothing is spent.
    """
    if cost_usd is not None and spent.cost_usd + call.cost_usd > cost_usd:
        raise LimitReached(f"{scope}.cost_usd", spent.cost_usd, cost_usd)
    if tokens is not None and spent.tokens + call.input_tokens + call.output_tokens > tokens:
        raise LimitReached(f"{scope}.tokens", spent.tokens, tokens)
