"""Which candidates, and in which order: what a person may choose, each with its key."""

from collections.abc import Iterator

from loopsmith.records import Status, Verdict
from loopsmith.tracker.reading.browse import SortKey

OPEN = tuple(status for status in Status if not status.final)
ORDERS = {
    "n": (SortKey.NUMBER, "number"),
    "s": (SortKey.STATUS, "status"),
    "v": (SortKey.VALUE, "value"),
    "g": (SortKey.EFFECT, "gain"),
    "c": (SortKey.COST, "cost"),
    "l": (SortKey.LINES, "lines changed"),
    "u": (SortKey.UPDATED, "last change"),
}
KINDS: dict[str, tuple[tuple[Status, ...] | None, str]] = {
    "a": (None, "all"),
    "k": ((Status.KEPT,), "kept"),
    "w": (OPEN, "at work or waiting"),
    "q": ((Status.QUARANTINED,), "quarantined"),
    "d": ((Status.DISCARDED,), "discarded"),
    "r": ((Status.REJECTED,), "rejected"),
    "f": ((Status.FAILED, Status.CRASHED, Status.TIMED_OUT), "failed, crashed or timed out"),
    "u": ((Status.DUPLICATE,), "duplicates"),
}


def kinds(counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    """The filters, each with how many it lets through."""
    for key, (statuses, words) in KINDS.items():
        if statuses is None:
            count = counts.get("candidates")
        elif statuses is OPEN and counts:
            count = counts["candidates"] - sum(counts[verdict] for verdict in Verdict)
        else:
            count = sum(counts.get(status, 0) for status in statuses)
        yield key, words if count is None else f"{words}: {count:,}"
