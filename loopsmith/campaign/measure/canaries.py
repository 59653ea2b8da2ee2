"""Canaries: patches that must not be kept, tried before the first round. A verifier that lets one through is broken.

Besides the workflow's own there are two of loopsmith's: the baseline itself, and a program whose editable files are
garbage. They are measured like candidates, but never recorded as such.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from loopsmith.agents.scripted import apply_patch
from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.measuring import measure
from loopsmith.campaign.observation import editable_files
from loopsmith.errors import VerifierError, WorkflowError
from loopsmith.records import Phase
from loopsmith.verify import statistics
from loopsmith.workflow import Guardrails
from loopsmith.workspace import collect, make_worker_folder

GARBLED = "a program that is garbage"
GARBAGE = "this is a canary of loopsmith and not a program (((\n"
TESTED = "verifier.tested"  # the event that says it was done


async def try_canaries(context: Context) -> None:
    """Try every canary, once in a campaign.

    Raises:
        VerifierError: one was not refused.
        WorkflowError: a canary is not a patch of the baseline.
    """
    settings, baseline = context.settings.verify, context.baseline()
    if context.store.events(context.id, name=TESTED, limit=1):
        return
    context.show("verifier.testing")
    canaries: dict[str, Callable[[Path], None]] = {}
    for number, entry in enumerate(settings.canaries, 1):
        name = f"number {number}" if "\n" in entry else entry
        canaries[name] = lambda folder, entry=entry: apply_patch(entry, folder)  # type: ignore[misc]
    if settings.self_check:
        files = editable_files(context, baseline)
        canaries[GARBLED] = lambda folder: spoil(folder, files)
        if await let_through(context, baseline):
            raise VerifierError(letting_through("the baseline itself"))
    for name, change in canaries.items():
        # Garbage of a long program is a large change; it is the verifier that must refuse it.
        lines = {"max_changed_lines": sys.maxsize} if name == GARBLED else {}
        commit = canary(context, name, change, context.settings.guardrails.model_copy(update=lines))
        if commit is not None and await let_through(context, commit):
            raise VerifierError(letting_through(name))
    context.emit(TESTED, canaries=[*canaries, *(["the baseline itself"] if settings.self_check else [])])


def letting_through(name: str) -> str:
    return (
        f"the verifier lets a canary through: {name} would be kept as an improvement; mend verify.command (or, where "
        "this canary proves nothing, set verify.self_check: false), then run again"
    )


def spoil(folder: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (folder / name).write_text(GARBAGE)


def canary(context: Context, name: str, change: Callable[[Path], None], guardrails: Guardrails) -> str | None:
    """The commit of a changed baseline; None when the guardrails refuse the change already."""
    baseline = context.baseline()
    workspace = make_worker_folder(
        context.repository,
        baseline,
        context.state.work(context.id) / "canary",
        source=context.workflow.source,
        links=(),
        scratch=context.state.artifacts(context.id),
        sandbox=context.sandbox,
        network=False,
        mark=f"{context.id}.canary",
    )
    try:
        change(workspace.path)
        patch = collect(
            context.repository,
            baseline,
            workspace.path,
            editable=context.workflow.editable,
            source=context.workflow.source,
            links=(),
            guardrails=guardrails,
            message=f"canary: {name}",
        )
    except ValueError as error:
        raise WorkflowError(f"verify.canaries: {name} {error}") from error
    finally:
        workspace.remove()
    return patch.commit


async def let_through(context: Context, commit: str) -> bool:
    """Whether a commit would be kept. Of a noisy metric it must look better twice in a row: luck alone seldom does."""
    objective, baseline = context.settings.objective, context.baseline()
    run = await measure(context, commit, candidate=None, phase=Phase.CANARY, pair=0, check=True)
    if run.verdict is not None:
        return False
    value = run.metrics[objective.metric]
    values = context.measured(baseline)[objective.metric]
    if context.exact:
        return objective.clears(values[0], objective.gain(values[0], value))
    if statistics.screen_gain(objective, values, value) <= 0:
        return False
    return await better(context, commit, 1) and await better(context, commit, 2)


async def better(context: Context, commit: str, series: int) -> bool:
    """One series of pairs, judged as a confirmation."""
    objective, pairs = context.settings.objective, []
    runs = context.settings.calibrate.runs
    for pair in range(series * runs, (series + 1) * runs):
        values = []
        async with context.pause.together():
            for side in (context.baseline(), commit):
                run = await measure(context, side, candidate=None, phase=Phase.CANARY, pair=pair)
                if run.verdict is not None:
                    return False
                values.append(run.metrics[objective.metric])
        pairs.append((values[0], values[1]))
    effect = statistics.paired_effect(objective, pairs)
    return effect.low > 0 and objective.clears(statistics.mean([pair[0] for pair in pairs]), effect.mean)
