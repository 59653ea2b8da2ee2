"""What the tracker says, for people and programs."""

from loopsmith.report.export import Format as TableFormat
from loopsmith.report.export import export
from loopsmith.report.show import patch_of, plan_words, show
from loopsmith.report.status import state_of, status
from loopsmith.report.steering import hint_list
from loopsmith.report.summary import again, outcome, spent, summary, tried, waiting
from loopsmith.report.transcript import readable, transcript
from loopsmith.search.memory import lesson_line, lesson_words

__all__ = [
    "TableFormat",
    "again",
    "export",
    "hint_list",
    "lesson_line",
    "lesson_words",
    "outcome",
    "patch_of",
    "plan_words",
    "readable",
    "show",
    "spent",
    "state_of",
    "status",
    "summary",
    "transcript",
    "tried",
    "waiting",
]
