"""`loopsmith.improve`: real campaigns from a program, and what they give back."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog
import yaml
from scoring import COMMAND, NAMED, with_keys, x_of

import loopsmith
from loopsmith.errors import BaselineError, LoopsmithError, UsageError, WorkflowError
from loopsmith.library import improving

ROOT = Path(__file__).parents[2]


def example():
    """The block of Python that shows `improve` to a newcomer."""
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text())
    return next(block for block in blocks if "loopsmith.improve(" in block)


def test_the_example_for_newcomers_runs(tmp_path):
    (tmp_path / "solve.py").write_text(
        "STEPS = 40\n\ndef area():\n    return sum((i / STEPS) ** 2 for i in range(STEPS)) / STEPS\n"
    )
    (tmp_path / "go.py").write_text(example())
    done = subprocess.run([sys.executable, "go.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "candidates" in done.stdout
    assert len(example().splitlines()) <= 14


def test_importing_loopsmith_imports_little():
    code = (
        "import sys, loopsmith; print(sorted(set(sys.modules) & {'pydantic', 'sqlalchemy', 'rich', 'numpy', 'yaml'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    assert loopsmith.improve is improving.improve
    with pytest.raises(AttributeError, match="nonsense"):
        _ = loopsmith.nonsense


@pytest.mark.parametrize("evaluate", [x_of, COMMAND])
def test_the_result_holds_the_best_the_history_and_the_patch(improve, source, evaluate):
    result = improve(evaluate=evaluate, objective=NAMED, to=(12, 9))
    assert (result.status, result.reason, result.cost_usd) == ("done", "candidates", 0.0)
    assert (result.baseline, result.best.value, result.best.candidate) == (10.0, 12.0, 1)
    assert result.best.effect == pytest.approx(0.2)
    assert result.best.interval == pytest.approx((0.2, 0.2))
    assert [row["status"] for row in result.candidates] == ["kept", "discarded"]
    assert [row["value"] for row in result.kept] == [12.0]
    assert "-X = 10\n+X = 12" in result.patch
    assert "score 10 -> 12" in str(result)
    assert (source / "program.py").read_text() == "X = 10\n"


def test_what_was_kept_can_be_applied(improve, source, tmp_path):
    result = improve(evaluate=COMMAND, objective=NAMED)
    result.apply(patch=tmp_path / "best.patch")
    subprocess.run(["git", "apply", tmp_path / "best.patch"], cwd=source, check=True)
    assert (source / "program.py").read_text() == "X = 12\n"
    with pytest.raises(UsageError, match="no git repository"):
        result.apply()
    with pytest.raises(UsageError, match="either a branch or a patch"):
        result.apply(branch="a", patch="b")


def test_nothing_kept_is_a_result_too(improve):
    result = improve(evaluate=COMMAND, objective=NAMED, to=(9,))
    assert (result.best.value, result.best.effect, result.best.candidate, result.patch) == (10.0, None, None, "")
    with pytest.raises(UsageError, match="nothing was kept"):
        result.apply()


def test_a_notebook_shows_a_result_without_running_what_candidates_say(improve):
    plant = "<script>alert(1)</script>"
    agent = {"kind": "scripted", "commands": [f"sed -i 's/10/12/' program.py # {plant}"]}
    result = improve(evaluate=COMMAND, objective=NAMED, agent=agent)
    assert plant in result.kept[0]["hypothesis"] + result.kept[0]["summary"]
    assert plant not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()


def test_the_same_call_goes_on_and_another_goal_is_another_campaign(improve):
    first = improve(evaluate=x_of, to=(12,))
    other = improve(evaluate=x_of, objective="minimize", to=(9,))
    again = improve(evaluate=x_of, to=(12, 13))
    new = improve(evaluate=COMMAND, objective=NAMED, to=(11,))
    assert first.campaign == again.campaign
    assert len({first.campaign, other.campaign, new.campaign}) == 3
    assert [row["status"] for row in again.candidates] == ["kept"] * 2
    assert again.best.value == 13.0


def test_a_new_campaign_can_be_asked_for(improve):
    first, second = (improve(evaluate=COMMAND, objective=NAMED, new=new) for new in (False, True))
    assert first.campaign != second.campaign


def test_the_command_line_finds_the_campaign(improve, source, loopsmith):
    result = improve(evaluate=x_of)
    assert result.campaign in loopsmith("status", "--state", result.state).out
    assert "score" in loopsmith("check", result.view["campaign"]["workflow"]).out
    assert result.campaign in loopsmith("run", result.view["campaign"]["workflow"]).out


def test_the_state_folder_can_be_elsewhere(improve, source, tmp_path):
    result = improve(evaluate=x_of, state=tmp_path / "elsewhere")
    assert result.state == tmp_path / "elsewhere"
    assert not (source / ".loopsmith").exists()


def test_nothing_is_printed_unless_it_is_asked_for(improve, capfd):
    improve(evaluate=COMMAND, objective=NAMED)
    assert capfd.readouterr() == ("", "")
    improve(evaluate=COMMAND, objective=NAMED, to=(12, 13), progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "c2 kept" in err
    assert "score" in err


def test_an_application_that_configures_structlog_gets_the_events(improve):
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    try:
        with structlog.testing.capture_logs() as events:
            improve(evaluate=COMMAND, objective=NAMED)
    finally:
        structlog.reset_defaults()
    assert "candidate.decided" in {event["event"] for event in events}


class Display:
    """A place below a notebook's cell."""

    def __init__(self):
        self.shown = []

    def update(self, data, raw):
        assert raw
        assert threading.current_thread() is threading.main_thread()
        self.shown.append(data["text/html"])


