"""Objectives, constraints and patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.workflow import Constraint, MinEffect, Objective, Secret, editable_matcher
from loopsmith.workflow.values import Expanded

FINITE = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
DIRECTIONS = st.sampled_from(["minimize", "maximize"])


def objective(direction="minimize", min_effect="0", target=None):
    return Objective(metric="m", direction=direction, min_effect=MinEffect.parse(min_effect), target=target)


def test_a_gain_is_a_share_of_the_baseline_in_the_direction():
    assert objective("minimize").gain(10, 9) == pytest.approx(0.1)
    assert objective("maximize").gain(10, 9) == pytest.approx(-0.1)
    assert objective("maximize").gain(-10, -9) == pytest.approx(0.1)


def test_a_gain_over_zero_is_the_difference():
    assert objective("maximize").gain(0, 3) == 3


@given(DIRECTIONS, FINITE, FINITE)
def test_a_gain_is_positive_exactly_when_the_value_is_better(direction, baseline, value):
    aim = objective(direction)
    if abs(value - baseline) > 1e-6:
        assert (aim.gain(baseline, value) > 0) == aim.better(value, baseline)
        assert aim.better(value, baseline) != aim.better(baseline, value)
    assert not aim.better(value, value)


@pytest.mark.parametrize(
    ("min_effect", "baseline", "gain", "clears"),
    [
        ("1%", 100, 0.01, True),
        ("1%", 100, 0.0099, False),
        ("1%", 3, (3 - 2.97) / 3, True),
        (5, 100, 0.05, True),
        (5, 100, 0.049, False),
        (5, -100, 0.05, True),
        (5, 0, 5, True),
        (5, 0, 4.9, False),
        ("1%", 0, 0.001, True),
        (0, 100, 0.0, False),
        (0, 100, 1e-12, True),
        (0, 100, -0.1, False),
    ],
)
def test_a_gain_clears_the_smallest_effect_relative_or_absolute(min_effect, baseline, gain, clears):
    assert objective(min_effect=min_effect).clears(baseline, gain) is clears


def test_a_target_is_reached_at_it_and_beyond_it():
    assert [objective("maximize", target=40).reached(value) for value in (39, 40, 41)] == [False, True, True]
    assert [objective("minimize", target=40).reached(value) for value in (39, 40, 41)] == [True, True, False]
    assert not objective("minimize").reached(0)


@pytest.mark.parametrize(
    ("text", "value", "baseline", "holds"),
    [
        ("<= 2000", 2000, None, True),
        ("<= 2000", 2000.1, None, False),
        ("< 1e3", 1000, None, False),
        (">-1", 0, None, True),
        ("== 0", 0, None, True),
        (">= baseline", 5, 5, True),
        (">= baseline", 4.9, 5, False),
        ("within 1% of baseline", 101, 100, True),
        ("within 1% of baseline", -102, -100, False),
        ("within 5 of 100", 95, None, True),
        ("within 5 of 100", 94.9, None, False),
        ("<= baseline", 1, None, False),
    ],
)
def test_a_constraint_holds_as_it_reads(text, value, baseline, holds):
    assert Constraint.parse(text).holds(value, baseline) is holds


def test_a_constraint_says_whether_it_needs_the_baseline():
    assert Constraint.parse("within 1% of baseline").needs_baseline
    assert not Constraint.parse("<= 5").needs_baseline


@pytest.mark.parametrize("text", ["2000", "=< 5", "<= x", "within baseline", "within -1% of baseline", "", 5, None])
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(ValueError, match="is not a constraint"):
        Constraint.parse(text)


@given(st.sampled_from(["<=", "<", ">=", ">", "=="]), FINITE)
def test_a_constraint_on_a_number_is_read_exactly(operator, bound):
    constraint = Constraint.parse(f"{operator} {bound!r}")
    assert (constraint.operator, constraint.bound, str(constraint)) == (operator, bound, f"{operator} {bound!r}")


@pytest.mark.parametrize(
    ("globs", "path", "matches"),
    [
        (["kernel.c"], "kernel.c", True),
        (["kernel.c"], "deep/kernel.c", True),
        (["/kernel.c"], "deep/kernel.c", False),
        (["./kernel.c"], "kernel.c", True),
        (["src/"], "src/a/b.c", True),
        (["src/"], "src.c", False),
        (["src/*.py"], "src/a.py", True),
        (["src/*.py"], "src/deep/a.py", False),
        (["src/**/*.py"], "src/deep/a.py", True),
        (["*.py", "!test_*.py"], "test_a.py", False),
        (["*.py", "!test_*.py"], "a.py", True),
    ],
)
def test_editable_files_are_named_as_in_gitignore(globs, path, matches):
    assert editable_matcher(globs)(path) is matches


def test_what_must_never_match_does_not_with_everything_below_it():
    matches = editable_matcher(["*"], never=["state", "a/WORKFLOW.md"])
    assert [matches(path) for path in ("state", "state/x", "stateful", "a/WORKFLOW.md", "a/x")] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_a_literal_secret_is_kept_and_hidden():
    secret = Secret("sk-abc")
    assert (secret.get_secret_value(), secret.variable, secret.unset) == ("sk-abc", None, False)
    assert "sk-abc" not in f"{secret} {secret!r}"


def test_a_variable_takes_its_value_and_two_dollars_are_one(monkeypatch):
    monkeypatch.setenv("NAME", "a")
    assert Expanded.parse("$NAME ${NAME}b $$NAME 5$$ $") == "a ab $NAME 5$ $"
    assert repr(Expanded.parse("$$5")) == "'$$5'"
