"""Steering: the campaign hears what people ask of it, does it, and answers, each request once."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from loopsmith import log
from loopsmith.agents.ensemble import Ensemble
from loopsmith.campaign.context import Context
from loopsmith.campaign.live.asking import between_rounds, dismiss
from loopsmith.campaign.live.hints import hints
from loopsmith.campaign.live.overrides import CHANGED, Override, dumped, ended, standing, words
from loopsmith.campaign.live.reload import unsafe
from loopsmith.campaign.measure.replicates import forget
from loopsmith.campaign.parts import install, prepare
from loopsmith.campaign.review import reviewed
from loopsmith.errors import HarnessError, LoopsmithError, WorkflowError
from loopsmith.live import HintStatus, Request, RequestKind, RequestStatus
from loopsmith.search.budget import End
from loopsmith.workflow.change import changed, refusal, value_at

LOOK = 0.5  # seconds between two looks at what is asked
UNKNOWN = 10**6  # screenings since the baseline was measured: so many that it is measured again
Answer = tuple[RequestStatus, str]


@asynccontextmanager
async def steered(context: Context) -> AsyncIterator[None]:
    """Hear what is asked while in the block, but for what is done between rounds."""
    campaign = asyncio.current_task()
    assert campaign is not None

    async def listen() -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                hear(context)
            except HarnessError as error:  # the campaign meets it too, and then says what to do
                log.warning("steering.failed", campaign=context.id, reason=str(error))

    context.end_now = campaign.cancel
    hear(context)
    listening = asyncio.create_task(listen())
    listening.add_done_callback(lambda task: None if task.cancelled() else campaign.cancel())
    try:
        yield
    finally:
        listening.cancel()
        (broken,) = await asyncio.gather(listening, return_exceptions=True)
        dismiss(context.store, context.id, "the campaign had ended by then")
        if isinstance(broken, Exception):
            raise broken


def hear(context: Context) -> None:
    """Do and answer what is asked and can be done now."""
    for request in context.store.requests(context.id, status=RequestStatus.WAITING):
        if between_rounds(request) and not context.between_rounds:
            continue
        match request.kind:
            case RequestKind.STOP:
                stop(context, request)
            case RequestKind.PAUSE:
                pause(context, request)
            case RequestKind.RESUME:
                resume(context, request)
            case RequestKind.STEER:
                steer(context, request)
            case RequestKind.SET:
                change(context, request)
            case RequestKind.APPROVE | RequestKind.REJECT:
                review(context, request)


def answer(
    context: Context,
    request: Request,
    status: RequestStatus,
    said: str,
    event: str | None = None,
    /,
    *,
    settings: Mapping[str, Any] | None = None,
    **data: Any,
) -> bool:
    """Answer a request with its event and what it changes, in one transaction; False when it was answered before."""
    data |= {"request": request.id, "by": request.by} if event else {}
    done = context.store.answer_request(
        request.id, status, said, event=(event, data) if event else None, settings=settings
    )
    if done and event:
        log.info(event, campaign=context.id, **data)
        context.show(event, **data)
    return done


def stop(context: Context, request: Request) -> None:
    who = f"{context.id} (process {os.getpid()})"
    if request.data.get("now"):
        if answer(context, request, RequestStatus.DONE, f"{who} stops now"):
            context.end_now()
        return
    if context.stop.end is not None:
        text = f"{who} ends already: {context.stop.end.message}; `loopsmith stop --now` does not wait for it"
        answer(context, request, RequestStatus.DONE, text)
        return
    hint = "finishing what is being decided; `loopsmith stop --now` or Ctrl-C does not wait for it"
    text = f"{who} stops when it has finished what is being decided; `loopsmith stop --now` does not wait for that"
    if answer(context, request, RequestStatus.DONE, text, "campaign.stopping", hint=hint):
        context.stop.request(End(reason="stopped", message="stopped by a person"))


def pause(context: Context, request: Request) -> None:
    if context.pause.on:
        answer(context, request, RequestStatus.DONE, f"{context.id} is paused already")
        return
    text = f"{context.id} is paused: what is under way ends, nothing new starts until `loopsmith resume`"
    if answer(context, request, RequestStatus.DONE, text, "campaign.paused"):
        context.pause.begin()


def resume(context: Context, request: Request) -> None:
    if not context.pause.on:
        answer(context, request, RequestStatus.REFUSED, f"{context.id} is not paused")
    elif answer(context, request, RequestStatus.DONE, f"{context.id} goes on", "campaign.resumed"):
        context.screens = UNKNOWN  # nobody knows how fast the machine is by now
        context.pause.end()


def steer(context: Context, request: Request) -> None:
    known = hints(context.store, context.id)
    if "withdraw" in request.data:
        number = int(request.data["withdraw"])
        hint = next((item for item in known if item.number == number), None)
        if hint is None or hint.status is HintStatus.WITHDRAWN:
            answer(context, request, RequestStatus.REFUSED, f"there is no hint {number} to withdraw")
            return
        text = f"hint {number} is withdrawn; no further brief has it"
        answer(context, request, RequestStatus.DONE, text, "steer.withdrawn", hint=number)
        return
    number = next(item.number for item in known if item.request.id == request.id)
    text = f"hint {number} enters the next briefs; `loopsmith steer --list` shows what becomes of it"
    if deaf := cannot_read(context):
        text = f"hint {number} is written down, but {deaf} reads no brief, so that nobody takes it up"
    answer(context, request, RequestStatus.DONE, text, "steer.given", hint=number, text=request.data["text"])


def cannot_read(context: Context) -> str:
    """The agents' name where none of them reads its brief; else empty."""
    agent = context.agent
    each = agent.members.values() if isinstance(agent, Ensemble) else (agent,)
    return "" if any(getattr(one, "resolves_conflicts", True) for one in each) else f"the agent `{agent.name}`"


