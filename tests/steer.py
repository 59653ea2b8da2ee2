"""Steering in tests: things that a person asks of a campaign at the moment when something happens in it."""

import re
from collections.abc import Callable
from typing import Any

from model_server import by_turn, calls, say
from support import setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.context import Context
from loopsmith.campaign.live import asking, steering
from loopsmith.campaign.state import StateFolder
from loopsmith.live import Request, RequestKind
from loopsmith.tracker import open_store

PRICE = {"input": 1.0, "output": 10.0}
SPEED = {"metric": "per_second", "direction": "maximize"}


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


def model(url, **settings):
    return {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "price": PRICE, "max_tokens": 500, **settings}


def asked_before(path, **data):
    """Ask while nobody runs the campaign."""
    with store_of(path, read_only=False) as store:
        state, campaign = StateFolder(workflow.load(path).state), store.campaigns()[0]
        return asking.ask(store, campaign, data.pop("kind"), data, by="terminal", state=state)


def script(hypothesis, taken=None):
    """A model that reads what a person asks, and says so in its hypothesis."""

    def answer(body):
        tools = [tool["function"]["name"] for tool in body.get("tools", ())]
        text = str(body["messages"][1]["content"])
        found = re.search(r"- (\(steer \d+\)) raise X", text)
        mark = f"{found[1]} " if found else ""
        if tools == ["plan"]:
            return calls(plan={"hypotheses": [f"{mark}set X to 12", "set Y to 1"]})
        value = 12 if mark else 9
        if not tools:
            block = f"FILE: program.sh\n<<<<<<< SEARCH\nX=10\n=======\nX={value}\n>>>>>>> REPLACE\n"
            return say(f"HYPOTHESIS: {mark}{hypothesis}\n\n{block}")
        edit = calls(bash={"command": f"sed -i 's/^X=.*/X={value}/' program.sh"})
        return by_turn([edit, calls(submit={"hypothesis": mark + hypothesis, "summary": "s"})])(body)

    return answer


def quarantining(tmp_path, *values, **front):
    return write_source(
        tmp_path,
        command='echo "METRIC per_second=$X"',
        objective=SPEED,
        agent=setting_x(*values),
        search={"candidates_per_round": 1},
        budget={"rounds": len(values)},
        **front,
    )
