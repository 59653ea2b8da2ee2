"""The examples do what their READMEs say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PROGRESS = ROOT / "benchmarks" / "progress.py"


MENDED_SLOTS = """
import sys

def parse(text):
    start, _, end = text.partition("-")
    found = []
    for part in (start, end):
        hours, _, minutes = part.partition(":")
        if not (hours.isdigit() and minutes.isdigit()) or int(minutes) > 59:
            raise ValueError(text)
        found.append(int(hours) * 60 + int(minutes))
    if not found[0] <= found[1] <= 1440:
        raise ValueError(text)
    return tuple(found)

def clock(at):
    return f"{at // 60:02d}:{at % 60:02d}"

def show(slots):
    return " ".join(f"{clock(a)}-{clock(b)}" for a, b in slots) or "none"

def busy(slots):
    found = []
    for a, b in sorted(slot for slot in slots if slot[0] < slot[1]):
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(b, found[-1][1]))
        else:
            found.append((a, b))
    return found

def free(day, slots):
    found, at = [], day[0]
    for a, b in [*busy(slots), (day[1], day[1])]:
        if min(a, day[1]) > at:
            found.append((at, min(a, day[1])))
        at = max(at, b)
    return found

command, *rest = sys.argv[1:]
minutes = int(rest.pop(0)) if command == "meet" else 0
try:
    slots = [parse(word) for word in rest]
except ValueError as error:
    print(f"error: {error}")
    sys.exit(2)
if command == "busy":
    print(show(busy(slots)))
elif command == "total":
    print(sum(b - a for a, b in busy(slots)))
else:
    gaps = free(slots[0], slots[1:])
    if command == "free":
        print(show(gaps))
    elif command == "longest":
        print(show([max(gaps, key=lambda gap: gap[1] - gap[0])] if gaps else []))
    else:
        print(next((clock(a) for a, b in gaps if b - a >= minutes), "none"))
"""
SWEPT = """
def close_pairs(points, radius):
    ordered, start, count = sorted(points), 0, 0
    for index, (x, y) in enumerate(ordered):
        while x - ordered[start][0] > radius:
            start += 1
        count += sum((x - a) ** 2 + (y - b) ** 2 <= radius * radius for a, b in ordered[start:index])
    return count
"""


def example(tmp_path, name, path, text, *options):
    """The status after a campaign of an example in which one candidate writes a file."""
    folder = shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns(".loopsmith"))
    agent = {"kind": "scripted", "commands": [f"cat > {path} <<'END'\n{text}END"]}
    settings = [f"agent={json.dumps(agent)}", "search.candidates_per_round=1", "budget.rounds=1", *options]
    words = [word for setting in settings for word in ("--set", setting)]
    line = [sys.executable, "-m", "loopsmith", "run", "--plain", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    line = [sys.executable, "-m", "loopsmith", "status", "--json"]
    return json.loads(subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True).stdout)


def test_slots_can_be_mended_and_its_hidden_cases_say_so(tmp_path):
    view = example(tmp_path, "slots", "slots.py", MENDED_SLOTS)
    assert (view["baseline"]["value"], view["baseline"]["holdout"]) == (5, 1)
    assert (view["best"]["value"], view["best"]["holdout"]) == (24, 12)
    assert view["campaign"]["stop_reason"] == "target"


def test_slots_does_not_keep_what_knows_the_public_cases_alone(tmp_path):
    table = (ROOT / "examples" / "slots" / "cases.txt").read_text()
    parrot = f"import sys\nT = dict(line.split(' -> ') for line in {table!r}.splitlines())\n"
    parrot += "said = T.get(' '.join(sys.argv[1:]), '')\nprint(said)\nsys.exit(2 * said.startswith('error'))\n"
    view = example(tmp_path, "slots", "slots.py", parrot)
    assert view["counts"]["discarded"] == 1


def test_close_pairs_rewards_another_algorithm(tmp_path):
    view = example(tmp_path, "close_pairs", "closeness.py", SWEPT, "repeats.confirm=4", "verify.self_check=false")
    assert view["counts"]["kept"] == 1
    assert view["best"]["ratio"] > 3


def test_golf_shows_what_becomes_of_each_candidate(tmp_path):
    folder = shutil.copytree(ROOT / "examples" / "golf", tmp_path / "golf", ignore=shutil.ignore_patterns(".loopsmith"))

    def loopsmith(*words):
        line = [sys.executable, "-m", "loopsmith", *words]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    loopsmith("run")
    view = json.loads(loopsmith("status", "--json"))
    assert view["baseline"]["exact"] is True
    assert view["best"]["candidate"] == 7
    verdicts = {item["candidate"]: item["status"] for item in json.loads(loopsmith("export", "--format", "json"))}
    assert verdicts == {
        1: "kept",
        2: "discarded",
        3: "failed",
        4: "rejected",
        5: "timed_out",
        6: "rejected",
        7: "kept",
        8: "failed",
    }
    shown = loopsmith("show", "3")
    assert "KeyError: 'J'" in shown, "the verifier's own words"
    drawn = subprocess.run([sys.executable, PROGRESS, folder / "WORKFLOW.md"], capture_output=True, text=True, check=True)
    shapes = ElementTree.fromstring(drawn.stdout).iter()
    marks = {item.get("data-candidate"): item.get("class") for item in shapes if item.get("data-candidate")}
    assert marks == {
        **{"1": "kept", "2": "refused", "3": "failed", "4": "unrun"},
        **{"5": "failed", "6": "unrun", "7": "kept", "8": "failed"},
    }
    line = [sys.executable, PROGRESS, folder / "WORKFLOW.md", "--table"]
    rows = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "| of them refused | 1 |" in rows, "candidate 2 is better by less than min_effect"
