"""The line to a provider: what all conversations with one model know together of its state.

Until when it asks to be left alone, and since when it answers nobody.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

BREAKER = 240.0  # seconds in which every call failed, after which no more is made
FEWEST = 4  # failures before that says anything
SAME = 2.0  # seconds by which a limit must grow to be told again

Told = Callable[[float], None]


@dataclass
class Line:
    """Times are of the `time.monotonic` clock."""

    until: float = 0.0  # rate limited until then
    failing_since: float | None = None  # the first failure after the last answer
    failures: int = 0  # since then
    listeners: list[Told] = field(default_factory=list)  # told of each new rate limit, with its seconds

    def answered(self) -> None:
        """A call was answered, well or badly."""
        self.failing_since, self.failures = None, 0

    def failed(self, begun: float) -> None:
        """A call that began then brought no answer."""
        self.failing_since = begun if self.failing_since is None else self.failing_since
        self.failures += 1

    def limited(self, seconds: float) -> None:
        """The provider asks to wait; everybody does."""
        self.answered()  # it is there
        until = time.monotonic() + seconds
        if until > self.until + SAME:
            for listener in self.listeners:
                listener(seconds)
        self.until = max(self.until, until)

    @property
    def wait(self) -> float:
        """Seconds until the next call may be made."""
        return max(0.0, self.until - time.monotonic())

    @property
    def broken(self) -> bool:
        """Whether every call of the last minutes failed."""
        since = self.failing_since
        return since is not None and self.failures >= FEWEST and time.monotonic() - since > BREAKER
