"""`progress.png`: the picture that autoresearch's users know, with intervals and noise added.

https://github.com/karpathy/autoresearch draws every experiment as a dot, the kept ones with their names, and the
running best as a line. Drawn with matplotlib, which is loaded only here.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from loopsmith.report.progress.curve import Curve, Step
from loopsmith.report.progress.figure import EXACT, WORDS, kind_of
from loopsmith.report.progress.scale import drawn, plain, shown
from loopsmith.workflow.quote import one_line

NAMES = 30  # kept steps that have room for their names side by side
ROOM = 0.15  # of the height, for the names
NAME = 42  # characters
GREEN, GREY, ORANGE, BLUE, RED = "#1a7f37", "#8c959f", "#bc4c00", "#0969da", "#cf222e"
MARKS = {  # of the candidates with a score that were not kept: colour, size, shape
    "discarded": (GREY, 14, "o"),
    "refused": (ORANGE, 20, "o"),
    "overtaken": ("#8250df", 20, "o"),
    "quarantined": ("#9a6700", 24, "s"),
}


def png(curve: Curve) -> bytes:
    """The curve as a PNG image.

    Raises:
        ImportError: matplotlib is not installed, or broken.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), quiet():
        matplotlib.rcdefaults()  # not a person's own style, which may hand texts to LaTeX
        matplotlib.rcParams["text.parse_math"] = False
        figure = Figure(figsize=(14, 7), dpi=100)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.08, right=0.985, bottom=0.075, top=0.945)
        draw(figure.subplots(), curve)
        out = io.BytesIO()
        figure.savefig(out, format="png")
        return out.getvalue()


@contextmanager
def quiet() -> Iterator[None]:
    """Without what matplotlib says of its font cache, and of characters that the font does not have."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def draw(axes: Any, curve: Curve) -> None:
    low, high = shown(curve, () if curve.target is None else (curve.target,))
    kept = curve.steps[1:]
    total = curve.counts.get("candidates", 0)
    axes.set_title(
        f"{one_line(curve.name, 80)}: {total:,} experiment{'' if total == 1 else 's'}, "
        f"{len(kept):,} kept improvement{'' if len(kept) == 1 else 's'}"
    )
    better = "higher" if curve.direction == "maximize" else "lower"
    axes.set_xlabel("experiment")
    axes.set_ylabel(f"{one_line(curve.metric, 60)} ({better} is better)")
    room = ROOM * (high - low) if kept else 0.0
    low, high = (low, high + room) if curve.direction == "minimize" else (low - room, high)
    axes.set_ylim(low, high)
    last = max(curve.last + 1, 2)
    axes.set_xlim(-0.02 * last, last * (1.15 if kept and kept[-1].number > 0.8 * last else 1.02))
    axes.grid(color="#d0d7de", linewidth=0.6, alpha=0.6)
    axes.ticklabel_format(style="plain", useOffset=False, axis="y")
    scored = [(point, value) for point in curve.points if (value := drawn(point.value, point.first)) is not None]
    words = WORDS | (EXACT if curve.exact else {})
    for kind, (colour, size, mark) in MARKS.items():
        chosen = [(point.number, value) for point, value in scored if kind_of(point) == kind]
        if chosen:
            numbers, values = zip(*chosen, strict=True)
            axes.scatter(numbers, values, s=size, c=colour, marker=mark, alpha=0.55, label=words[kind], zorder=2)
    missing = [point.number for point in curve.points if point.value is None]
    if missing:
        bottom = [low + 0.015 * (high - low)] * len(missing)
        axes.scatter(missing, bottom, marker="|", s=50, c=RED, alpha=0.6, label="no score", zorder=2)
    if curve.steps:
        line(axes, curve, last)
        name_steps(axes, curve, kept, last)
    if curve.target is not None and low <= curve.target <= high:
        axes.axhline(
            curve.target, color="#9a6700", linestyle="--", linewidth=1.2, label=f"target {plain(curve.target)}"
        )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right" if curve.direction == "minimize" else "lower right", framealpha=0.9)


def line(axes: Any, curve: Curve, last: float) -> None:
    """The running best with the noise of single runs around it, and the kept steps with their intervals."""
    numbers, values = [step.number for step in curve.steps], [step.value for step in curve.steps]
    ends = [*numbers, last]
    if curve.band is not None:
        halves = [curve.band.share * (abs(value) or 1.0) for value in values]
        below = [value - half for value, half in zip(values, halves, strict=True)]
        above = [value + half for value, half in zip(values, halves, strict=True)]
        axes.fill_between(
            ends, [*below, below[-1]], [*above, above[-1]], step="post", color=BLUE, alpha=0.12, linewidth=0,
            label="noise of single runs",
        )  # fmt: skip
    axes.step(ends, [*values, values[-1]], where="post", color=GREEN, linewidth=1.8, label="running best", zorder=3)
    kept = curve.steps[1:]
    if not kept:
        return
    bars = [(step, step.low, step.high) for step in kept if step.low is not None and step.high is not None]
    if bars:
        axes.vlines(
            [step.number for step, _, _ in bars], [low for _, low, _ in bars], [high for _, _, high in bars],
            color=GREEN, linewidth=1.4, zorder=4, label="95 % interval",
        )  # fmt: skip
    axes.scatter(
        [step.number for step in kept], [step.value for step in kept],
        s=48, c=GREEN, edgecolors="white", linewidths=0.8, label="kept", zorder=5,
    )  # fmt: skip


def name_steps(axes: Any, curve: Curve, kept: Sequence[Step], last: int) -> None:
    """A short name beside each kept step, where the line has been, as there is room."""
    up = curve.direction == "minimize"
    for step in named(kept, last):
        text = f"{step.words(step.effect)}  " if step.effect is not None else ""
        text += one_line(step.hypothesis, NAME)
        axes.annotate(
            text, (step.number, step.value), xytext=(5, 7 if up else -7), textcoords="offset points", fontsize=8,
            color=GREEN, rotation=30 if up else -30, rotation_mode="anchor", ha="left", va="bottom" if up else "top",
            zorder=6, annotation_clip=True,
        )  # fmt: skip


def named(kept: Sequence[Step], last: int) -> list[Step]:
    """The steps with the largest gains that stand far enough apart for their names."""
    chosen: list[Step] = []
    for step in sorted(kept, key=lambda step: -abs(step.effect or 0.0)):
        if all(abs(step.number - other.number) * NAMES >= last for other in chosen):
            chosen.append(step)
    return chosen
