from loopsmith.search.policy import plan_slots, seed_of


def slots(**changes):
    return plan_slots(**{"campaign_id": "c", "round_number": 1, "count": 4, "agent": "a", **changes})


def test_workers_of_a_round_get_different_seeds_and_emphases():
    planned = slots()
    assert len({slot.seed for slot in planned}) == 4
    assert len({slot.emphasis for slot in planned}) == 4


def test_a_hypothesis_replaces_the_emphasis_and_workers_beyond_the_plan_keep_theirs():
    planned = slots(hypotheses=("one", "two"))
    assert [slot.hypothesis for slot in planned] == ["one", "two", "", ""]
    assert [bool(slot.emphasis) for slot in planned] == [False, False, True, True]


def test_a_runner_up_takes_the_first_of_the_slots():
    planned = slots(runner_up="c.7")
    assert [slot.retry_of for slot in planned] == ["c.7", None, None, None]


def test_the_same_round_of_the_same_campaign_has_the_same_seeds_in_every_run():
    assert slots() == slots()
    assert slots() != slots(campaign_id="d")
    assert slots() != slots(round_number=2)


def test_a_seed_depends_on_every_part_and_on_where_the_parts_end():
    assert len({seed_of("a", "b"), seed_of("ab"), seed_of("b", "a"), seed_of("a", "b", "")}) == 4
    assert all(0 <= seed_of(n) < 2**31 for n in range(100))
