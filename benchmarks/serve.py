"""How long the pages of `loopsmith serve` take, with few and with many candidates in the tracker.

    python benchmarks/serve.py [--candidates 1000 100000] [--times 7] [--json]
    python benchmarks/serve.py --make FOLDER --candidates 100000    # only makes the tracker, to look at with --state

The trackers are made by bulk inserts: rounds of four, a tenth of a percent kept, with decisions, measurements, usage,
reflections, lessons and four events a candidate. The server is a process of its own, asked over loopback; the campaign
changes before each request, so that no page is answered from memory. Keys: the median milliseconds of each page by
number of candidates, and `ratio`, the largest number's over the smallest's. `first` is the campaign's page from a
server that has just started; later ones may show sums of a moment ago, where making those takes long.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from loopsmith.lessons import LessonKind
from loopsmith.records import Status
from loopsmith.tracker import Store, open_store, tables

PAGES = {
    "list": "/",
    "campaign": "/c/bench",
    "candidates": "/c/bench/candidates?sort=value&search=fuse",
    "candidate": "/c/bench/500",
    "status": "/api/v1/campaigns/bench/status",
    "metrics": "/metrics",
}
START = datetime(2026, 1, 5, 22, tzinfo=UTC)
CATEGORIES = ("algorithm", "less_work", "data", "parallel", "tuning", "repair", "simplify", "wild")
ENDS = (Status.DISCARDED, Status.DISCARDED, Status.DISCARDED, Status.FAILED, Status.CRASHED, Status.REJECTED)
WORDS = [
    "fuse",
    "the",
    "two",
    "loops",
    "so",
    "that",
    "each",
    "row",
    "is",
    "read",
    "once",
    "and",
    "sums",
    "stay",
    "near",
]
PER_ROUND = 4
BATCH = 5000


def make_tracker(folder: Path, count: int, *, seed: int = 1) -> Path:
    """A state folder whose tracker holds one finished campaign, `bench`, of `count` candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(folder / "tracker.db") as store:
        store.start_campaign(
            id="bench",
            name="faster rows",
            workflow_path=str(folder.parent / "WORKFLOW.md"),
            workflow_text="",
            workflow_hash="w",
            identity_hash="i",
            settings={
                "objective": {"metric": "seconds", "direction": "minimize", "min_effect": 0.01},
                "budget": {"candidates": count * 2, "cost_usd": count / 20, "wall_clock": count * 20.0},
            },
            source=str(folder.parent),
            origin_commit=f"{0:040x}",
            task_titles=["lower the seconds"],
        )
        fill(store, count, random.Random(seed))
    return folder


