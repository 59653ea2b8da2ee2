"""Saying a word to the campaign from the view: the tracker is opened for writing for that one word."""

from collections.abc import Mapping
from typing import Any

from loopsmith.campaign.live.asking import ask, listening, standing, wait_for_answer
from loopsmith.live import RequestKind
from loopsmith.tracker import open_store
from loopsmith.watch.feed import Source

PATIENCE = 3.0  # seconds for an answer; later ones are seen where all that was asked stands


def say(source: Source, kind: RequestKind, data: Mapping[str, Any] | None = None) -> str:
    """Ask something of the campaign; gives a sentence that says where it stands.

    Raises:
        LoopsmithError: it makes no sense, nobody is there to do it, or the tracker cannot be written.
    """
    with open_store(source.tracker, busy_timeout=2.0) as store:
        campaign = store.campaign(source.campaign_id)
        request = ask(store, campaign, kind, data, by="watch", state=source.state, elsewhere=source.elsewhere)
        request = wait_for_answer(store, request, PATIENCE)
        heard = listening(campaign, source.state, elsewhere=source.elsewhere)
        return standing(request, heard)
