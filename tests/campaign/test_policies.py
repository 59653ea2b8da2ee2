"""Whole campaigns whose workers start elsewhere than from the baseline: what is kept, said, applied and resumed."""

import secrets
import subprocess
from pathlib import Path

import pytest
from killing import killed_at
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.errors import HarnessError
from loopsmith.records import Report, Status
from loopsmith.report import patch_of
from loopsmith.search.budget import End
from loopsmith.search.policy import Choice
from loopsmith.tracker import open_store
from loopsmith.workspace import Repository

# X=2 alone is worse than the source, together with Y=2 it is much better.
DECEPTIVE = (
    'if [ "$X$Y" = 22 ]; then s=50; elif [ "$X" = 2 ]; then s=8; elif [ "$Y" = 9 ]; then s=5; else s=10; fi; '
    'echo "METRIC score=$s"'
)
BEAM = {"policy": "beam", "beam": 2, "candidates_per_round": 1, "workers": 1}
IDEAS = "".join(f"{name}=0\n\n\n\n\n" for name in "ABCDEF")
SUM = 'echo "METRIC score=$((10 + A + B + C + D + E + F))"'


def commands(*changes):
    return {"kind": "scripted", "commands": [f"sed -i {change} program.sh" for change in changes]}


def beam_source(folder, third, **settings):
    """c1 steps down to 8, c2 to 5; the beam's second place is c1, and c3 starts from there."""
    agent = commands("s/^X=.*/X=2/", "s/^Y=.*/Y=9/", third)
    path = write_source(folder, command=DECEPTIVE, agent=agent, budget={"rounds": 3}, search=BEAM, **settings)
    (folder / "program.sh").write_text("X=10\n\n\n\n\n\nY=0\n")
    return path


def ideas_source(folder, *changes, **search):
    """Six settings that add up, far apart."""
    path = write_source(folder, command=SUM, agent=commands(*changes), budget={"rounds": 2}, search=search)
    (folder / "program.sh").write_text(IDEAS)
    return path


class Seen:
    """The candidates of a source's newest campaign by number, its repository, and its decisions."""

    def __init__(self, path: Path):
        state = workflow.load(path).state
        self.repository = Repository.open(state)
        with open_store(state / "tracker.db", read_only=True) as store:
            self.campaign = store.campaigns()[0]
            self.by_number = {item.number: item for item in store.candidates(self.campaign.id)}
            self.decisions = {item.number: store.decision(item.id) for item in self.by_number.values()}
            self.events = store.events(self.campaign.id)
            self.commits = {
                (m.candidate_id or "").rpartition(".")[2]: m.commit for m in store.measurements(self.campaign.id)
            }

    def __getitem__(self, number):
        return self.by_number[number]

    @property
    def verdicts(self):
        return {number: str(item.status) for number, item in self.by_number.items()}


def test_a_child_of_a_worse_candidate_is_kept_when_it_beats_the_baseline(tmp_path):
    view = run(beam_source(tmp_path, "s/^Y=.*/Y=2/"))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen.verdicts == {1: "discarded", 2: "discarded", 3: "kept"}
    assert seen[3].parent_commit == seen[1].commit
    assert seen.decisions[3].baseline_value == 10, "compared with the baseline, not with its parent's 8"
    assert view["best"]["effect"] == pytest.approx(4.0)
    assert seen.repository.parents(seen[3].commit) == (seen.campaign.origin_commit, seen[1].commit)
    assert (seen[3].lines_added, seen[3].lines_removed) == (2, 2)
    patch = patch_of(seen.repository, seen[3])
    assert "+Y=2" in patch, "its own patch is against what it started from"
    assert "+X=2" not in patch


def test_a_child_that_beats_its_parent_alone_is_not_kept(tmp_path):
    run(beam_source(tmp_path, "s/^X=.*/X=7/"))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen[3].parent_commit == seen[1].commit
    assert seen.decisions[3].value == 10
    assert seen[3].status is Status.DISCARDED


