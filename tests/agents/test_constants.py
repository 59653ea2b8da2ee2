"""Constants are found where they are meant, and rewritten without touching another byte."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.agents.constants import find_constants, format_value, rewrite

PYTHON = '''"""A module."""
import math

BLOCK = 64  # rows at a time
RATE: float = 3e-4
FAST = False
SHIFT = -2
MASK = 0xFF
TOTAL = 1_000_000
WÄRME = 1; AFTER = 2
MODE = "fast"
NOTHING = None
PI = math.pi
AREA = 4 * BLOCK
TWICE = 1
TWICE = 2
GROWS = 1
RANDOM_SEED = 3
SEED = 42
VERSION = 7
HTTP_PORT = 8080
MAGIC = 0x9E3779B97F4A7C15
lower = 5
__all__ = []


def f(n):
    global GROWS
    GROWS = n
    INSIDE = 8
    return INSIDE
'''


def folder_with(tmp_path: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


def test_python_finds_numbers_and_booleans_at_the_top_level_that_are_set_once(tmp_path):
    folder = folder_with(tmp_path, a__py=PYTHON)
    found = {each.key: each.value for each in find_constants(folder, ["a.py"])}
    assert found == {
        "BLOCK": 64,
        "RATE": 3e-4,
        "FAST": False,
        "SHIFT": -2,
        "MASK": 255,
        "TOTAL": 1_000_000,
        "WÄRME": 1,
        "AFTER": 2,
    }


def test_rewriting_changes_the_literals_and_not_a_byte_besides(tmp_path):
    folder = folder_with(tmp_path, a__py=PYTHON.replace("\n", "\r\n"))
    constants = find_constants(folder, ["a.py"])
    values = {"BLOCK": 128, "RATE": 0.002, "FAST": True, "SHIFT": -7, "MASK": 254, "TOTAL": 250_000, "AFTER": 30}
    rewrite(folder, constants, {"WÄRME": 1, **values})
    expected = PYTHON
    for old, new in [
        ("BLOCK = 64  #", "BLOCK = 128  #"),
        ("3e-4", "2e-3"),
        ("FAST = False", "FAST = True"),
        ("-2", "-7"),
        ("0xFF", "0xFE"),
        ("1_000_000", "250_000"),
        ("AFTER = 2", "AFTER = 30"),
    ]:
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert (folder / "a.py").read_bytes() == expected.replace("\n", "\r\n").encode()
    found = {each.key: each.value for each in find_constants(folder, ["a.py"])}
    assert found == {"WÄRME": 1, **values}


def test_c_finds_defined_numbers(tmp_path):
    source = (
        "#ifndef KERNEL_H\n#define KERNEL_H\n#define TILE 32 /* rows */\n#  define EPS 1.5e-3f\n#define N (16u)\n"
        "#define STRIDE TILE\n#define DOUBLE(x) 2\n#define MODE_BITS 0755\n#define SUM 1 + 2\nint LOCAL = 4;\n"
    )
    folder = folder_with(tmp_path, k__h=source)
    constants = find_constants(folder, ["k.h"])
    assert {each.key: each.value for each in constants} == {"TILE": 32, "EPS": 1.5e-3, "N": 16}
    rewrite(folder, constants, {"TILE": 48, "EPS": 0.002, "N": 8})
    expected = source.replace("TILE 32", "TILE 48").replace("1.5e-3f", "2.0e-3f").replace("(16u)", "(8u)")
    assert (folder / "k.h").read_text() == expected


@pytest.mark.parametrize(
    ("name", "line", "new", "written"),
    [
        ("k.rs", "pub const BLOCK: usize = 64;", 32, "pub const BLOCK: usize = 32;"),
        ("k.c", "static const int BLOCK = 64;", 32, "static const int BLOCK = 32;"),
        ("k.json", '  "BLOCK": 64,', 32, '  "BLOCK": 32,'),
        ("k.yaml", "BLOCK: fast  # how", "slow", "BLOCK: slow  # how"),
        ("k.toml", 'BLOCK = "fast"', "slow", 'BLOCK = "slow"'),
        ("Makefile", "BLOCK ?= 64", 32, "BLOCK ?= 32"),
        ("k.go", "\tBLOCK := 64 // rows", 32, "\tBLOCK := 32 // rows"),
        ("k.py", "    BLOCK = 64", 32, "    BLOCK = 32"),
        ("k.js", "const BLOCK = true;", False, "const BLOCK = false;"),
    ],
)
def test_a_name_from_the_workflow_is_found_in_any_file(tmp_path, name, line, new, written):
    before = "class A:\n" if name == "k.py" else "\n"
    (tmp_path / name).write_text(f"{before}{line}\n")
    assert find_constants(tmp_path, [name]) == ()
    constants = find_constants(tmp_path, [name], ["BLOCK"])
    rewrite(tmp_path, constants, {"BLOCK": new})
    assert (tmp_path / name).read_text() == f"{before}{written}\n"


@pytest.mark.parametrize(
    "line", ["if BLOCK == 64:", "x = f(BLOCK, 64)", "BLOCK = 64 * 2", "MY_BLOCK = 64", "BLOCK = g()"]
)
def test_a_line_that_does_not_set_the_name_to_a_literal_is_not_its_constant(tmp_path, line):
    (tmp_path / "k.txt").write_text(line + "\n")
    assert find_constants(tmp_path, ["k.txt"], ["BLOCK"]) == ()


def test_a_name_in_two_files_is_two_constants_with_the_path_in_their_keys(tmp_path):
    folder = folder_with(tmp_path, a__py="BLOCK = 1\nONE = 1\n", b__py="BLOCK = 2\n")
    constants = find_constants(folder, ["a.py", "b.py"])
    assert [each.key for each in constants] == ["a.py:BLOCK", "ONE", "b.py:BLOCK"]
    rewrite(folder, constants, {"a.py:BLOCK": 1, "ONE": 1, "b.py:BLOCK": 9})
    assert (folder / "a.py").read_text() == "BLOCK = 1\nONE = 1\n"
    assert (folder / "b.py").read_text() == "BLOCK = 9\n"
    assert [each.value for each in find_constants(folder, ["a.py", "b.py"], ["b.py:BLOCK"])] == [9]


def test_what_is_no_text_or_leads_elsewhere_is_passed_over(tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text("BLOCK = 1\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    folder_with(
        folder, latin__py="# é\nBLOCK = 1\n".encode("latin-1"), broken__py="def (\nBLOCK = 1\n", nul__py=b"B = 1\0"
    )
    (folder / "link.py").symlink_to(outside)
    assert find_constants(folder, ["latin.py", "broken.py", "nul.py", "link.py", "gone.py"]) == ()


@given(st.integers(-(10**12), 10**12), st.sampled_from(["7", "1_000", "0x1F", "0b101", "0o17", "+3"]))
def test_an_integer_is_written_so_that_python_reads_it_back(value, manner):
    text = format_value(manner, ast.literal_eval(manner), value)
    assert ast.literal_eval(text) == value
    prefix = manner[:2] if manner[1:2].isalpha() else ""
    assert text.lstrip("-").startswith(prefix)
    assert ("_" in text) == (manner == "1_000" and abs(value) >= 1000)


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["0.5", "1e-3", "1.", ".5", "2.0E+8", "1_0.5"])
)
def test_a_float_is_written_so_that_python_reads_the_same_float_back(value, manner):
    text = format_value(manner, ast.literal_eval(manner), value)
    back = ast.literal_eval(text)
    assert isinstance(back, float)
    assert back == value
    assert ("e" in text, "E" in text) == ("e" in manner, "E" in manner)
