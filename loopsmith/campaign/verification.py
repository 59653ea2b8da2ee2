"""Verify: measure in fresh folders under a lease; screen each candidate, confirm the best."""

import random
from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.campaign.generation import decide
from loopsmith.errors import BaselineError
from loopsmith.records import Candidate, Decision, Phase, Run, Verdict
from loopsmith.search.policy import seed_of
from loopsmith.verify import statistics
from loopsmith.verify.runner import violations
from loopsmith.workspace import make_verification_folder, remove_folder


async def measure(
    context: Context, commit: str, *, candidate: Candidate | None, phase: Phase, pair: int, check: bool = False
) -> Run:
    """One run of the verifier on a commit, in a fresh folder, under an exclusive lease; recorded.

    Args:
        check: run the workflow's checks in the folder first.
    """
    number = candidate.number if candidate else None
    side = "baseline" if candidate is None or commit != candidate.commit else "candidate"
    label = f"{phase}-{pair}-{side}"
    folder = context.state.work(context.id) / f"{number or 'baseline'}.{label}"
    log = context.state.artifacts(context.id, number) / f"{label}.log"
    seed = seed_of(context.id, phase, candidate.id if candidate and phase is Phase.CONFIRM else "", pair)
    async with context.leases.lease() as lease:
        links = context.settings.workspace.link
        make_verification_folder(context.repository, commit, folder, source=context.workflow.source, links=links)
        try:
            run = await context.verifier.run(
                folder,
                seed=seed,
                log=log,
                mark=f"{context.id}.{label}",
                cores=lease.cores,
                environment=lease.environment,
                check=check,
            )
        finally:
            remove_folder(folder)
    candidate_id = candidate.id if candidate else None
    context.store.record_run(
        campaign_id=context.id, candidate_id=candidate_id, commit=commit, phase=phase, pair=pair, run=run
    )
    context.show("verifier.ran", candidate, phase=str(phase), side=side, problem=run.problem, metrics=run.metrics)
    return run


async def calibrate(context: Context) -> None:
    """Measure the baseline several times before anything is spent, and tell whether the metric repeats exactly.

    Raises:
        BaselineError: the untouched source does not pass, or breaks a constraint.
    """
    if context.store.campaign(context.id).exact is not None:
        return
    settings, commit, metric = context.settings, context.baseline(), context.settings.objective.metric
    done = len(context.measured(commit, Phase.BASELINE).get(metric, ()))
    for pair in range(done, settings.calibrate.runs):
        run = await measure(context, commit, candidate=None, phase=Phase.BASELINE, pair=pair, check=pair == 0)
        if run.verdict is not None:
            raise BaselineError(baseline_message(run.problem, run.tail, run.log))
        broken = violations(settings.verify.constraints, run.metrics, run.metrics)
        if broken:
            raise BaselineError(f"the baseline breaks a constraint: {'; '.join(broken)}")
    values = context.measured(commit, Phase.BASELINE)[metric]
    exact = statistics.is_exact(values)
    context.store.set_exact(context.id, exact)
    context.emit("baseline.measured", metric=metric, values=values, exact=exact)


def baseline_message(problem: str, tail: str, log: Path | None) -> str:
    shown = "\n".join(f"  | {line}" for line in tail.strip().splitlines()[-20:])
    where = f"; the whole output is in {log}" if log else ""
    return f"the baseline does not verify: {problem}{where}" + (f"\n{shown}" if shown else "")


async def screen(context: Context, candidate: Candidate) -> Candidate:
    """Verify a generated candidate once: it is screened, and may be confirmed, or it is decided."""
    assert candidate.commit is not None
    assert candidate.tree is not None
    twin = context.store.verified_twin(context.id, candidate.parent_commit, candidate.tree, candidate.id)
    if twin is not None:
        reason = f"the same content as candidate {twin.number}, which was verified against this baseline"
        return decide(context, candidate, Decision(verdict=Verdict.DUPLICATE, reason=reason, rule="content"))
    commit = candidate.commit
    candidate = context.store.begin_verification(candidate.id)
    context.show("candidate.verifying", candidate)
    run = await measure(context, commit, candidate=candidate, phase=Phase.SCREEN, pair=0, check=True)
    if run.verdict is not None:
        decision = Decision(verdict=run.verdict, reason=run.problem, rule="verifier", evidence={"tail": run.tail})
        return decide(context, candidate, decision, error=run.tail)
    baseline = context.measured(candidate.parent_commit)
    broken = constraint_problems(context, run, baseline)
    if broken:
        decision = Decision(
            verdict=Verdict.FAILED, reason=f"constraint not met: {'; '.join(broken)}", rule="constraint"
        )
        return decide(context, candidate, decision)
    objective = context.settings.objective
    value = run.metrics[objective.metric]
    verdict = statistics.screen(objective, baseline[objective.metric], value, exact=context.exact)
    if verdict is not None:
        return decide(context, candidate, verdict)
    candidate = context.store.screened(candidate.id, value)
    context.emit("candidate.screened", candidate, value=value)
    return candidate


def constraint_problems(context: Context, run: Run, baseline: dict[str, list[float]]) -> tuple[str, ...]:
    means = {metric: sum(values) / len(values) for metric, values in baseline.items()}
    return violations(context.settings.verify.constraints, run.metrics, means)


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
