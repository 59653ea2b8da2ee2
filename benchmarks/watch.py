"""How long `loopsmith watch` takes for a look at the tracker, and for pages of its table, by number of candidates.

    python benchmarks/watch.py [--candidates 1000 100000] [--times 5]
    python benchmarks/watch.py --make FOLDER --candidates 100000    # only makes the tracker: watch --state FOLDER

Prints a table of medians in milliseconds, and the ratio of the largest number's to the smallest's. All but `keys` runs
in threads beside the screen; `keys` is the time from a key to its effect, in a screen of 120 by 40 that polls.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from loopsmith.campaign.state import StateFolder
from loopsmith.records import Phase, Run, Status
from loopsmith.tracker import open_store, tables
from loopsmith.tracker.browse import SortKey
from loopsmith.watch.feed import Feed, Source

ENDS = (Status.DISCARDED, Status.DISCARDED, Status.DISCARDED, Status.FAILED, Status.CRASHED, Status.REJECTED)
START = datetime(2026, 1, 5, 22, tzinfo=UTC)
EVENTS = ("worker.started", "candidate.generated", "candidate.screened", "candidate.decided")
BATCH = 4_000  # candidates of one insert


def make(folder: Path, candidates: int) -> StateFolder:
    """A tracker with so many decided candidates, four a round, one of a thousand kept; four events each."""
    state = StateFolder(folder)
    state.create()
    settings = {
        "objective": {"metric": "seconds", "direction": "minimize"},
        "budget": {"candidates": candidates + 1000, "wall_clock": "200h"},
    }
    with open_store(state.tracker) as store:
        store.start_campaign(
            id="bench",
            name="bench",
            workflow_path=str(folder / "WORKFLOW.md"),
            workflow_text="",
            workflow_hash="",
            identity_hash="",
            settings=settings,
            source=str(folder),
            origin_commit="0" * 40,
            task_titles=["faster"],
        )
        store.add_elapsed("bench", candidates * 3.0)
        run = Run(seed=1, metrics={"seconds": 110.0}, seconds=1.0, log=None)
        store.record_run(campaign_id="bench", candidate_id=None, commit="0" * 40, phase=Phase.BASELINE, pair=0, run=run)
        for first in range(1, candidates + 1, BATCH):
            rows = [row(number) for number in range(first, min(first + BATCH, candidates + 1))]
            with store._database.writing() as connection:
                for name in ("round_", "candidate", "decision", "measurement", "event", "usage"):
                    connection.execute(insert(getattr(tables, name)), [each for one in rows for each in one[name]])
    return state


def row(number: int) -> dict[str, list[dict[str, Any]]]:
    chance = random.Random(number)
    at, id_, round_id = START + timedelta(seconds=3 * number), f"bench.{number}", f"bench.r{(number + 3) // 4}"
    kept = number % 1000 == 0
    status = Status.KEPT if kept else chance.choice(ENDS)
    value = 100.0 * 0.999 ** (number // 1000) * chance.uniform(0.95, 1.2)
    commit = f"{number:040x}"
    text = f"fuse loop {chance.randrange(999)} with the next, so that each row is read once"
    effect = {"effect_mean": 0.01, "effect_low": 0.005, "effect_high": 0.015, "effect_samples": 8} if kept else {}
    effect = effect or dict.fromkeys(("effect_mean", "effect_low", "effect_high", "effect_samples"))
    key = {"campaign_id": "bench", "created_at": at}
    candidate = {
        **key,
        "id": id_,
        "round_id": round_id,
        "number": number,
        "status": status,
        "attempt": 1,
        "seed": number,
        "agent": "scripted",
        "parent_commit": "0" * 40,
        "hypothesis": text,
        **dict.fromkeys(("emphasis", "summary", "tried", "lesson", "try_next", "finish_reason"), ""),
        "commit_id": commit,
        "tree": commit,
        "lines_added": number % 7,
        "lines_removed": number % 5,
        "params": {},
        "plan": {"category": "less work"},
        "value": value,
        "updated_at": at,
    }
    decision = {**key, "candidate_id": id_, "verdict": status, "reason": "as measured", "rule": "exact", **effect}
    decision |= {"value": value, "baseline_value": value * 1.01, "evidence": {}}
    sample = {**key, "candidate_id": id_, "commit_id": commit, "phase": "screen", "pair": 0, "metric": "seconds"}
    usage = {**key, "candidate_id": id_, "round_id": round_id, "role": "worker", "model": "m", "input_tokens": 900}
    usage |= {"cached_tokens": 0, "output_tokens": 90, "cost_usd": 0.01, "seconds": 1.0, "settled": True}
    starts = {**key, "id": round_id, "task_id": "bench.t1", "number": (number + 3) // 4, "baseline_commit": "0" * 40}
    return {
        "round_": [{**starts, "finished": True}] if number % 4 == 1 else [],
        "candidate": [candidate],
        "decision": [decision],
        "measurement": [{**sample, "value": value, "seed": 1, "seconds": 1.0, "log": None}],
        "event": [{**key, "candidate_id": id_, "round_id": round_id, "name": n, "data": {"n": number}} for n in EVENTS],
        "usage": [usage],
    }


def median(times: int, work: Callable[[], object]) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def measure(state: StateFolder, candidates: int, times: int) -> dict[str, float]:
    source = Source(tracker=state.tracker, state=state, campaign_id="bench")
    feed = Feed(source)
    feed.look()
    found = {"a look": median(times, lambda: feed.look(everything=True)), "what goes on": median(times, feed.look)}
    with open_store(state.tracker, read_only=True) as store:
        pages: dict[str, dict[str, Any]] = {
            "first page": {},
            "last page": {"offset": candidates - 100},
            "by gain": {"sort": SortKey.EFFECT},
            "failed": {"statuses": (Status.FAILED, Status.CRASHED)},
            "search": {"search": "loop 500"},
        }
        for name, options in pages.items():
            found[name] = median(times, lambda o=options: store.browse("bench", limit=100, **o))
    found["keys"] = asyncio.run(keys(source, times))
    return found


async def keys(source: Source, times: int) -> float:
    """From a key to its effect, in milliseconds."""
    from loopsmith.watch.app import Watch

    app = Watch(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        taken = []
        for number in range(times * 4):
            began, before = time.perf_counter(), app.main.table.cursor
            await pilot.press("down" if number % 2 == 0 else "up")
            assert app.main.table.cursor != before
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--candidates", type=int, nargs="+", default=[1_000, 100_000])
    options.add_argument("--times", type=int, default=5)
    options.add_argument("--make", type=Path)
    given = options.parse_args()
    os.environ.setdefault("TERM", "xterm-256color")
    if given.make:
        print(make(given.make, given.candidates[-1]).root)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {n: measure(make(Path(folder, str(n)), n), n, given.times) for n in given.candidates}
    few, many = min(found), max(found)
    print(f"| ms, medians of {given.times} | {' | '.join(f'{n:,}' for n in found)} | ratio |")
    print("| --- | " + " --- |" * (len(found) + 1))
    for name in found[few]:
        cells = " | ".join(f"{each[name]:.1f}" for each in found.values())
        print(f"| {name} | {cells} | {found[many][name] / found[few][name]:.1f} |")


if __name__ == "__main__":
    main()
