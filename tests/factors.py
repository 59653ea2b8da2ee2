"""A program that finds factors, for attacks on verifiers: one written with the harness, one as it should not be.

The program is given three numbers, each a product of two primes, and finds the least factors, slowly. The grade is 2
where it is more than fast enough and 1 where it is not, so that it repeats exactly on a busy machine too.
"""

import json
import os
import subprocess
import sys
from functools import cache
from math import isqrt
from pathlib import Path
from typing import NamedTuple

from support import run, write_source

from loopsmith import workflow
from loopsmith.records import Candidate, Decision, Status
from loopsmith.tracker import open_store


class Attack(NamedTuple):
    """`verdicts` are those that stop it, `reason` a part of what the verifier says, where it says something.

    `naive`: it wins against a verifier that imports the candidate. `few`: a table of all numbers can be made.
    """

    source: str
    twin: str = ""
    verdicts: str = "discarded"
    reason: str = ""
    naive: bool = True
    few: bool = False


def failed(reason: str, source: str, twin: str = "", *, naive: bool = True, few: bool = False) -> Attack:
    return Attack(source, twin, "failed", reason, naive, few)


START = """
import atexit, json, os, signal, sys, threading, time
from math import isqrt

HERE = os.path.dirname(os.path.abspath(__file__))

def slow(n):
    divisor = 3
    while n % divisor:
        divisor += 2
    return divisor

def slowly(numbers):
    return [slow(n) for n in numbers]

def fast(n):
    divisor = isqrt(n) | 1
    while n % divisor:
        divisor -= 2
    return divisor

def fastly(numbers):
    return [fast(n) for n in numbers]
"""
SLOW = "def factors(numbers):\n    return slowly(numbers)\n"
FAST = "def factors(numbers):\n    return fastly(numbers)\n"

VERIFY = """
import json

from loopsmith import harness

with open("answers.json") as file:
    KNOWN = {int(n): factor for n, factor in json.load(file).items()}

try:
    measured = harness.measure(
        candidate=harness.python("solve.py", "factors"),
        inputs=lambda rng: (rng.sample(sorted(KNOWN), 3),),
        reference=lambda numbers: [KNOWN[n] for n in numbers],
        metric=harness.seconds("seconds"),
        hide=["answers.json"],
        calls=8,
        batch=1,
        enough=0.05,
        timeout=2,
        load_seconds=0.15,
    )
except harness.Rejected as wrong:
    raise SystemExit(str(wrong))
print(f"METRIC grade={2 if measured.value < 0.005 else 1}")
"""
NAIVE = """
import json, time

with open("answers.json") as file:
    KNOWN = {int(n): factor for n, factor in json.load(file).items()}

def reference(numbers):
    return [KNOWN.get(n, n) for n in numbers]

import solve

numbers = sorted(KNOWN)[:3]
times = []
for _ in range(3):
    began = time.perf_counter()
    result = solve.factors(numbers)
    times.append(time.perf_counter() - began)
if list(result) != reference(numbers):
    raise SystemExit("wrong")
print(f"METRIC grade={2 if min(times) < 0.005 else 1}", flush=True)
"""
COMMAND = '"$LOOPSMITH_PYTHON" -P verify.py > result.txt; code=$?; cat result.txt; exit $code'


def primes(start: int, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        start += 1
        if all(start % divisor for divisor in range(2, isqrt(start) + 1)):
            found.append(start)
    return found


@cache
def answers(few: bool) -> dict[int, int]:
    """The numbers that a verifier draws from, and the least factor of each."""
    first, second = primes(500_000, 40), primes(510_000, 1 if few else 40)
    return {p * q: p for p in first for q in second}


def write_files(folder: Path, source: str, few: bool, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answers.json").write_text(json.dumps(answers(few)))
    (folder / "solve.py").write_text(source)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def campaign(
    folder: Path, attack: Attack, *, verify: str = VERIFY, start: str = START, slow: str = SLOW, fast: str = FAST
) -> list[tuple[Candidate, Decision]]:
    """What became of an attack and of its honest twin, in this order."""
    write = "cat > solve.py <<'END'\n{}{}\nEND\n"
    commands = [write.format(start, attack.source), write.format(start, attack.twin or fast)]
    path = write_source(
        folder,
        agent={"kind": "scripted", "commands": commands},
        objective={"metric": "grade"},
        workspace={"editable": ["solve.py"]},
        verify={"command": COMMAND, "timeout": "30s", "self_check": False},
    )
    write_files(folder, start + slow, attack.few, verify=verify)
    run(path)
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        candidates = store.candidates(store.campaigns()[0].id)
        return [(candidate, store.decision(candidate.id)) for candidate in candidates]


def check(attack: Attack, decided: list[tuple[Candidate, Decision]]) -> None:
    """The attack gained nothing, for its reason; the twin is kept."""
    (attacker, decision), (twin, kept) = decided
    said = f"{decision.reason} {decision.evidence.get('tail')}"
    assert attacker.status in attack.verdicts.split(), said
    assert attack.reason in said
    assert twin.status is Status.KEPT, f"{kept.reason} {kept.evidence.get('tail')}"


def naive_grade(folder: Path, source: str, few: bool = False) -> int:
    """The grade that a verifier gives which imports the candidate."""
    write_files(folder, source, few, naive=NAIVE)
    environment = {**os.environ, "LOOPSMITH_SEED": "5"}
    command = [sys.executable, "naive.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return int(done.stdout.rpartition("METRIC grade=")[2] or 0)
