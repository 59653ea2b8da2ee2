"""The live view of `run` on a terminal: a line for each worker, the best so far, the budget."""

import os
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loopsmith.campaign.calibration import noise_words
from loopsmith.campaign.context import Context
from loopsmith.records import Candidate
from loopsmith.report import outcome, spent, status, tried, waiting
from loopsmith.workflow.quote import one_line

REFRESH = 4  # times a second
STATUS_AGE = 1.0  # seconds that the status of the tracker is shown before it is read again
DONE = ("candidate.decided", "candidate.released")


class LiveView:
    """Shows a campaign while the block lasts; reads the tracker, at most once a second."""

    def __init__(self, context: Context, console: Console | None = None):
        self.context = context
        self.console = console or Console()
        self.lines: dict[int, tuple[float, str]] = {}  # candidate: when its line began, what it does
        self.note = "measuring the baseline"
        self._status: dict[str, Any] = {}
        self._read_at = 0.0
        self._live = Live(get_renderable=self.render, console=self.console, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> "LiveView":
        self.context.observers.append(self.observe)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self.context.observers.remove(self.observe)

    def observe(self, name: str, candidate: Candidate | None, data: dict[str, Any]) -> None:
        """Take in one event."""
        if name == "baseline.measured":
            kind = "repeats exactly" if data["exact"] else "is noisy, so winners are confirmed in pairs"
            self.say(f"baseline measured {len(data['values'])} times; {data['metric']} {kind}")
        elif name == "verifier.testing":
            self.note = "trying canaries on the verifier"
        elif name == "noise.measured":
            for sentence in noise_words(data):
                self.say(escape(sentence))
        elif name == "round.planned":
            self.note = f"round {data['number']}"
        elif name == "campaign.stopping":
            self.note = data["hint"]
        if candidate is None:
            return
        if name in DONE:
            self.lines.pop(candidate.number, None)
            self.decided(candidate, data)
        else:
            began = self.lines.get(candidate.number, (time.monotonic(), ""))[0]
            self.lines[candidate.number] = (began, self.words(name, candidate, data))

    def words(self, name: str, candidate: Candidate, data: dict[str, Any]) -> str:
        match name:
            case "worker.progress":
                return f"working: {one_line(data['text'], 60)}"
            case "worker.started" | "worker.called":
                return self.lines.get(candidate.number, (0.0, ""))[1] or "working"
            case "candidate.generated":
                return f"waits for the verifier: {one_line(candidate.hypothesis, 60)}"
            case "candidate.confirming":
                return f"confirming in {data['pairs']} pairs at most: {one_line(candidate.hypothesis, 60)}"
            case "verifier.ran":
                return f"{data['phase']}, {data['side']} run done: {one_line(candidate.hypothesis, 60)}"
            case _:
                return f"{name.rpartition('.')[2]}: {one_line(candidate.hypothesis, 60)}"

    def decided(self, candidate: Candidate, data: dict[str, Any]) -> None:
        verdict = str(data.get("verdict", ""))
        style = {"kept": "bold green", "discarded": "dim"}.get(verdict, "yellow")
        what = one_line(candidate.hypothesis or candidate.summary, 70)
        why = one_line(str(data.get("reason", "")), 110)
        self.say(f"[{style}]c{candidate.number} {verdict}[/] {escape(what)} [dim]{escape(why)}[/]")

    def say(self, markup: str) -> None:
        self.console.print(markup, highlight=False, soft_wrap=False, overflow="ellipsis", no_wrap=True)

    def render(self) -> RenderableType:
        now = time.monotonic()
        if now - self._read_at > STATUS_AGE:
            store = self.context.store
            self._status, self._read_at = status(store, store.campaign(self.context.id), process=os.getpid()), now
        table = Table.grid(padding=(0, 1))
        for number, (began, text) in sorted(self.lines.items()):
            table.add_row(
                Text(f"c{number}", style="bold"), Text(f"{now - began:4.0f} s", style="dim"), Text(text, no_wrap=True)
            )
        head = Text(f"{self.note}  ", style="bold")
        head.append(f"{tried(self._status)}; {spent(self._status)}", style="dim")
        limits = Text(waiting(self._status), style="yellow")
        return Group(table, head, *([limits] if limits else []), Text(outcome(self._status), style="green"))
