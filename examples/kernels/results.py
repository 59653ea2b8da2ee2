"""What a campaign came to: a line of a Markdown table on stdout, and in a folder the candidates, the kept patch, a picture.

    python results.py NAME WORKFLOW.md STATE FOLDER

Writes FOLDER/NAME.tsv, NAME.patch and NAME.svg, from `loopsmith export`, `apply --patch` and the tracker, read-only.
"""

import json
import math
import re
import sqlite3
import subprocess
import sys
from html import escape
from pathlib import Path
from statistics import median

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 340, 60, 34, 40
COLOURS = {"kept": "#1a7f37", "discarded": "#8c959f"}
HEADER = (
    "| campaign | candidates | kept | start | end | of the library, start | end | of the roofline, end | noise of one run "
    "| better in the first run, not kept | took | model |"
)


def loopsmith(command: str, *words: str) -> str:
    line = [sys.executable, "-m", "loopsmith", command, *words]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def rows(tracker: sqlite3.Connection, campaign: str, best: str | None) -> dict[str, list[float]]:
    """Of the untouched source and of the best commit, the values of each metric."""
    found: dict[str, list[float]] = {}
    origin = tracker.execute("select origin_commit from campaign where id = ?", (campaign,)).fetchone()[0]
    for name, commit in (("start", origin), ("end", best or origin)):
        query = "select metric, value from measurement where campaign_id = ? and commit_id = ? and phase <> 'holdout'"
        for metric, value in tracker.execute(query, (campaign, commit)):
            found.setdefault(f"{name} {metric}", []).append(value)
    return found


def firsts(tracker: sqlite3.Connection, campaign: str, metric: str) -> dict[int, float]:
    """The first run of each candidate."""
    query = (
        "select candidate.number, measurement.value from measurement join candidate on candidate.id = candidate_id "
        "where measurement.campaign_id = ? and metric = ? and phase = 'screen' order by measurement.id desc"
    )
    return dict(tracker.execute(query, (campaign, metric)))


def naive(candidates: list[dict], first: dict[int, float]) -> list[int]:
    """Candidates that a single run would have kept, and the campaign did not."""
    found = []
    for each in candidates:
        level = re.search(r"(\S+) -> ", each["reason"] or "")
        if each["status"] == "discarded" and level and first.get(each["candidate"], 0) > float(level[1]):
            found.append(each["candidate"])
    return found


def ticks(low: float, high: float) -> list[float]:
    steps = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def picture(
    title: str, unit: str, start: float, library: float, candidates: list[dict], first: dict[int, float]
) -> str:
    """An SVG: each candidate's first run, what was kept, and the library."""
    shown = {each["candidate"]: first[each["candidate"]] for each in candidates if each["candidate"] in first}
    values = [start, library, *shown.values()]
    low, high, last = min(values) / 1.15, max(values) * 1.15, max([1, *shown])

    def x(number: float) -> float:
        return LEFT + (WIDTH - LEFT - 110) * number / last

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - math.log(value / low) / math.log(high / low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for value in ticks(low, high):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - 110}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts.append(f'<path d="M{LEFT} {y(library):.1f}H{WIDTH - 110}" stroke="#9a6700" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{WIDTH - 104}" y="{y(library) + 4:.1f}" fill="#9a6700">library</text>')
    path, best = [f"M{x(0):.1f} {y(start):.1f}"], start
    for each in candidates:
        number = each["candidate"]
        if number not in shown:
            continue
        colour = COLOURS.get(each["status"], "#cf222e")
        parts.append(
            f'<circle cx="{x(number):.1f}" cy="{y(shown[number]):.1f}" r="{4 if each["status"] == "kept" else 2.5}" '
            f'fill="{colour}"><title>{number}: {escape(each["hypothesis"] or "")}</title></circle>'
        )
        if each["status"] == "kept":
            best = each["value"]
            path.append(f"H{x(number):.1f}V{y(best):.1f}")
    parts.append(f'<path d="{"".join(path)}H{WIDTH - 110}" fill="none" stroke="{COLOURS["kept"]}" stroke-width="1.5"/>')
    parts.append(f'<text x="{WIDTH - 104}" y="{y(best) + 4:.1f}" fill="{COLOURS["kept"]}">best</text>')
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 10}">candidate 0 to {last}; {escape(unit)}, first run, logarithmic</text>'
    )
    return "\n".join([*parts, "</svg>\n"])


def main(name: str, workflow: str, state: str, folder: Path) -> None:
    where = ("-w", workflow, "--state", state)
    view = json.loads(loopsmith("status", "--json", *where))
    candidates = json.loads(loopsmith("export", "--format", "json", *where))
    metric, campaign = view["objective"]["metric"], view["campaign"]["id"]
    tracker = sqlite3.connect(f"file:{Path(state) / 'tracker.db'}?mode=ro", uri=True)
    found = {key: median(values) for key, values in rows(tracker, campaign, view["best"]["commit"]).items()}
    runs = rows(tracker, campaign, None)[f"start {metric}"]
    first = firsts(tracker, campaign, metric)
    noise = json.loads(
        tracker.execute(
            "select data from event where campaign_id = ? and name = 'noise.measured' order by id limit 1", (campaign,)
        ).fetchone()[0]
    )
    library = found[f"end library_{metric}"]
    (folder / f"{name}.tsv").write_text(loopsmith("export", *where))
    if view["counts"].get("kept"):
        loopsmith("apply", "--patch", str(folder / f"{name}.patch"), *where)
    title = f"{name}: {found[f'start {metric}']:.3g} to {found[f'end {metric}']:.3g} {metric}"
    (folder / f"{name}.svg").write_text(picture(title, metric, found[f"start {metric}"], library, candidates, first))
    refused = naive(candidates, first)
    share = "of_peak" if metric == "gflops" else "of_memory"
    minutes = view["budget"]["wall_clock"]["used"] / 60
    usage = view["usage"]
    model = (
        f"{usage['calls']} calls, {usage['input_tokens'] + usage['output_tokens']:,} tokens" if usage["calls"] else ""
    )
    print(HEADER, "|" + " --- |" * 12, sep="\n")
    print(
        f"| {name} | {len(candidates)} | {view['counts'].get('kept', 0)} | {found[f'start {metric}']:.3g} ({len(runs)} runs) "
        f"| {found[f'end {metric}']:.3g} | {found['start of_library']:.2f} | {found['end of_library']:.2f} "
        f"| {found[f'end {share}']:.2f} | {noise.get('noise')} | {len(refused)} | {minutes:.0f} min | {model} |"
    )


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(f"usage: {Path(sys.argv[0]).name} NAME WORKFLOW.md STATE FOLDER")
    main(*sys.argv[1:4], Path(sys.argv[4]))
