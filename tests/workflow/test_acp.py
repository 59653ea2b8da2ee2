"""The settings of agents that speak the Agent Client Protocol."""

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workflow import load
from loopsmith.workflow.acp import PRESETS

FRONT = """---
objective: {{metric: x, direction: minimize}}
workspace: {{editable: [a.py]}}
verify: {{command: "true"}}
agent: {agent}
budget: {budget}
---
body
"""


def settings(tmp_path, agent, budget="{rounds: 1}"):
    path = tmp_path / "WORKFLOW.md"
    path.write_text(FRONT.format(agent=agent, budget=budget))
    return load(path).settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_known_agent_needs_its_name_alone(tmp_path, name):
    agent = settings(tmp_path, f"{{kind: acp, program: {name}}}").agent
    assert agent.known is PRESETS[name]
    assert agent.silence == 600


def test_any_other_is_started_by_its_arguments(tmp_path):
    agent = settings(tmp_path, "{kind: acp, argv: [mine, --acp], silence: 2m}").agent
    assert agent.known.argv == ("mine", "--acp")
    assert agent.silence == 120


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("{kind: acp}", "needs either `program`, the name of a known one, or `argv`"),
        ("{kind: acp, program: goose, argv: [goose]}", "needs either `program`"),
        ("{kind: acp, program: goos}", "`goos` is not known; there are opencode, gemini"),
        ("{kind: acp, program: goose, quiet: 5}", "unknown key `agent.quiet`"),
        ("{kind: acp, program: goose, login: [../x]}", "agent.login"),
    ],
)
def test_what_cannot_work_is_said(tmp_path, agent, message):
    with pytest.raises(WorkflowError) as raised:
        settings(tmp_path, agent)
    assert message in str(raised.value)


@pytest.mark.parametrize("budget", ["{cost_usd: 5}", "{per_round: {cost_usd: 5}}", "{per_worker: {cost_usd: 5}}"])
def test_a_limit_of_money_needs_a_cost(tmp_path, budget):
    with pytest.raises(WorkflowError, match="nobody knows what this agent costs"):
        settings(tmp_path, "{kind: acp, program: opencode}", budget)
    for cost in ("cost_per_run: 0", "cost_per_run: 0.25", "reports_cost: true"):
        assert settings(tmp_path, f"{{kind: acp, program: opencode, {cost}}}", budget).agent.cost_known
