"""The candidates of a campaign as a table: TSV in autoresearch's five columns, CSV, JSON."""

import csv
import io
import json
from typing import Any, Literal

from loopsmith.records import Campaign, Candidate, Phase, Status
from loopsmith.tracker import Store
from loopsmith.workflow.quote import one_line

Format = Literal["tsv", "csv", "json"]
MEMORY_METRICS = {"peak_vram_mb": 1 / 1024, "peak_mem_mb": 1 / 1024, "memory_gb": 1.0, "peak_memory_gb": 1.0}


def export(store: Store, campaign: Campaign, form: Format) -> str:
    """Every decided candidate, the baseline first.

    Returns:
        tsv: the columns commit, METRIC, memory_gb, status (keep, discard or crash), description; csv and json: all
        that the tracker knows of each candidate, one row or object each.
    """
    if form == "tsv":
        return tsv(store, campaign)
    records = [record(store, candidate) for candidate in store.candidates(campaign.id)]
    if form == "json":
        return json.dumps(records, indent=2) + "\n"
    out = io.StringIO()
    if records:
        writer = csv.DictWriter(out, records[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return out.getvalue()


def record(store: Store, candidate: Candidate) -> dict[str, Any]:
    decision = store.decision(candidate.id)
    effect = decision.effect if decision else None
    return {
        "candidate": candidate.number,
        "round": int(candidate.round_id.rpartition(".r")[2]),
        "status": str(candidate.status),
        "commit": candidate.commit or "",
        "parent": candidate.parent_commit,
        "value": candidate.value,
        "effect": effect.mean if effect else None,
        "effect_low": effect.low if effect else None,
        "effect_high": effect.high if effect else None,
        "pairs": effect.samples if effect else None,
        "reason": decision.reason if decision else "",
        "agent": candidate.agent,
        "hypothesis": candidate.hypothesis,
        "summary": candidate.summary,
        "lines_added": candidate.lines_added,
        "lines_removed": candidate.lines_removed,
        "params": json.dumps(candidate.params),
        "created_at": candidate.created_at.isoformat(),
        "finished_at": candidate.updated_at.isoformat() if candidate.status.final else "",
    }


def tsv(store: Store, campaign: Campaign) -> str:
    """The table of karpathy/autoresearch's results.tsv, so that its plots and habits go on working."""
    metric = campaign.settings["objective"]["metric"]
    rows = [("commit", metric, "memory_gb", "status", "description")]
    rows.append(tsv_row(store, campaign, campaign.origin_commit, None, "keep", "baseline"))
    words = {
        Status.KEPT: "keep",
        Status.DISCARDED: "discard",
        Status.DUPLICATE: "discard",
        Status.QUARANTINED: "discard",
    }
    for candidate in store.candidates(campaign.id):
        if candidate.status.final and candidate.commit:
            status = words.get(candidate.status, "crash")
            text = one_line(candidate.hypothesis or candidate.summary, 200)
            rows.append(tsv_row(store, campaign, candidate.commit, candidate, status, text))
    return "".join("\t".join(row) + "\n" for row in rows)


def tsv_row(
    store: Store, campaign: Campaign, commit: str, candidate: Candidate | None, status: str, text: str
) -> tuple[str, str, str, str, str]:
    measured: dict[str, list[float]] = {}
    phase = Phase.BASELINE if candidate is None else None
    for item in store.measurements(
        campaign.id, commit=commit, candidate_id=candidate.id if candidate else None, phase=phase
    ):
        measured.setdefault(item.metric, []).append(item.value)
    values = measured.get(campaign.settings["objective"]["metric"])
    memory = next((sum(v) / len(v) * MEMORY_METRICS[k] for k, v in measured.items() if k in MEMORY_METRICS), 0.0)
    value = sum(values) / len(values) if values else 0.0
    return commit[:7], f"{value:.6f}", f"{memory:.1f}", status, text.replace("\t", " ")
