"""Confirm: candidate and baseline in pairs, on fresh seeds, until the evidence suffices."""

import random
from dataclasses import replace

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.measuring import baseline_message, constraint_problems, measure
from loopsmith.campaign.measure.replicates import exact_value, forget, level_of, measure_baseline, noise_of
from loopsmith.campaign.measure.screening import simplifies
from loopsmith.errors import BaselineError
from loopsmith.records import Candidate, Decision, Phase, Run, Verdict
from loopsmith.search.policy import seed_of
from loopsmith.verify import statistics
from loopsmith.verify.noise import Pair
from loopsmith.verify.online import next_level
from loopsmith.verify.paired import Confirmation, Side, blocks, next_step

FAILED = "confirmation"  # the rule by which a candidate fails that has no score, or breaks a constraint, meanwhile
TESTED = ("pooled", "sign-flip", FAILED, "holdout", "approved", "rejected")  # rules of decisions that may be a test


async def confirm(context: Context, candidate: Candidate) -> Decision:
    """What the evidence says of a screened candidate, with its error tail in `evidence` when a run fails.

    Candidate and baseline are run in pairs on fresh seeds, in random order within a pair, until the test is decided.
    Pairs that an earlier, killed run recorded are used as they are. A metric that repeats exactly is decided by its
    screening run; one pair then has to repeat it, before anything is kept.
    """
    if context.exact:
        decision = await confirm_exact(context, candidate)
        if decision is not None:
            return decision
    test = begin(context, candidate)
    context.emit("candidate.confirming", candidate, pairs=test.pairs, test=test.number, level=test.level)
    objective = context.settings.objective
    pairs: dict[str, list[Pair]] = {metric: [] for metric in (objective.metric, *context.settings.decide.secondary)}
    for number in range(test.pairs):
        found = await measure_pair(context, candidate, number)
        if isinstance(found, Decision):  # its level is spent all the same
            return replace(found, evidence={**found.evidence, "test": test.number, "level": test.level})
        for metric, values in pairs.items():
            values.append(found[metric])
        decision = next_step(test, pairs[objective.metric], sides(context, candidate, pairs))
        if decision is not None:
            forget(context)
            context.screens = 0
            return decision
    raise AssertionError("the last pair decides")


def begin(context: Context, candidate: Candidate) -> Confirmation:
    """The test of a candidate: its level from the campaign's decisions, its noise from all other replicates."""
    settings = context.settings
    number, level = next_level(settings.decide.alpha, context.store.decisions(context.id, TESTED))
    metric = settings.objective.metric
    noise = noise_of(context, metric, without=candidate.id)
    return Confirmation(
        objective=settings.objective,
        noise=noise,
        centre=level_of(context, context.base(candidate)).value,
        number=number,
        level=level,
        pairs=settings.repeats.confirm,
        rule=settings.decide.rule,
        simplifies=simplifies(context, candidate),
        blocking=settings.decide.alpha,
    )


def sides(context: Context, candidate: Candidate, pairs: dict[str, list[Pair]]) -> dict[str, Side]:
    """The secondary metrics of a confirmation so far."""
    return {
        metric: Side(
            more=tolerance.more,
            less=tolerance.less,
            noise=noise_of(context, metric, without=candidate.id),
            pairs=pairs[metric],
        )
        for metric, tolerance in context.settings.decide.secondary.items()
    }


