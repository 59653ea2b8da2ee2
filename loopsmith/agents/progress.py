"""Whether a worker gets anywhere: one that repeats itself, or edits nothing for long, is told once, then stopped."""

import json
import re
from collections.abc import Sequence

from loopsmith.agents.model import ToolCall, ToolResult

STALE_TURNS = 3  # turns in a row that brought nothing new, after which a worker is told; as many again stop it
_SECONDS = re.compile(r"\d+(\.\d+)? ?m?s\b")

Pair = tuple[ToolCall, ToolResult]


class Progress:
    """Counts turns.

    Args:
        idle_turns: turns without an edit after which the worker is told; as many again stop it.
    """

    def __init__(self, idle_turns: int):
        self.idle_turns = idle_turns
        self.idle = self.stale = 0
        self._seen: dict[str, str] = {}
        self._alike = True
        self._last: list[str] = []
        self.stopped = ""  # why, in words; empty while it may go on

    def turn(self, pairs: Sequence[Pair], *, edited: bool) -> str:
        """Take in the calls of one turn; gives what the worker is to be told, mostly nothing.

        Args:
            edited: an editable file changed.
        """
        keys = [f"{call.name} {json.dumps(call.arguments, sort_keys=True)}" for call, _ in pairs]
        said = [_SECONDS.sub("", result.text) for _, result in pairs]
        new = edited or any(self._seen.get(key) != text for key, text in zip(keys, said, strict=True))
        self._seen.update(zip(keys, said, strict=True))
        self._alike = keys == self._last and (self._alike or not self.stale)
        self._last = keys
        self.stale = 0 if new else self.stale + 1
        self.idle = 0 if edited else self.idle + 1
        if self.stale >= 2 * STALE_TURNS or self.idle >= 2 * self.idle_turns:
            self.stopped = self._why()
        elif self.stale == STALE_TURNS or self.idle == self.idle_turns:
            return f"\n[no progress: {self._why()}. Make a change and test it, or submit; otherwise you are stopped]"
        return ""

    def forget(self) -> None:
        """What tools said was left out of the conversation: it is no repetition to ask for it again."""
        self._seen.clear()

    def _why(self) -> str:
        if self.stale >= STALE_TURNS:
            turns = self.stale + self._alike
            what = f"the same call ({self._last[0][:80]})" if self._alike else "only what was called before"
            return f"{turns} turns in a row called {what}, with the same result"
        return f"{self.idle} turns in a row changed no editable file"
