"""Evaluators of other projects as the verifier, with one line."""

import pytest

from loopsmith import workflow
from loopsmith.errors import WorkflowError

RUN = '"$LOOPSMITH_PYTHON" -P -m loopsmith.harness.evaluators'


@pytest.fixture
def load(tmp_path):
    def call(verify, *, editable="[program.py]", front=""):
        for name in ("evaluator.py", "my evaluator.py", "program.py"):
            (tmp_path / name).write_text("")
        path = tmp_path / "WORKFLOW.md"
        path.write_text(f"---\nworkspace: {{editable: {editable}}}\nverify: {verify}\n{front}---\n")
        return workflow.load(path)

    return call


@pytest.mark.parametrize(
    ("verify", "command", "metric"),
    [
        ("{openevolve: evaluator.py}", "openevolve evaluator.py --metric combined_score program.py", "combined_score"),
        ("{shinka: evaluator.py}", "shinka evaluator.py --metric combined_score program.py", "combined_score"),
        ("{gepa: 'evaluator.py:judge'}", "gepa evaluator.py:judge --metric score program.py", "score"),
        ("{gepa: my evaluator.py}", "gepa 'my evaluator.py' --metric score program.py", "score"),
    ],
)
def test_one_line_is_a_whole_verifier(load, verify, command, metric):
    settings = load(verify).settings
    assert settings.verify.command == f"{RUN} {command}"
    assert (settings.objective.metric, settings.objective.direction) == (metric, "maximize")


def test_the_workflow_may_name_another_metric_and_direction(load):
    settings = load("{openevolve: evaluator.py}", front="objective: {metric: loss, direction: minimize}\n").settings
    assert settings.verify.command.endswith("--metric loss program.py")
    assert settings.objective.direction == "minimize"


def test_gepa_evaluates_several_files_and_the_others_one_that_is_named(load):
    editable = "[a.txt, /prompts/b.txt]"
    assert load("{gepa: evaluator.py}", editable=editable).settings.verify.command.endswith("a.txt prompts/b.txt")
    found = load("{openevolve: evaluator.py, program: src/main.py}", editable="[src/, '*.txt']")
    assert found.settings.verify.command.endswith(" src/main.py")


@pytest.mark.parametrize(
    ("verify", "editable", "said"),
    [
        ("{openevolve: evaluator.py}", "['*.py']", "a candidate could change its own evaluator"),
        ("{openevolve: evaluator.py}", "['*.py', '!evaluator.py']", "say in program which is evaluated"),
        ("{openevolve: evaluator.py}", "[src/]", "say in program which is evaluated"),
        ("{shinka: evaluator.py}", "[a.py, b.py]", "shinka evaluates one program, not a.py, b.py"),
        ("{gepa: evaluator.py, program: c.py}", "[a.py]", "program: no candidate may change c.py"),
        ("{gepa: evaluator.py, shinka: evaluator.py}", "[a.py]", "give only one of shinka, gepa"),
        ("{gepa: evaluator.py, command: ls}", "[a.py]", "give only one of command, gepa"),
        ("{gepa: evaluator.py, metrics: {a: '(.)'}}", "[a.py]", "remove metrics"),
        ("{command: ls, program: a.py}", "[a.py]", "program is for the evaluators"),
        ("{gepa: no.py}", "[a.py]", "`verify.gepa`: there is no file"),
        ("{gepa: evaluator}", "[a.py]", "is not an evaluator"),
        ("{shinka: 'evaluator.py:main'}", "[a.py]", "write evaluate.py alone"),
        ("{openevolv: evaluator.py, command: ls}", "[a.py]", "did you mean `verify.openevolve`"),
    ],
)
def test_what_does_not_fit_is_said(load, verify, editable, said):
    front = "objective: {metric: score, direction: maximize}\n"
    with pytest.raises(WorkflowError, match=said.replace("(", r"\(").replace("`", "`")):
        load(verify, editable=editable, front=front)


def test_a_verifier_needs_a_command_or_an_evaluator(load):
    with pytest.raises(WorkflowError, match=r"`verify.command` is missing"):
        load("{timeout: 1m}", front="objective: {metric: score, direction: maximize}\n")
    with pytest.raises(WorkflowError, match=r"`objective.metric` is missing"):
        load("{command: ls}")


def test_a_campaign_goes_on_where_only_the_way_of_writing_it_changed(load):
    short = load("{openevolve: evaluator.py}").identity
    assert short == load("{openevolve: evaluator.py, program: program.py}").identity
    assert short != load("{openevolve: 'evaluator.py:other'}").identity
