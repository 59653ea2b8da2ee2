"""What every screen of the view works in: the terminal, what is read, and threads that read it."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from textual.app import App
from textual.filter import LineFilter, NoColor
from textual.theme import Theme

from loopsmith.errors import LoopsmithError
from loopsmith.watch import terminal
from loopsmith.watch.feed import Feed, Picture, Reader, Source
from loopsmith.watch.harmless import Harmless
from loopsmith.watch.text import plain

T = TypeVar("T")

EVERY = 1.0  # seconds between two looks at the tracker
# The terminal's own colours, which fit its background whatever that is.
THEME = Theme(
    name="loopsmith",
    ansi=True,
    primary="ansi_default",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border": "ansi_default",
        "border-blurred": "ansi_bright_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_default",
        "scrollbar-active": "ansi_default",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_bright_black",
        "input-selection-foreground": "ansi_default",
    },
)


class Shell(App[None]):
    """Polls the tracker and keeps the newest picture; how that is shown is said by the class below it.

    Attributes:
        picture: the newest; None until there is one.
        trouble: why nothing newer can be read; empty while it can.
        pages: reads candidates, beside the looks at the campaign.
    """

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source):
        self.ascii = terminal.ascii_only(os.environ)
        self._gates: list[LineFilter] = [Harmless(ascii=self.ascii)]
        if terminal.monochrome(os.environ):
            self._gates.append(NoColor())
        super().__init__(ansi_color=True)
        self.register_theme(THEME)
        self.theme = THEME.name
        self.animation_level = "none"
        self.source = source
        self.feed = Feed(source)
        self.pages = Reader(source)
        self.picture: Picture | None = None
        self.trouble = ""

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._gates]

    def on_unmount(self) -> None:
        self.feed.reader.close()
        self.pages.close()

    def look(self) -> None:
        """Read the tracker in a thread, show it, and do so again in about a second."""

        def read() -> Picture | str:
            try:
                return self.feed.look()
            except LoopsmithError as error:
                return self.feed.reader.short(error)

        self.in_background(read, self._looked)

    def _looked(self, picture: Picture | str) -> None:
        if isinstance(picture, str):
            self.trouble = plain(picture)
        else:
            self.picture, self.trouble = picture, ""
        self.show()
        self.set_timer(EVERY, self.look)

    def in_background(self, read: Callable[[], T], then: Callable[[T], None]) -> None:
        """Call `read` in a thread, and `then` with what it gave here; an error of loopsmith's is told in a line."""

        def work() -> None:
            try:
                found = read()
            except LoopsmithError as error:
                self._from_thread(self.tell, self.pages.short(error))
            else:
                self._from_thread(then, found)

        self.run_worker(work, thread=True)

    def _from_thread(self, then: Callable[[T], None], found: T) -> None:
        with suppress(RuntimeError):  # the view was closed meanwhile
            self.call_later(then, found)

    def show(self) -> None:
        """Show the newest picture, or the trouble."""
        raise NotImplementedError

    def tell(self, words: str) -> None:
        """Show a sentence for a while."""
        raise NotImplementedError

    def neighbour(self, by: int) -> str | None:
        """The id of the candidate so many rows below in the table, if it is read already; the cursor goes there."""
        raise NotImplementedError
