"""Text that is not what it looks like."""

import pytest
from guarded import change, find
from hypothesis import given
from hypothesis import strategies as st

# From "Trojan Source": what runs is not what is read.
EARLY_RETURN = "def f():\n    ''' Subtract funds then \u2067''' ;return\n"
COMMENTING_OUT = "if level != 'user\u202e \u2066// check if admin\u2069 \u2066': pass\n"


@pytest.mark.parametrize("text", [EARLY_RETURN, COMMENTING_OUT, "/*\u202e } \u2066if (admin)\u2069 \u2066 begin */\n"])
@pytest.mark.parametrize("path", ["a.py", "a.c", "a.md"])
def test_characters_that_reorder_text_are_refused(text, path):
    found = change("", text, path=path, syntax=False)
    assert "which reorders what a reader sees (guardrails.unicode)" in found
    assert found.isascii()


@pytest.mark.parametrize(
    "char", ["\u200b", "\u200d", "\ufeff", "\u2060", "\u00ad", "\u3164", "\U000e0041", "\u115f", "\ufe0f"]
)
def test_characters_that_cannot_be_seen_are_refused(char):
    found = change("", f"x = 1\ny = 'a{char}b'\n")
    assert found.startswith(f"train.py:2: U+{ord(char):04X} ")
    assert "which cannot be seen" in found


@pytest.mark.parametrize("char", ["\x08", "\x1b", "\x7f", "\x85", "\r"])
def test_control_characters_are_refused(char):
    assert f"U+{ord(char):04X}, a control character" in change("", f"# a{char}b\n", path="a.c")


def test_emoji_line_ends_and_byte_order_marks_are_allowed():
    assert change("", "# ⚠️ 1️⃣ 👩‍🚀 ❤️ é ü ß 漢字\n") == ""
    assert change("a\r\n", "a\r\nb\r\n", path="a.txt") == ""
    assert change("", "\ufeffx = 1\n") == ""


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("p\u0430th", "which looks like `a`"),
        ("\u0455eed", "which looks like `s`"),
        ("\u0455", "which looks like `s`"),
        ("\u0441\u043e\u0440", "which looks like `c`"),
        ("\u0421ONFIG", "which looks like `C`"),
        ("SEE\u216e", "which counts as `D`"),
        ("\uff53eed", "which counts as `s`"),
        ("𝐬eed", "which counts as `s`"),
        ("\u039f", "which looks like `O`"),
        ("\u03bf", "which looks like `o`"),
        ("f\u0251st", "which looks like `a`"),
        ("\u13aa", "which looks like `A`"),
        ("see_\u0501", "which looks like `d`"),
    ],
)
@pytest.mark.parametrize("path", ["a.py", "a.js"])
def test_names_in_letters_that_look_like_others_are_refused(name, word, path):
    found = change("", f"x = 1\n{name} = 2\n", path=path)
    assert found.startswith(f"{path}:2: ")
    assert word in found


@pytest.mark.parametrize(
    "line", ["Δt = 1", "σ = 1", "ρ_x = 1", "größe = 1", "名前 = 1", "число = 1", "x = 'сор, а также'"]
)
@pytest.mark.parametrize("path", ["a.py", "a.js"])
def test_names_and_texts_in_other_alphabets_are_allowed(line, path):
    assert change("", f"{line}\n", path=path) == ""


@pytest.mark.parametrize("line", ["# с новой строки", "// с а о", " * а также", "/* о */ x = 1", "x = 1 // с"])
def test_comments_in_other_alphabets_are_allowed(line):
    assert change("", f"{line}\n", path="a.c") == ""


def test_a_mixed_word_in_a_text_is_refused_since_programs_look_names_up_by_texts():
    assert "which looks like `s`" in change("", "config['\u0455eed'] = 1\n")


def test_what_the_line_hid_before_is_allowed_and_no_more():
    assert change("x = 1  # a\u200bb\n", "x = 2  # a\u200bb\n") == ""
    assert change("p\u0430th = 1\n", "p\u0430th = 2\n") == ""
    assert change("x = 1  # a\u200bb\n", "x = 2  # a\u200bb\n# a\u200bb\n")
    assert change("x = 1  # a\u200bb\n", "x = 2  # a\u202eb\n")


def test_a_new_files_name_counts_too():
    assert "its name: `kern\u0435l` with U+0435" in find({}, {"kern\u0435l.py": ""})[0]
    assert find({}, {"größe.py": ""}) == ()


def test_all_of_it_can_be_allowed():
    assert change("", EARLY_RETURN + "p\u0430th = '\u200b'\n", unicode="any") == ""


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_whatever_the_text_a_problem_is_one_printable_line(text):
    for problem in find({}, {"a.c": text}):
        assert problem.isprintable()
