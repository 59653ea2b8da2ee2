"""What each pane says, as lines: the head, what goes on now, the budget, events, what persons asked."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from loopsmith.live import Activity, Doing, Request, RequestKind, RequestStatus
from loopsmith.records import Event
from loopsmith.report import again, outcome, waiting
from loopsmith.report.forecast import Forecast, forecast
from loopsmith.watch.feed import Picture
from loopsmith.watch.text import CAMPAIGN_STYLES, at_about, clock, plain, since, status_style, status_words
from loopsmith.workflow import format_count, format_duration, format_money

ORDER = (Doing.MEASURING, Doing.WORKING, Doing.QUEUED)
DOING_STYLES = {Doing.MEASURING: "green", Doing.WORKING: "cyan", Doing.QUEUED: "dim"}
LIMITS = {
    "wall_clock": "time",
    "candidates": "candidates",
    "rounds": "rounds",
    "cost_usd": "money",
    "tokens": "tokens",
    "stall_rounds": "no keep",
}
LIMIT_WORDS = {
    "wall_clock": "the time is used",
    "candidates": "all candidates are made",
    "rounds": "all rounds are done",
    "cost_usd": "the money is spent",
    "tokens": "the tokens are used",
    "stall_rounds": "too many rounds kept nothing",
}
REQUEST_STYLES = {RequestStatus.WAITING: "yellow", RequestStatus.DONE: "", RequestStatus.REFUSED: "red"}


def resume_command(picture: Picture) -> str:
    return plain(again(picture.view["campaign"]["workflow"], picture.where))


def head(picture: Picture, trouble: str = "") -> list[Text]:
    """Two lines: which campaign, how it stands and what to do; the gain, or why nothing new can be read."""
    view, state = picture.view, picture.status
    campaign = view["campaign"]
    first = Text.assemble(
        (plain(campaign["id"], 60), "bold"), "  ", (f" {state} ", f"{CAMPAIGN_STYLES.get(state, 'yellow')} reverse")
    )
    words = ""
    if state == "interrupted":
        words = f"its process is gone; go on with `{resume_command(picture)}`"
    elif state == "paused":
        words = "nothing new starts until you resume it"
    elif state != "running":
        why = plain(campaign["message"] or campaign["stop_reason"] or "", 200)
        words = f"{why}; go on with `{resume_command(picture)}`" if state in ("stopped", "failed") else why
    elif limits := waiting(view):
        words = plain(limits)
    else:
        words = f"round {view['budget']['rounds']['used']}, {format_duration(int(used_time(picture)))}"
    first.append(f"  {words}")
    if trouble:
        return [first, Text(f"! {plain(trouble)}; shown is what it said before", style="bold yellow")]
    second = Text()
    if count := view["counts"]["quarantined"]:
        second.append(f"{count} in quarantine, which you approve or reject", style="bold magenta").append(" | ")
    second.append(plain(outcome(view)), style="green" if view["best"]["candidate"] is not None else "")
    return [first, second]


def used_time(picture: Picture) -> float:
    return max(0.0, float(picture.view["budget"]["wall_clock"]["used"]))


def now(picture: Picture) -> list[Text]:
    """Who does what, and since when: what is measured first, what waits last."""
    if not picture.activity:
        idle = "nothing at this moment" if picture.live else "nothing: no process runs it"
        return [Text(idle, style="dim")]
    lines = activity_lines(picture.activity, picture.now)
    if not picture.live:
        lines.insert(0, Text("its process is gone; this is what it did then", style="bold yellow"))
    return lines


def activity_lines(activity: Iterable[Activity], now: datetime) -> list[Text]:
    """A line for each that does something, with since when and what of the machine it holds."""
    lines = []
    for each in sorted(activity, key=lambda each: (ORDER.index(each.doing), each.since, each.subject)):
        words = ", ".join([*map(plain, each.lease), plain(each.text)]) if each.lease else plain(each.text)
        lines.append(
            Text.assemble(
                (f"{each.doing:<9} ", DOING_STYLES[each.doing]),
                (f"{plain(each.subject, 16):<9} ", "bold"),
                (f"{since(each.since, now):>7}  ", "dim"),
                words,
            )
        )
    return lines


def now_title(activity: Iterable[Activity]) -> str:
    doing = [each.doing for each in activity]
    counts = [f"{doing.count(kind)} {kind}" for kind in (Doing.WORKING, Doing.MEASURING, Doing.QUEUED) if kind in doing]
    return "now: " + ", ".join(counts) if counts else "now"


def budget(picture: Picture, width: int) -> list[Text]:
    """A bar for each limit, and when the first will be met."""
    view = picture.view["budget"]
    lines, said = (
        [],
        {
            name: f"{amount(name, part['used'])} of {amount(name, part['limit'])}"
            for name, part in view.items()
            if part["limit"] is not None
        },
    )
    room = max(4, min(40, width - 13 - max(map(len, said.values()), default=0)))
    for name, words in LIMITS.items():
        used, limit = view[name]["used"], view[name]["limit"]
        if limit is None:
            if used and name in ("wall_clock", "cost_usd"):
                lines.append(Text(f"{words:<11}{amount(name, used)}, no limit"))
            continue
        lines.append(Text.assemble(f"{words:<11}", *bar(used / limit if limit else 1.0, room), f"  {said[name]}"))
    return [*lines, forecast_line(picture.view, picture.now)] if picture.live else lines


def amount(name: str, value: float) -> str:
    if name == "wall_clock":
        return format_duration(int(max(0, value)))
    return format_money(value) if name == "cost_usd" else format_count(int(value))


def bar(share: float, width: int) -> tuple[tuple[str, str], tuple[str, str]]:
    full = round(min(1.0, max(0.0, share)) * width)
    return ("━" * full, "bold yellow" if share >= 0.8 else "bold"), ("─" * (width - full), "dim")


def forecast_line(view: Mapping[str, Any], now: datetime) -> Text:
    """When the campaign ends and why, as far as can be told; `view` is what `report.status` gives."""
    if view["campaign"]["status"] == "paused":
        return Text("paused: its end moves on with each second", style="dim")
    found: Forecast | None = forecast(view["budget"])
    if found is None:
        return Text("no end in sight: no limit, or too early to tell", style="dim")
    words = LIMIT_WORDS[found.limit]
    if found.seconds <= 0:
        return Text(f"about to end: {words}")
    when = f"about {at_about(found.seconds, now)}, in {format_duration(max(1, int(found.seconds)))}"
    return Text(f"ends {when}{'' if found.certain else ' (estimate)'}: {words}")


def event_line(event: Event, picture: Picture) -> Text:
    """When, of which candidate, what; a verdict with its reason instead of the event's name."""
    subject = f"c{event.candidate_id.rpartition('.')[2]}" if event.candidate_id else ""
    line = Text.assemble((f"{clock(event.created_at, picture.now)} ", "dim"), (f"{plain(subject, 9):<6} ", "bold"))
    data = {key: value for key, value in event.data.items() if value not in ("", None)}
    if event.candidate_id and "verdict" in data:
        verdict = str(data.pop("verdict"))
        line.append(plain(status_words(verdict), 20), style=status_style(verdict))
        line.append(f" {plain(data.pop('reason', ''))}")
    else:
        line.append(plain(event.name, 60))
    for key, value in data.items():
        line.append(f" {plain(key, 40)}=", style="dim")
        line.append(plain(value, 200))
    return line


