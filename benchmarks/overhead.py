"""What loopsmith itself costs for each candidate: scripted candidates, a verifier that does nothing.

    python benchmarks/overhead.py [--candidates 1000] [--json]
    python benchmarks/overhead.py --workers 50 [--json]    # 50 workers waiting on a model that takes one second

Keys: `wall_ms_per_candidate` and `cpu_ms_per_candidate` are over the verifier's own, which is measured in the same run
by starting the same command alone; `growth_ratio` is the time of the last hundred candidates over that of the
first hundred. `bare_script_wall_ms` is what a script needs on the same disk that makes two folders, a commit and a diff
with git's command and runs `true`, with no isolation. The second form reports `seconds_per_wave`: a worker of it asks
the model twice, so that it is near two seconds when workers really wait side by side.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loopsmith import log, workflow
from loopsmith.campaign.campaign import run_campaign
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.report import status

WORKFLOW = """---
name: overhead
objective: {{metric: score, direction: maximize}}
workspace: {{editable: [program.py]}}
verify: {{command: "echo METRIC score=1"}}
budget: {{candidates: {candidates}, stall_rounds: null}}
search: {{candidates_per_round: {per_round}, workers: {workers}, plan: false}}
agent: {agent}
sandbox: {sandbox}
---
{{{{ brief }}}}
"""
PROGRAM = "".join(f"VALUE_{index} = {index}\n" for index in range(50))


def make_source(folder: Path, **settings: object) -> Path:
    """A source of five files and its workflow."""
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    for name in ("README.md", "data.txt", "helper.py", "verify.sh"):
        (folder / name).write_text(f"{name}\n" * 20)
    path = folder / "WORKFLOW.md"
    path.write_text(WORKFLOW.format(**settings))
    return path


def patches(folder: Path, count: int) -> list[str]:
    """`count` patches that each change one line in another way."""
    folder.mkdir()
    paths = []
    for number in range(1, count + 1):
        path = folder / f"{number}.patch"
        path.write_text(
            "--- a/program.py\n+++ b/program.py\n@@ -1,3 +1,3 @@\n"
            f"-VALUE_0 = 0\n+VALUE_0 = {number}\n VALUE_1 = 1\n VALUE_2 = 2\n"
        )
        paths.append(str(path))
    return paths


def cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def verifier_alone(times: int = 50) -> tuple[float, float]:
    """Median wall seconds and mean CPU seconds of the verifier's command by itself."""
    walls, before = [], cpu_seconds()
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(["sh", "-c", "echo METRIC score=1"], stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - start)
    return statistics.median(walls), (cpu_seconds() - before) / times


def bare_script(folder: Path, source: Path, times: int = 40) -> float:
    """Median seconds of two folders, a commit and a diff with git, and `true`: the least that any such loop does."""
    walls = []
    for number in range(times):
        start = time.perf_counter()
        work, check = folder / f"{number}.work", folder / f"{number}.check"
        shutil.copytree(source, work)
        git = ["git", "-C", str(work), "-c", "user.name=b", "-c", "user.email=b@example.org"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run([*git, *words], check=True)
        (work / "program.py").write_text(f"VALUE_0 = {number}\n")
        subprocess.run([*git, "diff"], check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(source, check)
        subprocess.run(["true"], cwd=check, check=True)
        shutil.rmtree(work)
        shutil.rmtree(check)
        walls.append(time.perf_counter() - start)
    return statistics.median(walls)


def campaign(path: Path) -> tuple[list[float], float, float, dict[str, object]]:
    """Run it; gives when each candidate was decided, the wall and CPU seconds, and the status."""
    decided: list[float] = []
    loaded = workflow.load(path)
    with open_campaign(loaded, StateFolder(loaded.state)) as context:
        context.observers.append(
            lambda name, candidate, data: decided.append(time.perf_counter()) if name == "candidate.decided" else None
        )
        start, cpu = time.perf_counter(), cpu_seconds()
        asyncio.run(run_campaign(context))
        wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        return (
            [moment - start for moment in decided],
            wall,
            cpu,
            status(context.store, context.store.campaign(context.id)),
        )


def overhead(folder: Path, count: int, sandbox: str) -> dict[str, object]:
    agent = json.dumps({"kind": "scripted", "patches": patches(folder / "patches", count)})
    path = make_source(folder / "source", candidates=count, per_round=4, workers=4, agent=agent, sandbox=sandbox)
    verifier_wall, verifier_cpu = verifier_alone()
    bare = bare_script(folder, path.parent)
    decided, wall, cpu, view = campaign(path)
    assert view["counts"]["discarded"] == count, view["counts"]  # type: ignore[index]
    hundred = min(100, count // 2)
    first = decided[hundred - 1] - decided[0]
    last = decided[-1] - decided[-hundred]
    return {
        "candidates": count,
        "sandbox": sandbox,
        "wall_ms_per_candidate": round(1000 * (wall / count - verifier_wall), 2),
        "cpu_ms_per_candidate": round(1000 * (cpu / count - verifier_cpu), 2),
        "bare_script_wall_ms": round(1000 * bare, 2),
        "verifier_wall_ms": round(1000 * verifier_wall, 2),
        "growth_ratio": round(last / first, 3),
    }


def waiting(folder: Path, workers: int, waves: int = 4) -> dict[str, object]:
    """Workers that wait on a model which takes one second, side by side on however few cores."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from model_server import by_turn, calls, model_server  # the tests' endpoint

    change = "echo VALUE_99 = $(date +%s%N) >> program.py"
    script = by_turn(
        [calls(bash={"command": change}), calls(submit={"hypothesis": "none", "summary": "one more value"})]
    )
    os.environ["OPENAI_API_KEY"] = "none"
    with model_server(script, delay=1.0) as url:
        agent = json.dumps({"kind": "openai", "model": "local", "base_url": url, "price": 0})
        path = make_source(
            folder / "source",
            candidates=workers * waves,
            per_round=workers,
            workers=workers,
            agent=agent,
            sandbox="auto",
        )
        _, wall, cpu, view = campaign(path)
    return {
        "workers": workers,
        "cores": len(os.sched_getaffinity(0)),
        "candidates": view["counts"]["candidates"],  # type: ignore[index]
        "model_seconds_per_candidate": 2.0,
        "seconds_per_wave": round(wall / waves, 2),
        "cpu_ms_per_candidate": round(1000 * cpu / (workers * waves), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--workers", type=int, help="measure this many workers waiting on a model instead")
    parser.add_argument("--sandbox", choices=("auto", "required", "off"), default="auto")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    log.configure("warning")
    with tempfile.TemporaryDirectory(prefix="loopsmith-") as name:
        folder = Path(name)
        result = waiting(folder, args.workers) if args.workers else overhead(folder, args.candidates, args.sandbox)
    print(json.dumps(result) if args.json else "\n".join(f"{key:<28} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
