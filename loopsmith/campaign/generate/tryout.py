"""Try: a worker's folder as it is now goes through the checks, perhaps a measurement, and nothing is decided."""

from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.campaign.generate.change import take_change
from loopsmith.campaign.live.activity import leased
from loopsmith.records import Candidate, Tryout
from loopsmith.search.policy import seed_of
from loopsmith.workspace import Protection, make_verification_folder, remove_folder, resolve_links


async def tried(context: Context, candidate: Candidate, folder: Path, label: str, *, measure: bool) -> Tryout:
    """Setup and checks, and with `measure` one run of the verifier, in a fresh folder with the worker's editable files.

    The seed depends on the label, which no measurement of a decision has. The lease is the same as of those, so that
    neither disturbs the other.
    """
    patch = take_change(context, candidate.parent_commit, folder, f"candidate {candidate.number}, being tried")
    if patch.problems:
        return Tryout(problem="it breaks these rules: " + "; ".join(patch.problems), ran=False)
    commit = patch.commit or candidate.parent_commit
    fresh = context.state.work(context.id) / f"{candidate.number}.{label}"
    links, source = context.workflow.links(), context.workflow.source
    async with leased(context, "a probe" if measure else "its checks", candidate) as lease:
        make_verification_folder(context.repository, commit, fresh, source=source, links=links)
        inputs = resolve_links(source, links)
        try:
            run = await context.verifier.run(
                fresh,
                seed=seed_of(context.id, "try", candidate.id, label),
                log=context.state.artifacts(context.id, candidate.number) / f"{label}.log",
                mark=f"{context.id}.{candidate.number}.{label}",
                cores=lease.cores,
                environment=lease.environment,
                check=True,
                measure=measure,
                protection=Protection(context.repository, commit, fresh, context.workflow.editable, inputs),
            )
        finally:
            remove_folder(fresh)
    return Tryout(problem=run.problem, output=run.tail, metrics=dict(run.metrics))