def matches(event: Event, words: str) -> bool:
    if not words:
        return True
    text = f"{event.name} c{(event.candidate_id or '').rpartition('.')[2]} {event.data}".lower()
    return all(word in text for word in words.lower().split())


def asked(picture: Picture) -> list[Text]:
    """What persons asked, newest first, and what became of it."""
    if not picture.requests:
        return [Text("nobody asked for anything", style="dim")]
    lines = []
    for each in picture.requests:
        line = Text.assemble((f"{clock(each.created_at, picture.now)} ", "dim"), (f"{each.kind:<8}", "bold"))
        if words := plain(request_words(each), 200):
            line.append(f"{words}  ")
        line.append(each.status, style=REQUEST_STYLES[each.status])
        if each.answer:
            line.append(f": {plain(each.answer, 200)}")
        lines.append(line)
    return lines


def request_words(request: Request) -> str:
    data = request.data
    match request.kind:
        case RequestKind.STEER:
            return str(data.get("text", ""))
        case RequestKind.SET:
            return f"{data.get('key', '')} = {data.get('value', '')}"
        case RequestKind.APPROVE | RequestKind.REJECT:
            return f"c{str(data.get('candidate', '')).rpartition('.')[2]}"
        case RequestKind.STOP:
            return "now" if data.get("now") else ""
        case _:
            return ""