def test_content_is_verified_once_against_a_baseline_wherever_it_came_from(tmp_path):
    run(beam_source(tmp_path, "'s/^X=.*/X=10/;s/^Y=.*/Y=9/'"))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen[3].parent_commit == seen[1].commit
    assert seen[3].status is Status.DUPLICATE
    assert "candidate 2" in seen.decisions[3].reason


def test_a_child_that_goes_back_to_the_baseline_is_no_change(tmp_path):
    run(beam_source(tmp_path, "s/^X=.*/X=10/"))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen[3].parent_commit == seen[1].commit
    assert seen[3].status is Status.FAILED
    assert "no change" in seen.decisions[3].reason


def test_a_guardrail_holds_for_the_whole_change_against_the_baseline(tmp_path):
    """Two lines of its parent and five of its own are more than six, though its own are not."""
    settings = {"guardrails": {"max_changed_lines": 6}}
    run(beam_source(tmp_path, "'s/^Y=.*/Y=2\\nA=1\\nB=1\\nC=1/'", **settings))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen[3].status is Status.REJECTED
    assert "7 changed lines" in seen.decisions[3].reason


def test_a_parent_that_leaves_little_room_for_a_change_is_not_gone_on_from(tmp_path):
    run(beam_source(tmp_path, "s/^Y=.*/Y=2/", guardrails={"max_changed_lines": 2}))
    seen = Seen(tmp_path / "WORKFLOW.md")
    assert seen[3].parent_commit == seen.campaign.origin_commit


