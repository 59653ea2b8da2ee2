"""The search policies: pure functions of the tree."""

import sys
from collections import Counter
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.records import Verdict
from loopsmith.search import crossover, policy
from loopsmith.search.policy import Choice, Start, build_policy, plan_slots
from loopsmith.search.tree import Node, View, likeness
from loopsmith.workflow import agent
from loopsmith.workflow.search import BUILT_IN_POLICIES, Search


def node(number, score, *, parents=("0",), verdict=Verdict.DISCARDED, lines=None, cell=(), gain=None):
    return Node(
        number=number,
        commit=None if verdict is Verdict.FAILED else str(number),
        parents=parents,
        verdict=verdict,
        score=score,
        gain=score if gain is None and score is not None else gain or 0.0,
        lines=frozenset([number] if lines is None else lines),
        cell=cell,
    )


SOURCE = node(0, 0.0, parents=(), verdict=Verdict.KEPT, lines=())


def view(*nodes, baseline="0", count=4, first=None, number=2, seed=7):
    first = 1 + max((node.number for node in nodes), default=0) if first is None else first
    return View(baseline=baseline, nodes=(SOURCE, *nodes), round=number, first=first, count=count, seed=seed)


def plan(seen, **search):
    return [choice.parents or (seen.baseline,) for choice in build_policy(Search(**search)).plan(seen)]


TREE = (
    node(1, 5.0, verdict=Verdict.KEPT, lines=[1]),
    node(2, 4.0, lines=[1, 2, 3, 4], cell=("b",)),
    node(3, 3.9, lines=[1, 2, 3, 4, 5], cell=("b",)),
    node(4, -2.0, lines=[9], cell=("c",)),
    node(5, None, verdict=Verdict.FAILED),
    node(6, 50.0, verdict=Verdict.QUARANTINED, lines=[66]),
)


@pytest.mark.parametrize("name", BUILT_IN_POLICIES)
def test_every_policy_is_installed_and_plans_the_same_again_and_only_from_what_was_verified(name):
    seen = view(*TREE, baseline="1", count=200)
    first, again = (plan(seen, policy=name) for _ in range(2))
    assert first == again
    assert len(first) == 200
    assert {commit for (commit,) in first} <= {"0", "1", "2", "3", "4"}
    assert plan(view(baseline="0"), policy=name) == [("0",)] * 4, "a first round can only start from the source"


def test_greedy_starts_from_the_baseline_alone():
    assert plan(view(*TREE, baseline="1")) == [("1",)] * 4


def test_a_beam_holds_the_baseline_and_the_best_others_that_are_not_like_one_of_them():
    found = Counter(plan(view(*TREE, baseline="1", count=12), policy="beam", beam=3))
    assert found == {("1",): 4, ("2",): 4, ("0",): 4}, "3 is like 2, and 6 waits for a person"


def test_a_parent_leaves_the_beam_when_it_was_tried_often():
    tried = [node(number, -5.0, parents=("2",), lines=[number]) for number in range(10, 18)]
    found = {commit for (commit,) in plan(view(*TREE, *tried, baseline="1", count=12), policy="beam", beam=3)}
    assert "2" not in found
    assert "3" in found


def test_likeness_is_the_share_of_lines_in_common():
    assert likeness(TREE[1], TREE[2]) == pytest.approx(0.8)
    assert likeness(TREE[0], TREE[3]) == 0
    assert likeness(SOURCE, SOURCE) == 1


def test_epsilon_starts_elsewhere_about_as_often_as_it_says():
    found = Counter(plan(view(*TREE, baseline="1", count=1000), policy="epsilon", epsilon=0.3))
    assert 240 < 1000 - found["1",] < 360
    assert set(found) == {("0",), ("1",), ("2",), ("3",), ("4",)}


