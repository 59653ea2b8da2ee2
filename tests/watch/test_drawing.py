"""Curve, forecast and texts, without a screen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loopsmith.report.forecast import forecast
from loopsmith.report.progress.curve import Band, Curve, Point, Step
from loopsmith.watch.chart import draw
from loopsmith.watch.harmless import as_ascii
from loopsmith.watch.panes import forecast_line
from loopsmith.watch.terminal import ascii_only, unfit
from loopsmith.watch.text import at_about, clean, plain, plain_lines, since

NOW = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)


def point(number, value, verdict="discarded"):
    return Point(
        number=number,
        verdict=verdict,
        value=value,
        first=value,
        baseline=10.0,
        better=False,
        overtaken=False,
        hypothesis="",
        category="",
        seconds=1.0,
    )


CURVE = Curve(
    campaign="a-1",
    name="a",
    metric="score",
    direction="maximize",
    target=None,
    exact=False,
    steps=(Step(number=0, value=10.0), Step(number=4, value=20.0, low=18.0, high=22.0)),
    points=(point(1, 9.0), point(2, 8.0), point(3, None, "failed")),
    band=Band(share=0.05, low=19.0, high=21.0),
    counts={},
    refused=0,
    overtaken=0,
    last=8,
    seconds=10.0,
    cost_usd=0.0,
    thinned=False,
)


def at(lines, word):
    return next(row for row, line in enumerate(lines) if word in line.plain)


@pytest.mark.parametrize("ascii", [False, True])
def test_the_curve_rises_at_the_kept_step_and_shows_its_interval_and_the_tried(ascii):
    lines = draw(CURVE, 60, 14, ascii=ascii)
    mark = "o" if ascii else "●"
    assert len(lines) == 14
    assert all(line.cell_len <= 60 for line in lines)
    kept = at(lines, mark)
    assert kept < at(lines, "10 "), "more is drawn higher"
    assert lines[kept].plain.lstrip().startswith("20")
    column = lines[kept].plain.index(mark)
    assert 28 < column < 36, "candidate 4 of 8 stands in the middle"
    interval = [line.plain[column] for line in (lines[kept - 1], lines[kept + 1])]
    assert all(cell != " " for cell in interval)
    assert lines[-1].plain.rstrip().endswith("c8")
    assert "".join(line.plain for line in lines[:-1]).isascii() == ascii


def test_less_is_drawn_lower_where_less_is_better_too():
    down = replace(CURVE, direction="minimize", steps=(Step(number=0, value=20.0), Step(number=4, value=10.0)))
    lines = draw(down, 60, 14)
    assert at(lines, "●") > at(lines, "20 ")


@pytest.mark.parametrize(("width", "height"), [(0, 0), (1, 1), (19, 3), (20, 4), (500, 100)])
def test_a_curve_fits_wherever_it_is_drawn(width, height):
    lines = draw(CURVE, width, height)
    assert len(lines) <= max(1, height)
    assert all(line.cell_len <= width for line in lines) or width < 20


def test_a_curve_of_equal_values_and_one_without_a_baseline_are_drawn():
    flat = replace(CURVE, steps=(Step(number=0, value=0.0),), points=(point(1, 0.0),), band=None)
    assert draw(flat, 40, 8)
    assert "not measured yet" in draw(replace(CURVE, steps=(), points=()), 40, 8)[0].plain


def limits(**given):
    base = dict.fromkeys(("wall_clock", "rounds", "candidates", "cost_usd", "tokens", "stall_rounds"), (0, None))
    return {name: {"used": used, "limit": limit} for name, (used, limit) in {**base, **given}.items()}


def test_the_forecast_names_the_limit_that_is_met_first():
    found = forecast(limits(wall_clock=(100, 1000), candidates=(50, 100), cost_usd=(1.0, 20.0)))
    assert (found.limit, found.seconds, found.certain) == ("candidates", 100, False)
    found = forecast(limits(wall_clock=(100, 150), candidates=(50, 100)))
    assert (found.limit, found.seconds, found.certain) == ("wall_clock", 50, True)
    found = forecast(limits(wall_clock=(100, None), rounds=(10, None), stall_rounds=(4, 6)))
    assert (found.limit, found.seconds) == ("stall_rounds", 20)
    found = forecast(limits(wall_clock=(100, None), candidates=(100, 100), cost_usd=(1.0, 2.0)))
    assert (found.limit, found.seconds) == ("candidates", 0)


def test_the_end_is_said_to_be_an_estimate_unless_it_comes_by_the_clock():
    def said(status="running", **given):
        return forecast_line({"campaign": {"status": status}, "budget": limits(**given)}, NOW).plain

    rated = said(wall_clock=(100, None), candidates=(50, 100))
    assert rated.endswith("in 1m 40s (estimate): all candidates are made")
    assert len(rated) < 80
    assert "estimate" not in said(wall_clock=(100, 200))
    assert said("paused", wall_clock=(100, 200)).startswith("paused")


def test_without_a_limit_or_a_rate_there_is_no_forecast():
    assert forecast(limits(wall_clock=(100, None), candidates=(5, None))) is None
    assert forecast(limits(candidates=(0, 100))) is None
    assert forecast(limits(wall_clock=(100, None), cost_usd=(0.0, 20.0), stall_rounds=(0, 25))) is None


def test_times_are_never_negative_and_say_the_day_where_it_is_another():
    assert since(NOW + timedelta(hours=1), NOW) == "0s"
    assert since(NOW - timedelta(seconds=65), NOW) == "1m 5s"
    assert len(at_about(60, NOW)) == 5
    assert len(at_about(86400, NOW)) == 9
    assert at_about(10 * 86400, NOW).startswith("2026-03-1")
    assert at_about(1e18, NOW) == "in years"


def test_what_a_terminal_would_obey_is_gone_from_every_text():
    hostile = "a\x1b[31mb\x9bc\u202ed\u2066e\x07\r\x00\u200bf\ufe0fg"
    assert plain(hostile) == "a[31mbcde fg"
    assert clean(hostile).isprintable()
    assert plain_lines("one\n\ttwo\x1b]0;x\x07") == ["one", "    two·]0;x·"]


def test_only_the_end_of_a_line_ends_a_line():
    assert plain_lines("+a = 'x\u2028-b = 1'\r\n+c\x0cd\n") == ["+a = 'x·-b = 1'", "+c·d"]
    assert plain_lines("") == []


def test_long_texts_are_cut_and_say_how_much_is_left():
    shown = plain_lines("x" * 1_000_000, limit=100)
    assert shown[0] == "x" * 100
    assert shown[1].startswith("… 999,900 characters more")
    assert len(plain_lines("x\n" * 10_000, lines=10)) == 11


def test_ascii_keeps_the_columns():
    assert as_ascii("─│●━ → 漢x…") == "-|o= > ??x~"


def test_a_terminal_is_asked_what_it_can_show():
    assert ascii_only({"LANG": "C", "TERM": "xterm"})
    assert ascii_only({"TERM": "xterm"})
    assert not ascii_only({"LANG": "en_US.UTF-8", "TERM": "xterm"})
    assert ascii_only({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8", "TERM": "xterm"})
    assert ascii_only({"LANG": "C.utf8", "TERM": "vt100"})
    assert "loopsmith status" in unfit({"TERM": "xterm"}), "tests have no terminal"
