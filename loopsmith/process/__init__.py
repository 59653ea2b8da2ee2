"""Commands: run one with a clean environment, a time limit and a capped log, and leave no process behind."""

from loopsmith.process.command import GRACE, run
from loopsmith.process.descendants import MARK, sweep
from loopsmith.process.environment import clean_environment
from loopsmith.process.group import can_group
from loopsmith.process.limits import Limits
from loopsmith.process.output import MAX_LINE, plain, tail
from loopsmith.process.piped import Piped, piped

__all__ = [
    "GRACE",
    "MARK",
    "MAX_LINE",
    "Limits",
    "Piped",
    "can_group",
    "clean_environment",
    "piped",
    "plain",
    "run",
    "sweep",
    "tail",
]
