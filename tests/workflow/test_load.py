"""A workflow file becomes settings: defaults, overrides, YAML's traps, paths, secrets, hashes."""

import json
from pathlib import Path

import pytest

from loopsmith.workflow import OpenAIAgent, Settings, TunerAgent, find, load

DESIGN = """\
name: faster-matmul
objective: {metric: gflops, direction: maximize, min_effect: 1%, target: 40}
workspace: {source: ., editable: [kernel.c], link: [data/]}
verify:
  command: python verify.py          # prints `METRIC gflops=12.3`
  timeout: 2m
  checks: ["python -m pytest -q tests"]
  constraints: {peak_mem_mb: "<= 2000"}
  resources: {cpu: 1}
budget: {wall_clock: 8h, rounds: 100, candidates: 400, cost_usd: 20, stall_rounds: 25,
         per_worker: {turns: 30, wall_clock: 15m, cost_usd: 0.50}}
search: {candidates_per_round: 4, workers: 4, policy: greedy}
agent: {kind: anthropic, model: some-model}
guardrails: {max_changed_lines: 300, forbid: ["\\\\bseed\\\\b"], network: none}
"""


def test_the_workflow_of_the_design_is_read_as_it_is_meant(write):
    settings = load(write(front=DESIGN)).settings
    assert settings.name == "faster-matmul"
    assert (settings.objective.min_effect.value, settings.objective.min_effect.relative) == (0.01, True)
    assert settings.workspace.editable == ("kernel.c",)
    assert settings.workspace.link == ("data",)
    assert settings.verify.timeout == 120
    assert settings.verify.constraints["peak_mem_mb"].holds(2000)
    assert settings.budget.wall_clock == 28800
    assert settings.budget.per_worker.limits().cost_usd == 0.5
    assert settings.agent.kind == "anthropic"
    assert settings.guardrails.forbid[0].search("the seed is")


def test_three_lines_are_enough(write, tmp_path):
    workflow = load(write())
    assert workflow.settings.name == tmp_path.name
    assert isinstance(workflow.settings.agent, TunerAgent)
    assert workflow.settings.budget.stall_rounds == 25
    assert workflow.source == tmp_path
    assert workflow.state == tmp_path / ".loopsmith"
    assert (workflow.body, workflow.body_line) == ("Make it faster. {{ brief }}\n", 6)


def test_the_default_file_is_workflow_md_and_then_program_md(write, tmp_path):
    write()
    (tmp_path / "program.md").write_text("x")
    assert find() == Path("WORKFLOW.md")
    assert find(tmp_path) == tmp_path / "WORKFLOW.md"
    (tmp_path / "WORKFLOW.md").unlink()
    assert find() == Path("program.md")


def test_windows_line_ends_and_a_byte_order_mark_are_read(write):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path).settings.verify.command == "python measure.py"


def test_words_and_numbers_mean_what_they_look_like(write):
    settings = load(
        write(
            "sandbox: off\n"
            "name: yes\n"
            "agent: {constants: {STEP: {low: 1e-4, high: 1e-1, log: true}, MODE: [on, 010, 0x10, true, 1:30]}}\n"
        )
    ).settings
    assert settings.sandbox == "off"
    assert settings.name == "yes"
    assert settings.agent.constants["STEP"].low == 0.0001
    choices = settings.agent.constants["MODE"]
    assert choices == ("on", 10, 16, True, "1:30")
    assert [type(choice) for choice in choices] == [str, int, int, bool, str]


def test_an_anchor_can_be_used_again(write):
    settings = load(write("budget: {wall_clock: &long 8h, per_worker: {wall_clock: *long}}\n")).settings
    assert settings.budget.per_worker.wall_clock == settings.budget.wall_clock == 28800


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("budget.rounds=5", "budget.rounds", 5),
        ("budget.wall_clock=8h", "budget.wall_clock", 28800.0),
        ("budget.stall_rounds=", "budget.stall_rounds", None),
        ("workspace.editable=[a.py, b.py]", "workspace.editable", ("a.py", "b.py")),
        ("verify.command=a=b c", "verify.command", "a=b c"),
        ("search={workers: 2}", "search.workers", 2),
        ("verify.env.NEW=1", "verify.env", {"NEW": "1"}),
        ("sandbox=off", "sandbox", "off"),
    ],
)
def test_an_override_sets_any_key(write, override, path, value):
    found = load(write("budget:\n"), ["budget.per_round.tokens=1k", override]).settings
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_a_later_override_wins_and_mends_the_file(write):
    assert load(write("search: {workers: 0}\n"), ["search.workers=2", "search.workers=3"]).settings.search.workers == 3


