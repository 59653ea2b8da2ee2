"""The morning report as plain records: every sentence and figure of it, before any HTML or Markdown.

In one minute: what was gained, whether to believe it, and how to take it. What is not known is said.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopsmith.records import Campaign
from loopsmith.report.morning.attempts import Attempts, attempts_of
from loopsmith.report.morning.belief import Belief, beliefs
from loopsmith.report.morning.changes import MOST, Change, changes_of
from loopsmith.report.morning.facts import Fact, facts, headline, verdict
from loopsmith.report.morning.learned import Cited, Learned, cited_of, learned_of
from loopsmith.report.morning.ways import Command, Row, budget, ending, goes_on, spent, take
from loopsmith.report.morning.words import cut, options, setting
from loopsmith.report.progress.curve import Curve, curve
from loopsmith.report.progress.scale import plain
from loopsmith.report.status import status
from loopsmith.tracker import Store
from loopsmith.workflow import Objective
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository

POINTS = 1200  # of the picture


@dataclass(frozen=True, kw_only=True)
class Morning:
    """What a person reads in the morning.

    Attributes:
        state: running, paused, interrupted, stopped, done or failed.
        made_at: when this was written, in UTC.
        headline: the result in a sentence; `problem` is the message of a campaign that failed, as it stands.
        verdict: what the beliefs come to.
        take: the commands that take the result; empty where there is nothing to take.
        more_changes: kept changes before those that are told.
        cited: every candidate that a lesson, an idea or a table names.
        goes_on: how to go on.
    """

    name: str
    campaign: str
    state: str
    made_at: str
    headline: str
    goal: str
    problem: str
    facts: tuple[Fact, ...]
    verdict: str
    beliefs: tuple[Belief, ...]
    take: tuple[Command, ...]
    curve: Curve
    changes: tuple[Change, ...]
    more_changes: int
    attempts: Attempts
    learned: Learned
    cited: tuple[Cited, ...]
    ending: tuple[str, ...]
    goes_on: tuple[Command, ...]
    budget: tuple[Row, ...]
    spent: tuple[Row, ...]
    export: str


def morning(
    store: Store,
    campaign: Campaign,
    repository: Repository | None,
    *,
    state: Path,
    process: int | None = None,
) -> Morning:
    """Everything that the report says of a campaign, running or ended.

    Args:
        repository: loopsmith's own; without it the patches are left out, and the report says so.
        state: the state folder, for the commands that it names.
        process: the id of the process that runs the campaign now.
    """
    objective = Objective.model_validate(campaign.settings["objective"])
    view = status(store, campaign, process=process)
    drawn, kept = curve(store, campaign, POINTS), store.kept(campaign.id)
    where = options(state, campaign, None if store.place == str(state / "tracker.db") else store.place)
    believed = beliefs(store, campaign, drawn, view, kept)
    learned = learned_of(store, campaign, kept)
    attempts = attempts_of(store, campaign, objective, drawn.refused)
    return Morning(
        name=one_line(campaign.name, 100) or campaign.id,
        campaign=campaign.id,
        state=view["campaign"]["status"],
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        headline=headline(view, drawn),
        goal=goal(objective, campaign),
        problem=cut(campaign.message or "", 4000)[0] if view["campaign"]["status"] == "failed" else "",
        facts=facts(campaign, view, drawn),
        verdict=verdict(believed, bool(kept)),
        beliefs=believed,
        take=take(campaign, kept, state, where),
        curve=drawn,
        changes=changes_of(store, repository, campaign, objective, kept, where),
        more_changes=max(0, len(kept) - MOST),
        attempts=attempts,
        learned=learned,
        cited=cited_of(store, campaign, named(attempts, learned)),
        ending=ending(campaign, view),
        goes_on=goes_on(campaign, view, learned, where),
        budget=budget(view),
        spent=spent(store, campaign, view),
        export=f"loopsmith export --format csv {where}",
    )


def goal(objective: Objective, campaign: Campaign) -> str:
    least = setting(campaign, "objective", "min_effect")
    words = f"{objective.direction} {one_line(objective.metric, 80)}"
    words += f", at least {least} a step" if least and str(least) not in ("0", "0%") else ""
    return words + (f", until {plain(objective.target)}" if objective.target is not None else "")


def named(attempts: Attempts, learned: Learned) -> list[int]:
    """The candidates that the report names."""
    found = [number for item in (*learned.lessons, *learned.ideas) for number in item.numbers if number]
    found += [item.number for item in learned.waiting]
    found += [item.number for item in attempts.failures]
    return found + [item.number for item in attempts.misses]
