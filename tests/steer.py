"""Steering in tests: things that a person asks of a campaign at the moment when something happens in it."""

from collections.abc import Callable
from typing import Any

from loopsmith.campaign import asking, steering
from loopsmith.campaign.context import Context
from loopsmith.live import Request, RequestKind
from loopsmith.tracker import open_store


def ask(context: Context, kind: RequestKind, **data: Any) -> Request:
    campaign = context.store.campaign(context.id)
    return asking.ask(context.store, campaign, kind, data, by="terminal", state=context.state)


def when(context: Context, name: str, number: int | None, then: Callable[[], object]) -> None:
    """Do something once, at an event of a candidate (by number), or of none."""

    def observe(event: str, candidate: Any, data: dict[str, Any]) -> None:
        if event == name and (candidate.number if candidate else None) == number:
            context.observers.remove(observe)
            then()

    context.observers.append(observe)


def heard(context: Context, kind: RequestKind, **data: Any) -> None:
    """Ask, and let the campaign hear it now."""
    ask(context, kind, **data)
    steering.hear(context)


def store_of(path, **options):
    return open_store(path.parent / ".loopsmith" / "tracker.db", **{"read_only": True, **options})


def events(path, name: str) -> list[dict[str, Any]]:
    """The data of all events of a name in the newest campaign, without who asked."""
    with store_of(path) as store:
        found = store.events(store.campaigns()[0].id, name=name)
    return [{key: value for key, value in event.data.items() if key not in ("request", "by")} for event in found]


def requests(path) -> list[tuple[str, str, str]]:
    """Kind, status and answer of all that was asked of the newest campaign."""
    with store_of(path) as store:
        found = store.requests(store.campaigns()[0].id)
    return [(str(item.kind), str(item.status), item.answer) for item in found]
