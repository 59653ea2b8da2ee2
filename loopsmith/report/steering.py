"""What a person asked of a campaign, and what became of it."""

from typing import Any

from loopsmith.campaign.live.hints import hints
from loopsmith.campaign.live.overrides import overrides
from loopsmith.live import Hint, HintStatus, Request, RequestKind, RequestStatus
from loopsmith.records import Campaign, Candidate, Status
from loopsmith.search.memory import effect_words
from loopsmith.tracker import Store
from loopsmith.workflow.quote import one_line


def steering(store: Store, campaign: Campaign) -> dict[str, Any]:
    """The hints, the settings that were changed meanwhile, and what waits for an answer, as plain JSON values."""
    waiting = store.requests(campaign.id, status=RequestStatus.WAITING)
    return {
        "hints": [
            {
                "number": hint.number,
                "text": hint.text,
                "status": str(hint.status),
                "by": hint.request.by,
                "taken": [{"candidate": item.number, "status": str(item.status)} for item in hint.taken],
            }
            for hint in hints(store, campaign.id)
        ],
        "set": {each.key: each.text for each in overrides(store, campaign.id)},
        "waiting": [
            {"id": item.id, "asked": asked_words(item), "by": item.by, "at": item.created_at.isoformat()}
            for item in waiting
        ],
    }


def asked_words(request: Request) -> str:
    """A request in a few words, such as `set budget.rounds=5`."""
    data = request.data
    match request.kind:
        case RequestKind.STEER:
            return f"withdraw hint {data['withdraw']}" if "withdraw" in data else f"steer: {data.get('text', '')}"
        case RequestKind.SET:
            return f"set {data['key']}={data['value']}" if "value" in data else f"set --reset {data['key']}"
        case RequestKind.APPROVE | RequestKind.REJECT:
            return f"{request.kind} c{str(data['candidate']).rpartition('.')[2]}"
        case RequestKind.STOP if data.get("now"):
            return "stop --now"
        case _:
            return str(request.kind)


def hint_list(store: Store, campaign: Campaign) -> str:
    """Every hint with the candidates that took it up and what became of them, for a person."""
    lines: list[str] = []
    for hint in hints(store, campaign.id):
        lines.append(f"{hint.number:>3}  {hint_state(hint):<14} {hint.text}")
        lines += [f"     c{item.number} {outcome(store, item)}" for item in hint.taken]
    return "\n".join(lines) or 'no hints yet; give one: loopsmith steer "try fusing the two loops"'


def hint_state(hint: Hint) -> str:
    """Where a hint stands, in a few words."""
    if hint.status is HintStatus.OPEN:
        return f"taken up {len(hint.taken)}x" if hint.taken else "not taken up"
    return str(hint.status)


def outcome(store: Store, candidate: Candidate) -> str:
    """What became of a candidate, in a few words."""
    decision = store.decision(candidate.id) if candidate.status.final else None
    if decision is None:
        return "is not decided yet" if candidate.status is not Status.PLANNED else "is planned"
    effect = f", {effect_words(decision.effect)}" if decision.effect else ""
    return f"{candidate.status}{effect}: {one_line(decision.reason, 200)}"
