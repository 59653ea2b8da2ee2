"""Whole campaigns on a tiny program: what is kept, what is not, how they end, what they leave."""

import asyncio
import fcntl
import hashlib
import os
import threading
from pathlib import Path

import pytest
import yaml
from support import EXACT, NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.campaign import run_campaign
from loopsmith.campaign.lock import exclusive, holder
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import BaselineError, UsageError, WorkflowError
from loopsmith.records import Phase, Status
from loopsmith.search.budget import End
from loopsmith.tracker import open_store


def tracker(path: Path):
    return open_store(workflow.load(path).state / "tracker.db", read_only=True)


def candidates(path: Path):
    with tracker(path) as store:
        campaign = store.campaigns()[-1]
        return {item.number: (item, store.decision(item.id)) for item in store.candidates(campaign.id)}


def runs_of(path: Path, number: int) -> int:
    with tracker(path) as store:
        campaign = store.campaigns()[-1]
        return len(store.measurements(campaign.id, candidate_id=f"{campaign.id}.{number}"))


def verdicts(path: Path) -> dict[int, str]:
    return {number: str(item.status) for number, (item, _) in candidates(path).items()}


def test_the_best_of_a_round_becomes_the_baseline_after_one_run_of_an_exact_metric_and_a_pair_that_repeats_it(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12, 15), search={"candidates_per_round": 2})
    view = run(path)
    assert (view["baseline"]["value"], view["baseline"]["exact"]) == (10.0, True)
    assert view["best"]["value"] == 15.0
    assert view["best"]["candidate"] == 2
    assert view["best"]["effect"] == pytest.approx(0.5)
    assert view["best"]["interval"] == pytest.approx([0.5, 0.5])
    assert verdicts(path) == {1: "discarded", 2: "kept"}
    assert (runs_of(path, 1), runs_of(path, 2)) == (1, 3)


def test_a_noisy_winner_is_confirmed_in_pairs_on_seeds_that_screening_never_saw(tmp_path):
    path = write_source(tmp_path, command=NOISY, agent=setting_x(20, 21))
    view = run(path)
    assert view["baseline"]["exact"] is False
    assert verdicts(path) == {1: "discarded", 2: "kept"}
    with tracker(path) as store:
        campaign = store.campaigns()[0]
        samples = store.measurements(campaign.id)
        confirmed = [m for m in samples if m.phase is Phase.CONFIRM]
        others = {m.seed for m in samples if m.phase is not Phase.CONFIRM}
        pairs = len(confirmed) // 2
        assert 2 <= pairs <= 4
        for pair in range(pairs):
            both = [m for m in confirmed if m.pair == pair]
            assert len({m.seed for m in both}) == 1
            assert len({m.commit for m in both}) == 2
        assert not others & {m.seed for m in confirmed}
        decision = store.decision(f"{campaign.id}.2")
    assert decision.effect.samples == pairs
    assert len(decision.evidence["pairs"]) == pairs
    assert decision.effect.low > 0
    assert view["best"]["effect"] == pytest.approx(decision.effect.mean)


def test_luck_at_screening_is_not_kept(tmp_path):
    """A candidate whose score is the noise of the run alone is better at screening or not, but never confirmed."""
    command = "echo \"METRIC score=$(awk -v s=$LOOPSMITH_SEED 'BEGIN { print 100 + s % 1000 / 100 }')\""
    path = write_source(
        tmp_path,
        command=command,
        agent=setting_x(*range(11, 31)),
        budget={"rounds": 5},
        search={"candidates_per_round": 4},
    )
    view = run(path)
    assert view["best"]["candidate"] is None
    assert view["counts"]["kept"] == 0
    assert view["counts"]["candidates"] == 20


def test_a_gain_below_min_effect_is_not_kept(tmp_path):
    path = write_source(tmp_path, objective={"min_effect": "20%"}, agent=setting_x(11, 12.5))
    assert run(path)["best"]["candidate"] == 2


def test_the_runner_up_is_tried_again_on_top_of_the_winner(tmp_path):
    command = 'echo "METRIC score=$((X + Y))"'
    agent = {
        "kind": "scripted",
        "commands": ["sed -i 's/^X=.*/X=30/' program.sh", "sed -i 's/^Y=.*/Y=5/' program.sh", "true", "true"],
    }
    path = write_source(tmp_path, command=command, agent=agent, budget={"rounds": 2})
    (tmp_path / "program.sh").write_text("X=10\n\n\n\n\n\nY=0\n")
    view = run(path)
    assert view["best"]["value"] == 35.0
    found = candidates(path)
    retry = found[3][0]
    assert retry.retry_of == found[2][0].id
    assert retry.status is Status.KEPT
    assert retry.parent_commit == found[1][0].commit


