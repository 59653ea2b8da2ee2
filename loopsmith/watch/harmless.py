"""The last gate before the terminal."""

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

ASCII = str.maketrans(
    {
        **dict.fromkeys("─╌╍╴╶╸╺═▔▁▀▄", "-"),
        **dict.fromkeys("│┃║╎▏▕▌▐", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝┏┓┗┛▛▜▙▟", "+"),
        "━": "=",
        **dict.fromkeys("█▓▇▆▅▃▂", "#"),
        **dict.fromkeys("░▒·•", "."),
        **dict.fromkeys("●◆", "o"),
        **dict(zip("…→▲▼–—‘’“”×±µ≥≤", "~>^v--''\"\"x~u><", strict=True)),
    }
)


@lru_cache(4096)
def as_ascii(text: str) -> str:
    """`text` in as many columns, with a question mark for each column that ASCII has no letter for."""
    text = text.translate(ASCII)
    return text if text.isascii() else "".join(char if char.isascii() else "?" * cell_len(char) for char in text)


class Harmless(LineFilter):
    """The last gate before the terminal: nothing that it would obey, and only ASCII where it knows no more."""

    def __init__(self, *, ascii: bool):
        super().__init__()
        self.ascii = ascii

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control else Segment(self._text(segment.text), segment.style) for segment in segments
        ]

    def _text(self, text: str) -> str:
        if not text.isprintable():
            text = "".join(char if char.isprintable() else "·" for char in text)
        return as_ascii(text) if self.ascii and not text.isascii() else text
