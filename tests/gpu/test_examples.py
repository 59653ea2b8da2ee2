"""The examples, the sandbox and the profilers on a GPU."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loopsmith.verify.profilers import REPORT, profiler
from loopsmith.workflow.roles import Profile

ROOT = Path(__file__).parents[2]
PROGRAM = "import torch\na = torch.randn(2000, 2000, device='cuda')\nfor _ in range(20):\n    a = (a @ a).tanh()\n"
PROGRAM += "torch.cuda.synchronize()\n"
QUICK = ["verify.self_check=false", "calibrate.runs=2", "repeats.confirm=2", "budget.candidates=1"]
QUICK += ["search.candidates_per_round=1", "verify.holdout=null"]


@pytest.fixture
def example(tmp_path, cuda):
    def copied(name: str) -> Path:
        ignored = shutil.ignore_patterns(".loopsmith", "results", "__pycache__")
        return Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=ignored))

    return copied


def call(folder: Path, *line: object) -> str:
    done = subprocess.run(list(map(str, line)), cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def campaign(folder: Path, workflow: Path, *settings: str) -> dict:
    words = [word for setting in (*QUICK, *settings) for word in ("--set", setting)]
    call(folder, sys.executable, "-m", "loopsmith", "run", workflow, "--plain", "--accept-noise", *words)
    return json.loads(call(folder, sys.executable, "-m", "loopsmith", "status", "-w", workflow, "--json"))


@pytest.mark.parametrize("name", ["matmul", "softmax", "spmv"])
def test_a_triton_kernel_is_scored_beside_roofline_and_library(example, name):
    pytest.importorskip("triton")
    said = call(example("kernels"), sys.executable, "-P", "verify.py", name, "--triton")
    metrics = {name: float(value) for name, value in re.findall(r"(?m)^METRIC (\w+)=(\S+)$", said)}
    roof = "peak" if name == "matmul" else "memory"
    assert min(metrics.values()) > 0
    assert metrics[f"of_{roof}"] < 1.25


def test_a_campaign_of_a_triton_kernel_runs_in_the_sandbox(example):
    pytest.importorskip("triton")
    view = campaign(example("kernels"), Path("matmul/TRITON.md"))
    assert view["counts"]["candidates"] == 1
    assert view["baseline"]["value"] > 0


def test_a_campaign_of_nanochat_trains_on_the_gpu(example):
    folder = example("nanochat")
    command = '"$LOOPSMITH_PYTHON" -P evaluate.py --device cuda --budget 20s'
    gpu = ("verify.resources={gpu: 1}", "verify.timeout=10m", f"verify.command={json.dumps(command)}")
    view = campaign(folder, Path("WORKFLOW.md"), *gpu)
    assert view["counts"]["candidates"] == 1
    assert 0 < view["baseline"]["value"] < 4  # bits per byte


@pytest.mark.parametrize(("recipe", "shown"), [("torch", "CUDA"), ("ncu", "Duration")])
def test_a_profile_shows_what_the_gpu_did(tmp_path, cuda, recipe, shown):
    if recipe == "ncu" and shutil.which("ncu") is None:
        pytest.skip("needs Nsight Compute")
    (tmp_path / "program.py").write_text(PROGRAM)
    found = profiler(Profile.model_validate({"recipe": recipe}), f"{sys.executable} program.py")
    call(tmp_path, "sh", "-c", found.command)
    assert shown in (tmp_path / REPORT).read_text()