def test_a_runner_up_that_conflicts_with_the_winner_takes_no_slot(tmp_path):
    path = write_source(tmp_path, agent=setting_x(30, 20, 40, 41), budget={"rounds": 2})
    view = run(path)
    assert view["best"]["value"] == 41.0
    assert verdicts(path) == {1: "kept", 2: "discarded", 3: "discarded", 4: "kept"}
    with tracker(path) as store:
        (event,) = [e for e in store.events(view["campaign"]["id"]) if e.name == "runner_up.conflicts"]
    assert event.candidate_id.endswith(".2")


def test_equal_content_is_verified_once(tmp_path):
    path = write_source(tmp_path, agent=setting_x(9, 9, 9, 9), budget={"rounds": 2}, search={"workers": 1})
    run(path)
    assert verdicts(path) == {1: "discarded", 2: "duplicate", 3: "duplicate", 4: "duplicate"}
    assert [runs_of(path, number) for number in (1, 2, 3, 4)] == [1, 0, 0, 0]


def test_a_change_outside_the_editable_files_is_rejected_before_anything_runs(tmp_path):
    commands = ["echo 'echo METRIC score=99' > verify.sh", "ln -s /etc/passwd leak; echo X=99 > program.sh"]
    path = write_source(tmp_path, agent={"kind": "scripted", "commands": commands})
    view = run(path)
    assert view["counts"]["rejected"] == 2
    assert view["best"]["value"] == 10.0
    assert "verify.sh" in candidates(path)[1][1].reason
    assert "leak" in candidates(path)[2][1].reason
    assert runs_of(path, 1) == runs_of(path, 2) == 0


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ("true", "failed", "no change"),
        ("echo 'exit 3' >> program.sh", "failed", "3"),
        ("echo 'kill -9 $$' >> program.sh", "crashed", "sigkill"),
        ("echo 'sleep 60' >> program.sh", "timed_out", "1s"),
        ("echo X=nan > program.sh", "failed", "nan"),
        ("echo 'echo METRIC score=11' >> program.sh", "failed", "score"),
        ("sed -i s/X=.*/X=50/ program.sh; echo BROKEN=1 >> program.sh", "failed", "check"),
        ("echo X=500 > program.sh", "failed", "constraint"),
    ],
)
def test_what_fails_is_told_apart_and_remembered(tmp_path, change, verdict, words):
    path = write_source(
        tmp_path,
        verify={"checks": ["! grep -q BROKEN program.sh"], "constraints": {"score": "<= 100"}, "timeout": "1s"},
        agent={"kind": "scripted", "commands": [change]},
        search={"candidates_per_round": 1},
    )
    view = run(path)
    item, decision = candidates(path)[1]
    assert item.status == verdict
    assert words in decision.reason.lower()
    assert view["counts"][verdict] == 1
    with tracker(path) as store:
        (reflection,) = store.reflections(view["campaign"]["id"], limit=5)
    assert reflection.candidate_id == item.id
    assert reflection.outcome == verdict


def test_a_metric_that_is_as_it_was_is_no_worse_by_the_rounding_of_a_mean(tmp_path):
    assert sum([0.81] * 5) / 5 > 0.81, "or this shows nothing"
    path = write_source(
        tmp_path,
        command=f"{EXACT}; echo METRIC accuracy=0.81",
        calibrate={"runs": 5},
        verify={"constraints": {"accuracy": ">= baseline"}, "self_check": False},
        agent=setting_x(12),
        search={"candidates_per_round": 1},
    )
    assert run(path)["counts"]["kept"] == 1
    assert sum([0.235] * 5) / 5 < 0.235, "or this shows nothing"
    there = write_source(
        tmp_path / "there",
        command="echo METRIC score=0.235",
        calibrate={"runs": 5},
        verify={"self_check": False},
        agent=setting_x(12),
        objective={"target": 0.235},
    )
    assert run(there)["campaign"]["stop_reason"] == "target"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"budget": {"rounds": 2}}, "rounds"),
        ({"budget": {"rounds": None, "candidates": 3}}, "candidates"),
        ({"budget": {"rounds": None, "stall_rounds": 2}, "agent": setting_x(*range(9, 0, -1))}, "stall_rounds"),
        ({"budget": {"rounds": None}, "objective": {"target": 12}}, "target"),
        (
            {"budget": {"rounds": None, "wall_clock": "1s"}, "verify": {"command": "sleep 0.4; sh verify.sh"}},
            "wall_clock",
        ),
    ],
)
def test_a_campaign_ends_by_its_limit_and_names_it(tmp_path, settings, reason):
    settings = {"agent": setting_x(*range(11, 40)), **settings}
    path = write_source(tmp_path, **settings)
    view = run(path)
    assert view["campaign"]["status"] == "done"
    assert view["campaign"]["stop_reason"] == reason
    if reason == "candidates":
        assert view["counts"]["candidates"] == 3


