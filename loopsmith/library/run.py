"""Running a campaign until it ends or a person stops it, for the command line and for programs alike."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from loopsmith.campaign.campaign import run_campaign
from loopsmith.campaign.context import Context
from loopsmith.library.leaving import leave_report
from loopsmith.search.budget import End

T = TypeVar("T")

LOOK = 0.2  # seconds between two looks at the campaign's thread
DEFAULT_MODELS = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-5-mini"}


class Running:
    """A campaign that runs, and the way to stop it: once finishes what is being decided, twice stops now."""

    def __init__(self) -> None:
        self.asked = 0  # times that a person asked for the end, before it ran
        self.report: Path | None = None  # the page that the campaign left, once it has ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[End] | None = None
        self._context: Context | None = None

    async def run(self, context: Context, prepare: Callable[["Running"], None] | None = None) -> End:
        """The campaign's end; its report is written then, however it came.

        Args:
            prepare: called when it can be stopped, such as to set signal handlers.

        Raises:
            CancelledError: it was stopped at once.
            LoopsmithError: it failed.
        """
        self._context, self._task = context, asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if prepare is not None:
            prepare(self)
        if self.asked:
            self._interrupt()
        context.at_end.append(self._leave)
        return await run_campaign(context)

    def interrupt(self) -> None:
        """Ask for the end; from any thread."""
        if self._loop is None:
            self.asked += 1
            return
        try:
            self._loop.call_soon_threadsafe(self._interrupt)
        except RuntimeError:
            pass  # it has ended by now

    def cancel(self) -> None:
        """Stop now; in the campaign's own thread."""
        if self._task is not None:
            self._task.cancel()

    def _leave(self) -> None:
        assert self._context is not None
        self.report = leave_report(self._context)

    def _interrupt(self) -> None:
        assert self._context is not None
        if self._context.stop.end is not None:
            self.cancel()
        else:
            self._context.stop.request(End(reason="stopped", message="stopped by a person"))
            self._context.emit("campaign.stopping", hint="finishing what is being decided; Ctrl-C again stops now")


def in_thread(work: Callable[[], T], *, interrupted: Callable[[], None], tick: Callable[[], None]) -> T:
    """The result of `work`, done in another thread, as a notebook has an event loop of its own in this one.

    Args:
        interrupted: called for each Ctrl-C meanwhile; `work` should then come to its end.
        tick: called in this thread, a few times a second.

    Raises:
        BaseException: what `work` raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    ended, pressed = threading.Event(), False
    threading.Thread(target=body, name="loopsmith", daemon=True).start()
    while not ended.is_set():  # not `join`: an interrupt in it makes a thread count as ended in Python 3.11
        try:
            if pressed:
                pressed = False
                interrupted()
            ended.wait(LOOK)
            tick()
        except KeyboardInterrupt:
            pressed = True
        except BaseException:  # such as the exit that a handler of signals asks for: nothing goes on behind it
            interrupted()
            interrupted()
            ended.wait()
            raise
    if errors:
        raise errors[0]
    return results[0]


def agent_named(text: str) -> dict[str, str]:
    """`KIND[:NAME]` as the settings of an agent: the name is a coding agent's program, or else the model."""
    kind, _, name = text.partition(":")
    name = name or DEFAULT_MODELS.get(kind, "")
    return {"kind": kind, ("program" if kind in ("cli", "acp") else "model"): name} if name else {"kind": kind}
