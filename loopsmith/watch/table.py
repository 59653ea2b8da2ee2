"""The candidates as a table: rows are read as they come into sight, so that their number does not matter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from loopsmith.live import Overview, Page
from loopsmith.records import Status
from loopsmith.tracker.browse import SortKey
from loopsmith.watch.lines import BLANK, strip_of
from loopsmith.watch.text import gain, number, plain, status_style, status_words
from loopsmith.workflow import format_money

PAGE = 100  # rows that are read at once


@dataclass(frozen=True, slots=True)
class Query:
    """Which candidates, in which order."""

    statuses: tuple[Status, ...] | None = None
    search: str = ""
    sort: SortKey = SortKey.NUMBER
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    width: int  # columns of the screen
    since: int  # the width of the table from which it is shown
    cell: Callable[[Overview], str]
    right: bool = False
    sort: SortKey | None = None


COLUMNS = (
    Column("c", 7, 0, lambda row: f"c{row.number}", sort=SortKey.NUMBER),
    Column("status", 11, 0, lambda row: status_words(row.status), sort=SortKey.STATUS),
    Column("value", 10, 44, lambda row: number(row.value), right=True, sort=SortKey.VALUE),
    Column("gain", 9, 34, lambda row: gain(row.effect), right=True, sort=SortKey.EFFECT),
    Column("lines", 9, 72, lambda row: f"+{row.lines_added} -{row.lines_removed}", right=True, sort=SortKey.LINES),
    Column(
        "cost", 8, 88, lambda row: format_money(row.cost_usd) if row.cost_usd else "", right=True, sort=SortKey.COST
    ),
    Column("agent", 12, 100, lambda row: plain(row.agent, 12)),
    Column("category", 14, 116, lambda row: plain(row.category, 14)),
)


def row_text(row: Overview, columns: tuple[Column, ...]) -> Text:
    """A candidate as a line: the columns, then what was tried, or why it ended as it did."""
    line = Text(no_wrap=True)
    style = status_style(row.status)
    for column in columns:
        text = column.cell(row)
        text = text.rjust(column.width) if column.right else text.ljust(column.width)
        line.append(f"{text} ", style=style if column.title in ("c", "status") else "")
    line.append(plain(row.hypothesis or row.reason), style="dim" if style == "dim" else "")
    return line


class Candidates(ScrollView, can_focus=True):
    """The table, with one row under the cursor."""

    DEFAULT_CSS = "Candidates { scrollbar-size: 1 1; overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
        Binding("enter", "open", show=False),
    ]

    @dataclass
    class Wanted(Message):
        """A page should be read; answer with `take`."""

        query: Query
        page: int

    @dataclass
    class Opened(Message):
        """A candidate should be shown."""

        candidate_id: str

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self.query_now = Query()
        self.total = 0
        self.cursor = 0
        self._pages: dict[int, tuple[Overview, ...]] = {}
        self._asked: set[int] = set()
        self._selected: str | None = None  # the candidate under the cursor, by id
        self._loaded = False

    @property
    def current(self) -> Overview | None:
        """The row under the cursor, once it is read."""
        return self.row(self.cursor)

    def row(self, index: int) -> Overview | None:
        page = self._pages.get(index // PAGE, ())
        offset = index % PAGE
        return page[offset] if index >= 0 and offset < len(page) else None

    def ask(self, query: Query) -> None:
        """Show the candidates of another query, from its beginning."""
        self.query_now, self.cursor, self._selected = query, 0, None
        self._pages, self._asked, self._loaded = {}, set(), False
        self.scroll_to(y=0, animate=False, immediate=True)
        self.read_again()

    def read_again(self) -> None:
        """Read what is in sight again; what is not is read when it comes into sight."""
        sight = self._sight()
        self._pages = {page: rows for page, rows in self._pages.items() if page in sight}
        for page in sorted(sight):
            self._want(page)

    def take(self, query: Query, number: int, page: Page) -> None:
        """A page that was read; one of an earlier query is dropped."""
        if query != self.query_now:
            return
        self._asked.discard(number)
        grown = page.total - self.total if self._loaded else 0
        follows = self.cursor == 0 and round(self.scroll_y) == 0 and self.screen.is_current
        newest_first = query.sort is SortKey.NUMBER and query.descending
        self.total, self._loaded = page.total, True
        self._pages[number] = page.rows
        self.virtual_size = Size(self.size.width, self.total + 1)
        if not follows and self._selected and not (self.current and self.current.id == self._selected):
            self._stay_with_selected(grown if newest_first else 0)
        self.cursor = min(self.cursor, max(0, self.total - 1))
        if current := self.current:
            self._selected = current.id
        self.refresh()
        self.post_message(self.Moved())

    @dataclass
    class Moved(Message):
        """Another row, or another number of rows."""

    def _stay_with_selected(self, guess: int) -> None:
        """The cursor goes on standing on its candidate when rows came before it."""
        before = self.cursor
        places = [before + guess, *range(max(0, before - PAGE), before + PAGE)]
        found = next((at for at in places if (row := self.row(at)) and row.id == self._selected), before + guess)
        self.cursor = found
        self.scroll_to(y=self.scroll_y + found - before, animate=False, immediate=True)

    def _sight(self) -> set[int]:
        top = round(self.scroll_y)
        bottom = top + max(1, self.size.height)
        return {*range(top // PAGE, bottom // PAGE + 1), self.cursor // PAGE}

    def _want(self, page: int) -> None:
        if page not in self._asked and (page == 0 or page * PAGE < self.total):
            self._asked.add(page)
            self.post_message(self.Wanted(self.query_now, page))

    def failed(self, query: Query, page: int) -> None:
        """A page could not be read; it is asked for again when it is next in sight."""
        if query == self.query_now:
            self._asked.discard(page)

    def action_move(self, rows: int) -> None:
        self._go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * max(1, self.size.height - 2))

    def action_edge(self, side: int) -> None:
        self._go(0 if side < 0 else self.total - 1)

    def action_open(self) -> None:
        if self.current:
            self.post_message(self.Opened(self.current.id))

    def on_click(self, event: Click) -> None:
        index = round(self.scroll_y) + event.y - 1
        if event.y >= 1 and 0 <= index < self.total:
            self._go(index)
            if event.chain == 2:
                self.action_open()

    def _go(self, index: int) -> None:
        self.cursor = min(max(0, index), max(0, self.total - 1))
        self._selected = self.current.id if self.current else None
        self._show_cursor()
        self._want_sight()
        self.refresh()
        self.post_message(self.Moved())

    def _show_cursor(self) -> None:
        top, rows = round(self.scroll_y), max(1, self.size.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + rows:
            self.scroll_to(y=self.cursor - rows + 1, animate=False, immediate=True)

    def _want_sight(self) -> None:
        for page in self._sight():
            if page not in self._pages:
                self._want(page)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._want_sight()

    def on_resize(self, event: Resize) -> None:
        self.virtual_size = Size(event.size.width, self.total + 1)
        self._show_cursor()
        self._want_sight()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        columns = tuple(column for column in COLUMNS if width >= column.since)
        if y == 0:
            return strip_of(self.app, self._title(columns), 0, width)
        index = round(self.scroll_y) + y - 1
        row = self.row(index)
        if row is None:
            return strip_of(self.app, self._gap(index), 0, width)
        line = row_text(row, columns)
        if index == self.cursor:
            line.pad_right(max(0, width - line.cell_len))
            line.stylize("reverse" if self.has_focus else "underline")
        return strip_of(self.app, line, 0, width)

    def _gap(self, index: int) -> Text:
        if index == 0 and self._loaded:
            narrowed = self.query_now.search or self.query_now.statuses is not None
            return Text("none fits" if narrowed else "none yet", style="dim")
        return Text("…", style="dim") if index < self.total or (not self._loaded and index == 0) else BLANK

    def _title(self, columns: tuple[Column, ...]) -> Text:
        line = Text(style="dim")
        for column in columns:
            arrow = "▼" if self.query_now.descending else "▲"
            title = column.title + (arrow if column.sort is self.query_now.sort else "")
            line.append(f"{title.rjust(column.width) if column.right else title.ljust(column.width)} ")
        line.append("what it tried")
        return line