def fill(store: Store, count: int, rng: random.Random) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {
        table: []
        for table in (
            *(tables.round_, tables.candidate, tables.decision, tables.measurement),
            *(tables.usage, tables.reflection, tables.event),
        )
    }
    best, value = f"{0:040x}", 10.0
    every = max(1, min(count // 8, 1000))  # candidates to a keep
    elsewhere: list[str] = []
    with store._database.writing() as connection:
        for pair in range(4):
            rows[tables.measurement].append(
                measurement(None, best, "baseline", pair, value + rng.gauss(0, 0.05), START)
            )
        for number in range(1, count + 1):
            round_number, place = divmod(number - 1, PER_ROUND)
            at = START + timedelta(seconds=20 * number)
            round_id = f"bench.r{round_number + 1}"
            if place == 0:
                rows[tables.round_].append(
                    {
                        "id": round_id,
                        "campaign_id": "bench",
                        "task_id": "bench.t1",
                        "number": round_number + 1,
                        "baseline_commit": best,
                        "finished": True,
                        "created_at": at,
                    }
                )
                baseline = best
            kept = number % every == every // 2
            status = Status.KEPT if kept else rng.choice(ENDS)
            scored = status in (Status.KEPT, Status.DISCARDED)
            effect = rng.uniform(0.004, 0.03) if kept else rng.gauss(-0.02, 0.03) if scored else None
            mine = value * (1 - effect) if effect is not None else None
            commit = f"{number:040x}"
            parent = rng.choice(elsewhere) if elsewhere and number % 50 == 7 else baseline
            rows[tables.candidate].append(candidate(number, round_id, status, parent, commit, mine, at, rng))
            rows[tables.decision].append(decision(number, status, effect, mine, value, at))
            rows[tables.reflection].append(reflection(number, status, effect, at))
            rows[tables.usage].append(usage(number, round_id, at, rng))
            if mine is not None:
                rows[tables.measurement].append(measurement(number, commit, "screen", 0, mine, at))
            for name in ("worker.started", "candidate.generated", "candidate.screened", "candidate.decided"):
                rows[tables.event].append(event(name, number, round_id, status, at))
            if kept and mine is not None:
                best, value = commit, mine
            elif scored and number % 200 == 3:
                elsewhere.append(commit)
            if number % BATCH == 0 or number == count:
                for table, batch in rows.items():
                    if batch:
                        connection.execute(insert(table), batch)
                        batch.clear()
        for number in range(1, min(count, 30) + 1):
            key = {"campaign_id": "bench", "kind": list(LessonKind)[number % 4], "retired_by": None}
            words = f"lesson {number}: rows that stay in cache are read twice as fast"
            connection.execute(
                insert(tables.lesson), {**key, "text": words, "retired_because": "", "created_at": START}
            )
            connection.execute(insert(tables.shown), {"lesson_id": number, "candidate_id": f"bench.{number}"})
        done = {"status": "done", "stop_reason": "candidates", "message": "the limit of candidates is reached"}
        ended = {"baseline_commit": best, "elapsed": 20.0 * count, "exact": False}
        ended |= {"created_at": START, "updated_at": START + timedelta(seconds=20 * count)}
        connection.execute(tables.campaign.update().values(**done, **ended))


def candidate(
    number: int, round_id: str, status: Status, parent: str, commit: str, value: float | None, at: datetime, rng: Any
) -> dict[str, Any]:
    words = " ".join(rng.sample(WORDS, 12))
    return {
        "id": f"bench.{number}",
        "campaign_id": "bench",
        "round_id": round_id,
        "number": number,
        "status": status,
        "attempt": 1,
        "seed": number,
        "agent": "anthropic",
        "parent_commit": parent,
        "retry_of": None,
        "emphasis": "",
        "hypothesis": f"{words} ({number})",
        "summary": f"changed the inner loop: {words}",
        "tried": "",
        "lesson": "what is read once should stay near",
        "try_next": "tile the outer loop",
        "finish_reason": "submitted",
        "commit_id": commit,
        "tree": commit,
        "lines_added": rng.randrange(1, 40),
        "lines_removed": rng.randrange(0, 20),
        "params": {},
        "plan": {"category": rng.choice(CATEGORIES), "expected_effect": "2 %", "risk": "low"},
        "value": value,
        "created_at": at,
        "updated_at": at + timedelta(seconds=15),
    }


def decision(
    number: int, status: Status, effect: float | None, value: float | None, baseline: float, at: datetime
) -> dict[str, Any]:
    ends = {"mean": effect, "low": None, "high": None, "samples": None}
    if effect is not None:
        ends = {"mean": effect, "low": effect - 0.003, "high": effect + 0.003, "samples": 6}
    return {
        "campaign_id": "bench",
        "candidate_id": f"bench.{number}",
        "verdict": status,
        "reason": "8 pairs: shown to be better" if status is Status.KEPT else "not shown to be better",
        "rule": "pooled",
        **{f"effect_{part}": end for part, end in ends.items()},
        "value": value,
        "baseline_value": baseline if value is not None else None,
        "evidence": {"spread": 0.005},
        "created_at": at + timedelta(seconds=15),
    }


def reflection(number: int, status: Status, effect: float | None, at: datetime) -> dict[str, Any]:
    return {
        "campaign_id": "bench",
        "candidate_id": f"bench.{number}",
        "hypothesis": " ".join(WORDS[: 4 + number % 8]),
        "outcome": status,
        **{f"effect_{part}": effect for part in ("mean", "low", "high")},
        "effect_samples": None if effect is None else 6,
        "lesson": f"lesson of {number}",
        "avoid": "",
        "try_next": "",
        "error": "",
        "created_at": at,
    }


def usage(number: int, round_id: str, at: datetime, rng: Any) -> dict[str, Any]:
    return {
        "campaign_id": "bench",
        "round_id": round_id,
        "candidate_id": f"bench.{number}",
        "role": "worker",
        "model": "claude-sonnet-4-5",
        "input_tokens": rng.randrange(5_000, 40_000),
        "cached_tokens": 4_000,
        "output_tokens": rng.randrange(300, 3_000),
        "cost_usd": rng.uniform(0.005, 0.05),
        "seconds": 12.0,
        "settled": True,
        "created_at": at,
    }


def measurement(number: int | None, commit: str, phase: str, pair: int, value: float, at: datetime) -> dict[str, Any]:
    return {
        "campaign_id": "bench",
        "candidate_id": f"bench.{number}" if number else None,
        "commit_id": commit,
        "phase": phase,
        "pair": pair,
        "metric": "seconds",
        "value": value,
        "seed": 7,
        "seconds": 1.5,
        "log": None,
        "created_at": at,
    }


def event(name: str, number: int, round_id: str, status: Status, at: datetime) -> dict[str, Any]:
    data = {"verdict": str(status), "reason": "not shown to be better"} if name.endswith("decided") else {}
    key = {"campaign_id": "bench", "candidate_id": f"bench.{number}", "round_id": round_id}
    return {**key, "name": name, "data": data, "created_at": at}


def page_times(state: Path, times: int) -> dict[str, float]:
    """Median milliseconds of each page."""
    firsts = []
    for _ in range(times):
        with server(state) as url:
            firsts.append(asked(url + PAGES["campaign"]))
    medians = {"first": round(statistics.median(firsts), 1)}
    with server(state) as url, open_store(state / "tracker.db") as store:
        asked(url + PAGES["campaign"])
        for name, path in PAGES.items():
            took = []
            for _ in range(times):
                store.record_event("bench", "benchmark.asked")
                took.append(asked(url + path))
            medians[name] = round(statistics.median(took), 1)
    return medians


@contextmanager
def server(state: Path) -> Iterator[str]:
    """The address of a server that has answered once."""
    command = [sys.executable, "-m", "loopsmith", "serve", "--state", str(state), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip().rstrip("/")
        asked(url + "/static/style.css")
        yield url
    finally:
        process.terminate()
        process.wait()


def asked(url: str) -> float:
    """Milliseconds until the whole answer is there."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--make", type=Path)
    options = parser.parse_args()
    if options.make:
        print(make_tracker(options.make, max(options.candidates)))
        return
    found: dict[str, Any] = {}
    for count in sorted(options.candidates):
        with tempfile.TemporaryDirectory() as folder:
            found[str(count)] = page_times(make_tracker(Path(folder) / "state", count), options.times)
    few, many = str(min(options.candidates)), str(max(options.candidates))
    found["ratio"] = {name: round(found[many][name] / found[few][name], 1) for name in found[many]}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'page':<12}" + "".join(f"{name:>12}" for name in found))
    for name in found[many]:
        print(f"{name:<12}" + "".join(f"{found[column][name]:>12}" for column in found))


if __name__ == "__main__":
    main()