def test_limits_count_what_earlier_runs_used_and_a_raised_one_goes_on(tmp_path):
    path = write_source(tmp_path, agent=setting_x(*range(11, 40)))
    first, again = run(path), run(path)
    assert again["counts"] == first["counts"]
    more = run(path, "budget.rounds=2")
    assert more["campaign"]["id"] == first["campaign"]["id"]
    assert more["counts"]["candidates"] == 4
    with tracker(path) as store:
        names = [event.name for event in store.events(first["campaign"]["id"])]
    assert names.count("workflow.changed") == 1
    assert names.count("baseline.measured") == 1


def test_another_objective_starts_a_new_campaign_and_says_why(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12, 13))
    first, second = run(path), run(path, "objective.min_effect=0.5")
    assert first["campaign"]["id"] != second["campaign"]["id"]
    with tracker(path) as store:
        event = next(e for e in store.events(second["campaign"]["id"]) if e.name == "campaign.replaced")
    assert event.data == {"earlier": first["campaign"]["id"], "changed": "objective"}


def test_a_changed_source_is_said_and_the_campaign_goes_on_from_its_snapshot(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12, 13, 14, 15))
    first = run(path)
    (tmp_path / "program.sh").write_text("X=1\n")
    second = run(path, "budget.rounds=2")
    assert second["baseline"] == first["baseline"]
    with tracker(path) as store:
        assert any(event.name == "source.changed" for event in store.events(first["campaign"]["id"]))


def test_the_source_is_never_touched(tmp_path):
    source = tmp_path / "source"
    path = write_source(source, agent=setting_x(12, 13, 9, 14), budget={"rounds": 2})

    def fingerprint():
        return {
            str(file.relative_to(source)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
            for file in sorted(source.rglob("*"))
            if file.is_file() and ".loopsmith" not in file.parts
        }

    before = fingerprint()
    run(path)
    assert fingerprint() == before
    assert (source / ".loopsmith" / ".gitignore").read_text() == "*\n"


def test_a_baseline_that_fails_ends_it_before_anything_is_spent_and_shows_the_output(tmp_path):
    path = write_source(tmp_path, command="echo the compiler is missing; exit 7", agent=setting_x(12))
    with pytest.raises(BaselineError, match=r"(?s)exit.*7.*the compiler is missing"):
        run(path)
    with tracker(path) as store:
        campaign = store.campaigns()[0]
        assert campaign.stop_reason == "baseline"
        assert store.counts(campaign.id)["candidates"] == 0
    (tmp_path / "verify.sh").write_text("echo METRIC score=1\n")
    assert run(path, new=True)["campaign"]["stop_reason"] == "rounds"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"command": "echo hello"}, "score"),
        ({"verify": {"checks": ["echo the tests are red; false"]}}, "the tests are red"),
        ({"verify": {"command": "sleep 60", "timeout": "0.5s"}}, "500ms"),
        ({"verify": {"constraints": {"score": "< 5"}}}, "constraint"),
        ({"verify": {"command": "no-such-program"}}, "not found"),
    ],
)
def test_a_baseline_without_a_score_says_why(tmp_path, settings, words):
    path = write_source(tmp_path, agent=setting_x(12), **settings)
    with pytest.raises(BaselineError) as error:
        run(path)
    assert words in str(error.value)


def test_asked_to_stop_it_finishes_what_is_verified_and_goes_on_later(tmp_path):
    path = write_source(
        tmp_path, verify={"command": "sleep 0.2; sh verify.sh"}, agent=setting_x(*range(11, 40)), budget={"rounds": 3}
    )

    def stop_at_first_screening(context):
        def observer(name, candidate, data):
            if name == "candidate.generated":
                context.stop.request(End(reason="stopped", message="stopped by a person"))

        context.observers.append(observer)

    stopped = run(path, before=stop_at_first_screening)
    assert stopped["campaign"]["status"] == "stopped"
    assert stopped["campaign"]["stop_reason"] == "stopped"
    statuses = {item.status for item, _ in candidates(path).values()}
    assert statuses <= {Status.PLANNED, Status.GENERATED, Status.SCREENED, Status.DISCARDED}
    done = run(path)
    assert done["campaign"]["id"] == stopped["campaign"]["id"]
    assert done["campaign"]["stop_reason"] == "rounds"
    assert done["counts"]["candidates"] == 6
    assert [item.attempt for item, _ in candidates(path).values()].count(1) >= 5


def test_a_second_run_on_a_live_campaign_refuses_and_names_the_process(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12))
    state = workflow.load(path).state
    state.mkdir()
    with exclusive(state / "lock"), pytest.raises(UsageError, match=str(os.getpid())):
        run(path)


