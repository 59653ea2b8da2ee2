"""Campaigns on noisy metrics: what they say of the noise, keep, and do not keep."""

import pytest
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.errors import NoiseError
from loopsmith.records import Phase, Verdict
from loopsmith.tracker import open_store
from loopsmith.verify.online import level

# Noise of each run's own: of the seed and of the content, so that the two of a pair differ.
OWN = (
    'seed=$(printf "%s.%s" "$LOOPSMITH_SEED" "$(cat program.sh)" | cksum | cut -d" " -f1); '
    "awk -v x=$X -v y=${Y:-0} -v s=$seed 'BEGIN { srand(s % 1000003); rand(); "
    'print "METRIC score=" x * (1 + 0.01 * (rand() + rand() + rand() - 1.5)); print "METRIC mb=" 100 + y }\''
)
TOKEN = "000000"  # fixes the campaign's seeds
WILD = "awk -v x=$X -v s=$LOOPSMITH_SEED 'BEGIN { print \"METRIC score=\" x * exp(s % 1000 / 100) }'"


def store_of(path):
    return open_store(workflow.load(path).state / "tracker.db", read_only=True)


def events(path, name):
    with store_of(path) as store:
        return [event.data for event in store.events(store.campaigns()[0].id) if event.name == name]


def decisions(path):
    with store_of(path) as store:
        campaign = store.campaigns()[0]
        return {item.number: store.decision(item.id) for item in store.candidates(campaign.id)}


def source(tmp_path, **settings):
    settings = {"calibrate": {"runs": 5}, "repeats": {"confirm": 24}, "objective": {"min_effect": "2%"}, **settings}
    return write_source(tmp_path, command=OWN, **settings)


def test_the_campaign_says_at_its_start_what_its_noise_lets_it_detect(tmp_path):
    path = source(tmp_path, agent=setting_x(10, 10))
    run(path)
    (said,) = events(path, "noise.measured")
    assert said["noise"].endswith("%")
    assert 0 < float(said["noise"].split()[0]) < 3
    assert said["detectable"].endswith("%")
    assert said["pairs"] == 24
    assert said["min_effect"] == "2%"
    assert said["pairs_for_min_effect"] >= 2


