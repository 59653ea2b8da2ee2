"""Text for the screen: what others wrote made harmless, and times, states and numbers in few letters."""

import re
from datetime import UTC, datetime, timedelta

from loopsmith.records import Effect, Status
from loopsmith.workflow import format_duration
from loopsmith.workflow.quote import one_line

STYLES = {
    "kept": "bold green",
    "quarantined": "bold magenta",
    "discarded": "dim",
    "duplicate": "dim",
    "rejected": "yellow",
    "failed": "red",
    "crashed": "red",
    "timed_out": "red",
}  # of the verdicts; what is open is cyan
CAMPAIGN_STYLES = {
    "running": "green",
    "done": "bold",
    "paused": "bold yellow",
    "interrupted": "bold red",
    "failed": "bold red",
}
TAB = 4  # columns
# Selectors that change the width of the letter before them, which terminals disagree about.
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def plain(text: object, limit: int = 300) -> str:
    """`text` on one line, cut, and without what a terminal would obey or not show."""
    return SELECTORS.sub("", one_line(str(text)[: limit * 4], limit))


def plain_lines(text: str, *, limit: int = 20_000, lines: int = 2_000) -> list[str]:
    """`text` as lines that a terminal shows as they are: control and direction characters become dots.

    Args:
        limit: the most characters that are shown; a last line says how many are not.
        lines: the most lines.
    """
    # Not splitlines: a form feed, or a line separator within a string, ends no line of a patch.
    parts = text[:limit].removesuffix("\n").split("\n") if text else []
    shown = [clean(line.removesuffix("\r").expandtabs(TAB)) for line in parts]
    left = len(text) - min(limit, len(text))
    if len(shown) > lines:
        left += sum(len(line) + 1 for line in shown[lines:])
        shown = shown[:lines]
    if left:
        shown.append(f"… {left:,} characters more, which `loopsmith show` prints")
    return shown


def clean(line: str) -> str:
    if line.isprintable() and line.isascii():
        return line
    return "".join(char if char.isprintable() else "·" for char in SELECTORS.sub("", line))


def status_style(status: Status | str) -> str:
    return STYLES.get(str(status), "cyan")


def status_words(status: Status | str) -> str:
    return str(status).replace("_", " ")


def since(moment: datetime, now: datetime) -> str:
    """How long ago, never below zero: clocks of two machines differ."""
    return format_duration(max(0, int((now - moment).total_seconds())))


def clock(moment: datetime, now: datetime | None = None) -> str:
    """A time of day here, with its date where that is not today's."""
    here, today = moment.astimezone(), (now or datetime.now(UTC)).astimezone()
    return f"{here:%H:%M:%S}" if here.date() == today.date() else f"{here:%m-%d %H:%M}"


def at_about(seconds: float, now: datetime) -> str:
    """When it will be in so many seconds: `03:10`, with the weekday where it is another day."""
    try:
        then = (now + timedelta(seconds=seconds)).astimezone()
    except OverflowError:
        return "in years"
    if then - now > timedelta(days=6):
        return f"{then:%Y-%m-%d}"
    return f"{then:%H:%M}" if then.date() == now.astimezone().date() else f"{then:%a %H:%M}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def gain(effect: Effect | None) -> str:
    """`+12.5 %`; empty where there is none."""
    if effect is None:
        return ""
    if effect.own_unit:
        return f"{effect.mean:+.4g}"
    share = effect.mean * 100
    return f"{share:+.1f} %" if abs(share) < 1000 else f"{share:+.0f} %" if abs(share) < 1e6 else f"{share:+.0e} %"
