"""Forbidden text, new and deleted files, and Python that does not parse, found in real diffs."""

import sys

import pygit2
import pytest
from guarded import change, find

from loopsmith.verify.changes import by_file
from loopsmith.verify.guardrails import MAX_PROBLEMS


def diff(old, new, path="train.py"):
    before, after = old.encode(), new.encode()  # libgit2 reads them where they are
    return pygit2.Patch.create_from(before, after, old_as_path=path, new_as_path=path).text or ""


def test_an_added_line_that_matches_names_file_line_and_rule():
    found = change("a\nb\nc\n", "a\nb\nseed = 137\nc\n", forbid=[r"\bseed\b"])
    assert found == r"train.py:3: the added line matches guardrails.forbid `\bseed\b`"


def test_lines_that_were_there_or_were_removed_are_allowed():
    assert change("seed = 1\nb\nseed = 3\n", "seed = 1\nc\n", forbid=["seed"]) == ""


def test_a_plain_change_breaks_no_default():
    assert change("a = 1\n", "a = 2\nb = 'é ∑ ✓'\n") == ""


@pytest.mark.parametrize("line", ["++ seed", "++ b/other.py", "@@ -1,2 +3,4 @@ seed", "-- seed", "diff --git a b seed"])
def test_an_added_line_that_looks_like_a_header_hides_nothing(line):
    text = f"first\n{line}\nlast seed\n"
    ((added, _),) = by_file(diff("", text))
    assert added == list(enumerate(text.splitlines(), 1))


def test_lines_of_every_hunk_and_file_have_their_own_numbers():
    old = "".join(f"{n}\n" for n in range(100))
    both = diff(old, old.replace("10\n", "x\ny\n", 1).replace("90\n", "z\n", 1)) + diff("", "q", "b.py")
    assert [*by_file(both)] == [([(11, "x"), (12, "y"), (92, "z")], ["10", "90"]), ([(1, "q")], [])]


def test_a_file_of_nothing_but_forbidden_lines_gives_a_short_list():
    found = find({"a.c": ""}, {"a.c": "seed\n" * 500}, forbid=["seed"])
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == f"and {500 - MAX_PROBLEMS} more problems"


def test_windows_line_ends_and_a_missing_last_one_do_not_matter():
    assert len(find({"a.c": "a\r\n"}, {"a.c": "a\r\nseed\r\nlast seed"}, forbid=["seed$"])) == 2


@pytest.mark.parametrize("text", ["x = 1\rseed = 3\n", "x = 1\x0bseed = 3\n", "x = 1\u2028seed = 3\n"])
def test_a_line_within_a_line_is_matched_as_a_line(text):
    assert "guardrails.forbid" in change("", text, path="a.js", forbid=["^seed"], unicode="any")


def test_a_name_in_other_letters_is_matched_as_python_reads_it():
    assert "guardrails.forbid" in change("", "𝐬𝐞𝐞𝐝 = 3\n", forbid=["seed"], unicode="any")


def test_text_that_git_takes_for_binary_is_read_all_the_same():
    assert "a.c:1: the added line" in change("", "seed " + "\x01" * 200 + "\n", path="a.c", forbid=["seed"])


def test_new_files_and_deletions_are_allowed_or_not():
    assert change(None, "x = 1\n", path="helper.py") == ""
    assert change(None, "x = 1\n", path="helper.py", new_files="none").startswith("helper.py: a new file, and")
    assert change("x = 1\n", None) == ""
    assert change("x = 1\n", None, deletions=False) == "train.py: deleted, and guardrails.deletions does not allow it"


UNASKED = ["conftest.py", "tests/conftest.py", "sitecustomize.py", "usercustomize.py", "evil.pth", "pytest.ini"]
UNASKED += ["GNUmakefile", ".gitattributes", "lib/.gitattributes", "node_modules/a.js", "setup.cfg"]


@pytest.mark.parametrize("path", UNASKED)
def test_a_new_file_that_tools_load_unasked_is_refused(path):
    assert "guardrails.new_files" in change(None, "", path=path)
    assert change(None, "", path=path, new_files="any") == ""
    assert change("", "#\n", path=path) == "", "one that was there may change"


