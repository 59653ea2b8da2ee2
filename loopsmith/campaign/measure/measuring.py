"""Measure: one run of a verifier on one commit, in a fresh folder, under a lease, recorded."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import record_feedback
from loopsmith.campaign.live.activity import leased
from loopsmith.campaign.measure.leases import Lease
from loopsmith.campaign.state import StateFolder
from loopsmith.records import Candidate, Phase, Run
from loopsmith.search.policy import seed_of
from loopsmith.verify.runner import Verifier, violations
from loopsmith.verify.statistics import mean
from loopsmith.workflow import Workflow
from loopsmith.workspace import Protection, Repository, make_verification_folder, remove_folder, resolve_links


class Bench(Protocol):
    """What a run of the verifier needs: of a campaign that runs, or of one that ended and is measured again."""

    @property
    def id(self) -> str: ...
    @property
    def workflow(self) -> Workflow: ...
    @property
    def repository(self) -> Repository: ...
    @property
    def state(self) -> StateFolder: ...
    @property
    def verifier(self) -> Verifier: ...
    @property
    def holdout(self) -> Verifier | None: ...


async def measure(
    context: Context, commit: str, *, candidate: Candidate | None, phase: Phase, pair: int, check: bool = False
) -> Run:
    """A run of the verifier on a commit; one that fails is repeated until it failed `verify.failures` times.

    Args:
        check: run the workflow's checks in the folder first.
    """
    await context.pause.gate()

    def flaked(failed: int, problem: str) -> None:
        context.emit("verifier.flaked", candidate, phase=str(phase), failures=failed, problem=problem)

    failures = context.settings.verify.failures
    run = await patiently(failures, lambda: run_once(context, commit, candidate, phase, pair, check), flaked)
    if phase is not Phase.CANARY:
        candidate_id = candidate.id if candidate else None
        context.store.record_run(
            campaign_id=context.id, candidate_id=candidate_id, commit=commit, phase=phase, pair=pair, run=run
        )
        record_feedback(context, commit, candidate, phase, pair, run)
    side = side_of(commit, candidate)
    context.show("verifier.ran", candidate, phase=str(phase), side=side, problem=run.problem, metrics=run.metrics)
    return run


async def patiently(
    failures: int, once: Callable[[], Awaitable[Run]], flaked: Callable[[int, str], None] = lambda failed, problem: None
) -> Run:
    """A run that scored, or the last of `failures` that did not; `flaked` hears of those before one that scored."""
    run, failed = await once(), 1
    while run.verdict is not None and failed < failures:
        problem, run = run.problem, await once()
        if run.verdict is None:
            flaked(failed, problem)
        failed += 1
    return run


async def run_once(
    context: Context, commit: str, candidate: Candidate | None, phase: Phase, pair: int, check: bool
) -> Run:
    """One run in a fresh folder, under an exclusive lease."""
    number = candidate.number if candidate else None
    label = f"{phase}-{pair}-{side_of(commit, candidate)}"
    fresh = f"{context.seed}.{candidate.number}" if candidate and phase is Phase.CONFIRM else ""
    what = f"{phase} run {pair + 1}, {side_of(commit, candidate)}"
    async with leased(context, what, candidate) as lease:
        run = await run_commit(
            context,
            commit,
            lease,
            name=f"{number or 'baseline'}.{label}",
            log=context.state.artifacts(context.id, number) / f"{label}.log",
            seed=seed_of(context.seed, phase, fresh, pair),
            mark=f"{context.id}.{label}",
            check=check,
            hidden=phase is Phase.HOLDOUT,
        )
    if run.notes:
        side = side_of(commit, candidate)
        context.emit("verifier.noticed", candidate, phase=str(phase), pair=pair, side=side, **run.notes)
    return run


async def run_commit(
    bench: Bench,
    commit: str,
    lease: Lease,
    *,
    name: str,
    log: Path,
    seed: int,
    mark: str,
    check: bool = False,
    hidden: bool = False,
) -> Run:
    """One run on a commit in a fresh folder; nothing is recorded.

    Args:
        name: of the folder, which is gone afterwards.
        hidden: by the holdout's command, where there is one.
    """
    folder = bench.state.work(bench.id) / name
    hidden = hidden and bench.holdout is not None
    verifier = bench.holdout if hidden and bench.holdout else bench.verifier
    source, links = bench.workflow.source, bench.workflow.links(holdout=hidden)
    make_verification_folder(bench.repository, commit, folder, source=source, links=links)
    inputs = resolve_links(source, links)
    try:
        return await verifier.run(
            folder,
            seed=seed,
            log=log,
            mark=mark,
            cores=lease.cores,
            environment=lease.environment,
            check=check,
            protection=Protection(bench.repository, commit, folder, bench.workflow.editable, inputs),
        )
    finally:
        remove_folder(folder)


def side_of(commit: str, candidate: Candidate | None) -> str:
    return "candidate" if candidate is not None and commit == candidate.commit else "baseline"


def constraint_problems(context: Context, run: Run, baseline: str) -> tuple[str, ...]:
    """The constraints that a run breaks, beside what was measured of the commit `baseline`."""
    if not context.settings.verify.constraints:
        return ()
    means = {metric: mean(values) for metric, values in context.measured(baseline).items()}
    return violations(context.settings.verify.constraints, run.metrics, means)


def baseline_message(problem: str, tail: str, log: Path | None, what: str = "the baseline") -> str:
    shown = "\n".join(f"  | {line}" for line in tail.strip().splitlines()[-20:])
    where = f"; the whole output is in {log}" if log else ""
    return f"{what} does not verify: {problem}{where}" + (f"\n{shown}" if shown else "")
