"""The picture of a campaign's progress (SVG), and its figures as a Markdown table.

    python benchmarks/progress.py WORKFLOW [--campaign ID] [--state DIR] > progress.svg
    python benchmarks/progress.py WORKFLOW --table

Each candidate is a point: its first run, beside the level of the baseline that it had to beat. A naive keep is one
whose first run beats the mean of all runs of that baseline so far, by however little: what a loop without statistics
keeps. One is overtaken that still looked better when another candidate of its round was kept: it was not refused.
"""

import argparse
import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from loopsmith.cli.find import find_campaign
from loopsmith.errors import LoopsmithError
from loopsmith.records import Campaign, Candidate, Decision, Measurement, Phase, Status
from loopsmith.report import status
from loopsmith.tracker import Store
from loopsmith.workflow import Objective, format_duration

WIDTH, HEIGHT = 920, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 56, 44
COLOURS = {"kept": "#1a7f37", "overtaken": "#8250df", "refused": "#d1690e", "worse": "#8c959f", "none": "#cf222e"}
WORDS = {
    "kept": "kept",
    "overtaken": "overtaken in its round",
    "refused": "naive keep, refused",
    "worse": "first run no better",
    "none": "no score",
}
OVERTAKEN = "better when screened, but "  # a decision's reason, in campaign/round.py


@dataclass(frozen=True)
class Point:
    """A decided candidate: its first run (None: no score), and the level of its baseline when that ended."""

    candidate: Candidate
    decision: Decision
    first: float | None
    level: float
    kind: str  # of WORDS


def points(store: Store, campaign: Campaign, objective: Objective) -> list[Point]:
    """Every decided candidate that was verified, in order."""
    bases = {each.id: each.baseline_commit for each in store.rounds(campaign.id)}
    measured = [each for each in store.measurements(campaign.id) if each.metric == objective.metric]
    return list(_points(store, campaign, objective, bases, measured))


def _points(
    store: Store, campaign: Campaign, objective: Objective, bases: dict[str, str], measured: list[Measurement]
) -> Iterator[Point]:
    firsts = {each.candidate_id: number for number, each in reversed(list(enumerate(measured))) if screening(each)}
    for candidate in store.candidates(campaign.id):
        decision = store.decision(candidate.id)
        if decision is None or candidate.status in (Status.DUPLICATE, Status.REJECTED):
            continue
        base, number = bases[candidate.round_id], firsts.get(candidate.id)
        known = measured if number is None else measured[:number]
        level = statistics.mean(each.value for each in known if each.commit == base and each.phase != Phase.HOLDOUT)
        first = None if number is None else measured[number].value
        better = first is not None and objective.better(first, level)
        if candidate.status is Status.KEPT:
            kind = "kept"
        elif decision.reason.startswith(OVERTAKEN):
            kind = "overtaken"
        else:
            kind = "none" if first is None else "refused" if better else "worse"
        yield Point(candidate, decision, first, level, kind)


def screening(each: Measurement) -> bool:
    return each.phase is Phase.SCREEN and each.pair == 0


