"""A tracker filled by direct inserts: a campaign of any size, each of its candidates as a test wants it."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from loopsmith.records import Campaign, CampaignStatus
from loopsmith.tracker import Store, tables

ORIGIN = "0" * 40


def fill(
    store: Store,
    candidates: Iterable[Mapping[str, Any]],
    *,
    id: str = "c",
    direction: str = "minimize",
    metric: str = "seconds",
    baseline: Iterable[float] = (100.0, 100.0),
    exact: bool | None = True,
    status: str = "done",
    stop_reason: str | None = "candidates",
    message: str = "",
    target: float | None = None,
    source: str = "/no/such/source",
    **settings: Any,
) -> Campaign:
    """A campaign whose candidates ended as given, two a round.

    Args:
        candidates: maps with `verdict` and any of value, first (the first run's value; default: value), baseline
            (the value that it was compared with; default: the newest kept one's), effect (mean, low, high, samples),
            rule, reason, hypothesis, category, agent, cost, evidence, lesson, try_next, commit.
        baseline: what was measured of the untouched source.
    """
    campaign = store.start_campaign(
        id=id,
        name="faster",
        workflow_path="/project/WORKFLOW.md",
        workflow_text="",
        workflow_hash="w",
        identity_hash="i",
        settings={
            "objective": {"metric": metric, "direction": direction, "min_effect": "1%", "target": target},
            "budget": {},
            **settings,
        },
        source=source,
        origin_commit=ORIGIN,
        task_titles=["lower the time"],
    )
    rows: dict[Any, list[dict[str, Any]]] = {
        table: [] for table in (tables.round_, tables.candidate, tables.decision, tables.reflection)
    }
    measured: list[dict[str, Any]] = []
    usage: list[dict[str, Any]] = []
    level, commit = next(iter(baseline), None), ORIGIN

    def run(candidate: str | None, commit: str, phase: str, pair: int, value: float) -> dict[str, Any]:
        where = {"campaign_id": id, "candidate_id": candidate, "commit_id": commit, "phase": phase, "pair": pair}
        return {**where, "metric": metric, "value": value, "seed": 1, "seconds": 1.0, "log": None, "created_at": start}

    start = campaign.created_at
    measured += [run(None, ORIGIN, "baseline", pair, value) for pair, value in enumerate(baseline)]
    for number, given in enumerate(candidates, 1):
        name, round_, at = f"{id}.{number}", (number + 1) // 2, start + timedelta(seconds=number)
        verdict, value = given["verdict"], given.get("value")
        first, own = given.get("first", value), given.get("commit", f"{number:040x}")
        shared = {"campaign_id": id, "created_at": at}
        if number % 2:
            planned = {"task_id": f"{id}.t1", "number": round_, "baseline_commit": commit, "finished": True}
            rows[tables.round_].append({"id": f"{id}.r{round_}", **planned, **shared})
        text = {key: given.get(key, "") for key in ("hypothesis", "summary", "lesson", "try_next")}
        rows[tables.candidate].append(
            {
                "id": name,
                "round_id": f"{id}.r{round_}",
                "number": number,
                "status": verdict,
                "attempt": 1,
                "seed": 1,
                "agent": given.get("agent", "scripted"),
                "parent_commit": commit,
                "retry_of": None,
                "emphasis": "",
                "tried": "",
                "finish_reason": "submitted",
                "commit_id": own,
                "tree": own,
                "lines_added": 1,
                "lines_removed": 1,
                "params": {},
                "value": value,
                "updated_at": at,
                "plan": {"category": given["category"]} if "category" in given else {},
                **text,
                **shared,
            }
        )
        effect = given.get("effect") or (None, None, None, None)
        parts = dict(zip(("effect_mean", "effect_low", "effect_high", "effect_samples"), effect, strict=True))
        reason = given.get("reason", f"{metric} is what it is")
        compared = given.get("baseline", level if value is not None else None)
        rows[tables.decision].append(
            {
                "candidate_id": name,
                "verdict": verdict,
                "reason": reason,
                "rule": given.get("rule", "screen"),
                "value": value,
                "baseline_value": compared,
                "evidence": given.get("evidence", {}),
                **parts,
                **shared,
            }
        )
        lesson = {"hypothesis": text["hypothesis"], "lesson": text["lesson"] or reason, "try_next": text["try_next"]}
        rows[tables.reflection].append(
            {"candidate_id": name, "outcome": verdict, "avoid": "", "error": "", **lesson, **parts, **shared}
        )
        if first is not None:
            measured.append(run(name, own, "screen", 0, first))
        if verdict == "kept":
            measured += [run(name, own, "confirm", 0, value), run(name, commit, "confirm", 0, compared)]
            level, commit = value, own
        if "cost" in given:
            spent = {"input_tokens": 10, "cached_tokens": 0, "output_tokens": 1, "cost_usd": given["cost"]}
            who = {"round_id": f"{id}.r{round_}", "candidate_id": name, "role": "worker", "model": "m", "seconds": 1.0}
            usage.append({**who, **spent, "settled": True, **shared})
    with store._database.writing() as connection:
        for table, new in (*rows.items(), (tables.measurement, measured), (tables.usage, usage)):
            if new:
                connection.execute(insert(table), new)
        values = {"baseline_commit": commit, "exact": exact}
        connection.execute(tables.campaign.update().where(tables.campaign.c.id == id).values(**values))
    return store.set_campaign_status(id, CampaignStatus(status), stop_reason=stop_reason, message=message)


def kept(value: float, **more: Any) -> dict[str, Any]:
    """A kept candidate of a noisy metric."""
    evidence = {"spread": 0.01, "e_value": 50.0, "level": 0.05, **more.pop("evidence", {})}
    return {
        "verdict": "kept",
        "value": value,
        "rule": "pooled",
        "effect": (0.1, 0.08, 0.12, 3),
        "evidence": evidence,
    } | more


def discarded(value: float, **more: Any) -> dict[str, Any]:
    return {"verdict": "discarded", "value": value} | more