def change(context: Context, request: Request) -> None:
    """Change a setting, or give it back to the workflow."""
    key, text = str(request.data["key"]), request.data.get("value")
    before, rest = context.workflow, tuple(each for each in context.overrides if each.key != key)
    try:
        if why := refusal(key):
            raise WorkflowError(why)
        if text is not None:
            wish = Override(key=key, text=str(text), filed=value_at(dumped(context.filed.settings), key))
            effective, kept = standing(context.filed, (*rest, wish))
            if wish not in kept:
                changed(effective.settings, [wish.assignment])  # raises why
        elif len(rest) == len(context.overrides):
            raise WorkflowError(f"`{key}` is as the workflow says already")
        else:
            effective, kept = standing(context.filed, rest)
        if why := unsafe(before, effective):  # in a section that is set as a whole
            raise WorkflowError(why)
        parts = prepare(context, effective)
    except LoopsmithError as error:
        answer(context, request, RequestStatus.REFUSED, str(error))
        return
    old, new = words(before, key), words(effective, key)
    said = f"{key} is {new} now, and was {old}" if text is not None else f"{key} is {new} again, as the workflow says"
    done = answer(
        context,
        request,
        RequestStatus.DONE,
        said,
        CHANGED,
        settings=dumped(effective.settings),
        key=key,
        old=old,
        new=new,
        text=text,
        filed=value_at(dumped(context.filed.settings), key),
    )
    if not done:
        return
    for each in ended(rest, kept, effective):
        context.emit(CHANGED, **each)
    context.overrides = kept
    install(context, effective, parts)


def review(context: Context, request: Request) -> None:
    """End a quarantine."""
    reviewed(context.store, context.repository, request)
    forget(context)
    candidate = context.store.candidate(request.data["candidate"])
    decision = context.store.decision(candidate.id)
    if decision is not None and context.store.request(request.id).status is RequestStatus.DONE:
        context.show("candidate.reviewed", candidate, verdict=decision.verdict, reason=decision.reason)
