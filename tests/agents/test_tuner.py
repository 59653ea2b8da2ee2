"""The tuner finds better constants from the campaign's history alone, and tries nothing twice."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from loopsmith.agents.tuner import Tuner, comparable
from loopsmith.errors import WorkflowError
from loopsmith.records import Brief, Report, Status, Trial
from loopsmith.workflow.agent import TunerAgent

SOURCE = "BLOCK = 64  # rows\nUNROLL = 3\nRATE = 1e-3\nFAST = False\n"
PARAMS = {"BLOCK": 64, "UNROLL": 3, "RATE": 1e-3, "FAST": False}


@dataclass
class Folder:
    path: Path
    scratch: Path


@dataclass
class History:
    """The part of `protocols.Services` that a tuner uses."""

    trials: list[Trial] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def history(self) -> Sequence[Trial]:
        return tuple(self.trials)

    def progress(self, text: str) -> None:
        self.said.append(text)

    def add(self, params: Mapping[str, Any], value: float | None, status=Status.DISCARDED, parent="origin") -> None:
        number = len(self.trials) + 1
        self.trials.append(Trial(number=number, params=dict(params), status=status, value=value, parent_commit=parent))


def tuner(**constants: Any) -> Tuner:
    return Tuner(TunerAgent.model_validate({"constants": constants}))


def work(agent: Tuner, folder: Path, history: History, seed: int, direction: str = "minimize") -> Report:
    files = tuple(sorted(path.name for path in folder.iterdir()))
    brief = Brief(
        candidate_id="c.1",
        prompt="",
        seed=seed,
        round=1,
        attempt=1,
        editable=("*",),
        files=files,
        metric="ms",
        direction=direction,
    )
    return asyncio.run(agent.work(brief, Folder(folder, folder.parent), history))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "program.py").write_text(SOURCE)
    return path


def values_in(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    exec((folder / "program.py").read_text(), {}, values)
    return values


def search(folder: Path, score: Callable[[dict[str, Any]], float], direction: str, rounds: int, seed: int) -> float:
    """Rounds of four as the campaign runs them: a candidate that beats the baseline is the next one."""
    history, agent = History(), tuner()
    best = score(values_in(folder))
    for number in range(rounds):
        results = []
        baseline = (folder / "program.py").read_text()
        for slot in range(4):
            report = work(agent, folder, history, seed * 1000 + number * 4 + slot, direction)
            results.append((score(values_in(folder)), report.params, (folder / "program.py").read_text()))
            (folder / "program.py").write_text(baseline)
        value, params, text = min(results, key=lambda each: each[0] if direction == "minimize" else -each[0])
        better = value < best if direction == "minimize" else value > best
        for each, tried, _ in results:
            kept = better and tried == params
            history.add(tried, each, Status.KEPT if kept else Status.DISCARDED, parent=baseline)
        if better:
            best = value
            (folder / "program.py").write_text(text)
    return best


def test_a_candidate_holds_the_values_that_its_report_names(folder):
    history = History()
    report = work(tuner(), folder, history, seed=5)
    assert report.finish_reason == "submitted"
    assert values_in(folder) == report.params != PARAMS
    changed = {name: value for name, value in report.params.items() if value != PARAMS[name]}
    named = dict(re.findall(r"(\w+) \S+ -> ([^\s,]+)", report.hypothesis))
    assert {name: float(eval(text)) for name, text in named.items()} == changed
    assert history.said == [report.hypothesis]
    assert "# rows" in (folder / "program.py").read_text()


def test_the_same_seed_and_history_give_the_same_candidate_and_other_seeds_others(folder):
    proposals = []
    for seed in (1, 1, 2, 3, 4):
        proposals.append(work(tuner(), folder, History(), seed).params)
        (folder / "program.py").write_text(SOURCE)
    assert proposals[0] == proposals[1]
    assert len({tuple(each.items()) for each in proposals}) > 2


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_finds_much_better_values_in_forty_candidates(folder, direction):
    def cost(values):
        block, unroll = values["BLOCK"] / 512, values["UNROLL"] / 12
        return (max(block, 1 / block)) * (max(unroll, 1 / unroll)) ** 0.5 * (1.3 if values["FAST"] else 1.0)

    start = cost(PARAMS)
    for seed in (1, 2):
        (folder / "program.py").write_text(SOURCE)
        if direction == "minimize":
            assert search(folder, cost, direction, rounds=10, seed=seed) < start / 4
        else:
            assert search(folder, lambda values: 1 / cost(values), direction, rounds=10, seed=seed) > 4 / start


def test_values_stay_inside_the_workflows_ranges_and_choices(folder):
    agent = tuner(BLOCK={"low": 10, "high": 50, "step": 20}, RATE={"low": 0.5, "high": 1, "log": True}, FAST=[True])
    history = History()
    for seed in range(12):
        params = work(agent, folder, history, seed).params
        history.add(params, float(seed))
        assert set(params) == {"BLOCK", "RATE", "FAST"}
        for name, allowed in {"BLOCK": {10, 30, 50, 64}, "FAST": {True, False}}.items():
            assert params[name] in allowed
        assert params["RATE"] == 1e-3 or 0.5 <= params["RATE"] <= 1
        (folder / "program.py").write_text(SOURCE)


def test_no_set_of_values_is_tried_twice_until_none_is_left(folder):
    agent = tuner(UNROLL={"low": 1, "high": 4}, FAST=[True, False])
    history, seen = History(), {(3, False)}
    for seed in range(7):
        params = work(agent, folder, history, seed).params
        assert (params["UNROLL"], params["FAST"]) not in seen
        seen.add((params["UNROLL"], params["FAST"]))
        history.add(params, None if seed % 2 else 1.0, Status.CRASHED if seed % 2 else Status.DISCARDED)
        (folder / "program.py").write_text(SOURCE)
    assert len(seen) == 8
    report = work(agent, folder, history, seed=99)
    assert report.finish_reason == "stopped"
    assert (folder / "program.py").read_text() == SOURCE


def test_a_range_moves_on_with_the_baseline(folder):
    (folder / "program.py").write_text("UNROLL = 3\n")
    assert search(folder, lambda values: -values["UNROLL"], "minimize", rounds=8, seed=1) < -8 * 8 * 3


def test_candidates_that_broke_are_avoided(folder):
    (folder / "program.py").write_text("DEPTH = 100\n")
    history = History()
    for value in range(20, 100, 2):
        history.add({"DEPTH": value}, 1.0)
    for value in range(150, 800, 5):
        history.add({"DEPTH": value}, None, Status.CRASHED)
    chosen = []
    for seed in range(20):
        chosen.append(work(tuner(), folder, history, seed).params["DEPTH"])
        (folder / "program.py").write_text("DEPTH = 100\n")
    assert sum(value < 150 for value in chosen) >= 15


def test_what_was_measured_before_another_agent_changed_the_code_is_left_out():
    history = History()
    history.add({"BLOCK": 8}, 1.0, parent="origin")
    history.add({}, 2.0, Status.KEPT, parent="origin")
    history.add({"BLOCK": 16}, 3.0, parent="origin")
    history.add({"BLOCK": 32}, 4.0, parent="second")
    assert [trial.params for trial in comparable(history.trials, {"BLOCK": 64})] == [{"BLOCK": 32}]


def test_a_runner_up_carried_over_to_another_baseline_does_not_count_for_its_old_values():
    history = History()
    history.add({"BLOCK": 8, "UNROLL": 1}, 5.0, Status.KEPT, parent="origin")
    history.add({"BLOCK": 64, "UNROLL": 9}, 4.0, parent="origin")
    history.add({"BLOCK": 64, "UNROLL": 9}, 7.0, parent="second")
    assert [trial.value for trial in comparable(history.trials, {"BLOCK": 8, "UNROLL": 1})] == [5.0, 4.0]
    history.add({"BLOCK": 64, "UNROLL": 9}, 9.0, Status.KEPT, parent="second")
    kept = comparable(history.trials, {"BLOCK": 8, "UNROLL": 9})[-1]
    assert (kept.params, kept.value) == ({"BLOCK": 8, "UNROLL": 9}, 9.0)


def test_check_says_that_there_is_nothing_to_tune(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    return 1\n")
    with pytest.raises(WorkflowError, match="no constant in the editable files"):
        tuner().check(tmp_path, ["a.py"])


def test_check_names_every_constant_that_cannot_be_tuned(folder):
    agent = tuner(BLOK=[1, 2], UNROLL={"low": 0.5, "high": 2}, NOWHERE=[1])
    with pytest.raises(WorkflowError) as caught:
        agent.check(folder, ["program.py"])
    text = str(caught.value)
    assert "agent.constants.BLOK" in text
    assert "did you mean `BLOCK`?" in text
    assert "agent.constants.NOWHERE" in text
    assert "UNROLL = 3 in program.py is an integer" in text


@pytest.mark.parametrize("setting", [["fast"], [True], {"low": 1.5, "high": 2}])
def test_check_refuses_values_of_another_type(folder, setting):
    with pytest.raises(WorkflowError, match="UNROLL"):
        tuner(UNROLL=setting).check(folder, ["program.py"])


def test_check_accepts_what_can_be_tuned(folder):
    tuner().check(folder, ["program.py"])
    tuner(**{"program.py:BLOCK": [1, 2], "RATE": {"low": 1, "high": 2}, "FAST": [True, False]}).check(
        folder, ["program.py"]
    )


def test_a_worker_without_constants_left_says_so_and_changes_nothing(folder):
    (folder / "program.py").write_text("print(1)\n")
    report = work(tuner(), folder, History(), seed=1)
    assert "no constant" in report.error
    assert (folder / "program.py").read_text() == "print(1)\n"


def test_the_best_of_a_long_history_are_remembered(folder):
    (folder / "program.py").write_text("DEPTH = 1000\n")
    history = History()
    for value in range(500, 540):
        history.add({"DEPTH": value}, 1.0)
    for value in range(2000, 3000):
        history.add({"DEPTH": value}, 5.0)
    chosen = []
    for seed in range(20):
        chosen.append(work(tuner(), folder, history, seed).params["DEPTH"])
        (folder / "program.py").write_text("DEPTH = 1000\n")
    assert sum(450 < value < 600 for value in chosen) >= 15
