"""Hints: what a person asked the workers to try, and the candidates whose hypothesis took it up."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from loopsmith.live import Hint, HintStatus, Request, RequestKind, RequestStatus
from loopsmith.records import Candidate
from loopsmith.tracker import Store

MARK = re.compile(r"[(\[]\s*steer((?:[\s,#]|and|\d)+)[)\]]", re.IGNORECASE)
STANDING = {RequestStatus.WAITING: HintStatus.WAITING, RequestStatus.REFUSED: HintStatus.REFUSED}


def hints(store: Store, campaign_id: str, *, taken: bool = True) -> tuple[Hint, ...]:
    """Every hint of a campaign, in the order in which they were given.

    Args:
        taken: look for the candidates that took each up, which reads through all candidates.
    """
    asked = store.requests(campaign_id, kinds=[RequestKind.STEER])
    given = [request for request in asked if "text" in request.data]
    if not given:
        return ()
    done = [request for request in asked if request.status is RequestStatus.DONE]
    withdrawn = {request.data["withdraw"] for request in done if "withdraw" in request.data}
    candidates = store.marked(campaign_id, "(steer ") if taken else ()
    return tuple(hint(number, request, number in withdrawn, candidates) for number, request in enumerate(given, 1))


def hint(number: int, request: Request, withdrawn: bool, candidates: Iterable[Candidate]) -> Hint:
    status = HintStatus.WITHDRAWN if withdrawn else STANDING.get(request.status, HintStatus.OPEN)
    taken = tuple(item for item in candidates if number in marks(item.hypothesis))
    return Hint(number=number, text=str(request.data["text"]), request=request, status=status, taken=taken)


def in_briefs(store: Store, campaign_id: str, known: Sequence[Hint] | None = None) -> tuple[Hint, ...]:
    """The hints that workers are told of.

    Args:
        known: from an earlier look, with what had become of them by then; None: look now.
    """
    before = {item.number: item.taken for item in known or ()}
    found = hints(store, campaign_id, taken=known is None)
    return tuple(
        item if known is None else replace(item, taken=before.get(item.number, ()))
        for item in found
        if item.status is HintStatus.OPEN
    )


def marks(text: str) -> set[int]:
    """The numbers of the hints that a text says it takes up, such as 3 for `(steer 3)`."""
    return {int(number) for found in MARK.findall(text) for number in re.findall(r"\d{1,9}", found)}


def with_marks(hypothesis: str, planned: str, open_: Sequence[Hint]) -> str:
    """A worker's hypothesis that begins with the mark of each hint that it, or what was planned for it, takes up."""
    taken = marks(hypothesis) | marks(planned)
    found = [item.mark for item in open_ if item.number in taken and item.mark not in hypothesis]
    return " ".join([*found, hypothesis])
