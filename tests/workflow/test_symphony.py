"""Symphony's keys: those with a meaning here have it, the others are said to be ignored."""

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workflow import load

# The extra front matter starts in line 5.
SYMPHONY = """\
tracker:
  kind: linear
  provider: {project_slug: abc, anything: [1]}
polling: {interval_ms: 5000}
hooks:
  after_create: |
    echo one
    echo two
  timeout_ms: 1500
agent:
  max_concurrent_agents: "3"
  max_turns: 20
  max_retry_backoff_ms: 1000
codex: {command: codex app-server, approval_policy: never}
worker: {ssh_hosts: [a]}
observability: {refresh_ms: 5}
server: {port: 4000}
"""


def problems_of(path, overrides=()):
    with pytest.raises(WorkflowError) as caught:
        load(path, overrides)
    return list(caught.value.problems)


def test_keys_with_a_meaning_here_are_understood_under_their_own_names(write, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    loaded = load(write(SYMPHONY), ["workspace.root=~/work"])
    settings = loaded.settings
    assert settings.search.workers == 3
    assert settings.budget.per_worker.turns == 20
    assert settings.hooks.script("after_create") == "echo one\necho two\n"
    assert settings.hooks.script("after_run") is None
    assert settings.hooks.timeout_ms == 1500
    assert settings.agent.kind == "tuner"
    assert loaded.state == tmp_path / "home/work"


def test_keys_without_a_meaning_here_are_reported_with_their_line_and_are_no_problem(write):
    notices = load(write(SYMPHONY)).notices
    ignored = "is a key of Symphony's that has no meaning here yet, ignored"
    assert [notice.partition("; ")[0] for notice in notices] == [
        f"WORKFLOW.md:5: `tracker` (kind, provider) {ignored}",
        f"WORKFLOW.md:8: `polling` (interval_ms) {ignored}",
        f"WORKFLOW.md:18: `codex` (command, approval_policy) {ignored}",
        f"WORKFLOW.md:17: `agent.max_retry_backoff_ms` {ignored}",
        f"WORKFLOW.md:19: `worker.ssh_hosts` {ignored}",
        f"WORKFLOW.md:20: `observability` (refresh_ms) {ignored}",
        f"WORKFLOW.md:21: `server` (port) {ignored}",
    ]
    assert load(write()).notices == ()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("tracke: {}", "5: unknown key `tracke`; "),
        ("agent: {max_turn: 5}", "5: unknown key `agent.max_turn`"),
        ("worker: {ssh_host: a}", "5: unknown key `worker`"),
        ("hooks: {before_runs: a}", "5: unknown key `hooks.before_runs`; did you mean `hooks.before_run`?"),
        ("hooks: {timeout_ms: 0}", "5: `hooks.timeout_ms` must be at least 1, not `0`"),
        ("hooks: {after_run: ' '}", "5: `hooks.after_run`: it is empty"),
        ("agent: {max_turns: 0}", "5: `agent.max_turns` must be a whole number of at least 1"),
        ("agent: {max_concurrent_agents: many}", "5: `agent.max_concurrent_agents` must be a whole number of at least"),
    ],
)
def test_a_typo_and_a_wrong_value_are_problems_all_the_same(write, extra, expected):
    problems = problems_of(write(extra + "\n"))
    assert len(problems) == 1
    assert problems[0].startswith(f"WORKFLOW.md:{expected}")


def test_two_spellings_with_different_values_are_an_error_and_with_the_same_are_not(write):
    both = "budget: {per_worker: {turns: 7}}\nagent:\n  max_turns: %s\n"
    assert load(write(both % 7)).settings.budget.per_worker.turns == 7
    assert problems_of(write(both % 8)) == [
        "WORKFLOW.md:7: `agent.max_turns` is 8, but `budget.per_worker.turns`, which is the same setting, is `7`; "
        "give one of them"
    ]
    assert problems_of(write("search: {workers: 2}\nagent: {max_concurrent_agents: 3}\n"))[0].startswith(
        "WORKFLOW.md:6: `agent.max_concurrent_agents` is 3, but `search.workers`"
    )


def test_the_command_line_wins_over_either_spelling_in_the_file(write):
    for extra in ("agent: {max_turns: 8}\n", "budget: {per_worker: {turns: 8}}\n"):
        for override in ("agent.max_turns=5", "budget.per_worker.turns=5"):
            assert load(write(extra), [override]).settings.budget.per_worker.turns == 5
    assert len(problems_of(write(), ["agent.max_turns=5", "budget.per_worker.turns=6"])) == 1


def test_another_agent_on_the_command_line_leaves_the_renamed_keys(write):
    loaded = load(write("agent: {max_turns: 8}\n"), ["agent={kind: openai, model: m}"])
    assert (loaded.settings.agent.kind, loaded.settings.budget.per_worker.turns) == ("openai", 8)


def test_notices_come_with_the_problems_of_a_file_that_is_not_complete(write):
    with pytest.raises(WorkflowError) as caught:
        load(write("tracker: {kind: linear}\n", front="objective: {metric: m, direction: minimize}\n"))
    assert len(caught.value.notices) == 1
    assert len(caught.value.problems) == 2


def test_variables_of_symphony_that_are_not_here_are_named_as_such(write):
    body = "Ticket {{ issue.identifier }}: {{ issue.title }}\n{% if attempt %}\nAgain.\n{% endif %}\n"
    assert problems_of(write(body=body)) == [
        "WORKFLOW.md:6: `issue` is a variable of Symphony's, and a campaign here works on no issue; what it works on "
        "is in `objective` and `brief`"
    ]
    loaded = load(write("polling: {}\n", body=body.partition("\n")[2]))
    assert loaded.notices[-1] == (
        "WORKFLOW.md:7: `attempt` is 1 at the first attempt here, where Symphony has nothing; write `attempt > 1`"
    )
