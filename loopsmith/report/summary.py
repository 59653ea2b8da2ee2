"""The end of a run, and of `status`, in words that a person reads in ten seconds."""

import shlex
from pathlib import Path
from typing import Any

from loopsmith.report.status import effect_of
from loopsmith.search.memory import effect_words, percent
from loopsmith.workflow import format_duration, format_money
from loopsmith.workflow.quote import one_line

STATE = ("--state", "--tracker")
ORDER = ("kept", "discarded", "rejected", "failed", "crashed", "timed_out", "duplicate", "quarantined")


def number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.5g}"


def outcome(view: dict[str, Any]) -> str:
    """The gain in a sentence."""
    best, metric = view["best"], view["objective"]["metric"]
    effect = effect_of(view)
    if effect is None:
        return f"no candidate was shown to beat the baseline, {metric} = {number(view['baseline']['value'])}"
    factor = f", {best['ratio']:.2f}x" if best["ratio"] else ""
    return (
        f"{metric} {number(view['baseline']['value'])} -> {number(best['value'])}: "
        f"{effect_words(effect)} better{factor}"
    )


def spent(view: dict[str, Any]) -> str:
    usage, elapsed = view["usage"], view["budget"]["wall_clock"]["used"]
    money = (
        f", {format_money(usage['cost_usd'])} for {usage['calls']} model calls"
        if usage["calls"]
        else ", no model calls"
    )
    return format_duration(round(elapsed)) + money


def tried(view: dict[str, Any]) -> str:
    counts = view["counts"]
    parts = [f"{counts[name]} {name.replace('_', ' ')}" for name in ORDER if counts[name]]
    return f"{counts['candidates']} candidates: " + (", ".join(parts) or "none decided")


def waiting(view: dict[str, Any]) -> str:
    """Which models are rate limited, and until when; empty when none is."""
    limits = view["campaign"]["rate_limited"]
    words = (f"{model} until {until[11:19]}" for model, until in sorted(limits.items()))
    return f"rate limited: {', '.join(words)} UTC" if limits else ""


def next_steps(view: dict[str, Any], where: str) -> list[str]:
    """What to do now.

    Args:
        where: the options that make a command find this campaign again, such as `-w PATH`; may be empty.
    """
    campaign, best = view["campaign"], view["best"]["candidate"]
    suffix = f" {where}" if where else ""
    steps = []
    if best is not None:
        steps.append(f"loopsmith show {best}{suffix}  # the change and its evidence")
        steps.append(f"loopsmith apply{suffix}  # write the kept changes as a branch")
    if campaign["status"] == "paused":
        steps.append(f"loopsmith resume{suffix}  # end the pause")
        steps.append(f"loopsmith stop{suffix}")
    elif campaign["status"] == "running":
        steps.append(f"loopsmith stop{suffix}")
    elif campaign["status"] in ("stopped", "interrupted", "failed"):
        steps.append(f"{again(campaign['workflow'], where)}  # go on where it stopped")
    else:
        steps.append(f"loopsmith memory{suffix}  # what was learned")
    return steps


def again(workflow: str, where: str) -> str:
    """The command that goes on with a campaign: of the options that find it, with those that say where its state is."""
    words = shlex.split(where)
    state = [word for pair in zip(words[::2], words[1::2], strict=True) if pair[0] in STATE for word in pair]
    return shlex.join(["loopsmith", "run", workflow, *state])


def helpers(roles: dict[str, Any]) -> list[tuple[str, str]]:
    """What the reviewer and the reflector brought, and which role has spent its share."""
    reviewer, lessons = roles["reviewer"], roles["lessons"]
    read = standing = ""
    if reviewer["reviewed"]:
        read = (
            f"{reviewer['reviewed']} read, {reviewer['objected']} objected to, {reviewer['rejected']} rejected; "
            f"of {reviewer['measured']} measured against its objections {reviewer['false_alarms']} were false alarms"
        )
        read += f", {reviewer['waiting']} wait for a person" if reviewer["waiting"] else ""
    if count := sum(number for kind, number in lessons.items() if kind != "retired"):
        standing = f"{count} that stand, {lessons['retired']} retired: see `loopsmith memory`"
    silent = ", ".join(roles["silent"])
    return [("reviewer", read), ("lessons", standing), ("silent", silent and f"{silent}: its share is spent")]


def steered(steering: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person asked for meanwhile: hints, changed settings, and what waits."""
    rows = []
    if open_ := [hint for hint in steering["hints"] if hint["status"] == "open"]:
        taken = sum(len(hint["taken"]) for hint in open_)
        several = "1 hint" if len(open_) == 1 else f"{len(open_)} hints"
        rows.append(("hints", f"{several} in the briefs, taken up {taken} times: see `loopsmith steer --list`"))
    if steering["set"]:
        rows.append(("set", ", ".join(f"{key}={value}" for key, value in steering["set"].items())))
    if steering["waiting"]:
        rows.append(
            ("asked", "; ".join(one_line(each["asked"], 60) for each in steering["waiting"]) + " (not done yet)")
        )
    return rows


def hidden(view: dict[str, Any]) -> str:
    """Both values on hidden data, and how the gain there compares with the one that was optimised."""
    before, after = view["baseline"]["holdout"], view["best"]["holdout"]
    words = f"{view['objective']['metric']} {number(before)} -> {number(after)} on hidden data"
    if not before or not view["baseline"]["value"] or view["best"]["effect"] is None:
        return words
    sign = 1 if view["objective"]["direction"] == "maximize" else -1
    there, open_ = sign * (after - before) / abs(before), view["best"]["effect"]
    return f"{words}: {percent(there)} there, {percent(open_)} in the open"


def best_is_new(view: dict[str, Any]) -> bool:
    return view["best"]["candidate"] is not None


def summary(view: dict[str, Any], where: str = "", *, report: Path | None = None) -> str:
    """A handful of lines: result, why it ended, tried, spent, what to do next.

    Args:
        report: the page that the campaign left.
    """
    campaign = view["campaign"]
    state = campaign["status"] if not campaign["stop_reason"] else f"{campaign['status']} ({campaign['stop_reason']})"
    rows = [
        ("campaign", f"{campaign['id']}, {state}"),
        ("result", outcome(view)),
        ("tried", tried(view)),
        ("spent", spent(view)),
    ]
    if view["best"]["holdout"] is not None and best_is_new(view):
        rows.insert(2, ("holdout", hidden(view)))
    rows += [(name, words) for name, words in helpers(view["roles"]) if words]
    if flakes := view["campaign"]["flakes"]:
        runs = "run" if flakes == 1 else "runs"
        rows.append(("flakes", f"{flakes} {runs} of the verifier failed and then did not: mend it before you trust it"))
    rows += steered(view["steering"])
    if limits := waiting(view):
        rows.append(("waiting", limits))
    if quarantined := view["counts"]["quarantined"]:
        one = "candidate waits" if quarantined == 1 else "candidates wait"
        rows.insert(
            1,
            ("attention", f"{quarantined} quarantined {one} for `loopsmith approve` or `reject`: see `loopsmith log`"),
        )
    if campaign["message"] and campaign["status"] not in ("running", "paused"):
        rows.insert(1, ("ended", campaign["message"].splitlines()[0]))
    if report is not None:
        rows.append(("report", str(report)))
    rows += [("next" if index == 0 else "", step) for index, step in enumerate(next_steps(view, where))]
    return "\n".join(f"{name:<9} {text}" for name, text in rows)
