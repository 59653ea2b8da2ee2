"""Forbidden text, found in real diffs."""

import pygit2
import pytest

from loopsmith.records import Patch
from loopsmith.verify.guardrails import MAX_PROBLEMS, added_lines, check_patch
from loopsmith.workflow.schema import Guardrails


def patch(old, new, path="train.py"):
    before, after = old.encode(), new.encode()  # libgit2 reads them where they are
    text = pygit2.Patch.create_from(before, after, old_as_path=path, new_as_path=path).text
    return Patch(parent="p", commit="c", tree="t", files=(), text=text or "")


def rules(*forbid):
    return Guardrails(forbid=list(forbid))


def test_an_added_line_that_matches_names_file_line_and_rule():
    found = check_patch(patch("a\nb\nc\n", "a\nb\nseed = 137\nc\n"), rules(r"\bseed\b"))
    assert found == (r"train.py:3: the added line matches guardrails.forbid `\bseed\b`",)


def test_lines_that_were_there_or_were_removed_are_allowed():
    assert check_patch(patch("seed = 1\nb\nseed = 3\n", "seed = 1\nc\n"), rules("seed")) == ()


def test_nothing_is_forbidden_by_default():
    assert check_patch(patch("a\n", "b\n"), Guardrails()) == ()


@pytest.mark.parametrize("line", ["++ seed", "++ b/other.py", "@@ -1,2 +3,4 @@ seed", "-- seed", "diff --git a b seed"])
def test_an_added_line_that_looks_like_a_header_hides_nothing(line):
    text = f"first\n{line}\nlast seed\n"
    lines = [(number, content) for _, number, content in added_lines(patch("", text).text)]
    assert lines == list(enumerate(text.splitlines(), 1))


def test_lines_of_every_hunk_and_file_have_their_own_numbers():
    old = "".join(f"{n}\n" for n in range(100))
    both = patch(old, old.replace("10\n", "x\ny\n", 1).replace("90\n", "z\n", 1)).text + patch("", "q", "b.py").text
    assert [*added_lines(both)] == [
        ("train.py", 11, "x"),
        ("train.py", 12, "y"),
        ("train.py", 92, "z"),
        ("b.py", 1, "q"),
    ]


def test_a_file_of_nothing_but_forbidden_lines_gives_a_short_list():
    found = check_patch(patch("", "seed\n" * 500), rules("seed"))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == f"and {500 - MAX_PROBLEMS} more lines with forbidden text"


def test_windows_line_ends_and_a_missing_last_one_do_not_matter():
    assert len(check_patch(patch("a\r\n", "a\r\nseed\r\nlast seed"), rules("seed$"))) == 2
