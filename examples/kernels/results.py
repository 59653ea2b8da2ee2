"""What a campaign came to: a line of a Markdown table on stdout, and in a folder the candidates, the kept patch, a picture.

    python results.py NAME WORKFLOW.md STATE FOLDER

Writes FOLDER/NAME.tsv, NAME.patch and NAME.svg, from `loopsmith export`, `apply --patch` and the tracker, read-only.
"""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import median

from loopsmith.report.curve import curve
from loopsmith.report.figure import figure
from loopsmith.tracker import open_store

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


def main(name: str, workflow: str, state: str, folder: Path) -> None:
    where = ("-w", workflow, "--state", state)
    view = json.loads(loopsmith("status", "--json", *where))
    metric, campaign = view["objective"]["metric"], view["campaign"]["id"]
    tracker = sqlite3.connect(f"file:{Path(state) / 'tracker.db'}?mode=ro", uri=True)
    found = {key: median(values) for key, values in rows(tracker, campaign, view["best"]["commit"]).items()}
    runs = rows(tracker, campaign, None)[f"start {metric}"]
    with open_store(Path(state) / "tracker.db", read_only=True) as store:
        progress = curve(store, store.campaign(campaign))
    noise = json.loads(
        tracker.execute(
            "select data from event where campaign_id = ? and name = 'noise.measured' order by id limit 1", (campaign,)
        ).fetchone()[0]
    )
    library = found[f"end library_{metric}"]
    (folder / f"{name}.tsv").write_text(loopsmith("export", *where))
    if view["counts"].get("kept"):
        loopsmith("apply", "--patch", str(folder / f"{name}.patch"), *where)
    (folder / f"{name}.svg").write_text(figure(progress, lines={"library": library}))
    share = "of_peak" if metric == "gflops" else "of_memory"
    minutes = view["budget"]["wall_clock"]["used"] / 60
    usage = view["usage"]
    model = (
        f"{usage['calls']} calls, {usage['input_tokens'] + usage['output_tokens']:,} tokens" if usage["calls"] else ""
    )
    print(HEADER, "|" + " --- |" * 12, sep="\n")
    print(
        f"| {name} | {view['counts']['candidates']} | {view['counts'].get('kept', 0)} | {found[f'start {metric}']:.3g} ({len(runs)} runs) "
        f"| {found[f'end {metric}']:.3g} | {found['start of_library']:.2f} | {found['end of_library']:.2f} "
        f"| {found[f'end {share}']:.2f} | {noise.get('noise')} | {progress.refused} | {minutes:.0f} min | {model} |"
    )


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(f"usage: {Path(sys.argv[0]).name} NAME WORKFLOW.md STATE FOLDER")
    main(*sys.argv[1:4], Path(sys.argv[4]))
