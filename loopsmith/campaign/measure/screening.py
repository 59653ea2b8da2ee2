"""Screen: verify a candidate, to pick who is confirmed."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.generate.generation import decide
from loopsmith.campaign.measure.measuring import constraint_problems, measure
from loopsmith.campaign.measure.replicates import exact_value, level_of, noise_of, refresh
from loopsmith.records import Candidate, Decision, Phase, Run, Verdict
from loopsmith.verify import statistics
from loopsmith.verify.statistics import Screening


async def screen(context: Context, candidate: Candidate) -> Candidate:
    """Verify a generated candidate: it is screened, and may be confirmed, or it is decided.

    One run does for most; where the metric is noisy, one that looks promising gets up to two more.
    """
    assert candidate.commit is not None
    assert candidate.tree is not None
    twin = context.store.verified_twin(context.id, context.base(candidate), candidate.tree, candidate.id)
    if twin is not None:
        reason = f"the same content as candidate {twin.number}, which was verified against this baseline"
        return decide(context, candidate, Decision(verdict=Verdict.DUPLICATE, reason=reason, rule="content"))
    candidate = context.store.begin_verification(candidate.id)
    context.show("candidate.verifying", candidate)
    values: list[float] = []
    while True:
        if not context.exact:
            await refresh(context, context.base(candidate))
            context.screens += 1
        assert candidate.commit is not None
        run = await measure(
            context, candidate.commit, candidate=candidate, phase=Phase.SCREEN, pair=len(values), check=not values
        )
        if (failure := problem_of(context, candidate, run)) is not None:
            return decide(context, candidate, failure, error=run.tail)
        values.append(run.metrics[context.settings.objective.metric])
        verdict = judge(context, candidate, values)
        if isinstance(verdict, Decision):
            return decide(context, candidate, verdict)
        if verdict is Screening.CONFIRM:
            break
    value = statistics.mean(values)
    candidate = context.store.screened(candidate.id, value)
    context.emit("candidate.screened", candidate, value=value)
    return candidate


def problem_of(context: Context, candidate: Candidate, run: Run) -> Decision | None:
    """The decision on a run without a score, or one that breaks a constraint."""
    if run.verdict is not None:
        return Decision(verdict=run.verdict, reason=run.problem, rule="verifier", evidence={"tail": run.tail})
    if broken := constraint_problems(context, run, context.base(candidate)):
        reason = f"constraint not met: {'; '.join(broken)}"
        return Decision(verdict=Verdict.FAILED, reason=reason, rule="constraint")
    return None


def judge(context: Context, candidate: Candidate, values: list[float]) -> Decision | Screening:
    """Discard, confirm or run again, by the candidate's runs so far."""
    objective = context.settings.objective
    simple = simplifies(context, candidate)
    if context.exact:
        decision = statistics.judge_exact(
            objective, [exact_value(context, context.base(candidate))], values[0], simplifies=simple
        )
        return Screening.CONFIRM if decision.verdict is Verdict.KEPT else decision
    now = level_of(context, context.base(candidate))
    pairs, noise = context.settings.repeats.confirm, noise_of(context, objective.metric)
    return statistics.screen(objective, now, values, noise, pairs=pairs, simplifies=simple)


def simplifies(context: Context, candidate: Candidate) -> bool:
    """Whether the candidate may be kept for removing lines alone."""
    return context.settings.decide.simplify and candidate.lines_removed > candidate.lines_added
