"""Durations, sizes, shares, money and counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.workflow.units import (
    format_count,
    format_duration,
    format_money,
    format_share,
    format_size,
    parse_count,
    parse_duration,
    parse_money,
    parse_share,
    parse_size,
    quoted,
)

WHOLE = st.integers(min_value=0, max_value=10**12)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("8h", 28800),
        ("1h30m", 5400),
        ("1h 5m", 3900),
        ("2d", 172800),
        ("1.5 hours", 5400),
        ("10 min", 600),
        ("250ms", 0.25),
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("1W", 604800),
    ],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong", ["", "h", "8hh", "1:30", "1h1h", "8h extra", "-5m", -5, True, None, [], "1e999", "m5"]
)
def test_what_is_no_duration_is_refused(wrong):
    with pytest.raises(ValueError, match=r"is not a (duration|number)"):
        parse_duration(wrong)


def test_a_clock_time_is_refused_with_both_readings():
    with pytest.raises(ValueError, match=r"`1:30` is not a duration; write it as 1m30s or 1h30m"):
        parse_duration("1:30")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10MB", 10**7),
        ("2GiB", 2**31),
        ("500 kB", 500_000),
        ("1.5GB", 1_500_000_000),
        ("4M", 4 * 10**6),
        ("0.1GB", 10**8),
        (4096, 4096),
        ("12 B", 12),
        (2**63 + 1, 2**63 + 1),
    ],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("wrong", ["", "MB", "10 XB", -1, 1.5, "0.3B", True, None, "1 GB 2 MB", math.inf, math.nan])
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(ValueError, match=r"is not a (size|number)"):
        parse_size(wrong)


@pytest.mark.parametrize(("text", "count"), [("200k", 200_000), ("2.5M", 2_500_000), ("1,000,000", 10**6), (7, 7)])
def test_counts_are_read_as_people_write_them(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "dollars"), [("$20", 20), ("20", 20), (0.5, 0.5), ("20 USD", 20), ("$1,000.50", 1000.5), ("5$", 5)]
)
def test_money_is_read_as_people_write_it(text, dollars):
    assert parse_money(text) == dollars


@pytest.mark.parametrize("wrong", ["5 EUR", "€5", "$", "", "-1", True, "1,00,0 USD"])
def test_what_is_no_money_is_refused(wrong):
    with pytest.raises(ValueError, match="is not an amount of money"):
        parse_money(wrong)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("12.5 %", 0.125), (0.02, 0.02), ("0.02", 0.02)])
def test_shares_are_read_as_people_write_them(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.35, "350ms"),
        (12.34, "12.3s"),
        (59.99, "59.9s"),
        (60, "1m"),
        (3900, "1h 5m"),
        (3905, "1h 5m"),
        (90061, "1d 1h"),
        (86405, "1d"),
        (0.9999, "1s"),
    ],
)
def test_durations_are_shown_by_their_two_largest_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (10**7, "10 MB"), (2**31, "2 GiB"), (1234567, "1.2 MB")]
)
def test_sizes_are_shown_in_the_unit_they_were_meant_in(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("dollars", "text"), [(20, "$20.00"), (1234.5, "$1,234.50"), (0.00123, "$0.0012"), (0, "$0.00")]
)
def test_money_is_shown_to_the_cent_and_small_amounts_keep_their_digits(dollars, text):
    assert format_money(dollars) == text


@given(WHOLE)
def test_a_duration_shown_in_full_is_read_back(seconds):
    assert parse_duration(format_duration(seconds, parts=4)) == seconds


@given(st.floats(min_value=60, max_value=10**9))
def test_a_duration_shown_short_loses_less_than_its_second_unit(seconds):
    shown = parse_duration(format_duration(seconds))
    assert shown <= seconds
    assert seconds - shown < (3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1)


@given(WHOLE, st.sampled_from(["B", "kB", "KiB", "MB", "MiB", "GiB"]))
def test_a_size_in_any_unit_is_shown_within_five_percent_and_read_back(amount, unit):
    size = parse_size(f"{amount}{unit}")
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.05)


@given(st.integers(min_value=0, max_value=10**12))
def test_money_to_the_cent_is_read_back(cents):
    assert parse_money(format_money(cents / 100)) == pytest.approx(cents / 100, abs=0.001)


@given(WHOLE)
def test_a_count_is_read_back(count):
    assert parse_count(format_count(count)) == count


@given(st.integers(min_value=0, max_value=100_000))
def test_a_share_is_read_back(thousandths_of_percent):
    share = thousandths_of_percent / 100_000
    assert parse_share(format_share(share)) == pytest.approx(share)


@given(
    st.text() | st.floats() | st.integers() | st.none() | st.booleans(),
    st.sampled_from([parse_duration, parse_size, parse_count, parse_money, parse_share]),
)
def test_any_value_is_read_or_refused_in_a_sentence(value, parse):
    number, problem = 0.0, "`ok`"
    try:
        number = parse(value)
    except ValueError as error:
        problem = str(error)
    assert problem.startswith(("`", "an empty", "empty"))
    assert "\n" not in problem
    assert math.isfinite(number)
    assert number >= 0


def test_a_quoted_value_is_short_and_on_one_line():
    assert quoted("a\nb\x1b[31m") == "`a b [31m`"
    assert len(quoted("x" * 1000)) == 62
    assert (quoted(True), quoted(None), quoted([1]), quoted({})) == ("`true`", "an empty value", "a list", "a map")
