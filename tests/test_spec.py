"""SPEC.md is kept true: what it lists is what the code has."""

import re
from pathlib import Path

from loopsmith.records import Status
from loopsmith.tracker.states import RELEASES, TRANSITIONS
from loopsmith.workflow import VARIABLES

ROOT = Path(__file__).parents[1]
SPEC = (ROOT / "SPEC.md").read_text()


def rows(title: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    text = SPEC[SPEC.index(title) :]
    table = re.search(r"(?m)^\|.*\n\| ---.*\n((?:\|.*\n)+)", text)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_the_table_of_states_is_the_state_machine():
    listed = {(from_, to) for from_, many, _ in rows("### The states of a candidate") for to in many.split(", ")}
    real = {(str(from_), str(to)) for from_, many in TRANSITIONS.items() for to in many}
    real |= {(str(from_), str(to)) for from_, to in RELEASES.items()}
    assert listed == real


def test_every_verdict_is_explained():
    section = SPEC[SPEC.index("The last eight are verdicts") :]
    explained = re.findall(r"(?m)^\| (\w+) \|", section[: section.index("###")])
    assert set(explained) - {"verdict"} == {str(status) for status in Status if status.final}


def test_the_variables_of_a_template_are_those_listed():
    assert {row[0].strip("`") for row in rows("## The workflow's body")} == set(VARIABLES)


def test_every_dependency_says_why():
    project = (ROOT / "pyproject.toml").read_text()
    listed = {name for row in rows("## Dependencies") for name in re.findall(r"[\w-]+", row[0])}
    blocks = re.findall(r"(?s)^(?:dependencies|dev) = \[(.*?)^\]", project, re.M)
    needed = {re.match(r"[\w-]+", name)[0] for block in blocks for name in re.findall(r'"([^"]+)"', block)}
    assert not {name for name in needed if "stubs" not in name and not name.startswith("types-")} - listed
