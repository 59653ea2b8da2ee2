"""The progress curve as one SVG: no script, no file from elsewhere; it scales to a phone and follows the page's theme.

Colours are CSS custom properties with values of their own behind them; `STYLE` goes into the page, or into the picture
when that stands alone. Text of candidates is hostile, and is written as text. A point's title tells its hypothesis,
verdict and value on hovering, and `data-candidate` its number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

from loopsmith.report.progress.curve import Curve, Point, Step
from loopsmith.report.progress.scale import Axis, drawn, labels, plain, shown, spans, ticks
from loopsmith.workflow.quote import one_line

WIDTH, HEIGHT = 640, 340
RIGHT, TOP, BOTTOM = 10, 26, 42
ROW = 14  # height of a row of the legend
STRIP = 9  # height of the strip at the bottom for candidates without a score
TITLE = 200  # characters of a hypothesis on hovering
GAINS = 12  # kept steps that have room for their gain in words
Across = Literal["candidates", "time"]
Link = Callable[[int], str]

STYLE = """
.curve { display: block; width: 100%; height: auto; font: 10px system-ui, sans-serif; }
.curve text { fill: var(--curve-text, #57606a); }
.curve .ground { fill: var(--curve-ground, #ffffff); }
.curve .grid { stroke: var(--curve-grid, #d8dee4); stroke-width: 1; vector-effect: non-scaling-stroke; }
.curve .y text { paint-order: stroke; stroke: var(--curve-ground, #ffffff); stroke-width: 3px; }
.curve .noise { fill: var(--curve-noise, #0969da); opacity: .12; }
.curve .line { fill: none; stroke: var(--curve-kept, #1a7f37); stroke-width: 2; vector-effect: non-scaling-stroke; }
.curve .target { stroke: var(--curve-target, #9a6700); stroke-width: 1.5; stroke-dasharray: 5 4;
  vector-effect: non-scaling-stroke; }
.curve .target-word { fill: var(--curve-target, #9a6700); text-anchor: end; }
.curve .bar { stroke: var(--curve-kept, #1a7f37); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.curve .kept { fill: var(--curve-kept, #1a7f37); }
.curve .gain { fill: var(--curve-kept, #1a7f37); text-anchor: middle; paint-order: stroke;
  stroke: var(--curve-ground, #ffffff); stroke-width: 3px; }
.curve .discarded { fill: var(--curve-point, #6e7781); opacity: .5; }
.curve .refused { fill: var(--curve-ground, #ffffff); stroke: var(--curve-refused, #bc4c00); stroke-width: 1.3; }
.curve .overtaken { fill: var(--curve-ground, #ffffff); stroke: var(--curve-overtaken, #8250df); stroke-width: 1.3; }
.curve .quarantined { fill: var(--curve-target, #9a6700); }
.curve .failed { stroke: var(--curve-failed, #cf222e); stroke-width: 1.6; }
.curve .unrun { stroke: var(--curve-point, #6e7781); stroke-width: 1.6; }
.curve a { cursor: pointer; }
.curve a:focus-visible > * { outline: 2px solid currentColor; }
.curve .to-end { text-anchor: end; }
.curve .head { dominant-baseline: hanging; }
.curve .middle { text-anchor: middle; }
@media (max-width: 600px) {
  .curve { font-size: 18px; }
  .curve .wide { display: none; }
  .curve .kept { r: 6px; }
  .curve .discarded, .curve .refused, .curve .overtaken { r: 4px; }
}
"""
DARK = """
  --curve-text: #9198a1; --curve-ground: #0d1117; --curve-grid: #2a313c; --curve-noise: #4493f8; --curve-kept: #3fb950;
  --curve-target: #d29922; --curve-point: #9198a1; --curve-refused: #f0883e; --curve-overtaken: #ab7df8;
  --curve-failed: #f85149;
"""
ALONE = STYLE + "@media (prefers-color-scheme: dark) { .curve {" + DARK + "} }\n"

UNRUN = ("rejected", "duplicate")  # nothing of them was run
WORDS = {
    "kept": "kept, with its 95 % interval",
    "discarded": "discarded",
    "refused": "looked better once, refused",
    "overtaken": "overtaken in its round",
    "quarantined": "waits for a person",
    "failed": "no score",
    "unrun": "not run",
    "noise": "noise of single runs",
    "target": "target",
}
EXACT = {"kept": "kept", "refused": "better, but refused"}  # of a metric that repeats exactly

SHAPES = {  # of the legend, 14 by 10
    "noise": '<rect class="noise" y="1" width="14" height="8"/>',
    "target": '<path class="target" d="M0 5H14"/>',
    "failed": '<path class="failed" d="M7 1V9"/>',
    "unrun": '<path class="unrun" d="M7 1V9"/>',
    "kept": '<path class="bar" d="M7 0V10"/><circle class="kept" cx="7" cy="5" r="3.5"/>',
    "quarantined": '<rect class="quarantined" x="4" y="2" width="6" height="6"/>',
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the legend: its mark as SVG, the words, and how many there are of it."""

    kind: str
    words: str
    count: int | None
    mark: str


def legend(curve: Curve) -> tuple[Entry, ...]:
    """What the marks of a curve mean: only those that it has."""
    counts = curve.counts
    found = {
        "kept": counts.get("kept", 0),
        "refused": curve.refused,
        "discarded": counts.get("discarded", 0) - curve.refused - curve.overtaken,
        "overtaken": curve.overtaken,
        "quarantined": counts.get("quarantined", 0),
        "failed": sum(counts.get(name, 0) for name in ("failed", "crashed", "timed_out")),
        "unrun": sum(counts.get(name, 0) for name in UNRUN),
    }
    entries: list[tuple[str, int | None]] = [(kind, count) for kind, count in found.items() if count > 0]
    entries += [("noise", None)] if curve.band else []
    entries += [("target", None)] if curve.target is not None else []
    words = WORDS | (EXACT if curve.exact else {})
    return tuple(Entry(kind=kind, words=words[kind], count=count, mark=mark(kind)) for kind, count in entries)


def mark(kind: str) -> str:
    """The mark of a legend's line, as a picture of its own."""
    return (
        f'<svg class="curve mark" viewBox="0 0 14 10" width="14" height="10" aria-hidden="true">{shape_of(kind)}</svg>'
    )


def shape_of(kind: str) -> str:
    return SHAPES.get(kind, f'<circle class="{kind}" cx="7" cy="5" r="2.8"/>')


def figure(
    curve: Curve,
    *,
    across: Across = "candidates",
    alone: bool = True,
    link: Link | None = None,
    lines: Mapping[str, float] | None = None,
) -> str:
    """The curve as SVG.

    Args:
        across: what runs along the x axis: the candidates' numbers, or the time since the campaign's start.
        alone: with its own style and legend, as a file; otherwise the page brings `STYLE` and shows `legend`.
        link: gives the address of a candidate by its number; empty for none.
        lines: other values of the metric to draw a line at, by name, such as that of a library.
    """
    named = ({"target": curve.target} if curve.target is not None else {}) | dict(lines or {})
    low, high = shown(curve, tuple(named.values()))
    marks, unit = labels(ticks(low, high))
    rows = legend_rows(curve) if alone else []
    head = TOP + ROW * len(rows)
    y = Axis(low, high, HEIGHT - BOTTOM - STRIP - 4, head + 6)
    left = 12.0 + 5.8 * max((len(text) for text in marks), default=0)
    x, below, unit_seconds = horizontal(curve, across, left)
    sheet = Sheet(x, y, unit_seconds, link)
    role = "group" if link else "img"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="{role}" '
        f'aria-label="{escape(name_of(curve))}">',
        f"<title>{escape(name_of(curve))}</title><desc>{escape(description(curve))}</desc>",
        f"<style>{ALONE}</style>" if alone else "",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="head" x="0" y="2">{escape(axis_words(curve, unit))}</text>',
        *(f'<g class="wide">{row}</g>' for row in rows),
        *grid(y, ticks(low, high), marks),
        *foot(x, below, whole=across == "candidates"),
        *noise(curve, sheet),
        *levels(named, y),
        *(tried(point, sheet) for point in curve.points if not point.better),
        *(tried(point, sheet) for point in curve.points if point.better),
        *kept(curve, sheet),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def name_of(curve: Curve) -> str:
    return f"Progress of {one_line(curve.name, 80)}: {curve.metric} by candidate"


def axis_words(curve: Curve, unit: str) -> str:
    better = "higher" if curve.direction == "maximize" else "lower"
    return f"{one_line(curve.metric, 60)}{f' ({unit})' if unit else ''}, {better} is better"


def description(curve: Curve) -> str:
    """What the picture shows, for who does not see it."""
    if not curve.steps:
        return "Nothing is measured yet."
    start, end = curve.steps[0], curve.steps[-1]
    words = [f"{curve.counts.get('candidates', 0)} candidates, {len(curve.steps) - 1} kept."]
    words.append(f"The untouched source has {curve.metric} {start.value:.5g}; now it is {end.value:.5g}.")
    words += [f"Candidate {step.number}: {step.value:.5g}." for step in curve.steps[1:21]]
    return one_line(" ".join(words), 2000)


def horizontal(curve: Curve, across: Across, left: float) -> tuple[Axis, str, float]:
    """The x axis, its name, and how many seconds its unit has; 0 for candidates."""
    right = WIDTH - RIGHT
    if across == "candidates":
        return Axis(0.0, max(curve.last + 1.0, 2.0), left, right), "candidate", 0.0
    unit, name = spans(curve.seconds)
    return Axis(0.0, max(curve.seconds, 1.0) / unit, left, right), f"{name} since the start", unit


def grid(y: Axis, values: list[float], words: list[str]) -> list[str]:
    parts = ['<g class="y">']
    for value, text in zip(values, words, strict=True):
        at = y.at(value)
        parts.append(f'<path class="grid" d="M0 {at:.1f}H{WIDTH - RIGHT}"/><text x="0" y="{at - 3:.1f}">{text}</text>')
    return [*parts, "</g>"]


def foot(x: Axis, name: str, *, whole: bool) -> list[str]:
    base = HEIGHT - BOTTOM
    parts = [f'<g class="x"><path class="grid" d="M0 {base}H{WIDTH - RIGHT}"/>']
    values = ticks(x.low, x.high, 6, whole=whole)
    words, _ = labels(values)
    for index, (value, text) in enumerate(zip(values, words, strict=True)):
        if x.at(value) <= WIDTH - RIGHT - 3 * len(text):
            odd = " wide" if index % 2 else ""
            parts.append(f'<text class="middle{odd}" x="{x.at(value):.1f}" y="{base + 17}">{text}</text>')
    parts.append(f'<text class="to-end" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}">{name}</text></g>')
    return parts


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where things are drawn."""

    x: Axis
    y: Axis
    unit: float  # seconds in a unit of the x axis; 0: it counts candidates
    link: Link | None

    def across(self, item: Point | Step) -> float:
        return self.x.at(item.seconds / self.unit if self.unit else float(item.number))

    def marked(self, number: int, shape: str, words: str) -> str:
        """A mark with its title, and its link where it has one. `shape` is an element without its end."""
        name, _, rest = shape.partition(" ")
        element = f'<{name} data-candidate="{number}" {rest}><title>{escape(words)}</title></{name}>'
        address = self.link(number) if self.link else ""
        return f'<a href="{escape(address)}" tabindex="-1">{element}</a>' if address else element


def noise(curve: Curve, sheet: Sheet) -> list[str]:
    """The band of single runs around the baseline of each time."""
    if curve.band is None:
        return []
    parts = []
    places = [sheet.across(step) for step in curve.steps] + [float(WIDTH - RIGHT)]
    for step, (start, end) in zip(curve.steps, pairwise(places), strict=True):
        half = curve.band.share * (abs(step.value) or 1.0)
        top, base = sorted((sheet.y.at(step.value + half), sheet.y.at(step.value - half)))
        parts.append(
            f'<rect class="noise" x="{start:.1f}" y="{top:.1f}" width="{max(end - start, 0):.1f}" '
            f'height="{base - top:.1f}"/>'
        )
    return parts


def levels(named: Mapping[str, float], y: Axis) -> list[str]:
    """A dashed line for each value with a name."""
    parts = []
    for name, value in named.items():
        at, text = y.at(value), f"{one_line(name, 40)} {plain(value)}"
        text += "" if y.holds(value) else ", off the picture"
        parts.append(
            f'<path class="target" d="M0 {at:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="target-word" x="{WIDTH - RIGHT}" y="{at - 3:.1f}">{escape(text)}</text>'
        )
    return parts


def tried(point: Point, sheet: Sheet) -> str:
    """A candidate that was not kept."""
    across, words = sheet.across(point), point_words(point)
    value = drawn(point.value, point.first)
    if value is None:
        top = HEIGHT - BOTTOM - STRIP
        kind = "unrun" if point.verdict in UNRUN else "failed"
        return sheet.marked(point.number, f'path class="{kind}" d="M{across:.1f} {top}v{STRIP - 2}"', words)
    at = sheet.y.at(value)
    kind = kind_of(point)
    if kind == "quarantined":
        return sheet.marked(
            point.number, f'rect class="quarantined" x="{across - 3:.1f}" y="{at - 3:.1f}" width="6" height="6"', words
        )
    if not sheet.y.holds(value):  # a triangle that points to where it is
        tip = 5 if value < sheet.y.low else -5
        return sheet.marked(
            point.number, f'path class="{kind}" d="M{across - 3:.1f} {at - tip:.1f}h6l-3 {tip}z"', words
        )
    radius = 2.0 if kind == "discarded" else 2.6
    return sheet.marked(point.number, f'circle class="{kind}" cx="{across:.1f}" cy="{at:.1f}" r="{radius}"', words)


def kind_of(point: Point) -> str:
    """Of a candidate with a score that was not kept."""
    if point.verdict == "quarantined":
        return "quarantined"
    return "refused" if point.better else "overtaken" if point.overtaken else "discarded"


def kept(curve: Curve, sheet: Sheet) -> list[str]:
    """The best value over time, and the kept candidates on it."""
    if not curve.steps:
        return []
    places = [(sheet.across(step), sheet.y.at(step.value)) for step in curve.steps]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
    parts = [f'<path class="line" d="{path}H{WIDTH - RIGHT}"/>']
    for step, (x, y) in zip(curve.steps[1:], places[1:], strict=True):
        ends = [y]
        if step.low is not None and step.high is not None and step.low < step.high:
            ends = [sheet.y.at(step.low), sheet.y.at(step.high)]
            bar = f"M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}m-3 0h6M{x - 3:.1f} {ends[0]:.1f}h6"
            parts.append(f'<path class="bar" d="{bar}"/>')
        shape = f'circle class="kept" cx="{x:.1f}" cy="{y:.1f}" r="3.8"'
        parts.append(sheet.marked(step.number, shape, step_words(step)))
        if step.effect is not None and len(curve.steps) <= GAINS + 1:
            at = min([*ends, y - 4]) - 4 if curve.direction == "maximize" else max([*ends, y + 4]) + 11
            parts.append(f'<text class="gain wide" x="{x:.1f}" y="{at:.1f}">{step.words(step.effect)}</text>')
    return parts


def legend_rows(curve: Curve) -> list[str]:
    """The legend as rows of a picture that stands alone."""
    rows: list[list[str]] = [[]]
    x = 0.0
    for entry in legend(curve):
        text = entry.words if entry.count is None else f"{entry.words} ({entry.count:,})"
        wide = 26 + 5.5 * len(text)
        if x and x + wide > WIDTH:
            rows, x = [*rows, []], 0.0
        place = f"translate({x:.0f} {TOP - 8 + ROW * (len(rows) - 1)})"
        rows[-1].append(f'<g transform="{place}">{shape_of(entry.kind)}<text x="17" y="9">{text}</text></g>')
        x += wide
    return ["".join(row) for row in rows if row]


def point_words(point: Point) -> str:
    value = "no score" if point.value is None else plain(point.value)
    said = (
        "looked better once, refused"
        if point.better
        else "overtaken in its round"
        if point.overtaken
        else point.verdict.replace("_", " ")
    )
    first = ""
    if point.first is not None and point.first != point.value and point.value is not None:
        first = f", its first run {plain(point.first)}"
    return f"candidate {point.number}: {said}, {value}{first}. {one_line(point.hypothesis, TITLE)}".rstrip()


def step_words(step: Step) -> str:
    gain = ""
    if step.effect is not None:
        gain = f", {step.words(step.effect)}"
        if step.pairs and step.effect_low is not None and step.effect_high is not None:
            gain += f" ({step.words(step.effect_low)} to {step.words(step.effect_high)})"
    return f"candidate {step.number}: kept, {plain(step.value)}{gain}. {one_line(step.hypothesis, TITLE)}".rstrip()
