"""Holdout: a second measurement, on what no worker and no other command can see, of what would be kept.

Its values stand in the tracker alone: in no brief, no reflection and no reason. With `gate` a keep needs it to show no
loss, which tells a worker one bit and nothing of the size.
"""

from dataclasses import replace

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.measuring import baseline_message, measure
from loopsmith.errors import BaselineError
from loopsmith.records import Candidate, Decision, Phase, Verdict
from loopsmith.verify import statistics
from loopsmith.verify.statistics import Goal

PAIRS = 3  # of a noisy metric; an exact one needs a run of each


async def hold_out(context: Context, candidate: Candidate, decision: Decision) -> Decision:
    """Measure what is about to be kept by the hidden command; a loss discards it where `gate` is set.

    That the metric repeats exactly does not say that the hidden command's does: a loss by one run of each counts only
    where the baseline repeats its own.

    Raises:
        BaselineError: the command does not score the baseline.
    """
    settings = context.settings.verify.holdout
    if settings is None or decision.verdict is not Verdict.KEPT:
        return decision
    objective, exact = context.settings.objective, context.exact
    baseline, own = await in_pairs(context, candidate, exact=exact)
    if not settings.gate or not loses(objective, baseline, own, exact=exact):
        return decision
    if exact and own[0] is not None:
        again = await score(context, context.base(candidate), 1, candidate, exact=exact)
        if again != baseline[0]:
            baseline, own = await in_pairs(context, candidate, exact=False)
            if not loses(objective, baseline, own, exact=False):
                return decision
    reason = "confirmed, but the holdout shows a loss"
    return replace(decision, verdict=Verdict.DISCARDED, rule="holdout", reason=reason)


async def in_pairs(
    context: Context, candidate: Candidate, *, exact: bool
) -> tuple[list[float | None], list[float | None]]:
    """The hidden command's values for the baseline and for the candidate."""
    assert candidate.commit is not None
    baseline, own = [], []
    for pair in range(1 if exact else PAIRS):
        async with context.pause.together():
            baseline.append(await score(context, context.base(candidate), pair, candidate, exact=exact))
            own.append(await score(context, candidate.commit, pair, candidate, exact=exact))
    return baseline, own


async def score(context: Context, commit: str, pair: int, candidate: Candidate, *, exact: bool) -> float | None:
    """The hidden command's value for a commit; None where a candidate gets none.

    Measured once for each pair of a candidate, as noise drifts; an exact value holds for all of them.
    """
    metric, whose = context.settings.objective.metric, None if exact else candidate.id
    for item in context.store.measurements(context.id, candidate_id=whose, commit=commit, phase=Phase.HOLDOUT):
        if item.pair == pair and item.metric == metric:
            return item.value
    run = await measure(context, commit, candidate=candidate, phase=Phase.HOLDOUT, pair=pair)
    if run.verdict is None:
        return run.metrics[metric]
    if commit != candidate.commit:
        raise BaselineError(f"verify.holdout: {baseline_message(run.problem, run.tail, run.log)}")
    return None


def loses(objective: Goal, baseline: list[float | None], own: list[float | None], *, exact: bool) -> bool:
    """Whether the candidate is shown to be worse: no score, a worse exact value, or an interval below zero."""
    pairs = [(one, other) for one, other in zip(baseline, own, strict=True) if one is not None and other is not None]
    if len(pairs) < len(own):
        return True
    if exact:
        return objective.gain(*pairs[0]) < 0
    return statistics.paired_effect(objective, pairs).high < 0