def test_apply_and_export_give_one_commit_for_a_keep_and_its_whole_change(tmp_path, loopsmith):
    path = beam_source(tmp_path, "s/^Y=.*/Y=2/")
    for words in (["init", "-q"], ["add", "program.sh", "verify.sh"], ["commit", "-qm", "start"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)
    run(path)
    loopsmith("apply", "-w", path, "--branch", "won")
    log = subprocess.run(["git", "log", "--format=%s", "won"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(log.stdout.splitlines()) == 2
    text = subprocess.run(["git", "show", "won:program.sh"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert text.stdout == "X=2\n\n\n\n\n\nY=2\n"
    rows = loopsmith("export", "-w", path, "--format", "tsv").out.splitlines()
    assert len(rows) == 5
    assert "+Y=2" in loopsmith("show", "3", "-w", path).out


class Spy:
    """An agent that notes its prompts and does what a function says."""

    name = "spy"

    def __init__(self, change):
        self.change, self.prompts = change, {}

    def check(self, folder, files):
        pass

    async def work(self, brief, workspace, services):
        number = int(brief.candidate_id.rpartition(".")[2])
        self.prompts[number] = brief.prompt
        program = workspace.path / "program.sh"
        self.change(number, program)
        problems = services.problems()
        return Report(finish_reason="submitted", hypothesis=f"idea {number}", summary="; ".join(problems))


class FromFirst:
    """A policy whose third worker starts from candidate 1."""

    def plan(self, view):
        first = next((node.commit for node in view.nodes if node.number == 1), None)
        return [Choice(parents=(first,)) if view.first == 3 else Choice()]


def run_with(path, spy, policy=None):
    def use(context):
        context.agent = spy
        context.policy = policy or context.policy

    return run(path, before=use)


def test_a_brief_says_what_its_files_hold_and_what_they_lack(tmp_path):
    lines = {1: ("X=10", "X=2"), 2: ("Y=0", "Y=3"), 3: ("Y=0", "Y=2")}
    spy = Spy(lambda number, file: file.write_text(file.read_text().replace(*lines[number])))
    path = beam_source(tmp_path, "true")
    (tmp_path / "verify.sh").write_text(
        ". ./program.sh\n"
        'echo "METRIC score=$(case $X$Y in 22) echo 50;; 2*) echo 8;; *3) echo 12;; *) echo 10;; esac)"\n'
    )
    run_with(path, spy, FromFirst())
    seen = Seen(path)
    assert seen.verdicts == {1: "discarded", 2: "kept", 3: "kept"}
    assert "Kept so far, already in your files" not in spy.prompts[3]
    assert "They hold candidate 1 (-20.0 % over its baseline: idea 1)" in spy.prompts[3]
    assert "They lack what was kept elsewhere: c2." in spy.prompts[3]
    assert "compared with the baseline" in spy.prompts[3]
    assert "not the baseline's" not in spy.prompts[1] + spy.prompts[2]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [((), [("0", ""), ("2", "program.sh"), ("2", "program.sh")]), (("mem",), [("0",), ("7",), ("?",)])],
)
def test_a_policy_sees_scores_lines_and_cells_of_what_was_measured(tmp_path, cells, expected):
    """Score and gain in the metric's unit; cells by size and files, or by a metric in steps of a tenth."""
    views = []

    class Watched:
        def plan(self, view):
            views.append(view)
            return []

    def watch(context):
        context.policy = Watched()

    search = {"policy": "islands", "cells": list(cells), "candidates_per_round": 1}
    path = write_source(
        tmp_path,
        command='echo "METRIC score=$X"; echo "METRIC mem=$((100 + Y))"',
        agent=commands("'s/^X=.*/X=12/;s/^Y=.*/Y=100/'", "'/^Y=0/d;s/^X=.*/X=11/;s/^Y=.*/Y=-200/'", "s/a/a/"),
        budget={"rounds": 3},
        search=search,
    )
    if not cells:
        (tmp_path / "WORKFLOW.md").write_text(path.read_text().replace("s/^X=.*/X=12/;s/^Y=.*/Y=100/", "s/^X=.*/X=12/"))
    run(path, before=watch)
    last = views[-1]
    assert [(node.number, node.score, node.gain) for node in last.nodes] == [(0, 0, 0), (1, 2, 2), (2, 1, -1)]
    assert [node.cell for node in last.nodes] == expected
    assert [view.round for view in views] == [1, 2, 3]
    assert last.start.number == 1
    assert last.nodes[0].lines == frozenset()
    assert len({node.lines for node in last.nodes}) == 3


def test_two_that_looked_better_are_merged_without_a_worker_and_kept_by_measurement(tmp_path):
    changes = ("s/A=0/A=1/", "s/B=0/B=2/", "s/C=0/C=3/", "s/F=0/F=-1/", "s/F=0/F=-2/", "s/F=0/F=-3/")
    path = ideas_source(tmp_path, *changes, candidates_per_round=3, workers=1, crossover=0.5)
    view = run(path)
    seen = Seen(path)
    # c4 tries the runner-up c2 again; of the two workers' places after it one is a crossover of c1 and c2.
    assert (seen[4].retry_of, seen[5].agent) == (seen[2].id, "merge")
    assert seen[5].status is Status.KEPT
    assert view["best"]["value"] == 16
    assert seen[5].hypothesis.startswith("candidate 2 and candidate 1 merged on the baseline")
    base = seen[3].commit
    assert seen.repository.parents(seen[5].commit) == (base, seen[5].parent_commit)
    assert seen.repository.parents(seen[5].parent_commit) == (seen[2].commit, seen[1].commit, base)
    assert "+A=1" in patch_of(seen.repository, seen[5])


def test_the_tuner_does_not_take_a_crossover_for_a_change_of_the_code(tmp_path, monkeypatch):
    """A merge has the values of neither parent, and the tuner's history goes on through it."""
    monkeypatch.setattr(secrets, "token_hex", lambda count: "crossed")  # the same seeds in every run
    names = "ABCDEF"
    constants = {name: {"low": 0, "high": 9} for name in names}
    path = write_source(
        tmp_path,
        agent={"kind": "tuner", "constants": constants},
        workspace={"editable": ["program.py"]},
        verify={"command": "python3 verify.py"},
        budget={"rounds": 4},
        search={"candidates_per_round": 6, "workers": 1, "policy": "thompson", "crossover": 0.4},
    )
    (tmp_path / "program.py").write_text("".join(f"{name} = 0\n\n\n\n\n" for name in names))
    total = " + ".join(f"program.{name}" for name in names)
    (tmp_path / "verify.py").write_text(f"import program\nprint('METRIC score=' + str(100 + {total}))\n")
    run(path)
    seen = Seen(path)
    crossed = [item for item in seen.by_number.values() if item.agent == "merge"]
    assert crossed
    for item in crossed:
        one, other = seen.repository.parents(item.parent_commit)[:2]
        made = {each.commit: each.params for each in seen.by_number.values()}
        assert item.params in (made.get(one), made.get(other), {})
        assert item.status in (Status.KEPT, Status.DISCARDED)


def test_an_agent_that_does_not_read_gets_no_conflicts(tmp_path):
    path = write_source(
        tmp_path, agent=setting_x(11, 12, 13, 9, 8, 7), budget={"rounds": 2}, search={"candidates_per_round": 3}
    )
    run(path, "search.crossover=1")
    assert {item.agent for item in Seen(path).by_number.values()} == {"scripted"}


@pytest.mark.parametrize(("left", "verdict"), [(False, "kept"), (True, "rejected")])
def test_a_worker_resolves_a_conflict_or_its_candidate_is_rejected(tmp_path, left, verdict):
    first = {1: (11, 0), 2: (12, 0), 3: (10, 3)}

    def change(number, file):
        if number in first:
            file.write_text("X={}\n\n\n\n\nY={}\n".format(*first[number]))
        elif "<<<<<<<" in file.read_text():
            file.write_text(file.read_text() + "# more\n" if left else "X=20\nY=3\n")

    path = write_source(
        tmp_path,
        command='echo "METRIC score=$((X + Y))"',
        agent=setting_x(0),
        budget={"rounds": 2},
        search={"candidates_per_round": 3, "crossover": 0.34, "workers": 1},
    )
    (tmp_path / "program.sh").write_text("X=10\n\n\n\n\nY=0\n")
    spy = Spy(change)
    run_with(path, spy)
    seen = Seen(path)
    crossed = next(item for item in seen.by_number.values() if item.number > 3 and item.parent_commit != seen[3].commit)
    assert "first resolve the conflict markers in program.sh" in spy.prompts[crossed.number]
    assert "candidate 2 " in spy.prompts[crossed.number]
    assert str(crossed.status) == verdict
    if left:
        assert "conflict marker" in seen.decisions[crossed.number].reason
        assert "conflict marker" in crossed.summary, "the worker can ask before it submits"


def test_a_race_ends_the_other_workers_and_says_why(tmp_path):
    agent = {
        "kind": "scripted",
        "commands": ["sed -i 's/^X=.*/X=12/' program.sh", *["sleep 300"] * 2],
    }
    path = write_source(tmp_path, agent=agent, search={"candidates_per_round": 3, "workers": 2, "race": True})
    view = run(path)
    seen = Seen(path)
    assert seen.verdicts == {1: "kept", 2: "timed_out", 3: "timed_out"}
    assert view["counts"]["candidates"] == 3
    assert "superseded: candidate 1" in seen.decisions[2].reason


@pytest.mark.parametrize(("value", "verdicts"), [(20, ["kept", "timed_out"]), (10.5, ["discarded", "kept"])])
def test_a_gain_within_the_noise_wins_no_race(tmp_path, value, verdicts):
    slow = "sleep 300" if value == 20 else "sleep 2; sed -i 's/^X=.*/X=30/' program.sh"
    agent = {"kind": "scripted", "commands": [f"sed -i 's/^X=.*/X={value}/' program.sh", slow]}
    path = write_source(tmp_path, command=NOISY, agent=agent, search={"race": True}, calibrate={"runs": 8})
    run(path, before=lambda context: setattr(context, "seed", "the same noise each time"))
    assert list(Seen(path).verdicts.values()) == verdicts


def test_a_round_that_was_won_before_a_kill_is_over_afterwards(tmp_path):
    agent = {"kind": "scripted", "commands": ["sed -i 's/^X=.*/X=12/' program.sh", "sed -i 's/^X=.*/X=14/' program.sh"]}
    path = write_source(tmp_path, agent=agent, search={"candidates_per_round": 2, "workers": 1, "race": True})

    def stop_when_won(context):
        def observer(name, candidate, data):
            if name == "round.won":
                context.stop.request(End(reason="stopped", message="stopped by a person"))

        context.observers.append(observer)

    assert run(path, before=stop_when_won)["campaign"]["status"] == "stopped"
    assert Seen(path).verdicts == {1: "screened", 2: "planned"}
    run(path)
    assert Seen(path).verdicts == {1: "kept", 2: "timed_out"}


def test_an_approval_in_the_middle_of_a_round_leaves_nothing_kept_that_was_compared_with_the_old_baseline(
    tmp_path, loopsmith
):
    path = write_source(
        tmp_path,
        command='echo "METRIC per_second=$((X + Y))"',
        objective={"metric": "per_second", "direction": "maximize"},
        agent=commands("s/^X=.*/X=40/", "s/^Y=.*/Y=5/", "s/^Y=.*/Y=-1/"),
        search={"candidates_per_round": 1},
        budget={"rounds": 3},
    )
    (tmp_path / "program.sh").write_text("X=10\n\n\n\n\n\nY=0\n")

    def stop_when_screened(context):
        def observer(name, candidate, data):
            if name == "candidate.screened" and candidate.number == 2:
                context.stop.request(End(reason="stopped", message="stopped by a person"))

        context.observers.append(observer)

    run(path, before=stop_when_screened)
    loopsmith("approve", "1", "-w", path)
    view = run(path)
    seen = Seen(path)
    assert seen.verdicts == {1: "kept", 2: "discarded", 3: "kept"}
    assert (seen[3].retry_of, view["best"]["value"]) == (seen[2].id, 45)


def test_a_policy_of_others_that_chooses_what_is_not_there_stops_the_campaign_with_its_name(tmp_path):
    class Wild:
        def plan(self, view):
            return [Choice(parents=("0" * 40,))]

    def use(context):
        context.policy = Wild()

    path = beam_source(tmp_path, "true")
    with pytest.raises(HarnessError, match="the search policy beam chose parents"):
        run(path, before=use)


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "islands"])
def test_a_campaign_that_was_killed_plans_as_it_would_have(tmp_path, monkeypatch, policy):
    """The same campaign id is the same seed: what starts where does not depend on kills."""
    monkeypatch.setattr(secrets, "token_hex", lambda count: policy)
    changes = [f"s/{'ABCDEF'[index % 6]}=.*/{'ABCDEF'[index % 6]}={index % 5 - 2}/" for index in range(16)]

    def source(folder):
        search = {"policy": policy, "candidates_per_round": 4, "workers": 1, "crossover": 0.25}
        if policy == "epsilon":
            search["epsilon"] = 0.6
        path = ideas_source(folder, *changes, **search)
        path.write_text(path.read_text().replace("rounds: 2", "rounds: 4"))
        return path

    def planned(path):
        seen = Seen(path)
        trees = {item.number: item.tree for item in seen.by_number.values()}
        starts = {
            item.number: seen.repository.tree_id(item.parent_commit) if item.parent_commit else None
            for item in seen.by_number.values()
        }
        return starts, trees, seen.verdicts

    run(whole := source(tmp_path / "whole"))
    expected = planned(whole)
    assert len(set(expected[0].values())) > 2, "workers start from several programs"
    path, kills = source(tmp_path / "killed"), 0
    while killed_at(path, 25 + 9 * kills, after=kills % 2 == 0):
        kills += 1
    assert kills > 2
    assert planned(path) == expected
