"""The ready workflows run as they stand, on their smallest setting, and refuse what only looks better."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from model_server import Answer, model_server, say

import loopsmith
from loopsmith import harness
from loopsmith.harness.lockdown import HIDDEN

READY = Path(loopsmith.__file__).parents[1] / "workflows"
SMALL = ["calibrate.runs=2", "repeats.confirm=4", "verify.self_check=false", "search.workers=1"]


@pytest.fixture
def folder(tmp_path, request):
    ignore = shutil.ignore_patterns(".loopsmith", "__pycache__")
    return Path(shutil.copytree(READY / request.param, tmp_path / request.param, ignore=ignore))


def ready(name):
    return pytest.mark.parametrize("folder", [name], indirect=True)


def campaign(folder, *settings, commands=(), candidates=None):
    """The status of a campaign, and what became of each candidate."""
    if commands:
        settings = (f"agent={json.dumps({'kind': 'scripted', 'commands': commands})}", *settings)
    count = candidates or len(commands)
    settings = (*SMALL, f"search.candidates_per_round={count}", f"budget.candidates={count}", *settings)
    words = [word for setting in settings for word in ("--set", setting)]
    done = call(folder, sys.executable, "-m", "loopsmith", "run", "--plain", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    view = json.loads(call(folder, sys.executable, "-m", "loopsmith", "status", "--json").stdout)
    table = json.loads(call(folder, sys.executable, "-m", "loopsmith", "export", "--format", "json").stdout)
    return view, table


def call(folder, *words, **environment):
    environment = {**os.environ, "LOOPSMITH_PYTHON": sys.executable, **environment}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@ready("make-it-faster")
def test_make_it_faster_keeps_what_is_faster_and_not_what_knows_the_answer(folder):
    replace(folder / "measure.py", "ENOUGH = 2.0", "ENOUGH = 0.3")
    said = (folder / "golden/output").read_text().strip()
    view, table = campaign(folder, commands=["sed -i 's/^LOAD = .*/LOAD = 1000/' medians.py", f"echo 'print(\"{said}\")' > medians.py"])
    assert [row["status"] for row in table] == ["kept", "discarded"]
    assert view["best"]["holdout"] < view["baseline"]["holdout"]


@ready("make-it-faster")
def test_make_it_faster_says_what_differs_and_hides_the_golden_output(folder):
    python = [sys.executable, "measure.py", "golden"]
    (folder / "medians.py").write_text("print('sum 6221939782, last 527190')")
    done = call(folder, *python)
    assert done.returncode == 1
    assert "line 1 should be" in done.stderr
    assert "METRIC" not in done.stdout
    replace(folder / "measure.py", "TOLERANCE = 0.0", "TOLERANCE = 1e-3")
    assert "METRIC peak_mem_mb=" in call(folder, *python).stdout
    (folder / "medians.py").write_text("print(open('golden/output').read(), end='')")
    done = call(folder, *python)
    if HIDDEN not in harness.run("true", hide=[folder / "medians.py"]).missing:
        assert "(no such line)" in done.stderr
    (folder / "medians.py").write_text("import time; print(time.time_ns() % 10**6)")
    assert "two runs differ" in call(folder, *python, "--record").stderr
    replace(folder / "measure.py", "IGNORE = []", "IGNORE = [r'[0-9]+']")
    assert call(folder, *python, "--record").returncode == 0
    assert "METRIC seconds=" in call(folder, *python).stdout


@ready("fix-the-tests")
def test_fix_the_tests_mends_the_example(folder):
    view, table = campaign(folder, "agent.patches=[fixes/discount.patch]", candidates=1)
    assert view["baseline"]["value"] == 4
    assert view["baseline"]["exact"] is True
    assert view["best"]["value"] == 2
    assert [row["status"] for row in table] == ["kept"]


@ready("fix-the-tests")
def test_fix_the_tests_counts_the_tests_that_there_were(folder):
    def failing():
        done = call(folder, sys.executable, "failing.py")
        assert done.returncode == 0, done.stderr
        return int(re.search(r"METRIC failing=(\d+)", done.stdout)[1]), done.stdout

    tests = folder / "tests/test_basket.py"
    text = tests.read_text()
    tests.write_text("import pytest\npytestmark = pytest.mark.skip\n" + text)
    assert failing()[0] == 9, "what is skipped is not mended"
    tests.write_text(text[: text.index("@pytest")])
    count, said = failing()
    assert count == 8, "what is gone is not mended"
    assert "it was not run" in said
    tests.write_text(text)
    replace(folder / "basket.py", "def discount", "def rabatt")
    assert failing()[0] == 9
    assert call(folder, sys.executable, "failing.py", "--record").returncode == 0
    assert json.loads((folder / "tests.json").read_text()) == ["tests.test_basket::"]
    assert failing()[0] == 1, "a module that cannot be collected is one failure"
    replace(folder / "basket.py", "def rabatt", "def discount")
    assert failing()[0] == 1, "and is so until all of its tests pass"
    for patch in ("shipping", "discount"):
        assert call(folder, "git", "apply", f"fixes/{patch}.patch").returncode == 0
    assert failing()[0] == 0


@pytest.mark.parametrize(
    ("output", "wanted", "after", "left"),
    [
        ("--- PASS: TestA (0.00s)\n    --- FAIL: TestB/x (0.00s)", ["TestA", "TestB/x"], "--- PASS: TestB/x (0.1s)", 1),
        ("test a::b ... ok\ntest c ... FAILED\ntest d ... ignored", ["a::b", "c"], "test a::b ... ok\ntest c ... ok", 0),
        ("test_x (m.T.test_x) ... ok\ntest_y (m.T.test_y) ... ERROR", ["test_x (m.T.test_x)", "test_y (m.T.test_y)"], "test_y (m.T.test_y) ... FAIL", 2),
        ("1..2\nok 1 - adds\nnot ok 2 - subtracts", ["adds", "subtracts"], "ok 1 - adds\nok 2 - subtracts", 0),
    ],
)  # fmt: skip
@ready("fix-the-tests")
def test_fix_the_tests_reads_other_runners(folder, output, wanted, after, left):
    (folder / "tests.sh").write_text("cat output")
    (folder / "output").write_text(output)
    assert call(folder, sys.executable, "failing.py", "--record").returncode == 0
    assert json.loads((folder / "tests.json").read_text()) == wanted
    (folder / "output").write_text(after)
    assert f"METRIC failing={left}" in call(folder, sys.executable, "failing.py").stdout
    (folder / "output").write_text("make: nothing to be done")
    done = call(folder, sys.executable, "failing.py")
    assert done.returncode == 1
    assert "reports no test" in done.stderr


@ready("shrink-it")
def test_shrink_it_keeps_what_is_smaller_and_still_right(folder):
    view, table = campaign(
        folder,
        commands=["sed -i 's/^SHARED = .*/SHARED = True/' pack.py", "sed -i 's/source.read_text().split()/[]/' pack.py"],
    )
    assert [row["status"] for row in table] == ["kept", "failed"]
    assert view["best"]["ratio"] > 1.5


@ready("shrink-it")
def test_shrink_it_weighs_plain_files_alone(folder):
    (folder / "dist/deep").mkdir(parents=True)
    (folder / "dist/a").write_bytes(b"x" * 1000)
    (folder / "dist/deep/b").write_bytes(b"y" * 24)
    out = call(folder, sys.executable, "size.py", "dist/", "dist/a").stdout
    assert "METRIC bytes=1024\n" in out
    assert int(re.search(r"compressed_bytes=(\d+)", out)[1]) < 100
    assert "names no file" in call(folder, sys.executable, "size.py", "*.bin").stderr
    (folder / "dist/c").symlink_to("a")
    assert "dist/c" in call(folder, sys.executable, "size.py", "dist").stderr


@ready("overnight-research")
def test_overnight_research_runs_with_the_tuner(folder):
    view, table = campaign(folder, candidates=2)
    assert len(table) == 2
    assert view["baseline"]["exact"] is False, "each run has its seed"
    assert {row["status"] for row in table} <= {"kept", "discarded", "failed"}
    assert view["baseline"]["value"] > 0


@ready("overnight-research")
def test_overnight_research_keeps_the_training_from_the_data_and_within_its_budget(folder):
    line = [sys.executable, "-P", "evaluate.py", "data/validation.csv"]
    train = (folder / "train.py").read_text()
    replace(folder / "train.py", "EPOCHS = 20", "EPOCHS = 100000")
    replace(folder / "evaluate.py", "CPU_SECONDS = 4", "CPU_SECONDS = 1")
    replace(folder / "evaluate.py", "TIMEOUT = 120.0", "TIMEOUT = 3.0")
    assert "METRIC" not in call(folder, *line).stdout
    peek = "import sys\nheld = open('data/validation.csv').read().splitlines()\n"
    peek += "open(sys.argv[3], 'w').writelines(line.split(',')[-1] + '\\n' for line in held)\n"
    (folder / "train.py").write_text(peek)
    done = call(folder, *line)
    if HIDDEN not in harness.run("true", hide=[folder / "train.py"]).missing:
        assert done.returncode == 1
        assert "predictions are needed" in done.stderr
    (folder / "train.py").write_text(train + "\nimport os\nos._exit(0)\n")
    assert call(folder, *line).returncode == 0, "it may end as it likes, once the predictions are there"


def shop(body: dict) -> Answer:
    """A model that sorts right once its prompt names the categories, and that writes such a prompt."""
    system, said = body["messages"][0]["content"], body["messages"][-1]["content"]
    if "author" in system or "HYPOTHESIS" in system:
        return say("HYPOTHESIS: name the categories\n\nFILE: prompt.md\n<<<<<<< WHOLE\nbilling, delivery, ...\n>>>>>>> WHOLE\n")
    return say(CASES[said] + "." if "billing" in system else "something else")


CASES = {
    case["input"]: case["expected"]
    for name in ("cases.jsonl", "hidden/cases.jsonl")
    for case in map(json.loads, (READY / "prompt-tuning" / name).read_text().splitlines())
}


@ready("prompt-tuning")
def test_prompt_tuning_finds_a_better_prompt(folder, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-secret")
    with model_server(shop) as url:
        endpoint = [f"agent.base_url={url}", f"verify.env.BASE_URL={url}", "agent.price=0", "roles.planner=off"]
        view, _ = campaign(folder, *endpoint, "roles.reflector=off", candidates=1)
        asked = [body for body in url.requests if "seed" in body]
        assert {headers["authorization"] for headers in url.headers} == {"Bearer sk-the-secret"}
    assert (view["baseline"]["value"], view["best"]["value"]) == (0, 1)
    assert view["best"]["holdout"] == 1
    assert all(body["temperature"] == 0 for body in asked)
    assert len({body["seed"] for body in asked}) > 1
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"sk-the-secret" not in everything


@ready("prompt-tuning")
def test_prompt_tuning_stops_at_its_budget_and_says_what_the_endpoint_said(folder):
    environment = {"PROMPT": "prompt.md", "MODEL": "m", "API_KEY": "sk-x"}
    line = [sys.executable, "-P", "score.py", "cases.jsonl"]
    with model_server(lambda body: {**say("x"), "usage": {"total_tokens": 9000}}) as url:
        done = call(folder, *line, **environment, BASE_URL=url)
        assert done.returncode == 1
        assert "more than 40000 tokens" in done.stderr
    with model_server([{"status": 401, "error": {"message": "no such key sk-x"}, "headers": {}}]) as url:
        done = call(folder, *line, **environment, BASE_URL=url)
    assert done.returncode == 1
    assert "could not be asked" in done.stderr
    assert "sk-x" not in done.stderr
