"""A thread behind a bounded queue: whoever gives it something never waits for what becomes of it."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from loopsmith import log

T = TypeVar("T")
LOOK = 0.5  # seconds between two looks at an empty queue


class Feed(Generic[T]):
    """Takes one item after another in a thread of its own, which does not hold up the end of the process.

    Args:
        take: called with each item.
        size: items that may wait; more are turned away.
        begin, end: called in the thread before the first item and after the last.
        idle: called in the thread after each item, and twice a second while none comes.
    """

    def __init__(
        self,
        name: str,
        take: Callable[[T], None],
        *,
        size: int,
        begin: Callable[[], None] | None = None,
        end: Callable[[], None] | None = None,
        idle: Callable[[], None] | None = None,
    ):
        self._take, self._begin, self._end, self._idle = take, begin, end, idle
        self._queue: queue.Queue[T] = queue.Queue(size)
        self.lost = 0  # items that were turned away
        self.begun, self.closing, self.done = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"loopsmith-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give(self, item: T) -> bool:
        """Queue an item; False when there is no room, or it is closed."""
        if self.closing.is_set():
            return False
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.lost += 1
            return False
        return True

    def close(self) -> None:
        """Take no more; what is queued is still done, and `done` is set then."""
        self.closing.set()

    def _run(self) -> None:
        try:
            if self._begin:
                self._begin()
            self.begun.set()
            while True:
                try:
                    item = self._queue.get(timeout=LOOK if not self.closing.is_set() else 0.01)
                except queue.Empty:
                    if self.closing.is_set():
                        break
                else:
                    self._take(item)
                if self._idle:
                    self._idle()
            if self._end:
                self._end()
        except BaseException as error:  # a fault of ours; the campaign goes on without it
            log.warning("observer.broke", thread=self._thread.name, error=f"{type(error).__name__}: {error}")
        finally:
            self.begun.set()
            self.closing.set()
            self.done.set()


def wait(events: list[threading.Event], seconds: float) -> bool:
    """Whether all were set within so many seconds."""
    deadline = time.monotonic() + seconds
    return all(event.wait(max(0.0, deadline - time.monotonic())) for event in events)