def test_another_agent_kind_replaces_the_agent_of_the_file(write):
    path = write("agent: {constants: {A: [1, 2]}}\n")
    settings = load(path, ["agent.model=m", "agent.kind=openai"]).settings
    assert isinstance(settings.agent, OpenAIAgent)
    kept = load(path, ["agent.kind=tuner"]).settings.agent
    assert isinstance(kept, TunerAgent)
    assert kept.constants == {"A": (1, 2)}


def test_variables_and_home_are_expanded_in_paths_only(write, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "src").mkdir()
    workflow = load(
        write("name: $WHERE\n"), ["workspace.source=$WHERE/src", "workspace.root=~/state", "verify.command=echo $WHERE"]
    )
    assert workflow.source == tmp_path / "src"
    assert workflow.state == tmp_path / "state"
    assert workflow.settings.name == "$WHERE"
    assert workflow.settings.verify.command == "echo $WHERE"


def test_a_secret_is_read_from_the_environment_and_never_shown(write, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    monkeypatch.setenv("TOKEN", "hush")
    workflow = load(write("agent: {kind: openai, model: m, api_key: $MY_KEY}\n"), ["verify.env.TOKEN=$TOKEN"])
    agent = workflow.settings.agent
    assert isinstance(agent, OpenAIAgent)
    assert agent.api_key.get_secret_value() == "sk-very-secret"
    assert not agent.api_key.unset
    assert workflow.settings.verify.env["TOKEN"] == "hush"
    everything = repr(workflow) + workflow.settings.model_dump_json() + str(workflow.settings.model_dump())
    assert "sk-very-secret" not in everything
    assert "hush" not in everything


def test_an_unset_key_is_left_for_the_agent_to_report(write, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    agent = load(write("agent: {kind: openai, model: m}\n")).settings.agent
    assert isinstance(agent, OpenAIAgent)
    assert agent.api_key.unset
    assert agent.api_key.variable == "OPENAI_API_KEY"


def test_a_local_model_is_free_with_price_zero(write):
    agent = load(
        write("agent: {kind: openai, model: m, price: 0, base_url: 'http://localhost:8000/v1'}\n")
    ).settings.agent
    assert isinstance(agent, OpenAIAgent)
    assert agent.price
    assert (agent.price.input, agent.price.cached, agent.price.output) == (0, None, 0)


def test_resolved_settings_survive_json(write):
    extra = (
        "agent: {kind: openai, model: m, price: {input: 1, output: $2}}\n"
        "guardrails: {forbid: ['\\bx']}\nbudget: {wall_clock: 8h}\n"
    )
    settings = load(write(extra), ["verify.constraints.mem=within 1% of baseline", "objective.min_effect=1%"]).settings
    assert Settings.model_validate(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


def test_settings_cannot_be_changed(write):
    settings = load(write()).settings
    with pytest.raises(ValueError, match="frozen"):
        settings.budget.rounds = 5


def test_the_digest_changes_with_file_and_overrides(write):
    first = load(write()).digest
    assert load(write()).digest == first
    assert load(write(), ["budget.rounds=5"]).digest != first
    assert load(write(body="other {{ brief }}")).digest != first


def test_the_identity_changes_only_with_what_makes_results_incomparable(write):
    path = write()
    first = load(path).identity
    for same in ("budget.rounds=5", "search.workers=2", "name=x", "memory.brief_tokens=600", "workspace.exclude=[x]"):
        assert load(path, [same]).identity == first
    for other in ("objective.target=3", "verify.command=x", "verify.timeout=3s", "workspace.editable=[x]",
                  "workspace.link=[x]"):  # fmt: skip
        assert load(path, [other]).identity != first
    assert load(write(body="other {{ brief }}")).identity == first


def test_a_secret_in_the_verifiers_environment_does_not_change_the_identity(write, monkeypatch):
    monkeypatch.setenv("TOKEN", "one")
    first = load(write(), ["verify.env.TOKEN=$TOKEN"]).identity
    monkeypatch.setenv("TOKEN", "two")
    assert load(write(), ["verify.env.TOKEN=$TOKEN"]).identity == first


def test_the_workflow_file_and_the_state_are_never_editable(write):
    editable = load(write(), ["workspace.editable=['*']", "workspace.root=state"]).editable
    assert editable("solve.py")
    assert editable("deep/solve.py")
    for path in ("WORKFLOW.md", "state/tracker.db", ".loopsmith/x", ".git/config"):
        assert not editable(path)