def test_a_campaign_is_that_of_its_state_folder_also_where_another_has_the_same_tracker(tmp_path):
    path, tracker = write_source(tmp_path / "source", agent=setting_x(12)), str(tmp_path / "shared.db")

    def begin(name):
        with open_campaign(workflow.load(path), StateFolder(tmp_path / name), tracker=tracker) as context:
            asyncio.run(run_campaign(context))
            return context.id

    first = begin("one")
    with open_campaign(workflow.load(path), StateFolder(tmp_path / "one"), tracker=tracker) as running:
        second = begin("two")
        assert first == running.id != second
    assert (begin("one"), begin("two")) == (first, second)


def test_a_campaign_starts_although_somebody_looks_at_that_moment_whether_one_runs(tmp_path):
    (tmp_path / "lock").touch()
    with open(tmp_path / "lock") as looks:
        fcntl.flock(looks, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, (looks, fcntl.LOCK_UN)).start()
        with exclusive(tmp_path / "lock"):
            assert holder(tmp_path / "lock") == os.getpid()


def test_no_editable_file_is_said_before_a_campaign_starts(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12), workspace={"editable": ["*.rs"]})
    with pytest.raises(WorkflowError, match=r"\*\.rs"):
        run(path)
    with tracker(path) as store:
        assert store.campaigns() == ()


def test_linked_inputs_are_there_for_worker_and_verifier_and_cannot_be_written(tmp_path):
    path = write_source(
        tmp_path,
        command='echo "METRIC score=$(cat data/size)"',
        workspace={"link": ["data"]},
        agent={"kind": "scripted", "commands": ["cat data/size > program.sh; echo 99 > data/size; true"]},
        search={"candidates_per_round": 1},
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "size").write_text("10\n")
    (tmp_path / ".gitignore").write_text("data/\n")
    if not sandboxed():
        pytest.skip("without bubblewrap a linked input can be written")
    view = run(path)
    assert (tmp_path / "data" / "size").read_text() == "10\n"
    assert view["baseline"]["value"] == 10.0


def sandboxed() -> bool:
    from loopsmith.workspace import Sandbox

    return Sandbox.detect("auto").available


def test_no_key_reaches_worker_or_verifier(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted-1")
    monkeypatch.setenv("MY_TOKEN", "planted-2")
    path = write_source(
        tmp_path,
        command='env; echo "METRIC score=$X"',
        agent={"kind": "scripted", "commands": ["env | sed 's/^/# /' >> program.sh"]},
        search={"candidates_per_round": 1},
    )
    run(path)
    found = [file for file in (tmp_path / ".loopsmith").rglob("*") if file.is_file()]
    assert found
    assert not [file for file in found if b"planted" in file.read_bytes()]
    with tracker(path) as store:
        campaign = store.campaigns()[0]
        assert "planted" not in yaml.safe_dump(campaign.settings)


def test_a_harness_failure_is_raised_and_the_campaign_can_be_resumed(tmp_path, monkeypatch):
    from loopsmith.campaign.measure import measuring
    from loopsmith.errors import HarnessError

    path = write_source(tmp_path, agent=setting_x(12, 13))
    real = measuring.make_verification_folder

    def broken(repository, baseline, commit, *args, **kwargs):
        if commit != baseline:
            raise HarnessError("the disk is full; free some space, then run again")
        return real(repository, baseline, commit, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "make_verification_folder", broken)
        with pytest.raises(HarnessError, match="disk is full"):
            run(path)
    with tracker(path) as store:
        assert store.campaigns()[0].stop_reason == "harness"
    view = run(path)
    assert view["campaign"]["stop_reason"] == "rounds"
    assert view["best"]["value"] == 13.0


def test_cancelled_twice_it_stops_at_once_and_goes_on_later(tmp_path):
    path = write_source(tmp_path, verify={"command": "sleep 0.3; sh verify.sh"}, agent=setting_x(12, 13))

    def cancel(context):
        def observer(name, candidate, data):
            if name == "candidate.generated":
                asyncio.current_task().get_loop().call_soon(main.cancel)

        async def remember():
            pass

        context.observers.append(observer)

    main = None

    def start(context):
        nonlocal main
        cancel(context)

    from loopsmith.campaign.campaign import run_campaign
    from loopsmith.campaign.opening import open_campaign
    from loopsmith.campaign.state import StateFolder

    loaded = workflow.load(path)

    async def cancelled(context):
        nonlocal main
        main = asyncio.current_task()
        start(context)
        await run_campaign(context)

    with open_campaign(loaded, StateFolder(loaded.state)) as context, pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled(context))
    with tracker(path) as store:
        campaign = store.campaigns()[0]
        assert campaign.status == "stopped"
    assert run(path)["best"]["value"] == 13.0
