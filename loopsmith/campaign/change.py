"""What a worker left in its folder, as a patch that every guardrail has looked at."""

from dataclasses import replace
from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.records import Patch
from loopsmith.verify.changes import Baseline
from loopsmith.verify.guardrails import check_patch
from loopsmith.workspace import collect


def take_change(context: Context, parent: str, folder: Path, message: str | None) -> Patch:
    """Collect the change in a folder. `problems` lists every rule that it breaks, and then nothing of it is used.

    Args:
        message: of the commit; None: look only, and commit nothing.

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
    )
    return judged(context, patch)


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