async def confirm_exact(context: Context, candidate: Candidate) -> Decision | None:
    """Decide by the screening run; None when the pair that must repeat it shows that the metric is noisy after all.

    More pairs are measured only until every secondary metric is shown to be within its tolerance.
    """
    objective = context.settings.objective
    baseline = exact_value(context, context.base(candidate))
    assert candidate.value is not None
    decision = statistics.judge_exact(objective, [baseline], candidate.value, simplifies=simplifies(context, candidate))
    if decision.verdict is not Verdict.KEPT:
        return decision
    test, why = begin(context, candidate), ""
    pairs: dict[str, list[Pair]] = {metric: [] for metric in context.settings.decide.secondary}
    for number in range(test.pairs):
        found = await measure_pair(context, candidate, number)
        if isinstance(found, Decision):
            return found
        again, own = found[objective.metric]
        if (again, own) != (baseline, candidate.value):
            return await doubtful(context, candidate, baseline, again, own)
        for metric, values in pairs.items():
            values.append(found[metric])
        blocked, waiting = blocks(test, sides(context, candidate, pairs))
        if not (blocked or waiting):
            return decision
        why = blocked or waiting
        if blocked:
            break
    return replace(decision, verdict=Verdict.DISCARDED, reason=f"{decision.reason}; {why}")


async def doubtful(
    context: Context, candidate: Candidate, baseline: float, again: float, own: float
) -> Decision | None:
    """Decide on one whose pair did not repeat its screening, or its baseline's value; None: the metric is noisy."""
    objective = context.settings.objective
    if again == baseline and await repeats(context, context.base(candidate), baseline):
        reason = (
            f"its {objective.metric} does not repeat ({candidate.value:.6g}, then {own:.6g}), and the baseline's does"
        )
        return Decision(verdict=Verdict.FAILED, reason=reason, rule=FAILED)
    context.store.set_exact(context.id, False)
    del context.exact
    forget(context)
    context.emit("noise.found", candidate, metric=objective.metric, values=[again, own])
    return None


async def repeats(context: Context, commit: str, value: float) -> bool:
    """Whether a baseline's value is the same again, in as many runs as at the start."""
    for _ in range(context.settings.calibrate.runs):
        if await measure_baseline(context, commit) != value:
            return False
    return True


async def measure_pair(context: Context, candidate: Candidate, number: int) -> dict[str, Pair] | Decision:
    """Both runs of a pair by metric, as (baseline's value, candidate's value); or why the candidate has no score."""
    assert candidate.commit is not None
    metrics = (context.settings.objective.metric, *context.settings.decide.secondary)
    sides_, values = [candidate.commit, context.base(candidate)], {}
    random.Random(seed_of(f"{context.seed}.{candidate.number}", number)).shuffle(sides_)
    async with context.pause.together():
        for commit in sides_:
            known = recorded(context, candidate, commit, number)
            if not all(metric in known for metric in metrics):
                run = await measure(context, commit, candidate=candidate, phase=Phase.CONFIRM, pair=number)
                decision = failed_run(context, candidate, commit, run)
                if decision is not None:
                    return decision
                known = run.metrics
            values[commit] = known
    return {metric: (values[context.base(candidate)][metric], values[candidate.commit][metric]) for metric in metrics}


def recorded(context: Context, candidate: Candidate, commit: str, pair: int) -> dict[str, float]:
    """What a killed run measured of one side of a pair, by metric."""
    items = context.store.measurements(context.id, candidate_id=candidate.id, commit=commit, phase=Phase.CONFIRM)
    return {item.metric: item.value for item in items if item.pair == pair}


def failed_run(context: Context, candidate: Candidate, commit: str, run: Run) -> Decision | None:
    """The decision when a confirmation run has no score or breaks a constraint.

    Raises:
        BaselineError: it is the baseline that no longer verifies, so the harness is broken.
    """
    if run.verdict is not None and commit != candidate.commit:
        raise BaselineError("in a confirmation, " + baseline_message(run.problem, run.tail, run.log))
    if run.verdict is not None:
        return Decision(
            verdict=run.verdict, reason=f"in confirmation: {run.problem}", rule=FAILED, evidence={"tail": run.tail}
        )
    if commit != candidate.commit:
        return None
    broken = constraint_problems(context, run, context.base(candidate))
    if broken:
        reason = f"in confirmation, constraint not met: {'; '.join(broken)}"
        return Decision(verdict=Verdict.FAILED, reason=reason, rule=FAILED)
    return None
