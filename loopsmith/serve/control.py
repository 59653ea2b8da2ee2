"""What a person asks of a campaign through the page or the API: the same as on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopsmith.campaign.live.asking import ask, listening, standing, wait_for_answer
from loopsmith.live import Request, RequestKind
from loopsmith.records import Campaign
from loopsmith.serve.source import Source
from loopsmith.tracker import open_store

BY = "page"
SOON = 1.5  # seconds that an answer is waited for
ACTIONS = tuple(kind for kind in RequestKind if kind is not RequestKind.SET)


def ask_for(source: Source, campaign: Campaign, kind: RequestKind, data: Mapping[str, Any]) -> tuple[Request, str]:
    """Ask, and wait a moment for the answer; gives the request and where it stands in a sentence.

    Raises:
        UsageError: it makes no sense, or nobody is there who could do it.
        TrackerError: the tracker cannot be written.
    """
    with open_store(source.url) as store:
        elsewhere = Path(store.place).absolute() != source.state.tracker
        request = ask(store, campaign, kind, data, by=BY, state=source.state, elsewhere=elsewhere)
        heard = listening(campaign, source.state, elsewhere=elsewhere)
        if heard is not False:
            request = wait_for_answer(store, request, SOON)
        return request, standing(request, heard)


def data_of(kind: RequestKind, form: Mapping[str, str]) -> dict[str, Any]:
    """What a form says for a kind of request, and nothing else that it holds."""
    if kind is RequestKind.STOP:
        return {"now": form.get("now") == "1"}
    if kind is RequestKind.STEER and form.get("withdraw"):
        return {"withdraw": form["withdraw"]}
    names = {RequestKind.STEER: ("text",), RequestKind.APPROVE: ("candidate",), RequestKind.REJECT: ("candidate",)}
    return {name: form.get(name, "") for name in names.get(kind, ())}
