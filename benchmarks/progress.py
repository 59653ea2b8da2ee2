"""The picture of a campaign's progress (SVG), and its figures as a Markdown table.

    python benchmarks/progress.py WORKFLOW [--campaign ID] [--state DIR] > progress.svg
    python benchmarks/progress.py WORKFLOW --table

A naive keep is a candidate whose first run beats its baseline, by however little: what a loop without statistics keeps.
One is overtaken that still looked better when another candidate of its round was kept: it was not refused.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from loopsmith.cli.find import find_campaign
from loopsmith.errors import LoopsmithError
from loopsmith.records import Campaign
from loopsmith.report import status
from loopsmith.report.curve import Curve, curve
from loopsmith.report.figure import figure
from loopsmith.tracker import Store
from loopsmith.workflow import format_duration


def table(store: Store, campaign: Campaign, progress: Curve) -> str:
    """The campaign's figures in Markdown."""
    view = status(store, campaign)
    runs = {
        (each.candidate_id, each.commit, each.phase, each.pair): each.seconds
        for each in store.measurements(campaign.id)
    }
    phases = Counter(phase for _, _, phase, _ in runs)
    counts = {name: number for name, number in view["counts"].items() if number and name != "candidates"}
    usage, best = view["usage"], view["best"]
    effect = "none shown"
    if best["effect"] is not None:
        low, high = best["interval"]
        effect = f"{best['effect']:.2%} (from {low:.2%} to {high:.2%})"
    rows = {
        "candidates": f"{view['counts']['candidates']}: "
        + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()),
        "naive keeps (first run better than the baseline)": counts.get("kept", 0)
        + progress.overtaken
        + progress.refused,
        "of them refused": progress.refused,
        "of them overtaken by another of their round": progress.overtaken,
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
            progress = curve(at.store, at.campaign)
            sys.stdout.write(table(at.store, at.campaign, progress) if args.table else figure(progress))
    except LoopsmithError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
