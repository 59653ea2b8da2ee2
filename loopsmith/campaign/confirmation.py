"""Confirm: candidate and baseline in pairs, on fresh seeds."""

import random

from loopsmith.campaign.context import Context
from loopsmith.campaign.measuring import baseline_message, constraint_problems, measure
from loopsmith.errors import BaselineError
from loopsmith.records import Candidate, Decision, Phase, Run, Verdict
from loopsmith.search.policy import seed_of
from loopsmith.verify import statistics


async def confirm(context: Context, candidate: Candidate) -> Decision:
    """What the evidence says of a screened candidate, with its error tail in `evidence` when a run fails.

    A metric that repeats exactly needs no further run. Otherwise candidate and baseline are run in pairs on fresh
    seeds, in random order within a pair. Pairs that an earlier, killed run recorded are used as they are.
    """
    objective = context.settings.objective
    baseline_values = context.measured(candidate.parent_commit)[objective.metric]
    if context.exact:
        assert candidate.value is not None
        return statistics.judge_exact(objective, baseline_values, candidate.value)
    assert candidate.commit is not None
    context.emit("candidate.confirming", candidate, pairs=context.settings.repeats.confirm)
    pairs = []
    for pair in range(context.settings.repeats.confirm):
        values = {}
        sides = [candidate.commit, candidate.parent_commit]
        random.Random(seed_of(candidate.id, pair)).shuffle(sides)
        for commit in sides:
            known = recorded(context, candidate, commit, pair)
            if known is None:
                run = await measure(context, commit, candidate=candidate, phase=Phase.CONFIRM, pair=pair)
                decision = failed_run(context, candidate, commit, run)
                if decision is not None:
                    return decision
                known = run.metrics[objective.metric]
            values[commit] = known
        pairs.append((values[candidate.parent_commit], values[candidate.commit]))
    return statistics.judge_pairs(objective, pairs)


def recorded(context: Context, candidate: Candidate, commit: str, pair: int) -> float | None:
    for item in context.store.measurements(context.id, candidate_id=candidate.id, phase=Phase.CONFIRM):
        if (item.commit, item.pair, item.metric) == (commit, pair, context.settings.objective.metric):
            return item.value
    return None


def failed_run(context: Context, candidate: Candidate, commit: str, run: Run) -> Decision | None:
    """The decision when a confirmation run has no score or breaks a constraint.

    Raises:
        BaselineError: it is the baseline that no longer verifies, so the harness is broken.
    """
    if run.verdict is not None and commit != candidate.commit:
        raise BaselineError("in a confirmation, " + baseline_message(run.problem, run.tail, run.log))
    if run.verdict is not None:
        return Decision(
            verdict=run.verdict, reason=f"in confirmation: {run.problem}", rule="verifier", evidence={"tail": run.tail}
        )
    if commit != candidate.commit:
        return None
    broken = constraint_problems(context, run, context.measured(candidate.parent_commit))
    if broken:
        reason = f"in confirmation, constraint not met: {'; '.join(broken)}"
        return Decision(verdict=Verdict.FAILED, reason=reason, rule="constraint")
    return None