def test_thompson_prefers_what_is_good_and_leaves_what_was_tried_in_vain():
    found = Counter(plan(view(*TREE, baseline="1", count=12), policy="thompson"))
    assert found["1",] > found["4",]
    tried = [node(number, -5.0, parents=("1",), lines=[number]) for number in range(10, 60)]
    later = Counter(plan(view(*TREE, *tried, baseline="1", count=12), policy="thompson"))
    assert later["1",] < found["1",]


def test_an_island_goes_on_from_its_own_candidates_until_their_best_migrate():
    own = {0: {"0", "2", "4"}, 1: {"0", "1", "3"}}
    apart = view(*TREE, baseline="1", count=40, number=4)
    for index, (commit,) in enumerate(plan(apart, policy="islands", islands=2)):
        assert commit in own[(apart.first + index) % 2]
    moved = view(*TREE, baseline="1", count=2, number=5, first=8)
    assert plan(moved, policy="islands", islands=2) == [("1",), ("2",)]


def test_an_island_keeps_the_best_of_each_cell():
    nodes = (node(2, 1.0, cell=("a",)), node(4, 3.0, cell=("a",)), node(6, 2.0, cell=("b",)))
    found = {commit for (commit,) in plan(view(*nodes, count=60, number=4, first=8), policy="islands", islands=2)}
    assert {"4", "6"} <= found
    assert "2" not in found


def test_pairs_to_cross_gained_most_were_not_crossed_before_and_are_not_held_yet():
    nodes = (
        node(1, 5.0, verdict=Verdict.KEPT, lines=[1]),
        node(2, 3.0, lines=[2]),
        node(3, 2.0, lines=[3]),
        node(4, -1.0, lines=[4]),
    )
    found = [(one.number, other.number) for one, other in crossover.pairs(view(*nodes, baseline="1"))]
    assert found == [(2, 3), (1, 2), (1, 3)]
    tried = node(5, 1.0, parents=("2", "3"), lines=[2], gain=-1.0)
    found = [(one.number, other.number) for one, other in crossover.pairs(view(*nodes, tried, baseline="1"))]
    assert found == [(1, 2), (1, 3)]


def test_crossovers_are_their_share_of_all_candidates():
    counts, number = [], 1
    for _ in range(20):
        counts.append(crossover.share(view(count=3, first=number), 0.25))
        number += 3
    assert sum(counts) == 15
    assert max(counts) == 1


def test_a_slot_holds_where_its_worker_starts_and_a_clean_merge_takes_no_worker_and_no_hypothesis():
    starts = (Start(commit="m", finished=True), Start(commit="p", emphasis="look there"))
    slots = plan_slots(
        campaign_id="c", round_number=1, count=4, agent="a", runner_up="c.1", hypotheses=(), starts=starts
    )
    assert [(slot.agent, slot.parent) for slot in slots] == [("retry", None), ("merge", "m"), ("a", "p"), ("a", None)]
    assert slots[2].emphasis == "look there"
    slots = plan_slots(campaign_id="c", round_number=1, count=3, agent="a", hypotheses=("one",), starts=starts)
    assert [slot.hypothesis for slot in slots] == ["", "one", ""]


def test_a_policy_of_others_is_found_by_its_entry_point_and_gets_its_options(monkeypatch):
    mine = EntryPoint("mine", "search_policy:Mine", "loopsmith.policies")
    broken = EntryPoint("broken", "no_such_module:Mine", "loopsmith.policies")
    for module in (policy, agent):
        monkeypatch.setattr(module, "entry_points", lambda group: (mine, broken))

    class Mine:
        def __init__(self, search):
            self.start = search.options["start"]

        def plan(self, seen):
            return [Choice(parents=(self.start,))]

    monkeypatch.setitem(sys.modules, "search_policy", SimpleNamespace(Mine=Mine))
    assert plan(view(*TREE, baseline="1"), policy="mine", options={"start": "4"}) == [("4",)]
    with pytest.raises(WorkflowError, match=r"`broken`.*cannot be loaded"):
        build_policy(Search(policy="broken"))
    with pytest.raises(WorkflowError, match="no search policy `greedy` is installed; there are: broken, mine"):
        build_policy(Search())
