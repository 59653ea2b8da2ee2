"""Measure: one run of a verifier on one commit, in a fresh folder, under a lease, recorded."""

from pathlib import Path

from loopsmith.campaign.activity import leased
from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import record_feedback
from loopsmith.records import Candidate, Phase, Run
from loopsmith.search.policy import seed_of
from loopsmith.verify.runner import violations
from loopsmith.workspace import Protection, make_verification_folder, remove_folder, resolve_links


async def measure(
    context: Context, commit: str, *, candidate: Candidate | None, phase: Phase, pair: int, check: bool = False
) -> Run:
    """A run of the verifier on a commit; one that fails is repeated until it failed `verify.failures` times.

    Args:
        check: run the workflow's checks in the folder first.
    """
    await context.pause.gate()
    run, failed = await run_once(context, commit, candidate, phase, pair, check), 1
    while run.verdict is not None and failed < context.settings.verify.failures:
        problem, run = run.problem, await run_once(context, commit, candidate, phase, pair, check)
        if run.verdict is None:
            context.emit("verifier.flaked", candidate, phase=str(phase), failures=failed, problem=problem)
        failed += 1
    if phase is not Phase.CANARY:
        candidate_id = candidate.id if candidate else None
        context.store.record_run(
            campaign_id=context.id, candidate_id=candidate_id, commit=commit, phase=phase, pair=pair, run=run
        )
        record_feedback(context, commit, candidate, phase, pair, run)
    side = side_of(commit, candidate)
    context.show("verifier.ran", candidate, phase=str(phase), side=side, problem=run.problem, metrics=run.metrics)
    return run


async def run_once(
    context: Context, commit: str, candidate: Candidate | None, phase: Phase, pair: int, check: bool
) -> Run:
    """One run in a fresh folder, under an exclusive lease."""
    number = candidate.number if candidate else None
    label = f"{phase}-{pair}-{side_of(commit, candidate)}"
    folder = context.state.work(context.id) / f"{number or 'baseline'}.{label}"
    log = context.state.artifacts(context.id, number) / f"{label}.log"
    fresh = f"{context.seed}.{candidate.number}" if candidate and phase is Phase.CONFIRM else ""
    hidden = phase is Phase.HOLDOUT and context.holdout is not None
    verifier = context.holdout if hidden and context.holdout else context.verifier
    links = context.workflow.links(holdout=hidden)
    what = f"{phase} run {pair + 1}, {side_of(commit, candidate)}"
    async with leased(context, what, candidate) as lease:
        source = context.workflow.source
        make_verification_folder(context.repository, commit, folder, source=source, links=links)
        inputs = resolve_links(source, links)
        protection = Protection(context.repository, commit, folder, context.workflow.editable, inputs)
        try:
            run = await verifier.run(
                folder,
                seed=seed_of(context.seed, phase, fresh, pair),
                log=log,
                mark=f"{context.id}.{label}",
                cores=lease.cores,
                environment=lease.environment,
                check=check,
                protection=protection,
            )
        finally:
            remove_folder(folder)
    if run.notes:
        side = side_of(commit, candidate)
        context.emit("verifier.noticed", candidate, phase=str(phase), pair=pair, side=side, **run.notes)
    return run


def side_of(commit: str, candidate: Candidate | None) -> str:
    return "candidate" if candidate is not None and commit == candidate.commit else "baseline"


def constraint_problems(context: Context, run: Run, baseline: str) -> tuple[str, ...]:
    """The constraints that a run breaks, beside what was measured of the commit `baseline`."""
    if not context.settings.verify.constraints:
        return ()
    means = {metric: sum(values) / len(values) for metric, values in context.measured(baseline).items()}
    return violations(context.settings.verify.constraints, run.metrics, means)


def baseline_message(problem: str, tail: str, log: Path | None) -> str:
    shown = "\n".join(f"  | {line}" for line in tail.strip().splitlines()[-20:])
    where = f"; the whole output is in {log}" if log else ""
    return f"the baseline does not verify: {problem}{where}" + (f"\n{shown}" if shown else "")
