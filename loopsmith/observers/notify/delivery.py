"""Delivering messages to one target, in a thread of its own: again and again until it takes them, for a while."""

import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from loopsmith.log import mask
from loopsmith.observers.feed import Feed
from loopsmith.observers.notify.message import Message
from loopsmith.observers.notify.targets import NotTold, Target
from loopsmith.workflow.quote import one_line

ROOM = 100  # messages that may wait
PATIENCE = 600.0  # seconds that one message is tried for
BACKOFF = wait_random_exponential(multiplier=1, min=0.5, max=60)
SENT, FAILED = "notify.sent", "notify.failed"


class Delivery:
    """The way to one target.

    Args:
        tell: writes an event (name and data) into the tracker, from any thread.
        last_word: seconds that it goes on trying after it was closed.
    """

    def __init__(self, target: Target, tell: Callable[..., None], *, last_word: float):
        self.target, self.tell, self.last_word = target, tell, last_word
        self.failed = False  # the last message did not arrive, and that was said
        self._closed_at: float | None = None
        self.feed: Feed[Message] = Feed(f"notify-{target.name}", self._deliver, size=ROOM)

    def give(self, message: Message) -> None:
        if not self.feed.give(message):
            self._fail(message, f"{ROOM} messages wait already")

    def close(self) -> None:
        self._closed_at = time.monotonic()
        self.feed.close()

    def _deliver(self, message: Message) -> None:
        again = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, NotTold) and error.passing),
            wait=self._pause,
            stop=self._over,
            sleep=self._rest,
            reraise=True,
        )
        try:
            again(self.target.send, message)
        except Exception as error:
            self._fail(message, one_line(mask(str(error) or type(error).__name__)))
            return
        self.failed = False
        self.tell(SENT, occasion=message.occasion, key=message.key, to=self.target.name)

    def _fail(self, message: Message, reason: str) -> None:
        """Say it once, until a message arrives again."""
        if not self.failed:
            self.failed = True
            self.tell(FAILED, occasion=message.occasion, key=message.key, to=self.target.name, reason=reason)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, NotTold) else None
        return BACKOFF(state) if asked is None else min(asked, PATIENCE)

    def _over(self, state: RetryCallState) -> bool:
        if self._closed_at is not None and time.monotonic() - self._closed_at > self.last_word:
            return True
        return (state.seconds_since_start or 0.0) + state.upcoming_sleep > PATIENCE

    def _rest(self, seconds: float) -> None:
        """Wait, but not for long when the campaign has ended meanwhile."""
        if self.feed.closing.wait(seconds):
            time.sleep(min(seconds, 0.5))
