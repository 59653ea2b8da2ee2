"""Asking: how a person, in another process, tells a campaign something, and hears what became of it."""

import time
from collections.abc import Mapping
from typing import Any

from loopsmith.campaign.live.hints import hints
from loopsmith.campaign.live.overrides import overrides
from loopsmith.campaign.live.pause import paused
from loopsmith.campaign.lock import exclusive, holder
from loopsmith.campaign.review import quarantined, reviewed
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError
from loopsmith.live import HintStatus, Request, RequestKind, RequestStatus
from loopsmith.records import Campaign, CampaignStatus
from loopsmith.search.brief import HINT_LIMIT
from loopsmith.tracker import Store
from loopsmith.workflow.change import AT_ONCE, problems, refusal
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository

OF_A_RUN = (RequestKind.STOP, RequestKind.PAUSE, RequestKind.RESUME)  # what is meant for the run that goes on now
REVIEWS = (RequestKind.APPROVE, RequestKind.REJECT)
LOOK = 0.1  # seconds between two looks for an answer
PATIENCE = 10.0  # seconds in which a campaign answers; it looks twice a second


def ask(
    store: Store,
    campaign: Campaign,
    kind: RequestKind,
    data: Mapping[str, Any] | None = None,
    *,
    by: str,
    state: StateFolder,
    elsewhere: bool = False,
) -> Request:
    """Ask something of a campaign; `wait_for_answer` tells what became of it.

    Where no process runs the campaign, a review is done at once, and what else can wait is heard by the next run.

    Args:
        store: opened for writing.
        data: as `RequestKind` says; a candidate by its number, id or commit.
        by: where it is asked: terminal, watch or page.
        state: the state folder of the campaign on this machine.
        elsewhere: the tracker is not the state folder's own, so that the campaign may run on another machine.

    Raises:
        UsageError: it makes no sense, or nobody is there who could do it.
    """
    campaign = store.campaign(campaign.id)  # as it is now
    known = validate(store, campaign, kind, data or {})
    heard = listening(campaign, state, elsewhere=elsewhere)
    if heard is False and kind in OF_A_RUN:
        done = campaign.status is CampaignStatus.DONE
        where = f"{campaign.id} has ended" if done else f"no process runs {campaign.id}"
        on = "" if done else "; `loopsmith run` goes on with it"
        raise UsageError(f"{where}, so there is nothing to {kind}{on}")
    if heard is False and not elsewhere and kind in REVIEWS and holder(state.lock) is None:
        with exclusive(state.lock):
            request = store.ask(campaign.id, kind, known, by=by)
            reviewed(store, Repository.open(state.root), request)
            return store.request(request.id)
    return store.ask(campaign.id, kind, known, by=by)


def validate(store: Store, campaign: Campaign, kind: RequestKind, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, as it is written down.

    Raises:
        UsageError: it cannot be done, whenever it is heard.
    """
    match kind:
        case RequestKind.STOP:
            return {"now": bool(data.get("now", False))}
        case RequestKind.STEER if "withdraw" in data:
            number = one_line(str(data["withdraw"]), 40)
            known = {str(item.number): item for item in hints(store, campaign.id)}
            if number not in known:
                raise UsageError(f"there is no hint {number}; `loopsmith steer --list` shows them")
            if known[number].status is HintStatus.WITHDRAWN:
                raise UsageError(f"hint {number} is withdrawn already")
            return {"withdraw": known[number].number}
        case RequestKind.STEER:
            text = " ".join(str(data.get("text", "")).split())
            if not text:
                raise UsageError('a hint needs words, such as: loopsmith steer "try fusing the two loops"')
            if len(text) > HINT_LIMIT:
                raise UsageError(
                    f"a hint has at most {HINT_LIMIT} characters, and this one has {len(text)}; what is longer belongs "
                    "into the workflow's body, which a running campaign reads again before each round"
                )
            return {"text": text}
        case RequestKind.SET:
            return setting(store, campaign, str(data.get("key", "")).strip(), data.get("value"))
        case RequestKind.APPROVE | RequestKind.REJECT:
            candidate = store.find_candidate(campaign.id, str(data.get("candidate", "")))
            quarantined(store, candidate)
            return {"candidate": candidate.id}
        case _:
            return {}


def setting(store: Store, campaign: Campaign, key: str, value: object) -> dict[str, Any]:
    """A setting to change, or without a value one that is to be as the workflow says.

    Raises:
        UsageError: as `validate`.
    """
    waiting = store.requests(campaign.id, kinds=[RequestKind.SET], status=RequestStatus.WAITING)
    if value is None:
        if key not in {each.key for each in overrides(store, campaign.id)} | {item.data["key"] for item in waiting}:
            raise UsageError(f"`{key}` is not changed: it is as the workflow says")
    else:
        before = [f"{item.data['key']}={item.data['value']}" for item in waiting if "value" in item.data]
        if wrong := problems(campaign.settings, f"{key}={value}", before):
            raise UsageError("\n".join(wrong))
    if why := refusal(key):
        raise UsageError(why)
    return {"key": key} if value is None else {"key": key, "value": str(value).strip()}


def listening(campaign: Campaign, state: StateFolder, *, elsewhere: bool = False) -> bool | None:
    """Whether a process runs the campaign and hears what is asked; None where nobody here can know.

    Args:
        elsewhere: as `ask` has it.
    """
    running = campaign.status is CampaignStatus.RUNNING
    if holder(state.lock, campaign.id) is not None:
        return True if running else None  # it may be about to go on
    return None if elsewhere and running else False


def wait_for_answer(store: Store, request: Request, timeout: float = PATIENCE) -> Request:
    """The request once it is answered, or as it stands after `timeout` seconds."""
    end = time.monotonic() + timeout
    while (request := store.request(request.id)).status is RequestStatus.WAITING and time.monotonic() < end:
        time.sleep(LOOK)
    return request


def between_rounds(request: Request) -> bool:
    """Whether the campaign answers it only when a round has ended."""
    later = request.kind is RequestKind.SET and str(request.data["key"]).split(".")[0] not in AT_ONCE
    return later or request.kind is RequestKind.APPROVE


def standing(request: Request, heard: bool | None) -> str:
    """Where a request stands, in a sentence.

    Args:
        heard: what `listening` says.
    """
    if request.status is not RequestStatus.WAITING:
        return request.answer
    if heard is False:
        return "no process runs this campaign; it will be heard when `loopsmith run` goes on"
    if between_rounds(request):
        return "asked; the campaign does it when its round has ended"
    return "asked, and not answered yet; the campaign is busy, or its process is gone (see `loopsmith status`)"


def dismiss(store: Store, campaign_id: str, why: str) -> None:
    """Refuse what was asked of a run that is over."""
    for request in store.requests(campaign_id, kinds=OF_A_RUN, status=RequestStatus.WAITING):
        store.answer_request(request.id, RequestStatus.REFUSED, why)


def begin_run(store: Store, campaign_id: str) -> None:
    """A person runs a campaign again: what was asked of the run before is over, and so is its pause."""
    dismiss(store, campaign_id, "the run that it was meant for had ended")
    if paused(store, campaign_id):
        request = store.ask(campaign_id, RequestKind.RESUME, by="run")
        data = {"request": request.id, "by": request.by}
        store.answer_request(request.id, RequestStatus.DONE, "it was run again", event=("campaign.resumed", data))
