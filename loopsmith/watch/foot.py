"""The last lines of a screen: its keys, or for a while a sentence in their place."""

from rich.text import Text
from textual.timer import Timer

from loopsmith.watch.lines import BLANK, Lines

MESSAGE = 8.0  # seconds that a sentence stays


class Foot(Lines):
    """See above. What the keys are may change while the sentence stands."""

    def __init__(self) -> None:
        super().__init__(id="keys", wrap=True)
        self._keys = BLANK
        self._message: Timer | None = None

    def keys(self, keys: Text) -> None:
        """Show these, once no sentence stands."""
        self._keys = keys
        if self._message is None:
            self.show([keys])

    def tell(self, words: str) -> None:
        """A sentence in place of the keys, for a while."""
        self.show([Text(words, style="bold reverse")])
        if self._message is not None:
            self._message.stop()
        self._message = self.set_timer(MESSAGE, self._told)

    def _told(self) -> None:
        self._message = None
        self.show([self._keys])
