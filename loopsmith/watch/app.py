"""The full-screen view: it polls the tracker in a thread, shows what it found, and asks what a person wants asked."""

import asyncio
import signal
from typing import ClassVar, Protocol

from rich.text import Text
from textual.binding import Binding, BindingType

from loopsmith.live import Overview, RequestKind
from loopsmith.records import Candidate, Status
from loopsmith.watch.detail import Detail
from loopsmith.watch.dialogs import Choice, Help, Write
from loopsmith.watch.feed import Source
from loopsmith.watch.foot import Foot
from loopsmith.watch.keys import HELP
from loopsmith.watch.main import Main
from loopsmith.watch.shell import Shell
from loopsmith.watch.steering import say
from loopsmith.watch.table import Candidates
from loopsmith.watch.text import plain, status_words


class InProcess(Protocol):
    """A campaign that runs in another thread of this process."""

    @property
    def ended(self) -> bool: ...

    def stop(self) -> None:
        """Once finishes what is being decided, twice stops now."""


class Watch(Shell):
    """The view of one campaign.

    Args:
        source: where it is read.
        campaign: where it runs in this process: leaving the view asks then what becomes of it, as it cannot go on
            without it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False),
    ]

    def __init__(self, source: Source, campaign: InProcess | None = None):
        super().__init__(source)
        self.campaign = campaign
        self.leaving = False  # once the campaign in this process has ended
        self._stops = 0  # how often that one was asked to stop

    def get_default_screen(self) -> Main:
        return Main(id="_default")

    async def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        if not self.is_headless:
            loop.add_signal_handler(signal.SIGTERM, self._end, 2)
            loop.add_signal_handler(signal.SIGINT, self._end, 1)
        self._ending = self.set_interval(0.2, self._look_for_end, pause=self.campaign is None)
        self.look()

    @property
    def main(self) -> Main:
        screen = self.screen_stack[0]
        assert isinstance(screen, Main)
        return screen

    def show(self) -> None:
        self.main.show()
        if isinstance(self.screen, Detail):
            self.screen.read_again()

    def tell(self, words: str) -> None:
        """At the foot of the screen that is in sight."""
        screen = next(screen for screen in reversed(self.screen_stack) if isinstance(screen, (Main, Detail)))
        screen.query_one(Foot).tell(plain(words))

    def on_candidates_opened(self, opened: Candidates.Opened) -> None:
        self.push_screen(Detail(opened.candidate_id))

    def neighbour(self, by: int) -> str | None:
        return self.main.neighbour(by)

    # What a person asks

    def ask(self, kind: RequestKind, **data: object) -> None:
        self.in_background(lambda: say(self.source, kind, data), self.tell)

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
        found: Candidate | Overview | None = self.main.table.current
        if isinstance(self.screen, Detail):
            found = self.screen.candidate
        if found is None:
            self.tell("no candidate is chosen")
            return
        candidate_id, status = found.id, found.status
        name = f"c{candidate_id.rpartition('.')[2]}"
        if status is not Status.QUARANTINED:
            self.tell(f"{name} is {status_words(status)}; only a candidate in quarantine waits for a person")
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