def test_in_a_notebook_one_place_shows_how_it_goes(improve, monkeypatch, capfd):
    display = Display()
    monkeypatch.setattr("loopsmith.library.improving.notebook_display", lambda: display)
    improve(evaluate=COMMAND, objective=NAMED, to=(12, 9), progress=True)
    assert "score 10 -&gt; 12" in display.shown[-1]
    assert "c2 discarded" in display.shown[-1]
    assert capfd.readouterr() == ("", "")


def test_an_evaluator_of_another_project_works_too(improve, source):
    (source / "evaluator.py").write_text(
        "def evaluate(path):\n    return {'combined_score': float(open(path).read()[4:])}\n"
    )
    result = improve(verify={"openevolve": "evaluator.py"}, objective=None)
    assert (result.view["objective"]["metric"], result.best.value) == ("combined_score", 12.0)


def test_a_function_runs_elsewhere_without_the_keys_of_the_caller(improve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    ran = []

    def evaluate(folder):
        ran.append(folder)
        return with_keys(folder)

    result = improve(evaluate=evaluate, verify={"constraints": {"keys": "<= 0"}})
    assert result.best.value == 12.0
    assert ran == []


def test_what_a_function_says_reaches_the_records(improve, loopsmith):
    result = improve(evaluate=lambda folder: (x_of(folder), {"note": "case 7 is slow"}))
    assert "note: case 7 is slow" in loopsmith("show", 1, "--state", result.state).out


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"objective": "faster"}, WorkflowError, "`objective.direction` must be `minimize` or `maximize`"),
        ({"objective": None}, WorkflowError, "`objective.direction` is missing"),
        ({"evaluate": COMMAND}, WorkflowError, "`objective.metric` is missing"),
        ({"evaluate": None}, WorkflowError, "`verify.command` is missing"),
        ({"evaluate": 3}, UsageError, "evaluate is a function or a shell command, not 3"),
        ({"verifi": {}}, WorkflowError, "did you mean `verify`"),
        ({"budget": {"rounds": "many"}}, WorkflowError, "`budget.rounds` must be a whole number"),
        ({"workspace": {"editable": ["a"]}}, UsageError, "give editable as an argument of improve"),
        ({"verify": {"command": "ls"}}, UsageError, "give command as an argument of improve"),
        ({"verify": ["ls"]}, UsageError, "verify is a map"),
        ({"editable": ["nothing.py"]}, WorkflowError, "no file in .* matches"),
        ({"agent": "nobody"}, WorkflowError, "nobody"),
        ({"prompt": "{{ breif }}"}, WorkflowError, "breif"),
        ({"evaluate": lambda folder, lock=threading.Lock(): 1.0}, UsageError, "cannot be copied .* lock"),  # noqa: B008
        ({"evaluate": lambda folder: 1 / 0}, BaselineError, "ZeroDivisionError"),
        ({"evaluate": lambda folder: {"other": 1}}, BaselineError, "no number `score`, but `other`"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(improve, arguments, error, said):
    with pytest.raises(error, match=said):
        improve(**{"evaluate": x_of, **arguments})


def test_a_source_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        loopsmith.improve(tmp_path / "no", editable="a", evaluate=x_of, objective="minimize")
    assert not (tmp_path / "no").exists()


def test_an_error_says_where_the_rest_is(improve):
    with pytest.raises(LoopsmithError) as caught:
        improve(evaluate=lambda folder: 1 / 0)
    assert any("loopsmith status --state" in note for note in caught.value.__notes__)


SCRIPT = """
import loopsmith, time

def evaluate(folder):
    time.sleep(0.1)
    return float((folder / "program.py").read_text()[4:])

agent = {{"kind": "scripted", "commands": [f"sed -i 's/^X = .*/X = {{n}}/' program.py" for n in range(11, 60)]}}
result = loopsmith.improve("source", editable="program.py", evaluate=evaluate, objective="maximize",
    budget={budget}, agent=agent, calibrate={{"runs": 2}}, search={{"candidates_per_round": 2}})
print(result.reason, result.campaign)
"""


def test_ctrl_c_returns_what_there_is_and_another_process_goes_on(source, tmp_path):
    def start(budget):
        code = SCRIPT.format(budget=budget)
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    first = start({"candidates": 40})
    for line in first.stderr:
        if line.startswith("round 1"):
            break
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert "Traceback" not in err
    assert "finishing what is being decided" in err
    reason, campaign = out.split()
    assert reason == "stopped"
    second, _ = start({"candidates": 2}).communicate(timeout=60)
    assert second.split() == ["candidates", campaign]


def test_the_settings_stand_in_a_workflow_that_can_be_read(improve):
    result = improve(evaluate=x_of, prompt="Take care of {{ files }}.")
    text = Path(result.view["campaign"]["workflow"]).read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["objective"] == {"direction": "maximize", "metric": "score"}
    assert "Take care of {{ files }}." in text
    assert "def x_of(folder: Path)" in text
