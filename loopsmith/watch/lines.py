"""Lines of text that scroll: the one widget that everything on the screen is made of. It knows no markup."""

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

BLANK = Text("")


class Lines(ScrollView):
    """Shows texts, one below the other.

    Args:
        wrap: break long lines, with the width; without, they go on to the right.
        across: long lines can be scrolled sideways; without, they are cut.
        hang: columns of a name at the beginning of a line, a span of its own: what is wrapped goes on beside it.
    """

    DEFAULT_CSS = "Lines { scrollbar-size: 1 1; overflow-x: hidden; } Lines.-across { overflow-x: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
        Binding("space", "page_down", show=False),
    ]

    def __init__(
        self,
        *,
        id: str | None = None,
        wrap: bool = False,
        across: bool = False,
        hang: int = 0,
        focus: bool = False,
        classes: str = "",
    ):
        super().__init__(id=id, can_focus=focus, classes=classes)
        self.wrap, self.across, self.hang = wrap, across, hang
        self.set_class(across, "-across")
        self._title = ""
        self._given: Sequence[Text] | None = None
        self._lines: Sequence[Text] = ()

    def entitle(self, title: str) -> None:
        """Put a title into the line above; no markup in it is obeyed."""
        if title != self._title:
            self._title = title
            self.border_title = Text(f" {title} ")

    def show(self, lines: Sequence[Text], *, keep: bool = True) -> None:
        """Show these lines.

        Args:
            keep: stay where one has scrolled to.
        """
        if lines != self._given:
            self._given = lines
            self._arrange()
        if not keep:
            self.scroll_home(animate=False)

    @property
    def text(self) -> str:
        """What is shown, for who reads it from a program."""
        return "\n".join(line.plain for line in self._lines)

    @property
    def room(self) -> Size:
        """Columns and rows for the text."""
        return self.scrollable_content_region.size

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width = self.room.width
        if self.wrap and self._given and width <= 0:
            return  # behind its scroll bar, which would go away and come back for ever
        if self.wrap:
            self._lines = [part for line in self._given or () for part in wrapped(self.app, line, width, self.hang)]
        else:
            self._lines = self._given or ()
        widest = max((line.cell_len for line in self._lines), default=0) if self.across else width
        self.virtual_size = Size(widest, len(self._lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        row = top + y
        line = self._lines[row] if row < len(self._lines) else BLANK
        return strip_of(self.app, line, left, self.room.width)


def wrapped(app: App[Any], line: Text, width: int, hang: int) -> list[Text]:
    """A line broken to the width; beside its name, where it begins with one."""
    if line.cell_len <= width:
        return [line]
    named = hang and width > 2 * hang and bool(line.spans) and line.spans[0].end == hang
    if not named:
        return list(line.wrap(app.console, width)) or [BLANK]
    name, rest = line.divide([hang])
    parts = list(rest.wrap(app.console, width - hang)) or [BLANK]
    return [name + parts[0], *(Text(" " * hang) + part for part in parts[1:])]


def strip_of(app: App[Any], line: Text, left: int, width: int) -> Strip:
    """The part of a line that fits, padded to the width."""
    segments = [Segment(text, style) for text, style, control in line.render(app.console) if not control]
    return Strip(segments).crop_extend(left, left + width, None)
