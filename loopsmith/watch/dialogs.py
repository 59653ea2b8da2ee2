"""What stands before the rest until it is answered: help, a choice, a line to write."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input

from loopsmith.watch.lines import Lines

LONGEST = 2_000  # characters of a hint


class Dialog(ModalScreen[str | None]):
    """A box in the middle; escape leaves it without an answer."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: ansi_default; }
    Dialog > Vertical { border: round $foreground; width: 76; max-width: 100%; height: auto; max-height: 100%; }
    Dialog > Vertical { padding: 0 1; border-title-style: bold; border-title-color: $foreground; }
    Dialog Lines { height: auto; max-height: 100%; }
    Dialog Input { border: none; height: 1; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "leave", show=False)]

    def __init__(self, title: str, lines: Sequence[Text] = ()):
        super().__init__()
        self.heading, self.lines = title, lines

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self.heading)
            yield Lines(id="words", wrap=True, focus=True)

    def on_mount(self) -> None:
        self.query_one("#words", Lines).show(self.words())

    def words(self) -> Sequence[Text]:
        return self.lines

    def action_leave(self) -> None:
        self.dismiss(None)


class Help(Dialog):
    """Which key does what."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,question_mark,enter", "leave", show=False)]


class Choice(Dialog):
    """One of a few answers, each with a key of its own; the arrows and enter do as well.

    Args:
        answers: key, what it means.
        lines: what is asked.
        at: the answer that enter takes at first.
    """

    def __init__(self, title: str, answers: Sequence[tuple[str, str]], lines: Sequence[Text] = (), at: int = 0):
        super().__init__(title, lines)
        self.answers, self.at = answers, at

    def words(self) -> Sequence[Text]:
        rows = [
            Text.assemble((f" {key} ", "bold"), f" {words} ", style="reverse" if index == self.at else "")
            for index, (key, words) in enumerate(self.answers)
        ]
        return [*self.lines, *([Text("")] if self.lines else []), *rows]

    def on_key(self, event: Key) -> None:
        keys = [key for key, _ in self.answers]
        if event.character in keys:
            self.dismiss(event.character)
        elif event.key in ("up", "k", "down", "j"):
            self.at = (self.at + (-1 if event.key in ("up", "k") else 1)) % len(keys)
            self.query_one("#words", Lines).show(self.words())
        elif event.key == "enter":
            self.dismiss(keys[self.at])
        else:
            return
        event.stop()
        event.prevent_default()


class Write(Dialog):
    """A line of text; an empty one is no answer."""

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self.heading)
            yield Lines(id="words", wrap=True)
            yield Input(max_length=LONGEST, select_on_focus=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
