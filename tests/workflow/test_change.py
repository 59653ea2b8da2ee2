"""A change of the settings while a campaign goes on."""

import json
import re

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workflow import Settings, load
from loopsmith.workflow.change import changed, differing, problems, refusal, value_at

FRONT = """---
objective: {metric: score, direction: maximize}
workspace: {editable: [program.sh]}
verify: {command: sh verify.sh, env: {KEY: $HOME}}
budget: {rounds: 3, per_worker: {turns: 5}}
agent: {kind: scripted, commands: ["true"]}
---
{{ brief }}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "WORKFLOW.md"
    path.write_text(FRONT)
    return path


@pytest.mark.parametrize(
    "assignment",
    ["budget.walls=1h", "budget.rounds=0", "budget.cost_usd=much", "budget.rounds=[", "search.beam=3", "agent.model=x"],
)
def test_a_problem_is_said_in_the_words_of_set(file, assignment):
    with pytest.raises(WorkflowError) as told:
        load(file, [assignment])
    assert problems(load(file).settings.model_dump(mode="json"), assignment) == tuple(told.value.problems)


def test_what_was_wrong_before_is_no_problem_of_the_change(file, monkeypatch):
    """The tracker is read where the workflow's environment may not be."""
    dumped = load(file).settings.model_dump(mode="json")
    monkeypatch.delenv("HOME")
    assert problems(dumped, "budget.rounds=4") == ()
    assert problems(dumped, "budget.rounds=4 rounds")[0].startswith("--set budget.rounds: ")
    before = json.dumps(dumped)
    problems(dumped, "budget.per_worker.turns=9")
    assert json.dumps(dumped) == before


def test_changes_are_made_in_order_and_leave_the_rest_as_it_is(file):
    settings = load(file).settings
    new = changed(settings, ["search.policy=beam", "search.beam=3", "budget.per_worker.turns=9", "budget.rounds=7"])
    assert (new.search.beam, new.budget.per_worker.turns, new.budget.rounds) == (3, 9, 7)
    assert new.verify is settings.verify
    assert changed(settings, ()) is settings
    keys = differing(settings.model_dump(mode="json"), new.model_dump(mode="json"))
    assert keys == ("budget.rounds", "budget.per_worker.turns", "search.policy", "search.beam")
    other = changed(settings, ["agent={kind: tuner}"])
    assert differing(settings.model_dump(mode="json"), other.model_dump(mode="json")) == ("agent",)
    with pytest.raises(WorkflowError, match=r"--set search\.beam: "):
        changed(settings, ["search.beam=3"])


def test_an_evaluators_command_is_no_second_verifier(tmp_path):
    (tmp_path / "evaluator.py").touch()
    path = tmp_path / "WORKFLOW.md"
    text = FRONT.replace("command: sh verify.sh", "openevolve: evaluator.py").replace("program.sh", "program.py")
    path.write_text(text.replace("metric: score", "metric: combined_score"))
    settings = load(path).settings
    assert changed(settings, ["budget.rounds=9"]).budget.rounds == 9
    assert problems(settings.model_dump(mode="json"), "budget.rounds=9") == ()


def test_every_setting_can_be_changed_or_is_refused_with_what_to_do(file):
    allowed = {name for name in Settings.model_fields if not refusal(f"{name}.x")}
    assert allowed >= {"budget", "search", "agent", "roles", "memory", "guardrails", "repeats", "hooks"}
    assert not allowed & {"objective", "verify", "workspace", "calibrate", "decide", "sandbox", "name"}
    for key in ("objective", "objective.metric", "verify.holdout.command", "workspace", "workspace.link"):
        assert re.search("would not be comparable.*starts a new one", refusal(key)), key
    for key in ("sandbox", "workspace.source", "guardrails.network", "decide.alpha", "nonsense"):
        assert re.search("`loopsmith stop`, change the workflow, and `loopsmith run`", refusal(key)), key


def test_a_value_is_found_by_its_key(file):
    dumped = load(file).settings.model_dump(mode="json")
    assert value_at(dumped, "budget.per_worker.turns") == 5
    assert value_at(dumped, "budget.rounds.deeper") is None
    assert value_at(dumped, "nothing") is None
