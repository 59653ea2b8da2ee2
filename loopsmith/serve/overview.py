"""What the page of a campaign shows."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from loopsmith import report
from loopsmith.campaign.live.hints import hints
from loopsmith.live import RequestStatus
from loopsmith.records import Campaign, CampaignStatus, Status
from loopsmith.report.forecast import forecast
from loopsmith.report.morning.words import options
from loopsmith.report.progress.curve import Curve, curve
from loopsmith.report.progress.figure import Across, figure, legend
from loopsmith.report.status import effect_of
from loopsmith.serve import charts, tree
from loopsmith.serve.site import Site
from loopsmith.serve.words import path
from loopsmith.tracker import Store
from loopsmith.tracker.reading.aggregates import Spending
from loopsmith.tracker.reading.tallies import Tally
from loopsmith.workflow import format_count, format_duration, format_money

POINTS = 700  # of the curve, beside the kept steps
ROWS = 12  # of the newest candidates, reflections and events
REQUESTS = 20
LATE = ("curve", "spending", "mix", "tree", "earned")  # without them the page is shown, and completes itself
WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "wall_clock": ("Time", format_duration),
    "cost_usd": ("Money", format_money),
    "candidates": ("Candidates", format_count),
    "rounds": ("Rounds", format_count),
    "tokens": ("Tokens", format_count),
    "stall_rounds": ("Rounds without a keep", format_count),
}


def overview(site: Site, campaign: Campaign, across: Across) -> dict[str, Any]:
    """Everything of the page by name."""
    store, id_ = site.source.store(), campaign.id
    makers: dict[str, Callable[[], Any]] = {
        "standing": lambda: site.status(campaign),
        "newest": lambda: store.browse(id_, limit=ROWS),
        "waiting": lambda: store.browse(id_, statuses=[Status.QUARANTINED], limit=ROWS),
        "lessons": lambda: store.lessons(id_),
        "reflections": lambda: store.reflections(id_, limit=ROWS),
        "hints": lambda: hints(store, id_),
        "curve": lambda: curve(store, campaign, limit=POINTS),
        "spending": lambda: store.spending(id_),
        "mix": lambda: charts.columns(store.decision_mix(id_)),
        "tree": lambda: tree.grow(campaign.origin_commit, store.branches(id_), store.started_from(id_)),
        "earned": lambda: earned(store, campaign),
    }
    sums = site.sums(campaign, makers, LATE)
    made, process = sums.values, site.source.process(campaign)
    view = present(store, made["standing"], campaign, process)
    requests = store.requests(id_, limit=REQUESTS, newest_first=True)
    return {
        **made,
        "fresh": sums.fresh,
        "view": view,
        "across": across,
        **pictures(made["curve"], made["spending"], view, id_, across),
        "effect": effect_of(view),
        "outcome": report.outcome(view),
        "tried": report.tried(view),
        "budget": budget(view),
        "ends": ends(view) if view["campaign"]["status"] == "running" else "",
        "activity": store.activity(id_) if process is not None else (),
        "requests": requests,
        "asked": [request for request in requests if request.status is RequestStatus.WAITING],
        "events": store.events(id_, limit=ROWS, newest_first=True),
        "resume": resume(site, campaign, process),
        "stopped": campaign.status is not CampaignStatus.RUNNING,
    }


def earned(store: Store, campaign: Campaign) -> list[Tally]:
    """The categories that a planner named, those that earned most first."""
    minimize = campaign.settings["objective"]["direction"] == "minimize"
    named = [tally for tally in store.by_category(campaign.id, minimize=minimize) if tally.category]
    return sorted(named, key=lambda tally: -tally.gain)


def pictures(
    found: Curve | None, spending: Sequence[Spending] | None, view: dict[str, Any], id_: str, across: Across
) -> dict[str, Any]:
    """What is drawn from the curve and the money; each None while that is being summed up."""
    if found is None:
        return dict.fromkeys(("figure", "legend", "improvements", "money"))
    limit = view["budget"]["cost_usd"]["limit"]
    return {
        "figure": Markup(figure(found, across=across, alone=False, link=lambda number: path("c", id_, number))),
        "legend": [(entry, Markup(entry.mark)) for entry in legend(found)],
        "improvements": charts.improvements(found),
        "money": charts.money(spending, found, limit) if spending is not None else None,
    }


def present(store: Store, view: dict[str, Any], campaign: Campaign, process: int | None) -> dict[str, Any]:
    """A status that may be of a moment ago, with how the campaign stands and what time it took now."""
    limits, now = view["campaign"]["rate_limited"], datetime.now(UTC)
    state = view["campaign"] | {
        "status": report.state_of(store, campaign, process),
        "process": process,
        "rate_limited": {model: until for model, until in limits.items() if datetime.fromisoformat(until) > now},
    }
    used = view["budget"] | {"wall_clock": view["budget"]["wall_clock"] | {"used": campaign.elapsed}}
    return view | {"campaign": state, "budget": used}


def budget(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Each limit in words, with the share that is used; what has no limit has no share."""
    rows = []
    for name, part in view["budget"].items():
        words, form = WORDS.get(name, (name, str))
        used, limit = part["used"], part["limit"]
        if used or limit is not None:
            used = round(used) if name == "wall_clock" else used
            shown = form(used), form(limit) if limit is not None else ""
            rows.append({"name": words, "used": shown[0], "limit": shown[1], "share": share(used, limit)})
    return rows


def share(used: float, limit: float | None) -> float | None:
    if limit is None:
        return None
    return round(min(100.0, 100.0 * used / limit), 1) if limit else 100.0


def ends(view: dict[str, Any]) -> str:
    """When the campaign ends at its present pace, and by which limit."""
    found = forecast(view["budget"])
    if found is None:
        return "No end in sight: no limit, or too early to tell."
    left, name = format_duration(max(1, round(found.seconds)), 1), WORDS[found.limit][0].lower()
    return f"At this pace it ends in about {left}, by its limit of {name}."


def resume(site: Site, campaign: Campaign, process: int | None) -> str:
    """The command that goes on with a campaign whose process is gone, or that was stopped or failed."""
    ended = campaign.status in (CampaignStatus.STOPPED, CampaignStatus.FAILED)
    gone = campaign.status is CampaignStatus.RUNNING and process is None
    place, state = site.source.store().place, site.source.state
    where = options(state.root, campaign, None if place == str(state.tracker) else place)
    return report.again(campaign.workflow_path, where) if ended or gone else ""