def picture(title: str, objective: Objective, found: list[Point], end: float) -> str:
    """The SVG; `end` is the level of the last baseline."""
    values = [point.first for point in found if point.first is not None]
    levels = [point.level for point in found]
    low, high = _range(values, [*levels, end])
    right = WIDTH - RIGHT

    def x(place: float) -> float:
        return LEFT + (right - LEFT) * place / (len(found) + 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - min(max(value, low), high)) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#24292f">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    place = LEFT
    for kind, word in WORDS.items():
        count = sum(point.kind == kind for point in found)
        parts.append(_mark(kind, place + 5, 36, ""))
        parts.append(f'<text x="{place + 14}" y="40">{word} ({count})</text>')
        place += 50 + 7 * len(word)
    for tick in _ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    step = max(1, 10 ** (len(str(len(found))) - 1) // (1 if len(found) > 20 else 2))
    for number in range(step, len(found) + 1, step):
        parts.append(f'<text x="{x(number):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{number}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">candidate</text>')
    arrow = "down" if objective.direction == "minimize" else "up"
    parts.append(
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(objective.metric)} (better is {arrow})</text>"
    )
    line = f"M{LEFT} {y(levels[0]):.1f}" if levels else ""
    for number, level in enumerate([*levels[1:], end], 1):
        line += f"H{x(number):.1f}V{y(level):.1f}"
    parts.append(f'<path d="{line}H{right}" fill="none" stroke="#0969da" stroke-width="2"/>')
    for number, point in enumerate(found, 1):
        words = f"{point.candidate.number}: {point.candidate.hypothesis or point.candidate.summary}"
        words += f" - {point.candidate.status}: {point.decision.reason}"
        at = HEIGHT - BOTTOM - 4 if point.first is None else y(point.first)
        parts.append(_mark(point.kind, x(number), at, words))
        if point.kind == "kept" and point.decision.effect is not None:
            middle = f'x="{x(number):.1f}" y="{at - 9:.1f}" text-anchor="middle" fill="{COLOURS["kept"]}"'
            parts.append(f"<text {middle}>{point.decision.effect.mean:+.1%}</text>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(kind: str, x: float, y: float, words: str) -> str:
    title, colour = f"<title>{escape(' '.join(words.split()))}</title>" if words else "", COLOURS[kind]
    if kind == "none":
        path = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
        return f'<path d="{path}" stroke="{colour}" stroke-width="2">{title}</path>'
    fill = "none" if kind == "worse" else colour
    radius = 6 if kind == "kept" else 4
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke="{colour}" fill="{fill}">{title}</circle>'


def _range(values: list[float], levels: list[float]) -> tuple[float, float]:
    """Of the axis: all levels, and the values but for far outliers, which are drawn at its edge."""
    if len(values) > 3:
        quarter, _, three = statistics.quantiles(values, n=4)
        reach = 2 * (three - quarter)
        values = [value for value in values if quarter - reach <= value <= three + reach]
    every = [*values, *levels]
    margin = 0.08 * (max(every) - min(every)) or abs(every[0]) * 0.05 or 1.0
    return min(every) - margin, max(every) + margin


def _ticks(low: float, high: float) -> Iterator[float]:
    """Round numbers, four to eight of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield round(number * step, 12)


def table(store: Store, campaign: Campaign, found: list[Point], view: dict) -> str:
    """The campaign's figures in Markdown."""
    runs = {
        (each.candidate_id, each.commit, each.phase, each.pair): each.seconds
        for each in store.measurements(campaign.id)
    }
    phases = Counter(phase for _, _, phase, _ in runs)
    kinds = Counter(point.kind for point in found)
    counts = {name: number for name, number in view["counts"].items() if number and name != "candidates"}
    usage, best = view["usage"], view["best"]
    effect = "none shown"
    if best["effect"] is not None:
        low, high = best["interval"]
        effect = f"{best['effect']:.2%} (from {low:.2%} to {high:.2%})"
    rows = {
        "candidates": f"{view['counts']['candidates']}: "
        + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()),
        "naive keeps (first run better than the baseline's mean)": kinds["kept"]
        + kinds["overtaken"]
        + kinds["refused"],
        "of them refused": kinds["refused"],
        "of them overtaken by another of their round": kinds["overtaken"],
        "baseline at the start, mean": f"{view['baseline']['value']:.6g}",
        "baseline at the end, mean": f"{best['value']:.6g}",
        "gain, confirmed": effect,
        "runs of the verifier": f"{len(runs)}: " + ", ".join(f"{number} {name}" for name, number in phases.items()),
        "seconds in the verifier": f"{sum(runs.values()):.0f}",
        "wall clock": format_duration(round(view["budget"]["wall_clock"]["used"])),
        "model calls": usage["calls"],
        "tokens in, of them cached, out": ", ".join(
            str(usage[name]) for name in ("input_tokens", "cached_tokens", "output_tokens")
        ),
    }
    return "".join(f"| {name} | {value} |\n" for name, value in {"": "", "---": "---", **rows}.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workflow", type=Path)
    parser.add_argument("--campaign", help="its id; default: the newest")
    parser.add_argument("--state", type=Path, help="where loopsmith keeps its things")
    parser.add_argument("--table", action="store_true", help="the figures instead of the picture")
    args = parser.parse_args()
    try:
        with find_campaign(args.workflow, args.state, None, args.campaign) as at:
            objective = Objective.model_validate(at.campaign.settings["objective"])
            found, view = points(at.store, at.campaign, objective), status(at.store, at.campaign)
            if args.table:
                sys.stdout.write(table(at.store, at.campaign, found, view))
                return
            agent = at.campaign.settings["agent"]
            kind = agent.get("kind") or "several agents"
            title = f"{at.campaign.name}, {kind}: {len(found)} candidates measured"
            sys.stdout.write(picture(title, objective, found, view["best"]["value"]))
    except LoopsmithError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
