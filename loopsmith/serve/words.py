"""How values are written on a page: every text cleaned of what cannot be seen, numbers short, times in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import loopsmith
from loopsmith.records import Effect, Event
from loopsmith.report.steering import asked_words
from loopsmith.report.summary import number
from loopsmith.search.memory import effect_words, gain_words
from loopsmith.workflow import format_duration, format_money, format_size

FOLDER = Path(__file__).parent
LONG = 4000  # characters of a text of others on a page
HIDDEN = {  # what reorders text or cannot be seen, beside control characters
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
    *(0x61C, 0x180E, 0xFEFF),
}
TABLE: dict[int, str] = {code: f"[U+{code:04X}]" for code in HIDDEN}
TABLE |= {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"} | {0x7F: "\u2421"}
TABLE |= {code: f"[U+{code:04X}]" for code in range(0x80, 0xA0)}
TABLE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
ORDER = ("kept", "quarantined", "discarded", "failed", "crashed", "timed_out", "rejected", "duplicate")


def clean(value: Any) -> Any:
    """What an expression of a template gives: text with each hidden character shown as what it is."""
    if value is None:
        return ""
    return value.translate(TABLE) if isinstance(value, str) and not isinstance(value, Markup) else value


def cut(text: str, limit: int = LONG) -> str:
    """The beginning of a long text, which says how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()} … [{len(text) - limit:,} more characters]"


def line(text: str, limit: int = 200) -> str:
    """The beginning of a text on one line."""
    flat = " ".join(text[: 4 * limit].split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def ago(moment: datetime) -> str:
    """How long ago, or the moment; the clocks of two machines may differ, so never less than now."""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    if seconds < 5:
        return "just now"
    if seconds < 86400:
        return f"{format_duration(int(seconds), 1)} ago"
    return f"{moment:%Y-%m-%d %H:%M}"


def lasted(since: datetime) -> str:
    """How long something has gone on, in whole seconds, never below zero."""
    return format_duration(max(0, int((datetime.now(UTC) - since).total_seconds())))


def letters(verdict: str) -> str:
    return str(verdict).replace("_", " ")


def effect(value: Effect | None) -> str:
    return effect_words(value)


def share(value: float | None, own_unit: bool = False) -> str:
    return "" if value is None else gain_words(value, 0.0 if own_unit else None)


def candidate_number(candidate_id: str | None) -> str:
    return (candidate_id or "").rpartition(".")[2]


def event_words(event: Event) -> str:
    """What an event says beside its name and its candidate."""
    data = event.data.items()
    return line(" ".join(f"{key}={value}" for key, value in data if value not in ("", None, [], {})), 240)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 candidate`, `1,234 candidates`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def mix_words(counts: Mapping[str, int]) -> str:
    """`3 kept, 12 discarded`, in one order everywhere; what has no verdict is open."""
    known = [(name, counts.get(name, 0)) for name in ORDER]
    rest = sum(count for name, count in counts.items() if name not in ORDER and name != "candidates")
    return ", ".join(f"{count:,} {letters(name)}" for name, count in [*known, ("open", rest)] if count)


def path(*parts: object) -> str:
    """An address of this server from its parts, each quoted."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def query(**values: object) -> str:
    """The query of an address, without what is empty."""
    pairs = []
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item not in (None, ""):
                pairs.append(f"{quote(name, safe='')}={quote(str(item), safe='')}")
    return f"?{'&'.join(pairs)}" if pairs else ""


@cache
def environment() -> Environment:
    """The templates, in which every value is escaped and cleaned, and none may be missing."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        asked_words,
        cut,
        line,
        ago,
        lasted,
        letters,
        effect,
        share,
        candidate_number,
        event_words,
        mix_words,
        number,
    )
    found.filters |= {each.__name__: each for each in filters}
    found.filters |= {"money": format_money, "duration": format_duration, "size": format_size}
    found.globals |= {"path": path, "query": query, "counted": counted, "version": loopsmith.__version__}
    found.globals |= {"ORDER": ORDER, "max": max, "min": min}
    return found
