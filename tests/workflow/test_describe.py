"""What `check` shows."""

import pytest

from loopsmith.workflow import affordance, describe, load


def rows(workflow):
    return {key: (value, default) for key, value, default in describe(workflow)}


def test_every_setting_is_shown_as_people_write_it_and_defaults_are_marked(write, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("TOKEN", "hush")
    extra = (
        "budget: {wall_clock: 1h30m15s, cost_usd: 20, tokens: 2M}\n"
        "agent: {kind: openai, model: m, price: 0}\n"
        "guardrails: {forbid: ['\\bseed', b]}\n"
    )
    overrides = ["verify.constraints.mem=<= 5", "verify.env.T=$TOKEN", "objective.min_effect=1%", "search.plan=true"]
    shown = rows(load(write(extra), overrides))
    assert shown["budget.wall_clock"] == ("1h 30m 15s", False)
    assert shown["budget.cost_usd"] == ("$20.00", False)
    assert shown["budget.tokens"] == ("2,000,000", False)
    assert shown["budget.rounds"] == ("none", True)
    assert shown["budget.per_worker.wall_clock"] == ("15m", True)
    assert shown["workspace.max_size"] == ("1 GB", True)
    assert shown["workspace.editable"] == ("solve.py", False)
    assert shown["workspace.link"] == ("none", True)
    assert shown["verify.constraints.mem"] == ("<= 5", False)
    assert shown["verify.env.T"] == ("$TOKEN", False)
    assert shown["objective.min_effect"] == ("1%", False)
    assert shown["search.plan"] == ("true", False)
    assert shown["agent.api_key"] == ("$OPENAI_API_KEY (not set)", True)
    assert shown["agent.price.input"] == ("$0.00", False)
    assert shown["guardrails.forbid"] == ("\\bseed, b", False)


def test_the_name_taken_from_the_folder_counts_as_default(write, tmp_path):
    assert rows(load(write()))["name"] == (tmp_path.name, True)
    assert rows(load(write(), ["name=x"]))["name"] == ("x", False)


def test_ranges_and_choices_of_constants_are_shown(write):
    shown = rows(load(write("agent: {constants: {A: [1, true], B: {low: 1, high: 8}}}\n")))
    assert shown["agent.constants.A"] == ("1, true", False)
    assert shown["agent.constants.B.high"] == ("8", False)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["budget.wall_clock=8h", "verify.timeout=5m"],
         "about 96 candidates at 5m each; budget.wall_clock ends it first"),
        (["budget.wall_clock=8h", "budget.candidates=7"],
         "about 7 candidates at 10m each; budget.candidates ends it first"),
        (["budget.rounds=2"], "about 8 candidates at 10m each; budget.rounds ends it first"),
        (["budget.wall_clock=11m"], "about 1 candidate at 10m each; budget.wall_clock ends it first"),
        (["budget.wall_clock=1m"], "less than one candidate at 10m each: budget.wall_clock is too small"),
        ([], "no limit but budget.stall_rounds: it ends after 100 candidates at 10m each without a keep"),
        (["budget.stall_rounds="], "no limit: it runs until it is stopped, at 10m for each candidate"),
    ],
)  # fmt: skip
def test_the_budget_affords_what_the_limit_that_binds_first_allows(write, overrides, expected):
    assert affordance(load(write(), overrides)) == expected


def test_a_models_time_and_money_count(write):
    path = write("agent: {kind: openai, model: m}\n")
    common = ["verify.timeout=2m", "budget.per_worker.wall_clock=16m"]
    assert affordance(load(path, [*common, "budget.wall_clock=1h"])) == (
        "about 10 candidates at 6m each; budget.wall_clock ends it first"
    )
    assert affordance(load(path, [*common, "budget.cost_usd=$3", "budget.per_worker.cost_usd=$1"])) == (
        "about 3 candidates at 6m each; budget.cost_usd ends it first"
    )


def test_the_agents_of_an_ensemble_are_shown_and_their_money_counts(write):
    path = write("agent: [{kind: openai, model: m, weight: 2}, {kind: tuner}]\n")
    shown = rows(load(path))
    assert shown["agent.agents.0.model"] == ("m", False)
    assert (shown["agent.agents.0.weight"], shown["agent.agents.1.weight"]) == (("2", False), ("1", True))
    money = ["budget.cost_usd=$3", "budget.per_worker.cost_usd=$1"]
    assert "budget.cost_usd ends it first" in affordance(load(path, money))
