"""Measuring anything beside the baseline, apart from all that the campaign decided."""

import json
import re
import sqlite3
import subprocess

import pytest
from keeping import EXACT, git, make
from support import run

from loopsmith import workflow
from loopsmith.campaign.lock import exclusive
from loopsmith.tracker import open_store

TABLES = ("measurement", "decision", "reflection", "candidate", "round", "usage", "lesson", "answer")


def rows(path):
    """Everything in the tracker that a campaign's next decision may come from."""
    with sqlite3.connect(workflow.load(path).state / "tracker.db") as connection:
        found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
        return found | {"campaign": connection.execute("SELECT * FROM campaign").fetchall()}


def events(path, name="commit.verified"):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return store.events(store.campaigns()[0].id, name=name)


def branch(source, name, **lines):
    """A branch on the kept changes, with some settings changed as in a review; gives its name."""
    tree = source.parent / f"review-{name}"
    git(source, "worktree", "add", "-q", "-b", name, str(tree), "main")
    text = (tree / "program.sh").read_text()
    for key, value in {"A": 9, "B": 7, **lines}.items():
        text = re.sub(rf"(?m)^{key}=.*", f"{key}={value}", text)
    (tree / "program.sh").write_text(text)
    git(tree, "commit", "-qam", "reviewed")
    return name, tree


def test_a_candidate_is_measured_beside_the_baseline(kept, loopsmith):
    worse = loopsmith("verify", "c2", "-w", kept)
    assert worse.code == 1
    assert "verified  candidate 2 against the baseline (candidate 3)" in worse.out
    assert "decision  worse: score 26 -> 22: 15.38 % worse; the metric repeats exactly" in worse.out
    assert "metric    score  26 -> 22  (-15.38 %)" in worse.out
    assert "measuring candidate 2 against the baseline (candidate 3): at most 2 runs of about" in worse.err
    better = loopsmith("verify", "2", "-w", kept, "--against", "1", "--json")
    assert better.code == 0
    view = json.loads(better.out)
    assert (view["standing"], view["holds"], view["runs"]) == ("better", True, 2)
    assert view["metrics"] == {"score": {"reference": 15.0, "own": 22.0}}
    assert view["effect"] == pytest.approx(7 / 15)
    assert view["against"]["name"] == "candidate 1"


def test_the_baseline_itself_is_compared_with_the_untouched_source(kept, loopsmith):
    result = loopsmith("verify", "3", "-w", kept)
    assert result.code == 0
    assert "verified  candidate 3 against the untouched source" in result.out
    assert (
        "candidate 3 holds the same files as the baseline (candidate 3): compared with the untouched source"
        in result.out
    )
    same = loopsmith("verify", "3", "--against", "baseline", "-w", kept)
    assert same.code == 0
    assert "holds the same editable files as the baseline (candidate 3), so nothing was measured" in same.out


