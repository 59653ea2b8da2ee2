"""One candidate on the whole screen: what was tried and decided, its patch, its runs, its transcript."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.screen import Screen

from loopsmith.errors import LoopsmithError
from loopsmith.records import Candidate, Status
from loopsmith.tracker import Store
from loopsmith.watch.dossier import NAME, Dossier, dossier
from loopsmith.watch.foot import Foot
from loopsmith.watch.lines import Lines
from loopsmith.watch.shell import Shell
from loopsmith.watch.text import plain, status_style, status_words
from loopsmith.workspace import Repository

WIDE = 120  # columns from which the patch stands beside the text
KEYS = "1 about  2 patch  3 runs  4 transcript  n next  p previous  esc back  ? help"
REVIEW = "a approve  d reject  "  # where it waits for a person
PAGES = ("about", "patch", "runs", "transcript")


class Detail(Screen[None]):
    """A candidate; n and p go to the next in the table's order."""

    DEFAULT_CSS = """
    Detail Lines { border-top: solid $border-blurred; height: 1fr; width: 1fr; }
    Detail Lines { border-title-style: bold; border-title-color: $foreground; }
    Detail Lines:focus { border-title-style: bold reverse; }
    Detail.-wide #about { margin-right: 2; }
    Detail #head, Detail #keys { border: none; height: 1; }
    Detail #keys { height: auto; max-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,left,backspace", "back", show=False),
        Binding("n", "step(1)", show=False),
        Binding("p", "step(-1)", show=False),
        *(Binding(str(number), f"page({number - 1})", show=False) for number in range(1, len(PAGES) + 1)),
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
        Binding("a", "app.review('approve')", show=False),
        Binding("d", "app.review('reject')", show=False),
        Binding("question_mark", "app.help", show=False),
    ]
    app: Shell

    def __init__(self, candidate_id: str):
        super().__init__()
        self.candidate_id = candidate_id
        self.page = "about"
        self.dossier: Dossier | None = None
        self._reading = False

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        with Horizontal():
            yield Lines(id="about", wrap=True, hang=NAME, focus=True)
            yield Lines(id="patch", across=True, focus=True)
            yield Lines(id="runs", across=True, focus=True)
            yield Lines(id="transcript", wrap=True, focus=True)
        yield Foot()

    def on_mount(self) -> None:
        for name in PAGES:
            self.query_one(f"#{name}", Lines).entitle(f"{PAGES.index(name) + 1} {name}")
        self._keys()
        self._arrange()
        self.load()

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def _keys(self) -> None:
        waits = self.dossier is not None and self.dossier.candidate.status is Status.QUARANTINED
        self.query_one(Foot).keys(Text(f"{REVIEW if waits else ''}{KEYS}", style="dim"))

    @property
    def candidate(self) -> Candidate | None:
        """The one that is shown, once it is read."""
        read = self.dossier
        return read.candidate if read and read.candidate.id == self.candidate_id else None

    def load(self) -> None:
        self.query_one("#head", Lines).show([Text("reading…", style="dim")])
        self._reading = True
        self.app.in_background(self._read, self._shown)

    def read_again(self) -> None:
        """Where more may become known of it."""
        status = self.candidate.status if self.candidate else None
        if not self._reading and (status is None or not status.final or status is Status.QUARANTINED):
            self._reading = True
            self.app.in_background(self._read, self._shown)

    def _read(self) -> tuple[str, Dossier | str]:
        candidate_id = self.candidate_id
        try:
            return candidate_id, self.app.pages.read(lambda store: self._dossier(store, candidate_id))
        except LoopsmithError as error:
            return candidate_id, self.app.pages.short(error)

    def _dossier(self, store: Store, candidate_id: str) -> Dossier:
        try:
            repository = Repository.open(self.app.source.state.root)
        except LoopsmithError:
            repository = None
        return dossier(store, repository, candidate_id)

    def _shown(self, found: tuple[str, Dossier | str]) -> None:
        candidate_id, read = found
        if candidate_id != self.candidate_id or not self.is_mounted:
            return
        self._reading = False
        if isinstance(read, str):
            self.query_one("#head", Lines).show([Text(f"! {plain(read)}", style="bold yellow")])
            return
        fresh = self.dossier is None or self.dossier.candidate.id != candidate_id
        self.dossier = read
        for name in PAGES:
            self.query_one(f"#{name}", Lines).show(getattr(read, name), keep=not fresh)
        candidate = read.candidate
        head = Text.assemble(
            (f"c{candidate.number}", "bold"),
            "  ",
            (f" {status_words(candidate.status)} ", f"{status_style(candidate.status)} reverse"),
            f"  {plain(candidate.hypothesis or candidate.summary)}",
        )
        self.query_one("#head", Lines).show([head])
        self._keys()

    def _arrange(self) -> None:
        """Two pages side by side where there is room: the first, and the one that was chosen."""
        wide = self.size.width >= WIDE
        self.set_class(wide, "-wide")
        beside = self.page if self.page != "about" else "patch"
        shown = ("about", beside) if wide else (self.page,)
        for name in PAGES:
            self.query_one(f"#{name}", Lines).display = name in shown
        self.query_one(f"#{self.page}", Lines).focus(scroll_visible=False)

    def action_page(self, number: int) -> None:
        self.page = PAGES[number]
        self._arrange()

    def action_turn(self, by: int) -> None:
        self.action_page((PAGES.index(self.page) + by) % len(PAGES))

    def action_step(self, by: int) -> None:
        if (candidate_id := self.app.neighbour(by)) is not None:
            self.candidate_id = candidate_id
            self.load()

    def action_back(self) -> None:
        self.dismiss()
