"""The table in SPEC.md names every attack and every test, and nothing that is not there."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPEC = (HERE.parents[1] / "SPEC.md").read_text()
SECTION = re.search(r"(?ms)^## Red team\n(.*?)^## ", SPEC)
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in SECTION[1].splitlines() if line[:1] == "|"][
    2:
]
FILES = sorted(file for file in HERE.glob("test_*_attacks.py"))


def attacks(file: Path) -> set[str]:
    """The keys of its dictionaries of attacks, as they stand in the text."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("ATTACKS", "WITH_SETTINGS"):
            found |= {key.value for key in node.value.keys}
    return found


def listed(file: Path) -> set[str]:
    """The attacks that the table says are in a file as a whole."""
    return {name for attack, _, _, test in ROWS if test == f"`{file.name}`" for name in attack.split("; ")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_table_lists_the_attacks_of_each_file(file):
    assert attacks(file)
    assert listed(file) == attacks(file)


def test_each_test_that_the_table_names_exists():
    for attack, outcome, _, test in ROWS:
        name, _, function = test.strip("`").partition("::")
        assert bool(name) != outcome.startswith("out of scope"), attack
        if name:
            assert not function or f"\ndef {function}(" in (HERE / name).read_text(), test


def test_each_row_says_what_becomes_of_the_attack():
    assert all(outcome.startswith(("stopped", "detected", "out of scope")) for _, outcome, _, _ in ROWS)
    assert len({name for file in FILES for name in attacks(file)}) >= 100


def test_what_is_out_of_scope_is_said_in_the_readme():
    security = (HERE.parents[1] / "README.md").read_text().partition("\n## Security\n")[2].partition("\n## ")[0]
    said = (
        "`verify.setup`",
        "encodes",
        "kernel",
        "public inputs",
        "imports the candidate",
        "freeze",
        "without bubblewrap",
    )
    for words in said:
        assert words in security, words
