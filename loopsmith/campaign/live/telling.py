"""Whoever else is told of a campaign while it runs: observers, people, and the command after each decision.

They get what happens from `context.observers`, and can neither hold the campaign up nor end it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import Any

from loopsmith import log
from loopsmith.campaign.context import Context
from loopsmith.campaign.live.after_decision import AfterDecision
from loopsmith.errors import HarnessError
from loopsmith.observers.audience import FAILED, Audience
from loopsmith.observers.notify import Notifier
from loopsmith.observers.notify.message import where
from loopsmith.observers.watched import WatchedCampaign
from loopsmith.search.budget import End

START = 20.0  # seconds that the campaign waits for its observers to begin; processes that they start come first then
LAST_WORD = 8.0  # seconds that messages are tried for after the campaign has ended
DRAIN = 10.0  # seconds for all of them together to come to their end
PROMPT = 0.5  # seconds of it that nothing is said of
LOOK = 0.02

Run = Callable[[Context], Coroutine[Any, Any, End]]


def told(run: Run) -> Run:
    """A campaign's run, with everybody told of it who is to be."""

    @wraps(run)
    async def running(context: Context) -> End:
        async with outside(context):
            try:
                async with after_decisions(context):
                    return await run(context)
            finally:
                for action in context.at_end:
                    action()

    return running


async def decisions_told(context: Context) -> None:
    """Wait for the command after each decision, where there is one."""
    if context.drained is not None:
        await context.drained()


@asynccontextmanager
async def after_decisions(context: Context) -> AsyncIterator[None]:
    """Run `hooks.after_decision` while in the block, where there is one."""
    hook = AfterDecision(context)
    context.drained = hook.drained
    context.observers.append(hook.observe)
    try:
        hook.resume()
        yield
        await hook.drained()
    finally:
        context.observers.remove(hook.observe)
        await hook.cancel()


@asynccontextmanager
async def outside(context: Context) -> AsyncIterator[None]:
    """Tell observers and people while in the block, and afterwards for a few seconds what is left to tell."""
    listening = True

    def tell(name: str, **data: Any) -> None:
        """From any thread; a tracker that cannot be written is the campaign's to notice."""
        if listening:
            with suppress(HarnessError):
                context.store.record_event(context.id, name, **data)
            log.info(name, campaign=context.id, **data)

    view = WatchedCampaign(context.id, context.store, context.state.root, context.state.report(context.id))
    audience = Audience(context.outsiders, view, tell) if context.outsiders else None
    notifier = Notifier(
        context.targets,
        view,
        context.store,
        lambda: context.settings,
        paused=lambda: context.pause.on,
        where=where(context.campaign, context.state.root, context.workflow.state, context.store.place),
        tell=tell,
        last_word=LAST_WORD,
    )
    parts = [part for part in (audience, notifier) if part is not None]
    heard = [part.observe for part in parts]
    try:
        if audience:
            audience.feed.start()
            await until(audience.feed.begun.is_set, START)
        context.observers += heard
        yield
    finally:
        for each in heard:
            if each in context.observers:
                context.observers.remove(each)
        for part in parts:
            part.close()
        if not await until(lambda: all(part.done for part in parts), PROMPT):
            context.show("campaign.stopping", hint=f"sending what is left to tell, for at most {DRAIN:g} s")
            await until(lambda: all(part.done for part in parts), DRAIN - PROMPT)
        if audience and not audience.done:
            for name in audience.members:
                tell(FAILED, observer=name, reason=f"did not end within {DRAIN:g} s; what it had not sent is lost")
        listening = False


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds, or the time is over; gives whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK)
    return condition()
