"""What each kept change contributes in the final state."""

import json
import re
import shutil
from pathlib import Path

import pytest
from keeping import COMMANDS, make
from support import run

from loopsmith import workflow
from loopsmith.tracker import open_store

GOLF = Path(__file__).parents[2] / "examples" / "golf"


def events(path, name):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return store.events(store.campaigns()[0].id, name=name)


def row(text, name):
    """The cells of a change's row."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return re.split(r"  +", line.strip())


def test_each_change_is_taken_out_of_the_final_state_alone_or_with_those_that_build_on_it(kept, loopsmith):
    result = loopsmith("ablate", "-w", kept)
    assert result.code == 0, result.err
    assert row(result.out, "change")[:4] == ["change", "contributes", "when kept", "lines"]
    assert row(result.out, "c1+c3")[1:4] == ["+52.9 %", "+50.0 %", "+3 -3"]
    assert "c3 builds on it" in result.out
    assert row(result.out, "c2")[1:4] == ["+36.8 %", "+46.7 %", "+1 -1"]
    assert row(result.out, "c3")[1:4] == ["+18.2 %", "+18.2 %", "+1 -1"]
    assert row(result.out, "all") == ["all", "+160.0 %", "+5 -5", "over the untouched source"]
    assert "--minimize" not in result.out
    assert re.search(r"at most 5 runs of about \S+ \(\S+\); what was measured before is used again", result.err)


def test_as_json_it_has_what_was_measured(kept, loopsmith):
    view = json.loads(loopsmith("ablate", "-w", kept, "--json").out)
    assert [(part["candidate"], part["with"]) for part in view["parts"]] == [(1, [3]), (2, []), (3, [])]
    assert [part["finding"]["effect"] for part in view["parts"]] == pytest.approx([9 / 17, 7 / 19, 4 / 22])
    assert view["parts"][1]["when_kept"]["effect"] == pytest.approx(7 / 15)
    assert view["whole"]["effect"] == pytest.approx(1.6)
    assert events(kept, "campaign.ablated")[-1].data["parts"] == view["parts"]


def test_of_a_noisy_metric_contributions_have_intervals_and_runs_are_used_again_until_new(noisy, loopsmith):
    first = json.loads(loopsmith("ablate", "-w", noisy, "--new", "--json").out)
    assert first["runs"] >= 4 * 2 * 2
    for part in (*(part["finding"] for part in first["parts"]), first["whole"]):
        low, high = part["interval"]
        assert 0 < low < part["effect"] < high
        assert part["standing"] == "better"
    again = json.loads(loopsmith("ablate", "-w", noisy, "--json").out)
    assert again["runs"] == 0
    assert [part["finding"]["pairs"] for part in again["parts"]] == [
        part["finding"]["pairs"] for part in first["parts"]
    ]
    pairs = len(first["parts"][0]["finding"]["pairs"])
    more = json.loads(loopsmith("ablate", "-w", noisy, "--repeats", pairs + 2, "--json").out)
    assert len(more["parts"][0]["finding"]["pairs"]) == pairs + 2
    assert more["parts"][0]["finding"]["runs"] == 4
    anew = json.loads(loopsmith("ablate", "-w", noisy, "--new", "--json").out)
    assert anew["runs"] >= 4 * 2 * 2
    assert anew["parts"][0]["finding"]["pairs"] != first["parts"][0]["finding"]["pairs"]


def test_an_exact_metric_that_moved_since_is_measured_anew(tmp_path, loopsmith):
    path = make(
        tmp_path, command='. ./level.sh\necho "METRIC score=$((L * (10 + A + B)))"', workspace={"link": ["level.sh"]}
    )
    (tmp_path / "level.sh").write_text("L=1\n")
    assert run(path)["best"]["value"] == 26
    first = json.loads(loopsmith("ablate", "-w", path, "--json").out)
    same = json.loads(loopsmith("ablate", "-w", path, "--json").out)
    assert (first["runs"], same["runs"]) == (5, 1)
    (tmp_path / "level.sh").write_text("L=2\n")
    moved = json.loads(loopsmith("ablate", "-w", path, "--json").out)
    assert moved["parts"][1]["finding"]["pairs"] == [[38, 52]]
    assert moved["whole"]["pairs"] == [[20, 52]]
    assert "what was measured before does not repeat, so that all of it is measured anew" in moved["notes"]


def test_a_change_that_no_longer_contributes_is_named_and_one_that_is_needed_too(tmp_path, loopsmith):
    commands = tuple(f"sed -i 's/^{line[0]}=.*/{line}/' program.sh" for line in ("A=5", "B=9", "D=3", "C=5"))
    path = make(
        tmp_path,
        command='echo "METRIC score=$((10 + (A > B ? A : B) + C + D))"',
        commands=commands,
        verify={"checks": [". ./program.sh; [ $C -eq 0 ] || [ $D -eq 3 ]"]},
    )
    assert run(path)["counts"]["kept"] == 4
    result = loopsmith("ablate", "-w", path)
    assert result.code == 0, result.err
    assert row(result.out, "c1")[1] == "+0.0 %"
    assert "not shown to contribute any more" in result.out
    assert row(result.out, "c3")[1] == "all of it"
    assert "needed: without it, " in result.out
    assert "not shown to contribute: c1; `loopsmith apply --minimize` drops what is shown not to" in result.out
    small = loopsmith("apply", "-w", path, "--minimize", "--patch", "-")
    assert small.code == 0, small.err
    assert "+A=5" not in small.out
    assert "+B=9" in small.out


def test_a_change_that_was_taken_back_leaves_nothing(tmp_path, loopsmith):
    commands = (COMMANDS[0], "sed -i 's/^A=.*/A=0/; s/^B=.*/B=20/; s/^C=.*/C=0/; s/^D=.*/D=0/' program.sh")
    path = make(tmp_path, commands=commands)
    assert run(path)["best"]["value"] == 30
    result = loopsmith("ablate", "-w", path)
    assert row(result.out, "c1")[1] == "0"
    assert "nothing of it is left in the final state" in result.out
    assert row(result.out, "c2")[1] == "+100.0 %"


def test_the_golf_example_as_it_is(tmp_path, loopsmith):
    """The two of its commands that are kept, one after the other."""
    shutil.copytree(GOLF, tmp_path / "golf", ignore=shutil.ignore_patterns(".loopsmith"))
    path = tmp_path / "golf" / "WORKFLOW.md"
    commands = [workflow.load(path).settings.agents[0].commands[index] for index in (0, 6)]
    agent = json.dumps({"kind": "scripted", "commands": commands})
    assert loopsmith("run", path, "--set", f"agent={agent}", "--set", "search.candidates_per_round=1").code == 0
    result = loopsmith("ablate", "-w", path)
    assert row(result.out, "c1")[1] == "+30.3 %"
    assert row(result.out, "c2")[1] == "+62.4 %"
    assert row(result.out, "all")[1] == "+67.7 %"
    taken = loopsmith("apply", "-w", path, "--pick", "2", "--patch", "-")
    assert taken.code == 0, taken.err
    assert "better: bytes 541 -> 251: 53.60 % better" in taken.err
