"""The verifier: does a command still print what it printed, and what does it take?

    python measure.py golden            prints METRIC seconds, cpu_seconds and peak_mem_mb, or says what differs
    python measure.py golden --record   takes what the command prints now as right

`golden` is a folder with `command.sh`, run by sh here, and `output`. Run it with the Python that has loopsmith.
"""

import math
import os
import re
import shutil
import statistics
import sys
from pathlib import Path

from loopsmith import harness

IGNORE = []  # regular expressions of what may differ from run to run, such as r"took [\d.]+ s"
TOLERANCE = 0.0  # by which share numbers in the output may differ
FILES = []  # patterns of files that the command writes and that must be the same too, such as "out/*.csv"
WARM_UP = 1  # runs that are not measured
RUNS = 7  # runs that are, at most
ENOUGH = 2.0  # seconds after which no other is started
TIMEOUT = 120.0  # seconds for one run
NUMBER = re.compile(r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)")


def run(case):
    """The command once: how it ran, and everything that it made, by name."""
    for path in made():
        path.unlink()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOPSMITH_SEED")}
    command = (case / "command.sh").read_text()
    hidden = [path for path in case.rglob("*") if path.is_file()]
    ran = harness.run(command, hide=hidden, env=environment, timeout=TIMEOUT)
    if ran.timed_out:
        sys.exit(f"the command took more than {TIMEOUT:g} s")
    if ran.exit_code:
        sys.exit(f"the command exited with {ran.exit_code}:\n{ran.stderr.decode(errors='replace')[-2000:]}")
    return ran, {"output": ran.stdout, **{f"files/{path}": path.read_bytes() for path in made()}}


def made():
    return sorted({path for pattern in FILES for path in Path().glob(pattern) if path.is_file()})


def same(right, got):
    """Whether two outputs are the same, but for what may differ."""
    texts = [content.decode("utf-8", "surrogateescape") for content in (right, got)]
    for pattern in IGNORE:
        texts = [re.sub(pattern, "", text) for text in texts]
    if not TOLERANCE or texts[0] == texts[1]:
        return texts[0] == texts[1]
    ours, theirs = (NUMBER.split(text) for text in texts)  # every second part is a number
    return len(ours) == len(theirs) and all(
        math.isclose(float(a), float(b), rel_tol=TOLERANCE) if index % 2 else a == b
        for index, (a, b) in enumerate(zip(ours, theirs))
    )


def difference(right, got):
    """The first line that is not the same."""
    ours, theirs = (content.decode(errors="replace").splitlines() for content in (right, got))
    for number in range(max(len(ours), len(theirs))):
        pair = [lines[number][:200] if number < len(lines) else "(no such line)" for lines in (ours, theirs)]
        if not same(pair[0].encode(), pair[1].encode()):
            return f"line {number + 1} should be\n  {pair[0]}\nand is\n  {pair[1]}"
    return "they differ in the ends of lines"


def check(case, found):
    golden = {"output": (case / "output").read_bytes()}
    files = (path for path in (case / "files").rglob("*") if path.is_file())
    golden |= {path.relative_to(case).as_posix(): path.read_bytes() for path in files}
    if missing := golden.keys() - found.keys():
        sys.exit(f"the command no longer writes {', '.join(sorted(missing))}")
    for name, content in found.items():
        if name not in golden:
            sys.exit(f"the command writes {name}, which it did not before")
        if not same(golden[name], content):
            sys.exit(f"wrong {name}: {difference(golden[name], content)}")


def record(case):
    found, again = run(case)[1], run(case)[1]
    if any(not same(content, again.get(name, b"")) for name, content in found.items()):
        sys.exit(f"two runs differ, so nothing could be compared; put what changes into IGNORE: "
                 f"{difference(found['output'], again['output'])}")  # fmt: skip
    shutil.rmtree(case / "files", ignore_errors=True)
    for name, content in found.items():
        (case / name).parent.mkdir(parents=True, exist_ok=True)
        (case / name).write_bytes(content)
    print(f"recorded {', '.join(found)} in {case}")


def measure(case):
    runs, missing = [], set()
    for number in range(WARM_UP + RUNS):
        ran, found = run(case)
        check(case, found)
        missing |= set(ran.missing)
        if number >= WARM_UP:
            runs.append(ran)
        if sum(each.seconds for each in runs) > ENOUGH:
            break
    for words in sorted(missing):
        print(f"not protected: {words}", file=sys.stderr)
    print(f"METRIC seconds={min(each.seconds for each in runs):.6g}")
    print(f"METRIC cpu_seconds={min(each.cpu_seconds for each in runs):.6g}")
    print(f"METRIC peak_mem_mb={statistics.median(each.peak_bytes for each in runs) / 1e6:.6g}")


os.chdir(Path(__file__).parent)
(record if "--record" in sys.argv else measure)(Path(sys.argv[1]))
