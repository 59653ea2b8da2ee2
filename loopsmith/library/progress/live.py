"""The live view on a terminal: a line for each worker, the best so far, the budget."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loopsmith.campaign.context import Context
from loopsmith.library.progress.view import View
from loopsmith.report import outcome, spent, tried, waiting

REFRESH = 4  # times a second


class LiveView(View):
    """Sentences scroll by above a table that changes."""

    def __init__(self, context: Context, console: Console | None = None):
        super().__init__(context)
        self.console = console or Console()
        self._live = Live(get_renderable=self.render, console=self.console, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> "LiveView":
        super().__enter__()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        super().__exit__(kind, error, trace)

    def say(self, markup: str) -> None:
        self.console.print(markup, highlight=False, soft_wrap=False, overflow="ellipsis", no_wrap=True)

    def render(self) -> RenderableType:
        now, view = time.monotonic(), self.status()
        table = Table.grid(padding=(0, 1))
        for number, (began, text) in sorted(self.lines.items()):
            table.add_row(
                Text(f"c{number}", style="bold"), Text(f"{now - began:4.0f} s", style="dim"), Text(text, no_wrap=True)
            )
        head = Text(f"{self.note}  ", style="bold")
        head.append(f"{tried(view)}; {spent(view)}", style="dim")
        limits = Text(waiting(view), style="yellow")
        return Group(table, head, *([limits] if limits else []), Text(outcome(view), style="green"))
