"""Measure: one run of the verifier on one commit, in a fresh folder, under a lease, recorded."""

from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.records import Candidate, Phase, Run
from loopsmith.search.policy import seed_of
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


def constraint_problems(context: Context, run: Run, baseline: dict[str, list[float]]) -> tuple[str, ...]:
    means = {metric: sum(values) / len(values) for metric, values in baseline.items()}
    return violations(context.settings.verify.constraints, run.metrics, means)


def baseline_message(problem: str, tail: str, log: Path | None) -> str:
    shown = "\n".join(f"  | {line}" for line in tail.strip().splitlines()[-20:])
    where = f"; the whole output is in {log}" if log else ""
    return f"the baseline does not verify: {problem}{where}" + (f"\n{shown}" if shown else "")
