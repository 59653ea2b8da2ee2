"""Overrides: the settings that a person changed while the campaign went on, over the workflow's own.

Each holds until the workflow, its command line included, says something else for this key than when it was changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loopsmith.errors import WorkflowError
from loopsmith.live import RequestKind, RequestStatus
from loopsmith.tracker import Store
from loopsmith.workflow import Settings, Workflow, describe
from loopsmith.workflow.change import changed, value_at

CHANGED = "setting.changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """A setting that a person changed."""

    key: str
    text: str  # its value, as it was written
    filed: Any  # what the workflow said for the key then, as JSON has it

    @property
    def assignment(self) -> str:
        return f"{self.key}={self.text}"


def overrides(store: Store, campaign_id: str) -> tuple[Override, ...]:
    """What is changed now, in the order in which it was changed."""
    if not store.requests(campaign_id, kinds=[RequestKind.SET], status=RequestStatus.DONE, limit=1):
        return ()
    found: dict[str, Override] = {}
    for event in store.events(campaign_id, name=CHANGED):
        key, text = str(event.data["key"]), event.data.get("text")
        found.pop(key, None)
        if text is not None:
            found[key] = Override(key=key, text=str(text), filed=event.data.get("filed"))
    return tuple(found.values())


def standing(workflow: Workflow, given: Iterable[Override]) -> tuple[Workflow, tuple[Override, ...]]:
    """The workflow with the overrides that still hold, and these.

    One of which the workflow says something else by now, or that does not go with it any more, has ended.
    """
    filed, kept = dumped(workflow.settings), list[Override]()
    settings = workflow.settings
    for each in given:
        if value_at(filed, each.key) != each.filed:
            continue
        try:
            settings = changed(settings, [each.assignment])
        except WorkflowError:
            continue
        kept.append(each)
    return replace(workflow, settings=settings), tuple(kept)


def ended(before: Sequence[Override], now: Sequence[Override], workflow: Workflow) -> list[dict[str, Any]]:
    """The data of an event for each override that holds no more.

    Args:
        workflow: as it is now.
    """
    left = {each.key for each in now}
    return [
        {"key": each.key, "old": each.text, "new": words(workflow, each.key), "by": "workflow", "text": None}
        for each in before
        if each.key not in left
    ]


def dumped(settings: Settings) -> dict[str, Any]:
    """The settings as the tracker holds them."""
    return settings.model_dump(mode="json")


def words(workflow: Workflow, key: str) -> str:
    """A setting's value as a person would write it."""
    rows = {name: value for name, value, _ in describe(workflow)}
    below = {name.removeprefix(f"{key}."): value for name, value in rows.items() if name.startswith(f"{key}.")}
    return rows.get(key) or ", ".join(f"{name}: {value}" for name, value in below.items()) or "none"
