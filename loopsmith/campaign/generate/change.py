"""What a worker left in its folder, as a patch that every guardrail has looked at."""

from dataclasses import replace
from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.records import Patch
from loopsmith.verify.changes import Baseline
from loopsmith.verify.guardrails import check_patch
from loopsmith.workspace import collect
from loopsmith.workspace.merge import MARKERS


def take_change(context: Context, parent: str, folder: Path, message: str | None, baseline: str | None = None) -> Patch:
    """Collect the change in a folder. `problems` lists every rule that it breaks, and then nothing of it is used.

    Args:
        message: of the commit; None: look only, and commit nothing.
        baseline: what the change is judged against; None: the parent.

    Raises:
        HarnessError: the repository cannot be written.
    """
    settings = context.settings
    patch = collect(
        context.repository,
        parent,
        folder,
        editable=context.workflow.editable,
        source=context.workflow.source,
        links=settings.workspace.link,
        guardrails=settings.guardrails,
        message=message,
        baseline=baseline,
    )
    return judged(context, without_markers(patch) if baseline not in (None, parent) else patch)


def without_markers(patch: Patch) -> Patch:
    """A patch with each conflict marker that was left in it among its problems."""
    left = sorted({line[1:9].strip() for line in patch.text.splitlines() if line[1:9] in MARKERS and line[0] == "+"})
    problems = tuple(
        f"a line still begins with the conflict marker `{marker}`: resolve the conflict" for marker in left
    )
    return replace(patch, commit=None, tree=None, problems=(*patch.problems, *problems)) if left else patch


def judged(context: Context, patch: Patch) -> Patch:
    """A patch with the problems of its content among its problems."""
    repository = context.repository
    baseline = Baseline(
        files={path: entry.oid for path, entry in repository.entries(patch.parent).items() if not entry.symlink},
        read=repository.blob,
        editable=context.workflow.editable,
    )
    found = check_patch(patch, context.settings.guardrails, baseline)
    return replace(patch, commit=None, tree=None, problems=(*patch.problems, *found)) if found else patch
