"""The full-screen view: it polls the tracker in a thread, shows what it found, and asks what a person wants asked."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TypeVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.theme import Theme

from loopsmith.errors import LoopsmithError
from loopsmith.live import RequestKind
from loopsmith.records import Status
from loopsmith.watch import terminal
from loopsmith.watch.detail import Detail, Place
from loopsmith.watch.dialogs import Choice, Help, Write
from loopsmith.watch.feed import Feed, Picture, Reader, Source
from loopsmith.watch.keys import HELP
from loopsmith.watch.main import Main
from loopsmith.watch.steering import say
from loopsmith.watch.text import Harmless, plain

T = TypeVar("T")

EVERY = 1.0  # seconds between two looks at the tracker
REST = 2.0  # a look that took long is followed by so many times its length without one
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


class InProcess(Protocol):
    """A campaign that runs in another thread of this process."""

    @property
    def ended(self) -> bool: ...

    def stop(self) -> None:
        """Once finishes what is being decided, twice stops now."""


class Watch(App[None]):
    """The view of one campaign.

    Args:
        source: where it is read.
        campaign: where it runs in this process: leaving the view asks then what becomes of it, as it cannot go on
            without it.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False),
    ]

    def __init__(self, source: Source, campaign: InProcess | None = None):
        self.ascii = terminal.ascii_only(os.environ)
        self._harmless = Harmless(ascii=self.ascii)
        super().__init__(ansi_color=True)
        self.register_theme(THEME)
        self.theme = "loopsmith"
        self.animation_level = "none"
        self.source, self.campaign = source, campaign
        self.feed = Feed(source)
        self.pages = Reader(source)
        self.picture: Picture | None = None
        self.trouble = ""
        self.leaving = False  # once the campaign in this process has ended
        self._stops = 0  # how often that one was asked to stop
        self._looking = False

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._harmless]

    def get_default_screen(self) -> Main:
        return Main(id="_default")

    async def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        if not self.is_headless:
            loop.add_signal_handler(signal.SIGTERM, self._end, 2)
            loop.add_signal_handler(signal.SIGINT, self._end, 1)
        self._ending = self.set_interval(0.2, self._look_for_end, pause=self.campaign is None)
        self.look()

    def on_unmount(self) -> None:
        self.feed.reader.close()
        self.pages.close()

    # What is read

    def look(self) -> None:
        """Read the tracker in a thread, show it, and do so again in about a second."""
        if self._looking:
            return
        self._looking = True

        def read() -> tuple[Picture | str, float]:
            began = time.monotonic()
            try:
                found: Picture | str = self.feed.look()
            except LoopsmithError as error:
                found = str(error)
            return found, time.monotonic() - began

        self.in_background(read, self._looked, group="feed")

    def _looked(self, found: tuple[Picture | str, float]) -> None:
        self._looking = False
        picture, took = found
        if isinstance(picture, str):
            self.trouble = plain(picture)
        else:
            self.picture, self.trouble = picture, ""
        self.main.show()
        self.set_timer(max(EVERY, REST * took), self.look)

    def in_background(self, read: Callable[[], T], then: Callable[[T], None], *, group: str) -> None:
        """Call `read` in a thread, and `then` with what it gave here; an error of loopsmith's is shown in a line."""

        def work() -> None:
            try:
                found = read()
            except LoopsmithError as error:
                self.call_from_thread(self.tell, str(error))
                return
            self.call_from_thread(then, found)

        self.run_worker(work, thread=True, group=group, exit_on_error=True)

    @property
    def main(self) -> Main:
        screen = self.screen_stack[0]
        assert isinstance(screen, Main)
        return screen

    def tell(self, words: str) -> None:
        """A sentence at the foot, for a while."""
        self.main.tell(plain(words))

    # Candidates

    def open_candidate(self, place: Place) -> None:
        self.push_screen(Detail(place))

    def neighbour(self, index: int) -> Place | None:
        """The candidate at a row of the table; the cursor goes with it."""
        return self.main.place(index)

    # What a person asks

    def ask(self, kind: RequestKind, **data: object) -> None:
        self.in_background(lambda: say(self.source, kind, data), self.tell, group="ask")

    def action_stop(self) -> None:
        answers = [("a", "after what is being decided"), ("n", "now, and start that again another time")]
        self.push_screen(Choice("stop the campaign", [*answers, ("b", "back")]), self._stop)

    def _stop(self, answer: str | None) -> None:
        if answer in ("a", "n"):
            self.ask(RequestKind.STOP, now=answer == "n")

    def action_pause(self) -> None:
        self.ask(RequestKind.PAUSE)

    def action_resume(self) -> None:
        self.ask(RequestKind.RESUME)

    def action_steer(self) -> None:
        what = Text("A hint for the next workers; it is marked as yours.", style="dim")
        self.push_screen(Write("steer", [what]), self._steer)

    def _steer(self, text: str | None) -> None:
        if text:
            self.ask(RequestKind.STEER, text=text)

    def action_review(self, kind: str) -> None:
        """Approve or reject the candidate that is shown, or under the cursor, once a person has said it twice."""
        candidate = self.main.table.current
        if isinstance(self.screen, Detail):
            candidate_id = self.screen.place.candidate_id
            candidate = candidate if candidate and candidate.id == candidate_id else None
            read = self.screen.dossier
            status = read.candidate.status if read else None
        elif candidate is not None:
            candidate_id, status = candidate.id, candidate.status
        else:
            self.tell("no candidate is chosen")
            return
        name = f"c{candidate_id.rpartition('.')[2]}"
        if status is not Status.QUARANTINED:
            self.tell(f"{name} is {status or 'not read yet'}; only a candidate in quarantine waits for a person")
            return
        means = "keep it as the new baseline" if kind == "approve" else "discard it"
        answers = [("y", f"yes, {kind} {name}: {means}"), ("b", "back")]

        def answered(answer: str | None) -> None:
            if answer == "y":
                self.ask(RequestKind(kind), candidate=candidate_id)

        self.push_screen(Choice(f"{kind} {name}?", answers, at=1), answered)

    # Leaving

    def action_help(self) -> None:
        self.push_screen(Help("keys", HELP))

    def action_leave(self) -> None:
        """Close the view; where the campaign runs in this process, ask what becomes of it."""
        if self.campaign is None or self.campaign.ended:
            self.exit()
            return
        answers = [
            ("a", "stop after what is being decided, then leave"),
            ("n", "stop now, and leave"),
            ("b", "back to watching"),
        ]
        if not isinstance(self.screen, Choice):
            self.push_screen(Choice("the campaign runs in this process", answers, at=2), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer in ("a", "n"):
            self._end(2 if answer == "n" else 1)

    def _end(self, stops: int) -> None:
        """Leave when the campaign in this process has ended, which is asked to stop; else leave.

        Args:
            stops: 1 for after what is being decided, 2 for now.
        """
        if self.campaign is None or self.campaign.ended:
            self.exit()
            return
        self.leaving = True
        for _ in range(stops - self._stops):
            self.campaign.stop()
        self._stops = max(stops, self._stops)
        self.tell(
            "the campaign stops " + ("now" if self._stops > 1 else "after what is being decided; then the view ends")
        )

    def _look_for_end(self) -> None:
        if self.campaign is not None and self.campaign.ended:
            self._ending.stop()
            if self.leaving:
                self.exit()
            else:
                self.tell("the campaign has ended; q closes the view and prints the summary")
