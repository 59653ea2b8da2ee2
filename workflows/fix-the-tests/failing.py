"""The verifier: how many of the tests that there were at the start do not pass?

    python failing.py            prints METRIC failing and passing, and why each test fails
    python failing.py --record   writes the list of the tests to tests.json

`tests.sh` holds the command. Its results are read from JUnit XML where there is any, else from its output.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

COMMAND, LIST = Path("tests.sh"), Path("tests.json")
REPORTS = ""  # files of JUnit XML that the command writes by itself, as a pattern such as "build/reports/*.xml"
# For runners without JUnit XML: what a line says of a test, whose name is the group.
PASSED = r"(?m)^\s*(?:--- PASS: (\S+)|test (\S+) \.\.\. ok$|(\S+ \(.+\)) \.\.\. ok$|ok \d+ (?:- )?(.+))"
FAILED = r"(?m)^\s*(?:--- FAIL: (\S+)|test (\S+) \.\.\. FAILED$|(\S+ \(.+\)) \.\.\. (?:FAIL|ERROR)$|not ok \d+ (?:- )?(.+))"
PASS, FAIL, SKIP = "passed", "failed", "skipped"


def results():
    """What became of each test, and why it failed; by name."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place, "report.xml")
        command = COMMAND.read_text().strip()
        if "{report}" in command:
            command = command.replace("{report}", shlex.quote(str(report)))
        elif "pytest" in command:
            command += f" --rootdir=. --maxfail=0 --junit-xml={shlex.quote(str(report))}"
        paths = [path for path in ("src", ".", os.environ.get("PYTHONPATH", "")) if path and os.path.isdir(path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))}
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        files = [report] if report.exists() else sorted(Path().glob(REPORTS)) if REPORTS else []
        try:
            found = [case for file in files for case in cases(file)]
        except ElementTree.ParseError as error:
            sys.exit(f"the report of the tests cannot be read ({error}):\n{done.stdout[-2000:]}")
    if not files:
        found = [(name(match), FAIL, "") for match in re.finditer(FAILED, done.stdout)]
        found += [(name(match), PASS, "") for match in re.finditer(PASSED, done.stdout)]
    if not found:
        sys.exit(f"`{COMMAND.read_text().strip()}` (exit code {done.returncode}) reports no test:\n{done.stdout[-2000:]}")
    return worst(found)


def name(match):
    return next(group for group in match.groups() if group).strip()


def cases(file):
    """(name, what became of it, why) of each test case in a file of JUnit XML."""
    for case in ElementTree.parse(file).iter("testcase"):
        full = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        parts = {part.tag: part for part in case}
        if "error" in parts and not case.get("classname"):  # pytest could not even collect this module
            full += "::"
        if trouble := [parts[tag] for tag in ("failure", "error") if tag in parts]:
            yield full, FAIL, trouble[0].get("message") or trouble[0].text or ""
        else:
            yield full, SKIP if "skipped" in parts else PASS, ""


def worst(found):
    """One result for each name; of several with one name that which is worst."""
    order = (PASS, SKIP, FAIL)
    kept = {}
    for test, state, why in found:
        if test not in kept or order.index(state) > order.index(kept[test][0]):
            kept[test] = state, why
    return kept


def state_of(test, found):
    """What became of a test of the list; of a module that was not collected (`tests.test_a::`), of all its tests."""
    if not test.endswith("::"):
        return found.get(test, (FAIL, "it was not run"))
    inside = {other: state for other, state in found.items() if other.startswith((test, test[:-2] + "."))}
    if not inside:
        return FAIL, "it was not run"
    return next(((state, f"{other}: {why}") for other, (state, why) in inside.items() if state != PASS), (PASS, ""))


def record():
    wanted = sorted(test for test, (state, _) in results().items() if state != SKIP)
    LIST.write_text(json.dumps(wanted, indent=1) + "\n")
    print(f"{len(wanted)} tests are in {LIST}")


def count():
    found, wanted = results(), json.loads(LIST.read_text())
    failing = {test: why for test in wanted for state, why in [state_of(test, found)] if state != PASS}
    for test, why in list(failing.items())[:50]:
        print(f"FAIL {test}: {' '.join(why.split())[:300]}")
    print(f"METRIC failing={len(failing)}")
    print(f"METRIC passing={len(wanted) - len(failing)}")


os.chdir(Path(__file__).parent)
record() if "--record" in sys.argv else count()
