"""The quickstart's verifier scores what is right, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loopsmith.agents.tuner import Tuner
from loopsmith.process import clean_environment
from loopsmith.workflow import TunerAgent, load
from loopsmith.workspace import Sandbox

QUICKSTART = Path(__file__).parents[2] / "workflows" / "quickstart"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))


def verify(folder: Path) -> tuple[int, str]:
    environment = {**os.environ, "LOOPSMITH_SEED": "7", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "verify.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "primes.py").read_text()
    assert text.count(old) == 1
    (folder / "primes.py").write_text(text.replace(old, new))


def test_the_starting_point_scores(folder):
    code, output = verify(folder)
    assert code == 0
    assert re.search(r"(?m)^METRIC millions_per_second=\d+(\.\d+)?$", output)


def test_it_runs_by_hand_from_anywhere(folder, tmp_path):
    done = subprocess.run(
        [sys.executable, folder / "verify.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert done.stdout.startswith("METRIC millions_per_second=")


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_it_runs_as_the_campaign_runs_it(folder, mode):
    command = load(folder / "WORKFLOW.md").settings.verify.command
    argv = Sandbox.detect(mode).wrap(["/bin/sh", "-c", command], folder=folder, network=False)
    done = subprocess.run(
        argv, cwd=folder, env=clean_environment({"LOOPSMITH_SEED": "7"}), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("METRIC millions_per_second=")


@pytest.mark.parametrize("constants", [(1, 1, 1), (7, 30, 100), (10**7, 10**6, 2)])
def test_every_value_of_the_constants_counts_right(folder, constants):
    text = (folder / "primes.py").read_text()
    for name, value in zip(("SEGMENT", "PATTERN", "SLICE_FROM"), constants, strict=True):
        text = re.sub(rf"(?m)^{name} = \d+", f"{name} = {value}", text)
    space: dict = {}
    exec(text, space)
    assert [space["count_primes"](*each) for each in [(2, 3), (2, 1000), (4, 5), (900, 2000)]] == [1, 168, 0, 149]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("square >= low + size", "square > low + size - 2", "wrong: "),
        ("    return found", "    return found + (stop > 10**8)", "wrong: "),
        ("    return found", "    return -1", "wrong: -1"),
        ("    return found", "    raise SystemExit('METRIC millions_per_second=1e9')", "no answer"),
        ("    return found", "    return 'many'", "wrong: 'many'"),
        ("from math import isqrt", "from math import nothing", "ImportError"),
    ],
)
def test_a_wrong_program_gets_no_score(folder, old, new, reason):
    change(folder, old, new)
    code, output = verify(folder)
    assert code != 0
    assert reason in output
    assert not re.search(r"(?m)^METRIC", output)


def test_what_the_program_prints_is_neither_an_answer_nor_a_metric(folder):
    change(folder, "    return found", "    print('METRIC millions_per_second=1e9', flush=True)\n    return found")
    code, output = verify(folder)
    assert code == 0
    assert output.count("METRIC") == 1
    assert "1e9" not in output


def test_the_workflow_is_valid_and_the_tuner_finds_its_constants():
    workflow = load(QUICKSTART / "WORKFLOW.md")
    assert isinstance(workflow.settings.agent, TunerAgent)
    Tuner(workflow.settings.agent).check(QUICKSTART, workflow.settings.workspace.editable)
