"""Progress in a notebook: one place below the cell, which changes while the campaign runs."""

import time
from datetime import UTC, datetime
from html import escape
from types import TracebackType
from typing import Any

from rich.text import Text

from loopsmith.campaign.context import Context
from loopsmith.library.progress.view import View
from loopsmith.report import outcome, spent, tried, waiting
from loopsmith.watch.panes import activity_lines

SENTENCES = 8  # the newest, that are shown
REFRESH = 1.0  # seconds between two pictures


class NotebookView(View):
    """The campaign's thread notes what happens; `tick`, called in the notebook's own thread, shows it."""

    def __init__(self, context: Context, display: Any):
        super().__init__(context)
        self.display = display  # the handle of a place below the cell
        self.sentences: list[str] = []
        self._html = ""
        self._shown, self._shown_at = "", 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.note, self._read_at = "ended", 0.0
        self._html = self.render()

    def say(self, markup: str) -> None:
        self.sentences = [*self.sentences, Text.from_markup(markup).plain][-SENTENCES:]

    def observe(self, name: str, candidate: Any, data: dict[str, Any]) -> None:
        super().observe(name, candidate, data)
        self._html = self.render()

    def tick(self, *, last: bool = False) -> None:
        """Show the newest picture; not twice a second."""
        now, html = time.monotonic(), self._html
        if html != self._shown and (last or now - self._shown_at >= REFRESH):
            self.display.update({"text/html": html, "text/plain": "\n".join(self.sentences)}, raw=True)
            self._shown, self._shown_at = html, now

    def render(self) -> str:
        view = self.status()
        rows = [line.plain for line in activity_lines(self.activity(), datetime.now(UTC))]
        parts = [
            f"<b>{escape(outcome(view))}</b>",
            f"{escape(self.note)}: {escape(tried(view))}; {escape(spent(view))}",
            escape(waiting(view)),
            *(f"<small>{escape(text)}</small>" for text in (*self.sentences, *rows)),
        ]
        return "<div>" + "<br>".join(part for part in parts if part) + "</div>"
