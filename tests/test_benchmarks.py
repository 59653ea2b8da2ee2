"""The simulations behind the figures run, and their smallest versions hold what the large ones show."""

import json
import subprocess
import sys
from pathlib import Path

NULL = Path(__file__).parents[1] / "benchmarks" / "null.py"
POLICIES = NULL.with_name("policies.py")
KEYS = {
    "noise", "best_of", "rule", "effect", "campaign_false_keep_rate", "power", "median_pairs",
    "measurements_per_candidate", "bias",
}  # fmt: skip


def test_a_null_campaign_keeps_nothing_and_a_clear_gain_is_found_where_other_rules_keep_luck():
    command = [sys.executable, NULL, "--json", "--quick", "--noise", "gaussian", "--best-of", "1"]
    options = ["--rule", "once", "--rule", "loopsmith", "--effect", "0", "--effect", "4"]
    out = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    rows = {(row["rule"], row["effect"]): row for row in json.loads(out)}
    assert all(row.keys() >= KEYS for row in rows.values())
    assert rows["once", 0]["campaign_false_keep_rate"] >= 0.9
    assert rows["loopsmith", 0]["campaign_false_keep_rate"] == 0
    assert rows["loopsmith", 4]["power"] >= 0.9
    assert rows["loopsmith", 4]["median_pairs"] <= 4
    assert rows["loopsmith", 0]["measurements_per_candidate"] < rows["loopsmith", 4]["measurements_per_candidate"]


def test_policies_are_compared_where_the_optimum_is_known_and_thompson_gets_out_of_a_trap_sooner():
    command = [sys.executable, POLICIES, "--json", "--quick", "--problem", "deceptive", "--proposer", "bold"]
    options = ["--policy", "greedy", "--policy", "thompson", "--seeds", "6"]
    out = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    rows = {row["policy"]: row for row in json.loads(out)}
    assert rows.keys() == {"greedy", "thompson", "optuna", "random"}
    assert rows["thompson"]["reached"] == 1
    assert rows["thompson"]["runs"] < rows["greedy"]["runs"]
    assert rows["thompson"]["to_greedy"] == round(rows["thompson"]["runs"] / rows["greedy"]["runs"], 2)
