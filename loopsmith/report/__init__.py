"""What the tracker says, for people and programs."""

from loopsmith.report.apply import apply, deliver
from loopsmith.report.export import export
from loopsmith.report.show import patch_of, show
from loopsmith.report.status import status
from loopsmith.report.summary import outcome, spent, summary, tried, waiting
from loopsmith.report.taking import WORDS, ablation, dropped, minimized, verification
from loopsmith.report.transcript import transcript
from loopsmith.search.memory import lesson_line, lesson_words

__all__ = [
    "WORDS",
    "ablation",
    "apply",
    "deliver",
    "dropped",
    "export",
    "lesson_line",
    "lesson_words",
    "minimized",
    "outcome",
    "patch_of",
    "show",
    "spent",
    "status",
    "summary",
    "transcript",
    "tried",
    "verification",
    "waiting",
]
