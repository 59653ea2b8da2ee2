"""The command behind `verify.openevolve`, `verify.shinka` and `verify.gepa`, run as the verifier runs it."""

import subprocess
import sys

import pytest

from loopsmith.verify.feedback import read_feedback
from loopsmith.verify.metrics import read_metrics


@pytest.fixture
def evaluate(tmp_path):
    """Write an evaluator and a program, run the command, and read its output as the verifier does."""

    def call(kind, evaluator, program="X = 3\n", *, metric="combined_score", name="evaluator.py", programs=None):
        (tmp_path / "evaluator.py").write_text(evaluator)
        programs = programs or {"program.py": program}
        for path, text in programs.items():
            (tmp_path / path).write_text(text)
        argv = [sys.executable, "-P", "-m", "loopsmith.harness.evaluators", kind, name, "--metric", metric, *programs]
        log = tmp_path / "log"
        with log.open("wb") as out:
            code = subprocess.run(argv, cwd=tmp_path, stdout=out, stderr=out, timeout=60).returncode
        reading = read_metrics(log, {}, [metric])
        return code, reading.metrics if code == 0 else reading.problem, read_feedback(log), log.read_text()

    return call


OPENEVOLVE = """
import importlib.util
from openevolve.evaluation_result import EvaluationResult

def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    print("combined_score: 0.5")
    metrics = {"combined_score": program.X, "note": "close"}
    return EvaluationResult(metrics=metrics, artifacts={"stderr": "line 1\\nline 2"})

def evaluate_stage1(program_path):
    raise RuntimeError("stages are not called")
"""


def test_an_openevolve_evaluator_gives_its_metrics_and_its_artifacts_without_openevolve(evaluate):
    code, metrics, feedback, _ = evaluate("openevolve", OPENEVOLVE)
    assert (code, metrics) == (0, {"combined_score": 3.0})
    assert feedback == "note: close\nstderr: line 1\nline 2"


SPOOFS = {
    "prints the metric": "print('METRIC combined_score=99')",
    "prints it past Python": "import os; os.write(1, b'\\nMETRIC combined_score=99\\n')",
    "prints it from another process": "import os; os.system('echo METRIC combined_score=99; echo FEEDBACK trust me')",
    "prints it at its exit": "import atexit; atexit.register(print, 'METRIC combined_score=99')",
    "prints a JSON object": "print('{\"combined_score\": 99}')",
    "prints it in a thread that goes on": (
        "import threading, time\n"
        "def on():\n    while True:\n        print('METRIC combined_score=99', flush=True); time.sleep(0.01)\n"
        "threading.Thread(target=on).start()"
    ),
}


@pytest.mark.parametrize("spoof", SPOOFS)
def test_what_a_program_prints_is_no_metric_and_no_feedback(evaluate, spoof):
    code, metrics, feedback, output = evaluate("openevolve", OPENEVOLVE, f"X = 3\n{SPOOFS[spoof]}\n")
    assert (code, metrics) == (0, {"combined_score": 3.0})
    assert "trust me" not in feedback
    assert "combined_score: 0.5" in output  # perhaps in a line that a thread began


def test_what_a_program_writes_into_the_output_of_another_process_is_no_score(evaluate):
    code = "import os\ntry:\n    open(f'/proc/{os.getppid()}/fd/1', 'a').write('\\nMETRIC combined_score=99\\n')\n"
    found = evaluate("openevolve", OPENEVOLVE, f"X = 3\n{code}except OSError:\n    pass\n")[1]
    assert found in ({"combined_score": 3.0}, {})  # it cannot, or (as root, outside of the sandbox) two values are none


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "raise SystemExit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_a_program_that_ends_the_evaluator_has_no_score(evaluate, end):
    code, problem, _, output = evaluate("openevolve", OPENEVOLVE, f"X = 3\n{end}\n")
    assert code == 1
    assert "missing" in problem
    assert "evaluator.py: " in output


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{'accuracy': 0.5, 'speed': 2.0, 'error': 'slow'}", "no number `combined_score`, but `accuracy`, `speed`"),
        ("{'error': 'broken'}", "no number at all; it also returned text: error"),
        ("None", "must return a number or a map of numbers, not NoneType"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("__import__('no_such_module')", f"(install it for {sys.executable},"),
    ],
)
def test_what_is_wrong_with_an_evaluator_is_said(evaluate, body, said):
    code, _, _, output = evaluate("openevolve", f"def evaluate(path):\n    return {body}\n")
    assert code == 1
    assert said in output.splitlines()[-1]


def test_the_traceback_of_a_failure_is_feedback(evaluate):
    _, _, feedback, _ = evaluate(
        "openevolve", OPENEVOLVE, "def f():\n    raise ValueError('shape (3,) expected')\nf()\n"
    )
    assert "shape (3,) expected" in feedback
    assert "in f" in feedback


