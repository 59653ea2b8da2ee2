"""The live view on a terminal: a line for each worker, the best so far, the budget."""

from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from loopsmith.campaign.context import Context
from loopsmith.library.progress.view import View
from loopsmith.report import outcome, spent, tried, waiting
from loopsmith.watch.panes import activity_lines, forecast_line

REFRESH = 4  # times a second
BELOW = 6  # rows for what stands below the workers


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
        now, view = datetime.now(UTC), self.status()
        lines = activity_lines(self.activity(), now)
        room = max(1, self.console.height - BELOW)
        if len(lines) > room:
            lines = [*lines[: room - 1], Text(f"and {len(lines) - room + 1} more: see `loopsmith watch`", style="dim")]
        head = Text(f"{self.note}  ", style="bold")
        head.append(f"{tried(view)}; {spent(view)}", style="dim")
        limits = Text(waiting(view), style="yellow")
        forecast = forecast_line(view, now)
        forecast.stylize("dim")
        below = (head, *([limits] if limits else []), Text(outcome(view), style="green"), forecast)
        for line in (*lines, *below):
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines, *below)