def test_each_test_of_the_campaign_gets_the_level_that_the_earlier_ones_leave_and_a_resume_goes_on_there(tmp_path):
    path = source(
        tmp_path,
        agent=setting_x(11, 12, 13.5, 15),
        budget={"rounds": 1},
        search={"candidates_per_round": 1, "workers": 1},
    )
    for rounds in (1, 2, 3, 4):
        run(path, f"budget.rounds={rounds}")
    found = decisions(path)
    assert [found[number].verdict for number in (1, 2, 3, 4)] == [Verdict.KEPT] * 4
    assert [found[number].evidence["test"] for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [found[number].evidence["level"] for number in (1, 2, 3, 4)] == pytest.approx(
        [level(0.05, tests, tests) for tests in range(4)]
    )
    assert found[4].evidence["replicates"] > found[1].evidence["replicates"], "earlier pairs teach the noise"


def test_runs_that_differ_by_half_end_it_before_anything_is_spent_until_a_person_agrees(tmp_path, loopsmith):
    path = write_source(tmp_path, command=WILD, agent=setting_x(11, 12), calibrate={"runs": 5})
    with pytest.raises(NoiseError, match=r"no gain under .* can be detected within .* pairs.*--accept-noise"):
        run(path)
    with store_of(path) as store:
        campaign = store.campaigns()[0]
        assert (campaign.status, campaign.stop_reason) == ("failed", "noise")
        assert store.counts(campaign.id)["candidates"] == 0
        measured = len(store.measurements(campaign.id))
    told = loopsmith("run", path, "--plain")
    assert (told.code, "--accept-noise" in told.err) == (2, True)
    assert loopsmith("run", path, "--plain", "--accept-noise").code == 0
    assert events(path, "noise.accepted")
    with store_of(path) as store:
        baseline = store.measurements(campaign.id, phase=Phase.BASELINE)
        assert len([item for item in baseline if item.pair < 5]) == measured, "the baseline is not calibrated again"
    assert run(path, "budget.rounds=2")["campaign"]["status"] == "done", "nobody is asked twice"


@pytest.mark.parametrize("others", [1, 90, 104])
def test_a_verifier_that_prints_many_metrics_is_calibrated_by_all_of_its_runs(tmp_path, others):
    """Four times the same, after a first run that differed, is noise; as seen by fewer of them it repeats exactly."""
    many = f'i=0; while [ $i -lt {others} ]; do i=$((i+1)); echo "case$i: $i"; done; '
    tally = tmp_path / "tally"
    first = f'echo x >> {tally}; [ $(wc -l < {tally}) != 1 ] || X=$((X + 1)); echo "METRIC score=$X"'
    values = []
    for command in (many + 'echo "METRIC score=$X"', many + first):
        path = write_source(
            tmp_path / str(len(values)),
            command=command,
            agent=setting_x(10),
            calibrate={"runs": 5},
            sandbox="off",
            verify={"self_check": False},
        )
        run(path)
        values += [(each["exact"], len(each["values"])) for each in events(path, "baseline.measured")]
    assert values == [(True, 5), (False, 5)]


def test_a_metric_that_only_seemed_to_repeat_exactly_is_found_out_before_anything_is_kept(tmp_path, monkeypatch):
    """It has two values, the better one in one run of ten, and calibration never saw that."""
    monkeypatch.setattr("secrets.token_hex", lambda count: TOKEN)
    command = (
        'case $(echo "$X.$LOOPSMITH_SEED" | cksum) in *0" "*) echo METRIC score=101;; *) echo METRIC score=100;; esac'
    )
    path = write_source(
        tmp_path, command=command, agent=setting_x(*range(11, 31)), budget={"rounds": 10}, repeats={"confirm": 12}
    )
    view = run(path)
    (measured,) = events(path, "baseline.measured")
    assert measured["exact"], "or this token shows nothing"
    assert events(path, "noise.found")
    assert view["baseline"]["exact"] is False
    assert view["counts"]["kept"] == 0


def test_a_candidate_whose_own_value_does_not_repeat_fails_and_makes_no_honest_one_wait(tmp_path):
    tally = tmp_path / "tally"
    command = f"if [ $X = 30 ]; then echo x >> {tally}; X=$((X - $(wc -l < {tally}))); fi; echo METRIC score=$X"
    path = write_source(
        tmp_path / "source",
        command=command,
        agent=setting_x(30, 11),
        budget={"rounds": 2},
        search={"candidates_per_round": 1},
        sandbox="off",
    )
    view = run(path)
    assert view["baseline"]["exact"]
    assert view["best"]["value"] == 11
    assert decisions(path)[1].verdict is Verdict.FAILED
    assert "its score does not repeat (29, then 28), and the baseline's does" in decisions(path)[1].reason


def test_a_secondary_metric_beyond_its_tolerance_blocks_a_keep_and_one_within_it_does_not(tmp_path):
    change = "sed -i 's/^X=.*/X=12/; s/^Y=.*/Y={}/' program.sh"
    for growth, kept in ((3, 1), (9, 0)):
        path = source(
            tmp_path / str(growth),
            agent={"kind": "scripted", "commands": [change.format(growth)]},
            decide={"secondary": {"mb": "at most 5% more"}},
            search={"candidates_per_round": 1},
        )
        assert run(path)["counts"]["kept"] == kept
    assert "mb is 9" in decisions(path)[1].reason


@pytest.mark.parametrize("noise", ["0", "$((LOOPSMITH_SEED % 3))"])
def test_a_secondary_metric_blocks_where_the_objective_repeats_exactly_too(tmp_path, noise):
    for x, kept in ((102, 1), (130, 0)):
        path = write_source(
            tmp_path / str(x),
            command=f'echo "METRIC score=$X"; echo "METRIC mb=$(((X > 100 ? X : 100) * 100 + {noise}))"',
            agent=setting_x(x),
            decide={"secondary": {"mb": "at most 5% more"}},
            calibrate={"runs": 5},
            repeats={"confirm": 24},
            search={"candidates_per_round": 1},
        )
        assert run(path)["counts"]["kept"] == kept
    assert "mb is 30" in decisions(path)[1].reason


def test_a_change_that_only_removes_lines_is_kept_where_the_workflow_wants_simplifications(tmp_path):
    agent = {"kind": "scripted", "commands": ["sed -i '/^Y=/d' program.sh"]}
    for simplify in (True, False):
        path = source(
            tmp_path / str(simplify),
            agent=agent,
            objective={"min_effect": "5%"},
            decide={"simplify": simplify},
            search={"candidates_per_round": 1},
        )
        assert run(path)["counts"]["kept"] == simplify
        decision = decisions(path)[1]
        assert ("a simplification that is not worse" in decision.reason) == simplify


def test_the_distribution_free_rule_is_there_by_choice(tmp_path):
    path = source(tmp_path, agent=setting_x(20), decide={"rule": "exact"}, search={"candidates_per_round": 1})
    assert run(path)["counts"]["kept"] == 1
    decision = decisions(path)[1]
    assert decision.rule == "sign-flip"
    assert decision.effect.samples >= 7


def test_the_screening_run_of_what_was_kept_is_not_in_the_next_baselines_level(tmp_path):
    path = source(tmp_path, agent=setting_x(20), search={"candidates_per_round": 1})
    view = run(path)
    decision = decisions(path)[1]
    candidate = [pair[1] for pair in decision.evidence["pairs"]]
    assert decision.value == pytest.approx(sum(candidate) / len(candidate))
    assert view["best"]["effect"] == pytest.approx(decision.effect.mean)


def test_check_calibrate_says_the_noise_and_the_pairs_that_min_effect_needs_and_leaves_no_state(tmp_path, loopsmith):
    path = source(tmp_path, agent=setting_x(11))
    told = loopsmith("check", path, "--calibrate")
    assert told.code == 0, told.err
    assert "noise of one run of score: " in told.out
    assert "a gain of min_effect, 2%, needs " in told.out
    assert not (tmp_path / ".loopsmith").exists()
    exact = write_source(tmp_path / "exact", agent=setting_x(11))
    assert "score repeats exactly, in 2 runs" in loopsmith("check", exact, "--calibrate").out


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("decide.alpha=0", "decide.alpha"),
        ("decide.rule=best", "decide.rule"),
        ("decide.secondary={mb: sometimes}", "at most 5% more"),
        ("decide.simplify=true", "objective.min_effect"),
        ("decide.secondary={score: within 5%}", "own metric"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, loopsmith, setting, problem):
    path = write_source(tmp_path)
    told = loopsmith("check", path, "--set", setting)
    assert told.code == 2
    assert problem in told.err


@pytest.mark.parametrize("why", ["confirmation", "holdout"])
def test_a_test_that_something_else_ends_has_spent_its_level_all_the_same(tmp_path, why):
    """Else a campaign could make any number of tests at the level of the first."""
    tally = tmp_path / "tally"
    later = f"if [ $X = 16 ]; then echo x >> {tally}; [ $(wc -l < {tally}) -lt 3 ] || exit 9; fi\n"
    hidden = {"command": ". ./program.sh; echo METRIC score=$((X == 16 ? 1 : X))", "gate": True}
    path = write_source(
        tmp_path / "source",
        command=(later if why == "confirmation" else "") + OWN,
        agent=setting_x(16, 20),
        budget={"rounds": 2},
        search={"candidates_per_round": 1, "workers": 1},
        calibrate={"runs": 5},
        repeats={"confirm": 24},
        sandbox="off",
        verify={"self_check": False, **({"holdout": hidden} if why == "holdout" else {})},
    )
    assert run(path)["counts"]["kept"] == 1
    ended, kept = decisions(path)[1], decisions(path)[2]
    assert (ended.rule, ended.evidence["test"], kept.evidence["test"]) == (why, 1, 2)
    assert kept.evidence["level"] == pytest.approx(level(0.05, 1, 0))


def test_what_a_brief_and_the_status_call_the_baseline_is_not_the_run_that_it_was_picked_by(tmp_path):
    path = source(tmp_path, agent=setting_x(20), search={"candidates_per_round": 1})
    view = run(path)
    with store_of(path) as store:
        runs = store.measurements(view["campaign"]["id"], commit=view["best"]["commit"])
    confirmed = [run.value for run in runs if run.phase is Phase.CONFIRM and run.metric == "score"]
    screened = [run.value for run in runs if run.phase is Phase.SCREEN and run.metric == "score"]
    assert screened
    assert screened[0] not in confirmed
    assert view["best"]["value"] == pytest.approx(sum(confirmed) / len(confirmed))