BASELINE = {
    "verify.py": "import fancy_reference\nfrom mylib.core import x\nimport reference\n",
    "reference.py": "",
    "kernel.py": "",
    "pkg/__init__.py": "",
    "pkg/fast.py": "",
    "tools/__init__.py": "",
    "tools/check.py": "",
}
EDITABLE = ("*", "!verify.py", "!reference.py", "!tools/check.py")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("numpy.py", "a well-known package"),
        ("numpy/__init__.py", "a well-known package"),
        ("time.py", "standard library"),
        ("pkg/sub/json.py", "standard library"),
        ("tools/random.py", "standard library"),
        ("fancy_reference.py", "the protected `verify.py` imports"),
        ("mylib/__init__.py", "the protected `verify.py` imports"),
        ("reference/__init__.py", "hides the protected `reference.py`"),
    ],
)
def test_a_new_module_that_takes_the_place_of_an_import_is_refused(path, words):
    found = find(BASELINE, {path: ""}, editable=EDITABLE)
    assert len(found) == 1
    assert words in found[0]
    assert find(BASELINE, {path: ""}, editable=EDITABLE, new_files="any") == ()


@pytest.mark.parametrize("path", ["helper.py", "kernel/__init__.py", "pkg/types.py", "pkg/sub/helper.py", "numpy.md"])
def test_a_new_module_of_its_own_name_is_allowed(path):
    assert find(BASELINE, {path: ""}, editable=EDITABLE) == ()


def test_python_that_does_not_parse_is_named_with_its_line():
    assert change("a = 1\n", "a = 1\nb = (\n").startswith("train.py:2: this is not valid Python: ")
    assert change("a = 1\n", "b = (\n", syntax=False) == ""
    assert change("print 1\n", "print 2\n") == "", "of another Python, as the baseline was"
    assert change("a = 1\n", "b = (\n", path="train.txt") == ""


@pytest.mark.parametrize(
    "text",
    [
        "-" * 200_000 + "1",
        "a" + ".b" * 200_000,
        "1" + "+1" * 200_000,
        "(" * 1000,
        "lambda:" * 99_999,
    ],
)
def test_no_text_makes_the_guardrails_fail(text):
    limits = {"freeze": ["SEED"], "imports": {"forbid": ["os"]}}
    assert "not valid Python" in change("", text, **limits)
    assert change(text, "a = 1\n", **limits) == ""


@pytest.mark.parametrize(("limit", "digits"), [(4300, 9999), (0, 9998)])
def test_an_integer_of_any_length_does_not_make_the_guardrails_fail(limit, digits):
    """Python refuses to read one above its own limit, which a process may lift."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(limit)
    try:
        found = change("", "x=" + "1" * digits, freeze=["SEED"], imports={"forbid": ["os"]})
        assert ("not valid Python" in found) == bool(limit)
    finally:
        sys.set_int_max_str_digits(before)


def test_deep_but_valid_python_is_read():
    text = "x = " + "+".join(["1"] * 400) + "\nSEED = " + "(" * 150 + "1" + ")" * 150 + "\n"
    deep = "".join(f"{' ' * n}if a{n}:\n" for n in range(60)) + " " * 60 + f"b = {'9' * 4000}, 0x{'f' * 20_000}\n"
    assert change(text, text + deep, freeze=["SEED", "b0"]) == ""


@pytest.mark.parametrize("name", ["unicode_escape", "utf-7", "raw_unicode_escape", "utf-16"])
def test_an_encoding_that_hides_code_is_refused(name):
    assert f"declares the encoding {name}" in change("", f"# -*- coding: {name} -*-\nx = 1\n")
    assert f"declares the encoding {name}" in change("", f"#!/usr/bin/python\n# vim: set fileencoding={name} :\n")


def test_a_plain_encoding_is_allowed():
    assert change(b"", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n") == ""


def test_a_file_that_may_not_be_changed_at_all_is_judged_elsewhere():
    assert find({"verify.py": "seed"}, {"verify.py": "seeds ("}, editable=("a.py",), forbid=["seed"]) == ()
