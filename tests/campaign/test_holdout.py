"""Hidden data: measured for what would be kept, out of everybody's reach, and a gate where it is asked for."""

import json
from pathlib import Path

import pytest
from model_server import by_turn, calls, model_server
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

SECRET = "731731"
# The public score is X; on the hidden data a large X is a loss.
HIDDEN = '. ./program.sh; . hidden/weight.sh; echo "METRIC score=$((WEIGHT + (X < 20 ? X : 20 - X)))"'


def source(tmp_path, *, gate=True, agent=None, **settings):
    path = write_source(
        tmp_path,
        agent=agent or setting_x(15, 90),
        search={"candidates_per_round": 1, "plan": False},
        budget={"rounds": 2},
        verify={"holdout": {"command": HIDDEN, "link": ["hidden"], "gate": gate}},
        **settings,
    )
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "weight.sh").write_text(f"WEIGHT={SECRET}\n")
    return path


def test_a_gain_that_the_holdout_shows_to_be_a_loss_is_not_kept_with_gate(tmp_path):
    view = run(source(tmp_path))
    assert view["best"]["value"] == 15
    assert view["counts"] == {**view["counts"], "kept": 1, "discarded": 1}
    assert view["baseline"]["holdout"] == int(SECRET) + 10
    assert view["best"]["holdout"] == int(SECRET) + 15


def test_without_gate_it_is_kept_and_both_numbers_are_shown(tmp_path, loopsmith):
    path = source(tmp_path, gate=False)
    view = run(path)
    assert view["best"]["value"] == 90
    assert view["best"]["holdout"] == int(SECRET) - 70
    assert "on hidden data: -0.011 % there, +800.0 % in the open" in loopsmith("status", "-w", path).out


@pytest.mark.skipif(not Sandbox.detect("auto").available, reason="without a sandbox nothing can be hidden")
def test_neither_a_worker_nor_the_verifier_can_read_the_hidden_data(tmp_path):
    steal = f"cat {tmp_path}/hidden/* hidden/* 2>/dev/null | sed 's/^/# /' >> program.sh; echo Z=1 >> program.sh"
    path = source(tmp_path, agent={"kind": "scripted", "commands": [steal]})
    run(path, f"verify.command=cat {tmp_path}/hidden/* hidden/*; sh verify.sh")
    logs = [file for file in (tmp_path / ".loopsmith").rglob("*") if file.is_file() and file.name != "tracker.db"]
    assert logs
    assert not [file for file in logs if b"WEIGHT" in file.read_bytes() and "holdout" not in file.name]


def test_its_values_reach_no_model(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    script = by_turn(
        [
            calls(bash={"command": "sed -i 's/^X=.*/X=90/' program.sh"}),
            calls(search_memory={"query": "score holdout hidden"}),
            calls(submit={"hypothesis": "h", "summary": "s"}),
        ]
    )
    with model_server(script) as url:
        agent = {"kind": "openai", "model": "local", "base_url": str(url), "price": 0}
        path = source(tmp_path, agent=agent)
        run(path)
    asked = json.dumps(url.requests)
    assert SECRET[:4] not in asked
    assert "the holdout shows a loss" in asked, "one bit is told, so that it is not tried again"


def test_hidden_files_are_not_in_the_snapshot(tmp_path):
    path = source(tmp_path)
    view = run(path)
    from loopsmith.workspace import Repository

    files = Repository.open(workflow.load(path).state).files(view["baseline"]["commit"])
    assert not [name for name in files if name.startswith("hidden")]


def test_a_holdout_that_does_not_score_the_baseline_stops_the_campaign(tmp_path):
    from loopsmith.errors import BaselineError

    path = source(tmp_path)
    with pytest.raises(BaselineError, match=r"verify\.holdout"):
        run(path, "verify.holdout.command=echo nothing")


@pytest.mark.parametrize(("loss", "kept"), [(0, 1), (100, 0)])
def test_a_hidden_command_that_does_not_repeat_refuses_a_gain_only_for_a_loss_in_pairs(tmp_path, loss, kept):
    tally = tmp_path / "tally"  # the second hidden run, the candidate's first, is 1 below the others, whatever it is
    noise = f"echo x >> {tally}; N=$(wc -l < {tally})"
    hidden = f'. ./program.sh; {noise}; echo "METRIC score=$((1000 + N * N - 10 * (N == 2) - (X > 10) * {loss}))"'
    path = write_source(
        tmp_path / "source",
        agent=setting_x(90),
        sandbox="off",
        search={"candidates_per_round": 1},
        verify={"holdout": {"command": hidden, "gate": True}},
    )
    assert run(path)["counts"]["kept"] == kept
    assert len(tally.read_text().splitlines()) == 6  # a pair, the baseline again, and what three pairs want beside it


def test_on_a_machine_that_grows_slower_a_noisy_gain_is_compared_with_the_baseline_of_now(tmp_path):
    drift = tmp_path / "drift"  # each run of the hidden command loses 35, and each candidate gains 40
    hidden = f'. ./program.sh; echo x >> {drift}; echo "METRIC score=$((1000 + X - 35 * $(wc -l < {drift})))"'
    path = write_source(
        tmp_path / "source",
        command=NOISY,
        agent=setting_x(50, 90),
        sandbox="off",
        search={"candidates_per_round": 1, "workers": 1},
        budget={"rounds": 2},
        calibrate={"runs": 5},
        verify={"self_check": False, "holdout": {"command": hidden, "gate": True}},
    )
    assert run(path)["counts"]["kept"] == 2


@pytest.mark.parametrize("failures", [1, 2])
def test_a_flaky_verifier_fails_a_candidate_only_after_so_many_failures_and_flakes_are_counted(
    tmp_path, loopsmith, failures
):
    tally = tmp_path / "tally"
    tally.mkdir()
    # Fails the second run of all, which is the baseline's second where the canaries are off.
    flaky = f"echo x >> {tally}/runs; [ $(wc -l < {tally}/runs) != 3 ] || exit 9; sh verify.sh"
    path = write_source(
        tmp_path / "source",
        agent=setting_x(15),
        search={"candidates_per_round": 1},
        sandbox="off",
        verify={"command": flaky, "failures": failures, "self_check": False},
    )
    view = run(path)
    if failures == 1:
        assert view["counts"]["failed"] == 1
        assert view["campaign"]["flakes"] == 0
    else:
        assert view["counts"]["kept"] == 1
        assert view["campaign"]["flakes"] == 1
        assert "1 run of the verifier failed and then did not" in loopsmith("status", "-w", path).out
    with open_store(Path(workflow.load(path).state) / "tracker.db", read_only=True) as store:
        assert len(store.measurements(view["campaign"]["id"])) == (2 if failures == 1 else 5)
