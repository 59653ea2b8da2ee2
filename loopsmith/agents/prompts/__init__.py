"""The words that a model reads, besides its brief and what its tools say: a worker's, and those of the other roles."""

from importlib.resources import files
from pathlib import Path

from loopsmith.records import Brief, WorkerLimits
from loopsmith.workflow.units import format_duration

SYSTEM = files(__name__).joinpath("worker.md").read_text(encoding="utf-8")
ROLES = {
    name: files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")
    for name in ("planner", "reviewer", "reflector")
}
PROGRAM_TOOLS = files(__name__).joinpath("program_tools.md").read_text(encoding="utf-8")
PROGRAM = files(__name__).joinpath("program.md").read_text(encoding="utf-8")
GO_ON = "You called no tool. Go on with the work, or call submit to end it."
CUT_OFF = "Your answer was cut off at its length limit before it called a tool. Say less, and call one."
NOT_YET = "error: an earlier call of this answer failed, so nothing was submitted; look at it first"
LAST_TURNS = 3  # how early the model is told that its turns end
LAST_SHARE = 0.2  # of its time


def opening(brief: Brief) -> str:
    """The first message: the brief, and the limits of turns and time."""
    bounds = []
    if brief.limits.turns is not None:
        bounds.append(f"{brief.limits.turns} turns (each of your answers is one)")
    if brief.limits.wall_clock is not None:
        bounds.append(f"{format_duration(brief.limits.wall_clock)} of time")
    return brief.prompt + (f"\n\nYou have {' and '.join(bounds)}." if bounds else "")


def for_program(brief: Brief, report: Path, *, tools: bool = False) -> str:
    """All that a coding agent's program is told.

    Args:
        report: where it writes what it learned.
        tools: it has those of `loopsmith mcp`.
    """
    return opening(brief) + PROGRAM.format(report=report) + (PROGRAM_TOOLS if tools else "")


def ending(limits: WorkerLimits, turns: int, seconds: float | None) -> str:
    """A reminder for the end of a tool's result, once a limit is near; else nothing.

    Args:
        turns: used so far.
        seconds: left; None: no limit.
    """
    left = []
    if limits.turns is not None and limits.turns - turns <= LAST_TURNS:
        more = limits.turns - turns
        left.append("1 more turn" if more == 1 else f"{more} more turns")
    if seconds is not None and limits.wall_clock is not None and seconds < limits.wall_clock * LAST_SHARE:
        left.append(format_duration(max(0, round(seconds))))
    return f"\n[you have {' and '.join(left)} left: leave your best version in place and submit]" if left else ""
