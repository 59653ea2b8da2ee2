"""What a campaign shows while it runs, apart from where: a sentence for what is decided, a note for what goes on."""

import os
import time
from types import TracebackType
from typing import Any

from rich.markup import escape

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.calibration import noise_words
from loopsmith.live import Activity
from loopsmith.records import Candidate
from loopsmith.report import status
from loopsmith.workflow.quote import one_line

STATUS_AGE = 1.0  # seconds that the status of the tracker is shown before it is read again
SAID = {
    "campaign.paused": "paused: `loopsmith resume` goes on",
    "campaign.resumed": "resumed",
    "steer.given": "hint {hint}: {text}",
    "setting.changed": "{key} is {new} now, and was {old}",
    "workflow.refused": "the edited workflow is not used: {reason}",
    "workflow.invalid": "the edited workflow is not used: {reason}",
}
DONE = ("candidate.decided", "candidate.released")


class View:
    """Shows a campaign while the block lasts; reads the tracker, at most once a second.

    A view of its own says where sentences go (`say`, in rich's markup) and may redraw what changes.
    """

    def __init__(self, context: Context):
        self.context = context
        self.note = "measuring the baseline"
        self._status: dict[str, Any] = {}
        self._read_at = 0.0

    def __enter__(self) -> "View":
        self.context.observers.append(self.observe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.observers.remove(self.observe)

    def say(self, markup: str) -> None:
        """Show a sentence that stays."""
        raise NotImplementedError

    def remark(self, text: str) -> None:
        """Show what goes on, until the next remark."""
        self.note = text

    def status(self) -> dict[str, Any]:
        """As `report.status` gives it, perhaps of a second ago."""
        now = time.monotonic()
        if now - self._read_at > STATUS_AGE:
            store = self.context.store
            self._status, self._read_at = status(store, store.campaign(self.context.id), process=os.getpid()), now
        return self._status

    def observe(self, name: str, candidate: Candidate | None, data: dict[str, Any]) -> None:
        """Take in one event."""
        if name == "baseline.measured":
            kind = "repeats exactly" if data["exact"] else "is noisy, so winners are confirmed in pairs"
            self.say(f"baseline measured {len(data['values'])} times; {data['metric']} {kind}")
        elif name == "verifier.testing":
            self.remark("trying canaries on the verifier")
        elif name == "noise.measured":
            for sentence in noise_words(data):
                self.say(escape(sentence))
        elif name == "round.planned":
            self.remark(f"round {data['number']}")
        elif name == "campaign.stopping":
            self.remark(data["hint"])
        elif name in SAID:
            self.say(escape(SAID[name].format(**data)))
        if candidate is None:
            return
        if name in DONE:
            self.decided(candidate, data)

    def activity(self) -> tuple[Activity, ...]:
        """What goes on now; from any thread."""
        return tuple(self.context.board.now.values())

    def decided(self, candidate: Candidate, data: dict[str, Any]) -> None:
        verdict = str(data.get("verdict", ""))
        style = {"kept": "bold green", "discarded": "dim"}.get(verdict, "yellow")
        what = one_line(candidate.hypothesis or candidate.summary, 70)
        why = one_line(str(data.get("reason", "")), 110)
        self.say(f"[{style}]c{candidate.number} {verdict}[/] {escape(what)} [dim]{escape(why)}[/]")
