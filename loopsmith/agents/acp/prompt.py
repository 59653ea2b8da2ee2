"""What an agent of others is told beside its brief."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from loopsmith.records import Brief
from loopsmith.workflow.units import format_duration

GUIDE = files(__package__).joinpath("worker.md").read_text(encoding="utf-8")
GO_ON = (
    "You stopped without a change and without calling submit (MCP server `loopsmith`). Go on with the work, or call "
    "submit to end it, and say there what you tried."
)
DONE = "call submit when you are done."
CUT_OFF = f"Your answer was cut off at its length limit. Say less, and go on with the work; {DONE}"


def opening(brief: Brief, folder: Path, *, network: bool) -> str:
    """The prompt of a session."""
    editable = ", ".join(f"`{glob}`" for glob in brief.editable)
    guide = GUIDE.format(folder=folder, editable=editable, network="" if network else ", but not use the web")
    limit = brief.limits.wall_clock
    return brief.prompt + guide + (f"- You have {format_duration(limit)} of time.\n" if limit is not None else "")


def refused(reasons: Sequence[str]) -> str:
    """The prompt that follows on requests that were rejected, after which agents tend to stop."""
    listed = "\n".join(f"- {reason}" for reason in dict.fromkeys(reasons))
    return f"These requests were rejected, and will be again:\n{listed}\nGo on without them; {DONE}"
