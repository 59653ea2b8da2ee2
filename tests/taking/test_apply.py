"""Taking kept changes: as one commit, some of them alone, without what does nothing."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from keeping import COMMANDS, EXACT, FILLER, git, make
from support import run

from loopsmith import workflow
from loopsmith.tracker import open_store


def settings_in(folder: Path, branch: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\w)=(.*)$", git(folder, "show", f"{branch}:program.sh")))


def message(folder: Path, branch: str) -> str:
    return git(folder, "log", "-1", "--format=%B", branch)


def trailer(folder: Path, branch: str, name: str) -> str:
    return git(folder, "log", "-1", f"--format=%(trailers:key=Loopsmith-{name},valueonly)", branch).strip()


def branches(folder: Path) -> set[str]:
    return set(git(folder, "branch", "--format=%(refname:short)").split())


def events(path: Path, name: str):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return store.events(store.campaigns()[0].id, name=name)


def test_squash_is_one_commit_that_lists_each_change_and_the_total(kept, loopsmith):
    result = loopsmith("apply", "-w", kept, "--squash", "--branch", "squashed")
    assert result.code == 0
    assert "wrote 1 commit to the branch squashed" in result.err
    source = kept.parent
    assert git(source, "rev-list", "--count", "main..squashed") == "1\n"
    assert settings_in(source, "squashed") == {"A": "9", "B": "7", "C": "1", "D": "1"}
    words = message(source, "squashed")
    assert words.startswith("tiny: +160.0 % in score, 3 changes\n")
    for line in ("- c1: +50.0 %: ", "- c2: +46.7 %: ", "- c3: +18.2 %: "):
        assert line in words
    assert "+160.0 %" in trailer(source, "squashed", "Effect")
    assert len(trailer(source, "squashed", "Candidate").split()) == 3


def test_the_total_of_a_noisy_metric_has_its_interval(noisy, loopsmith):
    assert loopsmith("apply", "-w", noisy, "--squash", "--branch", "squashed").code == 0
    assert re.match(r"\+\S+ % \(\+\S+ % to \+\S+ %\)", trailer(noisy.parent, "squashed", "Effect"))


def test_a_picked_change_is_written_without_the_ones_before_it_and_measured_alone(kept, loopsmith):
    result = loopsmith("apply", "-w", kept, "--pick", "c2", "--branch", "second")
    assert result.code == 0, result.err
    assert "c2 alone: better: score 10 -> 17" in result.err
    assert settings_in(kept.parent, "second") == {"A": "0", "B": "7", "C": "0", "D": "0"}
    assert trailer(kept.parent, "second", "Verified") == (
        "c2 alone, +70.0 %, repeats exactly, over the untouched source"
    )
    assert trailer(kept.parent, "second", "Value") == "15 -> 22"


def test_of_a_noisy_metric_it_is_measured_in_pairs(noisy, loopsmith):
    result = loopsmith("apply", "-w", noisy, "--pick", "2", "--branch", "second")
    assert result.code == 0, result.err
    assert "at most 48 runs of about" in result.err
    assert re.search(
        r"c2 alone, \+\S+ % \(.* to .*\), \d+ pairs, over the untouched", trailer(noisy.parent, "second", "Verified")
    )


def test_one_that_needs_an_earlier_one_says_so_and_goes_together_with_it(kept, loopsmith):
    result = loopsmith("apply", "-w", kept, "--pick", "3", "--branch", "third")
    assert result.code == 2
    assert result.err == (
        "loopsmith: c3 does not go on the untouched source: program.sh conflicts, as it needs c1; take them together "
        "with --pick 1,3\n"
    )
    assert "third" not in branches(kept.parent)
    assert loopsmith("apply", "-w", kept, "--pick", "3", "--pick", "1", "--branch", "third").code == 0
    assert settings_in(kept.parent, "third") == {"A": "9", "B": "0", "C": "1", "D": "1"}
    found = git(kept.parent, "log", "--format=%(trailers:key=Loopsmith-Verified,valueonly,separator=)", "main..third")
    assert found == "c1 and c3 together, +90.0 %, repeats exactly, over the untouched source\n" * 2
    assert loopsmith("apply", "-w", kept, "--pick", "1,3", "--squash", "--branch", "thirds").code == 0
    assert git(kept.parent, "rev-list", "--count", "main..thirds") == "1\n"
    assert message(kept.parent, "thirds").startswith("tiny: +90.0 % in score, 2 changes\n")


def test_a_picked_change_can_be_a_patch(kept, loopsmith, tmp_path):
    result = loopsmith("apply", "-w", kept, "--pick", "2", "--patch", "-")
    assert result.code == 0
    assert [line for line in result.out.splitlines() if re.match(r"[+-]\w", line)] == ["-B=0", "+B=7"]
    work = shutil.copytree(kept.parent, tmp_path / "copy", ignore=shutil.ignore_patterns(".loopsmith"))
    (tmp_path / "two.diff").write_text(result.out)
    git(work, "apply", str(tmp_path / "two.diff"))
    assert "B=7" in (work / "program.sh").read_text()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("4", "c4 is discarded, and only what was kept can be picked; measure it with `loopsmith verify 4`"),
        ("99", "there is no candidate `99`"),
        ("2,nothing", "there is no candidate `nothing`"),
        (",", "--pick names no candidate"),
    ],
)
def test_only_what_was_kept_can_be_picked(kept, loopsmith, names, words):
    result = loopsmith("apply", "-w", kept, "--pick", names)
    assert result.code == 2
    assert words in result.err


def test_a_change_that_does_not_hold_alone_is_not_written_unless_unverified(tmp_path, loopsmith):
    commands = ("sed -i 's/^A=.*/A=5/' program.sh", "sed -i 's/^C=.*/C=3/' program.sh")
    path = make(tmp_path, command='echo "METRIC score=$((10 + A + A * C))"', commands=commands)
    assert run(path)["best"]["value"] == 30
    result = loopsmith("apply", "-w", path, "--pick", "2", "--branch", "second")
    assert result.code == 1
    assert "c2 alone: not worse: score 10 -> 10: no change" in result.err
    assert "so nothing was written; --unverified writes it all the same" in result.err
    assert branches(tmp_path) == {"main"}
    assert loopsmith("apply", "-w", path, "--pick", "2", "--branch", "second", "--unverified").code == 0
    assert trailer(tmp_path, "second", "Verified") == "no"
    assert settings_in(tmp_path, "second") == {"A": "0", "B": "0", "C": "3", "D": "0"}


def test_what_was_kept_for_removing_lines_holds_alone_when_it_is_not_worse(tmp_path, loopsmith):
    commands = (COMMANDS[0], "sed -i '/^# line 3/d' program.sh")
    path = make(tmp_path, commands=commands, objective={"min_effect": "5%"}, decide={"simplify": True})
    assert run(path)["counts"]["kept"] == 2
    result = loopsmith("apply", "-w", path, "--pick", "2", "--branch", "shorter")
    assert result.code == 0, result.err
    assert "c2 alone: not worse: score 10 -> 10: no change" in result.err
    shorter = git(tmp_path, "show", "shorter:program.sh")
    assert "# line 3" not in shorter
    assert shorter.startswith("A=0\n")


def test_minimize_drops_what_does_nothing_and_says_what_each_removal_measured(kept, loopsmith):
    result = loopsmith("apply", "-w", kept, "--minimize", "--branch", "small")
    assert result.code == 0, result.err
    assert settings_in(kept.parent, "small") == {"A": "9", "B": "7", "C": "0", "D": "0"}
    assert git(kept.parent, "rev-list", "--count", "main..small") == "1\n"
    assert "4 hunks, about 6 removals to try" in result.err
    assert "dropped 2 of 4 hunks, shown to lose nothing" in result.err
    assert "dropped  program.sh:15, program.sh:22: score 26 -> 26: no change" in result.err
    assert "stays    program.sh:8: score 26 -> 19: 26.92 % worse" in result.err
    assert re.search(r"cost: 4 removals tried in \d+ runs of the verifier", result.err)
    assert "what is left of all kept changes: better: score 10 -> 26" in result.err
    assert "dropped 2 of 4 hunks, shown to lose nothing" in message(kept.parent, "small")
    assert trailer(kept.parent, "small", "Verified").startswith("what is left of all kept changes, +160.0 %")
    event = events(kept, "patch.minimized")[-1]
    assert event.data["dropped"] == ["program.sh:15 +1 -1", "program.sh:22 +1 -1"]
    assert loopsmith("apply", "-w", kept, "--minimize", "--pick", "1", "--patch", "-").out.count("\n+A=5") == 1


def test_of_a_noisy_metric_a_removal_must_be_shown_to_lose_less_than_the_margin(noisy, loopsmith):
    result = loopsmith("apply", "-w", noisy, "--minimize", "--branch", "small")
    assert result.code == 0, result.err
    assert settings_in(noisy.parent, "small") == {"A": "9", "B": "7", "C": "0", "D": "0"}
    assert "dropped 2 of 4 hunks, shown to lose less than 10%" in result.err
    assert "a simplification that is not worse" in result.err
    margin = loopsmith("apply", "-w", noisy, "--minimize", "--margin", "0.01%", "--branch", "no-smaller")
    assert "takes about" in margin.err
    assert margin.code == 0, margin.err
    assert settings_in(noisy.parent, "no-smaller") == {"A": "9", "B": "7", "C": "1", "D": "1"}
    assert "nothing could be dropped" in margin.err
    assert "all kept changes: better" in margin.err


def test_constraints_and_checks_must_hold_without_what_is_dropped(tmp_path, loopsmith):
    path = make(
        tmp_path,
        command=f"{EXACT}; echo METRIC size=$((C * 10))",
        commands=COMMANDS[:1],
        verify={"checks": [". ./program.sh; [ $D = 1 ] || [ $A = 0 ]"], "constraints": {"size": ">= baseline"}},
    )
    assert run(path)["best"]["value"] == 15
    result = loopsmith("apply", "-w", path, "--minimize", "--branch", "small")
    assert result.code == 0, result.err
    assert settings_in(tmp_path, "small") == {"A": "5", "B": "0", "C": "1", "D": "1"}
    assert "constraint not met: size = 0, and must be >= baseline (baseline: 10)" in result.err
    assert "check `. ./program.sh" in result.err


def test_tolerances_must_hold_without_what_is_dropped(tmp_path, loopsmith):
    path = make(
        tmp_path,
        command=f"{EXACT}; echo METRIC size=$((100 - 10 * C))",
        commands=COMMANDS[:1],
        decide={"secondary": {"size": "at most 5% more"}},
    )
    assert run(path)["best"]["value"] == 15
    result = loopsmith("apply", "-w", path, "--minimize", "--branch", "small")
    assert result.code == 0, result.err
    assert settings_in(tmp_path, "small") == {"A": "5", "B": "0", "C": "1", "D": "0"}
    assert "size is 11.1 % more, over its tolerance" in result.err


def test_what_a_holdout_with_gate_shows_to_lose_alone_is_not_written(tmp_path, loopsmith):
    hidden = '. ./program.sh; echo "METRIC score=$((100 + (A > 0 ? B : -B)))"'
    path = make(tmp_path, commands=COMMANDS[:2], verify={"holdout": {"command": hidden, "gate": True}})
    assert run(path)["counts"]["kept"] == 2
    result = loopsmith("apply", "-w", path, "--pick", "2", "--branch", "second")
    assert result.code == 1
    assert "holdout: 100 -> 93: a loss" in result.err
    assert branches(tmp_path) == {"main"}
    assert loopsmith("apply", "-w", path, "--minimize", "--branch", "small").code == 0


def test_a_removal_that_breaks_a_guardrail_costs_no_run(tmp_path, loopsmith):
    commands = ("printf 'def f():\\n    x = 5\\n    return x\\n' > solve.py; sed -i 's/^A=.*/A=5/' program.sh",)
    path = make(tmp_path, commands=commands, workspace={"editable": ["program.sh", "solve.py"]})
    (tmp_path / "solve.py").write_text("def f():\n    return 0\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "more")
    assert run(path)["best"]["value"] == 15
    result = loopsmith("apply", "-w", path, "--minimize", "--branch", "small")
    assert result.code == 0, result.err
    assert git(tmp_path, "diff", "--name-only", "main", "small") == "program.sh\n"


def test_a_noisy_metric_without_min_effect_needs_a_margin(tmp_path, loopsmith):
    noise = 'echo "METRIC score=$((1000 * (10 + A + B) + LOOPSMITH_SEED % 100))"'
    path = make(tmp_path, command=noise, commands=COMMANDS[:1], repeats={"confirm": 12}, calibrate={"runs": 6})
    assert run(path)["counts"]["kept"] == 1
    result = loopsmith("apply", "-w", path, "--minimize")
    assert result.code == 2
    assert "give one with --margin 1%" in result.err
    assert "--margin: " in loopsmith("apply", "-w", path, "--minimize", "--margin", "much").err


def test_nothing_is_measured_for_what_could_not_be_written(kept, loopsmith):
    before = len(events(kept, "commit.measured"))
    git(kept.parent, "branch", "taken/by")
    for name, words in (
        ("main", "the branch main exists already"),
        ("a..b", "cannot be the name"),
        ("taken", "beside"),
    ):
        for options in (("--minimize", "--new"), ("--pick", "2", "--new"), ("--squash",)):
            result = loopsmith("apply", "-w", kept, *options, "--branch", name)
            assert (result.code, words in result.err) == (2, True), result.err
    both = loopsmith("apply", "-w", kept, "--pick", "2", "--branch", "x", "--patch", "y")
    assert "give either --branch or --patch" in both.err
    assert "--margin is for --minimize" in loopsmith("apply", "-w", kept, "--margin", "1%").err
    for option in (["--repeats", "3"], ["--new"], ["--unverified"]):
        assert f"{option[0]} is for --pick and --minimize" in loopsmith("apply", "-w", kept, *option).err
    assert len(events(kept, "commit.measured")) == before


def test_a_source_that_moved_on_gets_the_change_merged_or_is_refused_and_a_dirty_checkout_stays_as_it_is(
    tmp_path, loopsmith
):
    path = make(tmp_path)
    assert run(path)["best"]["value"] == 26
    program = tmp_path / "program.sh"
    program.write_text(program.read_text().replace(FILLER, FILLER.replace("line 3", "moved on"), 1))
    git(tmp_path, "commit", "-qam", "on")
    program.write_text("half done\n")
    git(tmp_path, "add", "program.sh")
    before = (git(tmp_path, "status", "--porcelain"), (tmp_path / ".git/index").read_bytes())
    for branch, options in (("one", ["--pick", "2"]), ("two", ["--squash"]), ("three", ["--minimize"])):
        result = loopsmith("apply", "-w", path, "--branch", branch, *options)
        assert result.code == 0, result.err
        assert "# moved on" in git(tmp_path, "show", f"{branch}:program.sh")
        assert settings_in(tmp_path, branch)["B"] == "7"
    assert (git(tmp_path, "status", "--porcelain"), (tmp_path / ".git/index").read_bytes()) == before
    assert program.read_text() == "half done\n"
    program.write_text("B=3\n")
    git(tmp_path, "commit", "-qam", "elsewhere")
    result = loopsmith("apply", "-w", path, "--branch", "four", "--pick", "2")
    assert result.code == 2
    assert "the source has moved on: program.sh in HEAD conflicts" in result.err


def test_nothing_kept_is_nothing_to_take(tmp_path, loopsmith):
    path = make(tmp_path, commands=COMMANDS[3:], objective={"min_effect": 5})
    assert run(path)["counts"]["kept"] == 0
    for line in (["--squash"], ["--minimize"], []):
        result = loopsmith("apply", "-w", path, *line)
        assert result.code == 2
        assert "kept" in result.err
    assert "c1 is discarded" in loopsmith("apply", "-w", path, "--pick", "1").err
    assert "kept nothing" in loopsmith("ablate", "-w", path).err


MANY = """
import json, sys
from loopsmith.cli import main
for line in json.loads(sys.argv[1]):
    sys.argv = ["loopsmith", *line]
    code = 0
    try:
        main()
    except SystemExit as exit_:
        code = exit_.code
    print("ended with", code, file=sys.stderr)
"""


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap makes the disk read-only")
def test_on_a_read_only_disk_what_needs_no_measurement_is_written_and_the_rest_says_why(kept, tmp_path):
    state, source = kept.parent / ".loopsmith", kept.parent
    measuring = (["verify", "2"], ["ablate"], ["apply", "--pick", "2"], ["apply", "--minimize"])
    lines = [[*line, "-w", str(kept)] for line in (["apply", "--squash", "--branch", "read-only"], *measuring)]
    wrapped = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(state), str(state), sys.executable, "-c", MANY]
    done = subprocess.run([*wrapped, json.dumps(lines)], capture_output=True, text=True, cwd=tmp_path)
    if "bwrap:" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")
    wrote, *refused = done.stderr.split("ended with ")[:5]
    assert "wrote 1 commit" in wrote
    assert "read-only" in branches(source)
    for words in refused:
        _code, said = words.split("\n", 1)
        assert said.count("\n") == 1
        assert "cannot write" in said
        assert "read-only file system" in said.lower()
    assert done.stderr.count("ended with 4") == len(measuring)