def test_a_missing_function_and_file_are_named(evaluate):
    *_, output = evaluate("openevolve", "def other(path):\n    return {}\n")
    assert "has no function evaluate()" in output
    code, metrics, *_ = evaluate("openevolve", "def other(p):\n    return 4.0\n", name="evaluator.py:other")
    assert (code, metrics) == (0, {"combined_score": 4.0})
    *_, output = evaluate("openevolve", "", name="nothing.py")
    assert "there is no file nothing.py" in output


def test_metrics_get_names_that_can_be_read_and_numbers_of_numpy(evaluate):
    body = (
        "import numpy as np\ndef evaluate(p):\n    return {'combined_score': np.float32(2), 'case 1': True, '2nd': 7}\n"
    )
    code, metrics, *_ = evaluate("openevolve", body)
    assert (code, metrics) == (0, {"combined_score": 2.0, "case_1": 1.0, "_2nd": 7.0})


@pytest.mark.parametrize(
    "result",
    [
        "{'combined_score': 1, 'centers': np.ones((3, 2))}",
        "(1, {'centers': np.ones((3, 2))})",
        "(1, {'cases': {np.int64(3): 'wrong', (1, 2): 'right'}})",
    ],
)
def test_what_json_does_not_know_is_information_and_no_failure(evaluate, result):
    code, metrics, feedback, _ = evaluate(
        "gepa", f"import numpy as np\ndef evaluate(candidate):\n    return {result}\n"
    )
    assert (code, metrics) == (0, {"combined_score": 1.0})
    assert feedback.startswith(("centers: ", "cases: "))


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "10 ** 400"])
def test_a_metric_that_is_not_finite_is_no_score(evaluate, value):
    _, metrics, *_ = evaluate("openevolve", f"def evaluate(path):\n    return {{'combined_score': {value}}}\n")
    assert metrics == {}


SHINKA = """
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--program_path", default="initial.py")
parser.add_argument("--results_dir", default="results")
given = parser.parse_args()
space = {}
exec(open(given.program_path).read(), space)
print("combined_score: 0.25")
os.makedirs(given.results_dir, exist_ok=True)
right = space["X"] < 5
said = {"correct": right, "error": None if right else "X is too large"}
json.dump(said, open(f"{given.results_dir}/correct.json", "w"))
json.dump(
    {"combined_score": space["X"], "public": {"cases": 7, "worst": "case 3"}, "private": {"answer": 42},
     "text_feedback": "try case 3", "execution_time_mean": 0.5, "all_validation_errors": []},
    open(f"{given.results_dir}/metrics.json", "w"),
)
"""


def test_a_shinka_evaluator_gives_its_public_metrics_and_text_and_nothing_private(evaluate):
    code, metrics, feedback, output = evaluate("shinka", SHINKA)
    assert (code, metrics) == (0, {"combined_score": 3.0, "cases": 7.0, "execution_time_mean": 0.5})
    assert feedback == "text_feedback: try case 3\nworst: case 3"
    assert "42" not in output


def test_a_program_that_shinka_calls_incorrect_has_no_score(evaluate):
    code, _, feedback, output = evaluate("shinka", SHINKA, "X = 9\n")
    assert code == 1
    assert "not correct: X is too large" in output
    assert "try case 3" in feedback


def test_a_shinka_evaluator_that_writes_nothing_or_fails_has_no_score(evaluate):
    assert "it wrote no correct.json" in evaluate("shinka", "pass")[3]
    assert "it ended with exit code 7" in evaluate("shinka", "import sys; sys.exit(7)")[3]


GEPA = """
def evaluate(candidate):
    return candidate.count("step"), {"scores": {"brevity": 0.5}, "Feedback": "be brief", "Trace": ["a", 1]}
"""


def test_a_gepa_evaluator_gets_the_text_and_gives_score_and_information(evaluate):
    code, metrics, feedback, _ = evaluate("gepa", GEPA, metric="score", programs={"prompt.txt": "step by step"})
    assert (code, metrics) == (0, {"score": 2.0, "brevity": 0.5})
    assert feedback == 'Feedback: be brief\nTrace: ["a", 1]'


def test_a_gepa_evaluator_gets_several_files_by_name(evaluate):
    body = "def evaluate(each, example=None, *, opt_state):\n    return len(each['system']) + len(each['user'])\n"
    programs = {"system.txt": "ab", "user.md": "abc"}
    code, metrics, *_ = evaluate("gepa", body, metric="score", programs=programs)
    assert (code, metrics) == (0, {"score": 5.0})


def test_a_gepa_evaluator_of_a_dataset_is_told_what_to_do(evaluate):
    *_, output = evaluate("gepa", "def evaluate(candidate, example):\n    return 1.0\n", metric="score")
    assert "it asks for `example` too" in output


def test_the_evaluators_neighbours_can_be_imported(evaluate, tmp_path):
    (tmp_path / "common.py").write_text("LIMIT = 8\n")
    code, metrics, *_ = evaluate("openevolve", "import common\ndef evaluate(p):\n    return common.LIMIT\n")
    assert (code, metrics) == (0, {"combined_score": 8.0})
