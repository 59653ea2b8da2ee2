"""One object that says where a campaign stands: `status --json`, the summary and the status page are made from it."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from loopsmith.campaign.live.pause import paused
from loopsmith.campaign.roles.reviewing import record_of
from loopsmith.lessons import LessonKind
from loopsmith.records import Campaign, CampaignStatus, Effect, Phase, Verdict
from loopsmith.report.steering import steering
from loopsmith.tracker import Store
from loopsmith.verify.gain import ratio, total_effect
from loopsmith.workflow import Budget, Objective


def status(store: Store, campaign: Campaign, *, process: int | None = None) -> dict[str, Any]:
    """Where a campaign stands, as plain JSON values. Keys are documented in SPEC.md.

    Args:
        process: the id of the process that runs it now; None when there is none.
    """
    objective = Objective.model_validate(campaign.settings["objective"])
    budget = Budget.model_validate(campaign.settings["budget"])
    kept = store.kept(campaign.id)
    effect = total_effect(objective, (decision for _, decision in kept))
    counts = store.counts(campaign.id)
    spent = store.spent(campaign.id)
    used = {
        "wall_clock": campaign.elapsed,
        "rounds": store.round_count(campaign.id),
        "candidates": counts["candidates"],
        "cost_usd": spent.cost_usd,
        "tokens": spent.tokens,
        "stall_rounds": store.rounds_since_keep(campaign.id),
    }
    best = kept[-1] if kept else None
    start = mean(store, campaign, objective, campaign.origin_commit)
    return {
        "campaign": {
            "id": campaign.id,
            "name": campaign.name,
            "status": state_of(store, campaign, process),
            "stop_reason": campaign.stop_reason,
            "message": campaign.message,
            "flakes": len(store.events(campaign.id, name="verifier.flaked")),
            "rate_limited": rate_limited(store, campaign) if process is not None else {},
            "process": process,
            "workflow": campaign.workflow_path,
            "created_at": campaign.created_at.isoformat(),
        },
        "objective": campaign.settings["objective"],
        "baseline": {
            "commit": campaign.origin_commit,
            "value": start,
            "holdout": holdout(store, campaign, objective, campaign.origin_commit),
            "exact": campaign.exact,
        },
        "best": {
            "value": mean(store, campaign, objective, campaign.baseline_commit),
            "holdout": holdout(store, campaign, objective, campaign.baseline_commit),
            "candidate": best[0].number if best else None,
            "commit": campaign.baseline_commit,
            "effect": effect.mean if effect else None,
            "interval": [effect.low, effect.high] if effect else None,
            "ratio": ratio(objective, effect, start) if effect else None,
        },
        "counts": {**{str(verdict): counts.get(verdict, 0) for verdict in Verdict}, "candidates": counts["candidates"]},
        "budget": {name: {"used": value, "limit": getattr(budget, name)} for name, value in used.items()},
        "roles": roles(store, campaign),
        "steering": steering(store, campaign),
        "usage": {
            "calls": spent.calls,
            "input_tokens": spent.input_tokens,
            "cached_tokens": spent.cached_tokens,
            "output_tokens": spent.output_tokens,
            "cost_usd": spent.cost_usd,
            "by_model": [
                {
                    "role": item.role,
                    "model": item.model,
                    "input_tokens": item.input_tokens,
                    "cached_tokens": item.cached_tokens,
                    "output_tokens": item.output_tokens,
                    "cost_usd": item.cost_usd,
                }
                for item in store.usages(campaign.id)
            ],
        },
    }


def rate_limited(store: Store, campaign: Campaign) -> dict[str, str]:
    """The models whose provider asks to wait, each with the time until when (ISO 8601, UTC)."""
    now, found = datetime.now(UTC), dict[str, str]()
    for event in store.events(campaign.id, name="model.rate_limited", limit=50, newest_first=True):
        if datetime.fromisoformat(event.data["until"]) > now:
            found.setdefault(event.data["model"], event.data["until"])
    return found


def roles(store: Store, campaign: Campaign) -> dict[str, Any]:
    """What the roles beside the worker brought."""
    every = store.lessons(campaign.id, retired=True)
    kinds = Counter(str(item.kind) for item in every if item.retired_by is None)
    silent = {str(event.data["role"]): event.created_at for event in store.events(campaign.id, name="role.silent")}
    spoke = {answer.role: answer.created_at for answer in store.answers(campaign.id)} if silent else {}
    return {
        "reviewer": asdict(record_of(store, campaign.id)),
        "lessons": {**{str(kind): kinds[str(kind)] for kind in LessonKind}, "retired": len(every) - kinds.total()},
        "silent": sorted(role for role, at in silent.items() if role not in spoke or spoke[role] < at),
    }


def state_of(store: Store, campaign: Campaign, process: int | None) -> str:
    """The status, told apart from that of a campaign whose process was killed, or that a person paused."""
    if campaign.status is not CampaignStatus.RUNNING:
        return str(campaign.status)
    if process is None:
        return "interrupted"
    return "paused" if paused(store, campaign.id) else str(campaign.status)


def mean(store: Store, campaign: Campaign, objective: Objective, commit: str) -> float | None:
    """Of the objective on a commit: not of the run that screened it, where there is another."""
    items = [m for m in store.measurements(campaign.id, commit=commit) if m.metric == objective.metric]
    confirmed = [item.value for item in items if item.phase in (Phase.BASELINE, Phase.CONFIRM)]
    values = confirmed or [item.value for item in items if item.phase is Phase.SCREEN]
    return sum(values) / len(values) if values else None


def holdout(store: Store, campaign: Campaign, objective: Objective, commit: str) -> float | None:
    """The mean by the hidden command, where there is one and it scored the commit."""
    items = store.measurements(campaign.id, commit=commit, phase=Phase.HOLDOUT)
    values = [item.value for item in items if item.metric == objective.metric]
    return sum(values) / len(values) if values else None


def effect_of(view: dict[str, Any]) -> Effect | None:
    best = view["best"]
    if best["effect"] is None:
        return None
    low, high = best["interval"]
    base = view["baseline"]
    samples = 0 if base["exact"] else 1
    return Effect(mean=best["effect"], low=low, high=high, samples=samples, own_unit=base["value"] == 0)
