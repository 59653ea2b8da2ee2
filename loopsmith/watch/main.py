"""The main screen: panes side by side where there is room, else one tab at a time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input

from loopsmith.tracker.reading.browse import SortKey
from loopsmith.watch import panes
from loopsmith.watch.choices import KINDS, ORDERS, kinds
from loopsmith.watch.dialogs import Choice
from loopsmith.watch.feed import Picture
from loopsmith.watch.foot import Foot
from loopsmith.watch.keys import footer
from loopsmith.watch.lines import Lines
from loopsmith.watch.reading import Reading
from loopsmith.watch.shell import Shell
from loopsmith.watch.table import Candidates
from loopsmith.watch.text import plain
from loopsmith.watch.views import CurvePane, EventLines

WIDE = (110, 26)  # columns and rows from which panes stand side by side
SHORT = 16  # rows below which nothing is spent on the curve
TABS = {"now": ("curve", "now", "budget"), "candidates": ("table",), "events": ("events",), "asked": ("asked",)}
LEFT, RIGHT = ("curve", "table"), ("now", "budget", "events", "asked")
TYPING = 0.25  # seconds without a key before a search is made


class Main(Screen[None]):
    """Everything of one campaign."""

    DEFAULT_CSS = """
    Main #head, Main #tabs { height: 1; }
    Main #keys { height: auto; max-height: 3; }
    Main .pane { border-top: solid $border-blurred; border-title-style: bold; border-title-color: $foreground; }
    Main .pane:focus { border-title-style: bold reverse; }
    Main.-short .pane { border-top: none; }
    Main #left { width: 3fr; }
    Main #right { width: 2fr; }
    Main.-wide #right { margin-left: 2; }
    Main #table, Main #events, Main #asked { height: 1fr; }
    Main #search { height: 1; border: none; padding: 0; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(at), f"tab('{name}')", show=False) for at, name in enumerate(TABS, start=1)),
        Binding("slash", "search", show=False),
        Binding("f", "filter", show=False),
        Binding("o", "order", show=False),
        Binding("escape", "clear", show=False),
        Binding("z", "zoom", show=False),
        Binding("s", "app.steer", show=False),
        Binding("p", "app.pause", show=False),
        Binding("r", "app.resume", show=False),
        Binding("x", "app.stop", show=False),
        Binding("a", "app.review('approve')", show=False),
        Binding("d", "app.review('reject')", show=False),
        Binding("question_mark", "app.help", show=False),
        Binding("q", "app.leave", show=False),
    ]
    app: Shell

    def __init__(self, id: str | None = None):
        super().__init__(id=id)
        self.tab = "now"
        self.zoomed: str | None = None
        self.words = ""  # that events must hold
        self._typing: Timer | None = None
        self._searched = "table"
        self._plan: tuple[bool, bool, set[str], dict[str, int | str]] | None = None  # as panes are placed now
        self._events_shown: tuple[object, str] | None = None
        self._newest = 0  # id of the newest event that is shown

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield Lines(id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield CurvePane(id="curve", classes="pane", focus=True)
                yield Candidates(id="table")
            with Vertical(id="right"):
                yield Lines(id="now", classes="pane", focus=True)
                yield Lines(id="budget", classes="pane")
                yield Lines(id="events", classes="pane", focus=True)
                yield Lines(id="asked", classes="pane", focus=True, wrap=True)
        yield Input(id="search", placeholder="words, or a number such as c12; enter keeps, esc clears")
        yield Foot()

    def on_mount(self) -> None:
        self._reading = Reading(self.app, self.table)
        self.table.add_class("pane")
        self._title()
        self.lines("head").show([Text("reading the tracker…", style="dim")])
        self.table.ask(self.table.query_now)
        (self.table if self.wide else self.lines("now")).focus()
        self._keys()

    def lines(self, name: str) -> Lines:
        return self.query_one(f"#{name}", Lines)

    @property
    def table(self) -> Candidates:
        return self.query_one("#table", Candidates)

    # What is shown

    def show(self) -> None:
        """Show the newest picture, or why there is none."""
        picture, trouble = self.app.picture, self.app.trouble
        if picture is None:
            self.lines("head").show([Text(f"! {trouble}; waiting for it", style="bold yellow")])
            return
        self.lines("head").show(panes.head(picture, trouble))
        self.lines("now").show(panes.now(picture))
        self.lines("now").entitle(panes.now_title(picture.activity))
        self.lines("asked").show(panes.asked(picture))
        self.lines("asked").entitle("asked")
        curve_pane = self.query_one(CurvePane)
        curve_pane.draw(picture.curve)
        better = "higher" if picture.curve.direction == "maximize" else "lower"
        curve_pane.entitle(f"{plain(picture.curve.metric, 40)}, {better} is better")
        self._show_events(picture)
        self._reading.again(picture)
        self._keys()
        self._arrange()

    def _show_events(self, picture: Picture) -> None:
        if (picture.events, self.words) == self._events_shown:
            return
        self._events_shown = (picture.events, self.words)
        pane = self.lines("events")
        chosen = [event for event in picture.events if panes.matches(event, self.words)]
        added = sum(1 for event in chosen if event.id > self._newest) if self._newest else 0
        self._newest = chosen[0].id if chosen else 0
        if not chosen:
            words = "no such event among the newest" if self.words else "nothing yet"
            pane.show([Text(words, style="dim")])
        else:
            pane.show(EventLines(chosen, picture))
        if added and round(pane.scroll_y) > 0:  # who has scrolled down goes on reading there
            pane.scroll_to(y=pane.scroll_y + added, animate=False, immediate=True)
        pane.entitle(f"events with {plain(self.words, 40)}" if self.words else "events, newest first")

    def _keys(self) -> None:
        self.query_one(Foot).keys(footer(self.app.picture, self.size.width))

    # Where it is shown

    def on_resize(self, event: Resize) -> None:
        self._keys()
        self._arrange()

    @property
    def wide(self) -> bool:
        return self.size.width >= WIDE[0] and self.size.height >= WIDE[1]

    def in_sight(self) -> set[str]:
        """The panes that are shown."""
        if self.zoomed:
            return {self.zoomed}
        if not self.wide:
            return set(TABS[self.tab])
        asked = bool(self.app.picture and self.app.picture.requests)
        return {*LEFT, *RIGHT} - (set() if asked else {"asked"})

    def _arrange(self) -> None:
        """Give each pane its place and its rows, where these are not as they were."""
        wide, height, picture = self.wide, self.size.height, self.app.picture
        short = height < SHORT
        visible = self.in_sight()
        if short and len(visible) > 1:
            visible.discard("curve")
        bars = panes.budget(picture, self.lines("budget").room.width or self.size.width) if picture else []
        self.lines("budget").show(bars)
        self.lines("budget").entitle("budget")
        self.lines("tabs").show([self._tabs()])
        head = 1 if short and not self.app.trouble else 2
        room, border = max(0, height - (3 if short else 4)), 0 if short else 1
        doing, asked = (len(self.lines(name).text.splitlines()) for name in ("now", "asked"))
        rows: dict[str, int | str] = {"head": head, "left": "1fr", "right": "1fr"}
        if len(visible) == 1:
            rows |= dict.fromkeys(visible, "1fr")
        elif wide:
            rows |= {"now": min(max(3, doing), room // 3) + border, "budget": len(bars) + border}
            rows |= {"asked": min(6, asked) + border, "curve": max(8, room * 2 // 5), "events": "1fr", "table": "1fr"}
        else:
            curve = 0 if short else max(6, room - len(bars) - min(doing, 8) - 2 * border)
            budget = min(len(bars) + border, max(1 + border, room - curve - border - 1))
            rows |= {"curve": curve, "left": curve, "budget": budget, "now": "1fr"}
        if (plan := (wide, short, visible, rows)) != self._plan:
            self._plan = plan
            self._place(*plan)

    def _place(self, wide: bool, short: bool, visible: set[str], rows: Mapping[str, int | str]) -> None:
        self.set_class(wide, "-wide")
        self.set_class(short, "-short")
        for name in (*LEFT, *RIGHT):
            self.query_one(f"#{name}").display = name in visible
        for side, names in (("left", LEFT), ("right", RIGHT)):
            part = self.query_one(f"#{side}")
            part.display = bool(visible.intersection(names))
            part.styles.width = None if wide else "1fr"
        self.query_one("#body").styles.layout = "horizontal" if wide else "vertical"
        self.query_one("#tabs").display = not wide
        for name, height in rows.items():
            self.query_one(f"#{name}").styles.height = height

    def _tabs(self) -> Text:
        picture = self.app.picture
        counts = {"candidates": picture.view["counts"]["candidates"], "asked": len(picture.requests)} if picture else {}
        line = Text()
        for at, name in enumerate(TABS, start=1):
            count = f" {counts[name]}" if counts.get(name) and self.size.width >= 60 else ""
            line.append(f" {at} {name}{count} ", style="bold reverse" if name == self.tab else "dim").append(" ")
        return line

    def action_tab(self, name: str) -> None:
        """Show a tab; where all panes are in sight, go to its pane."""
        self.tab, self.zoomed = name, None
        self._arrange()
        target = "table" if name == "candidates" else name
        self.query_one(f"#{target}").focus(scroll_visible=False)

    def action_zoom(self) -> None:
        """The pane that has the focus on the whole screen, and back."""
        if self.zoomed:
            self.zoomed = None
        elif self.focused is not None and self.focused.id in (*LEFT, *RIGHT):
            self.zoomed = self.focused.id
        self._arrange()

    def go_to_table(self) -> None:
        if "table" not in self.in_sight():
            self.action_tab("candidates")
        self.table.focus(scroll_visible=False)

    # Candidates

    def on_candidates_wanted(self, wanted: Candidates.Wanted) -> None:
        self._reading.read(wanted.query, wanted.page)

    def on_candidates_moved(self, moved: Candidates.Moved) -> None:
        self._title()

    def neighbour(self, by: int) -> str | None:
        """The candidate so many rows below the cursor, which goes there; None while it is not read."""
        before = self.table.cursor
        self.table.action_move(by)
        row = self.table.current
        return row.id if row and self.table.cursor != before else None

    def _title(self) -> None:
        query, table = self.table.query_now, self.table
        words = next(words for statuses, words in KINDS.values() if statuses == query.statuses)
        parts = ["candidates" if words == "all" else f"candidates: {words}"]
        parts += [f"with {plain(query.search, 40)}"] if query.search else []
        at = f"{table.cursor + 1:,} of {table.total:,}" if table.total else "0"
        table.border_title = Text(f" {' '.join(parts)}, {at} ")

    # Search, filter, order

    def action_search(self) -> None:
        """Search in events where they have the focus, else in candidates."""
        self._searched = "events" if self.focused is self.lines("events") or self._only("events") else "table"
        if self._searched == "table":
            self.go_to_table()
        field = self.query_one("#search", Input)
        field.value = self.words if self._searched == "events" else self.table.query_now.search
        field.display = True
        field.focus()

    def _only(self, name: str) -> bool:
        return self.in_sight() == {name}

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING, self._search)

    def _search(self) -> None:
        field = self.query_one("#search", Input)
        if not field.display:
            return
        if self._searched == "events":
            self.words = field.value.strip()
            if self.app.picture is not None:
                self._show_events(self.app.picture)
        elif field.value.strip() != self.table.query_now.search:
            self.table.ask(replace(self.table.query_now, search=field.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._search()
        self._end_search()

    def _end_search(self) -> None:
        self.query_one("#search", Input).display = False
        (self.lines("events") if self._searched == "events" else self.table).focus(scroll_visible=False)

    def action_clear(self) -> None:
        """Leave the search, or the zoom, or take back what narrows the list."""
        field = self.query_one("#search", Input)
        if field.display:
            field.value = ""
            self._search()
            self._end_search()
        elif self.zoomed:
            self.action_zoom()
        elif self._only("events") or self.focused is self.lines("events"):
            self.words = ""
            if self.app.picture is not None:
                self._show_events(self.app.picture)
        else:
            query = self.table.query_now
            if query.search or query.statuses is not None:
                self.table.ask(replace(query, search="", statuses=None))

    def action_filter(self) -> None:
        self.go_to_table()
        counts = self.app.picture.view["counts"] if self.app.picture else {}
        self.app.push_screen(Choice("which candidates", list(kinds(counts))), self._filter)

    def _filter(self, key: str | None) -> None:
        if key in KINDS:
            self.table.ask(replace(self.table.query_now, statuses=KINDS[key][0]))

    def action_order(self) -> None:
        self.go_to_table()
        answers = [(key, words) for key, (_, words) in ORDERS.items()]
        self.app.push_screen(Choice("order by", answers), self._order)

    def _order(self, key: str | None) -> None:
        if key not in ORDERS:
            return
        query, sort = self.table.query_now, ORDERS[key][0]
        descending = not query.descending if sort is query.sort else sort is not SortKey.STATUS
        self.table.ask(replace(query, sort=sort, descending=descending))
