import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.verify.profilers import REPORT, profiler, summary
from loopsmith.workflow.roles import Profile

PROGRAM = """
import sys
def slow(n):
    return sum(i * i for i in range(n))
def main():
    for _ in range(3):
        slow(200_000)
if __name__ == "__main__":
    main()
    print("METRIC ms=1")
    sys.exit(0)
"""


def of(verify="python3 program.py", **settings):
    return profiler(Profile.model_validate(settings), verify)


@pytest.mark.parametrize(
    ("command", "profiled"),
    [
        ("python verify.py", "python -m cProfile -o .loopsmith-profile/raw verify.py && "),
        (
            "python3.12 -u -P verify.py --n 5",
            "python3.12 -u -P -m cProfile -o .loopsmith-profile/raw verify.py --n 5 && ",
        ),
        (
            '"$LOOPSMITH_PYTHON" -P verify.py',
            '"$LOOPSMITH_PYTHON" -P -m cProfile -o .loopsmith-profile/raw verify.py && ',
        ),
        ("/opt/x/bin/python -m pytest -q", "/opt/x/bin/python -m cProfile -o .loopsmith-profile/raw -m pytest -q && "),
    ],
)
def test_cprofile_is_put_around_a_plain_python_command(command, profiled):
    assert profiled in of(command, recipe="auto").command


@pytest.mark.parametrize(
    "command", ["make bench", "cd x && python a.py", "python -c 'print(1)'", "python a.py | tee b"]
)
def test_what_is_no_plain_python_command_is_not_profiled_as_one(command):
    assert of(command, recipe="auto").name == "perf"
    with pytest.raises(WorkflowError, match=r"give one in roles.profile.run, or choose py-spy or perf"):
        of(command, recipe="cprofile")


def test_a_recipe_may_profile_another_command_than_the_verifiers():
    assert "-o .loopsmith-profile/raw bench.py" in of("make bench", recipe="cprofile", run="python3 bench.py").command


def test_without_a_recipe_and_a_command_there_is_no_profile():
    assert of() is None


def run(found, folder):
    subprocess.run(["sh", "-c", found.command], cwd=folder, check=True, capture_output=True, timeout=120)
    return (folder / REPORT).read_text()


def test_cprofile_finds_the_function_that_takes_the_time(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    text = summary(run(of(f"{sys.executable} program.py", recipe="cprofile"), tmp_path), 800, folder=str(tmp_path))
    assert "(slow)" in text or "(<genexpr>)" in text
    assert str(tmp_path) not in text
    assert len(text) <= 3200


def test_py_spy_finds_the_function_that_takes_the_time(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    if shutil.which("py-spy") is None:
        pytest.skip("py-spy is not installed")
    (tmp_path / "program.py").write_text(PROGRAM.replace("range(3)", "range(60)"))
    text = run(of(f"{sys.executable} program.py", recipe="py-spy"), tmp_path)
    assert "slow" in summary(text, 400, stacks=True)


def perf_counts() -> bool:
    done = subprocess.run(["perf", "stat", "true"], capture_output=True, text=True) if shutil.which("perf") else None
    return done is not None and done.returncode == 0


@pytest.mark.skipif(not perf_counts(), reason="perf is not installed, or may not count here")
def test_perf_counts_what_the_command_took(tmp_path):
    text = run(of("sleep 0.1; :", recipe="perf"), tmp_path)
    assert "elapsed" in text


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_the_profiler_of_pytorch_runs_a_script_or_a_module(tmp_path):
    (tmp_path / "program.py").write_text("import torch\ntorch.randn(300, 300) @ torch.randn(300, 300)\n")
    for command in (f"{sys.executable} program.py", f"{sys.executable} -m program"):
        assert "aten::mm" in run(of(command, recipe="torch"), tmp_path)


def test_a_summary_keeps_the_first_lines_and_says_what_is_missing():
    text = summary("\x1b[1mtitle\x1b[0m\n" + "\n".join(f"line     {n}" for n in range(1000)), 100)
    assert text.startswith("title\nline  0\n")
    assert text.endswith("more lines]")
    assert len(text) <= 400


def test_folded_stacks_become_shares_of_own_time_and_of_time_below():
    text = summary("main;work;slow 75\nmain;work 5\nmain;load 20\n", 400, stacks=True)
    assert " 75.0 %  slow" in text
    assert "  5.0 %  work" in text
    assert " 80.0 %  work" in text
    assert "100.0 %  main" in text
    assert "ended too soon" in summary("", 400, stacks=True)
