"""The verifier's command for evaluators that were written for OpenEvolve, ShinkaEvolve, GEPA or `loopsmith.improve`.

    python -P -m loopsmith.harness.evaluators KIND EVALUATOR --metric NAME PROGRAM...

The evaluator, and the program that it imports, run in a process of their own. What they print is shown with a mark
before each line, so that none of it is read as a metric; the metrics are printed by this process, once, afterwards.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from loopsmith.harness.lockdown import keep_out

QUOTE = b"| "  # no metric begins so
LINE = 65_536  # bytes of a line that are read at once
PATIENCE = 2.0  # seconds for output that is still in the pipe when the evaluator has ended
LARGEST = 16_000_000  # bytes of a result
SHOWN = 2_000  # characters of one text that it returned
NAMES = 20  # listed when the wanted one is not among them
KINDS = ("openevolve", "gepa", "shinka", "improve")


class Failed(Exception):
    """There is no score; the message says why."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the evaluator and print what it found. Exit codes: 0 a score, 1 none."""
    keep_out()
    kind, evaluator, _, metric, *programs = arguments
    try:
        if kind == "shinka":
            values, texts = shinka(evaluator, programs[0])
        else:
            values, texts = imported(kind, evaluator, metric, programs)
        metrics = named(values)
        told(texts)
        if metric not in metrics:
            raise Failed(f"the evaluator returned no number `{metric}`, but {listed(values, texts)}")
    except Failed as problem:
        print(f"{evaluator}: {problem}", flush=True)
        sys.exit(1)
    for name, value in metrics.items():
        print(f"METRIC {name}={value!r}")
    sys.exit(0)


def imported(kind: str, evaluator: str, metric: str, programs: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Call an evaluator's function; gives the numbers and the texts that it returned."""
    with tempfile.TemporaryFile() as result:
        module, words = "loopsmith.harness.evaluation", (kind, evaluator, metric, str(result.fileno()), *programs)
        code = run([sys.executable, "-P", "-m", module, *words], result)
        result.seek(0)
        found = parsed(result.read(LARGEST))
    if not isinstance(found, dict):
        raise Failed(f"it ended before evaluate() returned ({ended(code)})")
    texts = {str(name): str(text) for name, text in found["texts"].items()}
    if found["problem"]:
        told(texts)
        raise Failed(found["problem"])
    return found["values"], texts


def shinka(evaluator: str, program: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Run ShinkaEvolve's program, and read its two files. What is private in them stays so: nobody is told of it."""
    with tempfile.TemporaryDirectory() as name:
        code = run([sys.executable, evaluator, "--program_path", os.path.abspath(program), "--results_dir", name])
        correct, metrics = (read(Path(name, file)) for file in ("correct.json", "metrics.json"))
    if code:
        raise Failed(f"it ended with {ended(code)}")
    if not isinstance(correct, dict) or not isinstance(metrics, dict):
        missing = "correct.json" if not isinstance(correct, dict) else "metrics.json"
        raise Failed(f"it wrote no {missing}, with a JSON object, into --results_dir")
    public = metrics.get("public")
    values, texts = parts({name: value for name, value in metrics.items() if name not in ("public", "private")})
    for found, into in zip(parts(public if isinstance(public, dict) else {}), (values, texts), strict=True):
        into.update({name: value for name, value in found.items() if name not in into})
    if correct.get("correct") is not True:
        told(texts)
        raise Failed(f"not correct: {correct.get('error') or 'correct.json gives no reason'}")
    return values, texts


def run(argv: list[str], result: IO[bytes] | None = None) -> int:
    """Run a command to its end, with all that it started, and show what it prints; gives its exit code."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[result.fileno()] if result else (),
        process_group=0,
    )
    assert process.stdout is not None
    showing = threading.Thread(target=show, args=(process.stdout,), daemon=True)
    showing.start()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its number stays its own until all of it is ended
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        pass
    showing.join(PATIENCE)
    return process.wait()


def show(output: IO[bytes]) -> None:
    while line := output.readline(LINE):
        sys.stdout.buffer.write(QUOTE + line.rstrip(b"\n") + b"\n")
        sys.stdout.buffer.flush()


def parts(found: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The numbers of a map, and everything else as text; nothing for what is empty."""
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, value in found.items():
        if isinstance(value, (int, float)):
            values[str(name)] = value
        elif not empty(value):
            texts[str(name)] = readable(value)
    return values, texts


def empty(value: Any) -> bool:
    """Whether it says nothing. Not asked of other types: arrays do not compare as one."""
    return value is None or (isinstance(value, (str, list, dict, tuple)) and not value)


def readable(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):  # keys that are no text, or a value that holds itself
        return str(value)


def named(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers under names that a metric can have: what else stands in one becomes `_`."""
    metrics: dict[str, float] = {}
    for name, value in values.items():
        plain = re.sub(r"[^\w./%@-]", "_", name, flags=re.ASCII)[:100]
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"[:100]
        try:
            metrics.setdefault(plain, float(value))
        except (OverflowError, ValueError):
            metrics.setdefault(plain, math.inf)
    return metrics


def told(texts: Mapping[str, str]) -> None:
    """Print texts as feedback; a later one of the same name is another text."""
    for name, text in texts.items():
        cut = f"\n[{len(text) - SHOWN} more characters]" if len(text) > SHOWN else ""
        for line in f"{name}: {text[:SHOWN]}{cut}".splitlines():
            print(f"FEEDBACK {line}".encode("utf-8", "replace").decode())
    sys.stdout.flush()


def listed(values: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    numbers = [f"`{name}`" for name in list(values)[:NAMES]]
    more = f" and {len(values) - NAMES} more" if len(values) > NAMES else ""
    said = f"; it also returned text: {', '.join(list(texts)[:NAMES])}" if texts else ""
    if not numbers:
        return f"no number at all{said}"
    return f"{', '.join(numbers)}{more}: name one of them in objective.metric{said}"


def read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return parsed(file.read(LARGEST))
    except OSError:
        return None


def parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


if __name__ == "__main__":
    main(sys.argv[1:])