def test_a_branch_after_review_is_measured_by_its_editable_files_alone(kept, loopsmith):
    name, tree = branch(kept.parent, "reviewed", B=8)
    (tree / "verify.sh").write_text("echo METRIC score=1000\n")
    (tree / "notes.txt").write_text("n\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "more")
    result = loopsmith("verify", name, "-w", kept)
    assert result.code == 0
    assert re.search(r"verified  reviewed \(\w{12}\) against the baseline", result.out)
    assert "better: score 26 -> 27" in result.out
    assert (
        "ignored   not editable, so taken as the campaign has it: notes.txt is new, verify.sh differs\n" in result.out
    )
    assert "score 26 -> 16" in loopsmith("verify", f"{branch(kept.parent, 'cut', B=-3)[0]}~0", "-w", kept).out
    for each in (f"{name}~1", git(kept.parent, "rev-parse", name).strip()):
        assert "better: score 26 -> 27" in loopsmith("verify", each, "-w", kept).out


def test_a_folder_is_taken_as_it_is_on_disk_without_what_is_not_editable(kept, loopsmith, tmp_path, monkeypatch):
    _, tree = branch(kept.parent, "on-disk")
    (tree / "program.sh").write_text("A=9\nB=20\n")
    (tree / "verify.sh").unlink()
    (tree / "cache.pyc").write_text("x")
    result = loopsmith("verify", tree, "-w", kept)
    assert result.code == 0
    assert "better: score 26 -> 39" in result.out
    assert "taken as the campaign has it: verify.sh is missing\n" in result.out
    monkeypatch.chdir(tree)
    assert "better: score 26 -> 39" in loopsmith("verify", ".", "-w", kept).out
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "program.sh").write_text("A=1\n")
    monkeypatch.chdir(tmp_path)
    assert "verified  candidate 3 " in loopsmith("verify", "3", "-w", kept).out
    assert "verified  the folder 3 " not in loopsmith("verify", "3", "-w", kept).out
    assert "worse: score 26 -> " in loopsmith("verify", "./3", "-w", kept).out


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nowhere", "nowhere is no candidate of tiny-"),
        ("nowhere", "no folder and no git ref of "),
        ("main:program.sh", "is no candidate"),
        ("EMPTY", "holds no file that matches workspace.editable (program.sh)"),
        ("FILE", "is a file; give the folder"),
        ("bare", "holds no file that matches workspace.editable"),
        ("rejected", "is rejected and left no change that could be measured"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(kept, loopsmith, tmp_path, what, words):
    (tmp_path / "other.txt").write_text("x")
    if what == "bare":
        empty = git(
            kept.parent, "commit-tree", "-m", "x", git(kept.parent, "hash-object", "-wt", "tree", "/dev/null").strip()
        )
        git(kept.parent, "branch", "bare", empty.strip())
    if what == "rejected":
        kept = make(tmp_path / "source", commands=("echo > verify.sh",))
        run(kept)
        what = "1"
    where = {"EMPTY": tmp_path, "FILE": tmp_path / "other.txt"}.get(what, what)
    result = loopsmith("verify", where, "-w", kept)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1


def test_nothing_of_it_enters_the_campaign_and_it_is_found_again_with_its_logs(noisy, loopsmith):
    before, runs = rows(noisy), len(events(noisy, "commit.measured"))
    result = loopsmith("verify", "1", "-w", noisy, "--repeats", "3", "--json")
    loopsmith("verify", "main", "-w", noisy, "--repeats", "2")
    assert rows(noisy) == before
    assert len(events(noisy, "commit.measured")) == runs
    view = json.loads(result.out)
    assert (len(view["pairs"]), view["runs"]) == (3, 6)
    first = events(noisy)[-2]
    assert first.candidate_id.endswith(".1")
    assert first.data["pairs"] == view["pairs"]
    logs = workflow.load(noisy).state.joinpath("artifacts").glob("*/remeasured/*/*.log")
    assert len([log for log in logs if str(log).startswith(first.data["logs"])]) == 6
    assert not any((workflow.load(noisy).state / "work").glob("*/*"))


def test_of_a_noisy_metric_as_many_pairs_are_made_as_it_takes(noisy, loopsmith):
    view = json.loads(loopsmith("verify", "1", "-w", noisy, "--json").out)
    assert view["standing"] == "worse"
    assert 2 <= len(view["pairs"]) < 24
    low, high = view["interval"]
    assert low < view["effect"] < high < 0
    again = json.loads(loopsmith("verify", "3", "--against", "origin", "-w", noisy, "--json").out)
    assert again["standing"] == "better"
    assert again["interval"][0] > 0
    pairs = {tuple(pair) for pair in view["pairs"]}
    assert not pairs & {
        tuple(pair) for pair in json.loads(loopsmith("verify", "1", "-w", noisy, "--json").out)["pairs"]
    }


def test_its_seeds_are_new_and_both_of_a_pair_have_the_same(tmp_path, loopsmith):
    command = 'echo "METRIC score=$((10 + A + B))"; echo "METRIC seed=$LOOPSMITH_SEED"'
    path = make(tmp_path, command=command)
    assert run(path)["best"]["value"] == 26
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        known = {item.seed for item in store.measurements(store.campaigns()[0].id)}
    seeds = [json.loads(loopsmith("verify", "2", "-w", path, "--json").out)["metrics"]["seed"] for _ in range(2)]
    assert all(each["reference"] == each["own"] for each in seeds)
    found = {int(each["own"]) for each in seeds}
    assert len(found) == 2
    assert not found & known


def test_checks_constraints_and_holdout_are_said_and_a_loss_there_fails_with_gate(tmp_path, loopsmith):
    path = make(
        tmp_path,
        command=f"{EXACT}; echo METRIC size=$C",
        verify={
            "checks": [". ./program.sh; [ $D -lt 5 ]"],
            "constraints": {"size": "<= 3"},
            "holdout": {"command": '. ./program.sh; echo "METRIC score=$((100 - B))"', "gate": True},
        },
        commands=("sed -i 's/^A=.*/A=5/' program.sh",),
    )
    assert run(path)["best"]["value"] == 15
    fine = loopsmith("verify", branch(tmp_path, "fine", B=0)[0], "-w", path)
    assert fine.code == 0
    assert "checks    1 passed\n" in fine.out
    assert "limits    size <= 3: met\n" in fine.out
    assert "holdout   100 -> 100: no loss is shown\n" in fine.out
    lost = loopsmith("verify", branch(tmp_path, "lost", B=4)[0], "-w", path)
    assert lost.code == 1
    assert "better, but the holdout shows a loss: score 15 -> 23" in lost.out
    assert "holdout   100 -> 96: a loss\n" in lost.out
    wrong = loopsmith("verify", branch(tmp_path, "wrong", D=5)[0], "-w", path)
    assert wrong.code == 1
    assert "checks    1 did not all pass\n" in wrong.out
    big = loopsmith("verify", branch(tmp_path, "big", C=4)[0], "-w", path)
    assert big.code == 1
    assert "constraint not met: size = 4, and must be <= 3" in big.out
    assert "limits    size <= 3: not met\n" in big.out


def test_a_holdout_of_an_exact_metric_that_does_not_repeat_is_judged_by_pairs(tmp_path, loopsmith):
    tally = tmp_path / "tally"  # the second hidden run is 10 below
    hidden = f'echo x >> {tally}; N=$(wc -l < {tally}); echo "METRIC score=$((100 + N * N - 10 * (N == 2)))"'
    path = make(
        tmp_path / "source",
        verify={"holdout": {"command": hidden, "gate": True}},
        commands=("sed -i 's/^A=.*/A=5/' program.sh",),
    )
    path.write_text(path.read_text().replace("---\n", "---\nsandbox: 'off'\n", 1))
    run(path)
    tally.unlink()
    found = loopsmith("verify", branch(tmp_path / "source", "fine", B=0)[0], "-w", path, "--json")
    record = json.loads(found.out)
    assert (len(record["holdout"]["own"]), record["holdout"]["loses"]) == (3, False)


def test_a_tolerance_of_a_secondary_metric_holds_for_an_exact_one_too(tmp_path, loopsmith):
    path = make(
        tmp_path,
        command=f"{EXACT}; echo METRIC size=$((100 + 10 * C))",
        decide={"secondary": {"size": "at most 5% more"}},
        commands=("sed -i 's/^A=.*/A=5/; s/^D=.*/D=1/' program.sh",),
    )
    assert run(path)["best"]["value"] == 15
    big = loopsmith("verify", branch(tmp_path, "beyond", A=6, C=1)[0], "-w", path)
    assert big.code == 1
    assert "size is 10 % more, over its tolerance" in big.out
    assert loopsmith("verify", branch(tmp_path, "within", A=6)[0], "-w", path).code == 0


def test_a_failed_run_shows_the_end_of_its_output_and_its_log(kept, loopsmith):
    name, tree = branch(kept.parent, "broken")
    (tree / "program.sh").write_text("printf 'the \\033[31mcompiler is missing\\n'; exit 7\n")
    git(tree, "commit", "-qam", "broken")
    result = loopsmith("verify", name, "-w", kept)
    assert result.code == 1
    assert "failed: broken" in result.out
    assert "exited with code 7" in result.out
    assert "| the compiler is missing" in result.out
    assert "\033" not in result.out
    assert re.search(r"(?m)^log +/.*\.log$", result.out)


def test_a_gain_beyond_max_gain_is_said_to_be_doubtful_and_the_log_of_events_stays_readable(tmp_path, loopsmith):
    path = make(tmp_path / "source", commands=("echo A=15 >> program.sh",), guardrails={"max_gain": "2x"})
    assert run(path)["counts"]["quarantined"] == 1
    result = loopsmith("verify", "1", "-w", path)
    assert result.code == 0
    assert "2.5x is more than guardrails.max_gain (2x): look at the change before you believe it" in result.out
    events_ = loopsmith("log", "-w", path, "-n", "3").out.splitlines()
    assert "commit.verified c1 holds=True" in events_[-1]
    assert len(events_) == 3


def test_it_is_refused_while_a_campaign_runs(kept, loopsmith):
    with exclusive(workflow.load(kept).state / "lock"):
        for words in (("verify", "2"), ("ablate",), ("apply", "--pick", "2", "--branch", "x"), ("apply", "--minimize")):
            result = loopsmith(*words, "-w", kept)
            assert result.code == 2
            assert result.err.count("\n") == 1
            for said in (
                "measuring beside it would disturb its measurements",
                "loopsmith stop",
                "pausing does not help",
            ):
                assert said in result.err


def test_a_baseline_that_does_not_verify_any_more_exits_with_3(tmp_path, loopsmith):
    path = make(
        tmp_path / "source", command=f"grep -q fine gate.txt || exit 9\n{EXACT}", workspace={"link": ["gate.txt"]}
    )
    (path.parent / "gate.txt").write_text("fine\n")
    assert run(path)["best"]["value"] == 26
    (path.parent / "gate.txt").write_text("gone\n")
    for words in (("verify", "2"), ("ablate",), ("apply", "--minimize"), ("apply", "--pick", "1")):
        result = loopsmith(*words, "-w", path)
        assert result.code == 3
        assert "does not verify: the verifier exited with code 9" in result.err
    assert loopsmith("verify", "2", "-w", path).out == ""
    assert not events(path)


def test_a_metric_that_no_longer_repeats_is_compared_in_pairs_and_a_new_level_is_said(tmp_path, loopsmith):
    command = '. ./level.sh\necho "METRIC score=$((L * (10 + A + B) + NOISE * (LOOPSMITH_SEED % 97)))"'
    path = make(tmp_path / "source", command=command, workspace={"link": ["level.sh"]}, repeats={"confirm": 12})
    level = path.parent / "level.sh"
    level.write_text("L=1\nNOISE=0\n")
    assert run(path)["best"]["value"] == 26
    level.write_text("L=100\nNOISE=0\n")
    moved = loopsmith("verify", "2", "-w", path)
    assert moved.code == 1
    assert "score = 26 in the campaign and 2600 now, each time" in moved.out
    level.write_text("L=100\nNOISE=1\n")
    wild = loopsmith("verify", "2", "-w", path)
    assert wild.code == 1
    assert "score repeated exactly in the campaign and does not now, so it is compared in pairs" in wild.out
    assert re.search(r"worse: score .* over \d+ pairs", wild.out)


def test_settings_and_snapshot_are_the_recorded_ones_when_workflow_and_source_are_gone(tmp_path, loopsmith):
    path = make(tmp_path / "source", workspace={"root": "../state"})
    assert run(path)["best"]["value"] == 26
    state = tmp_path / "state"
    path.write_text(path.read_text().replace("score", "other"))
    (path.parent / "verify.sh").write_text("exit 1\n")
    changed = loopsmith("verify", "2", "--state", state)
    assert changed.code == 1
    assert "worse: score 26 -> 22" in changed.out
    assert "WORKFLOW.md has changed: measured with the settings that the campaign recorded" in changed.out
    path.unlink()
    assert "WORKFLOW.md cannot be read any more" in loopsmith("verify", "2", "--state", state).out
    subprocess.run(["rm", "-rf", str(path.parent)], check=True)
    gone = loopsmith("verify", "2", "--state", state)
    assert gone.code == 1
    assert "worse: score 26 -> 22" in gone.out
    assert "is gone: measured on the snapshot of it" in gone.out
    assert "is in no git repository" in loopsmith("verify", "main", "--state", state).err
    assert loopsmith("ablate", "--state", state).code == 0
    assert "is in no git repository that can be read" in loopsmith("apply", "--squash", "--state", state).err
    assert "+A=9" in loopsmith("apply", "--minimize", "--patch", "-", "--state", state).out


def test_a_campaign_that_was_never_measured_has_nothing_to_compare_with(tmp_path, loopsmith):
    path = make(tmp_path, command="exit 1")
    assert loopsmith("run", path).code == 3
    result = loopsmith("verify", "main", "-w", path)
    assert result.code == 2
    assert "has not measured its baseline yet" in result.err
