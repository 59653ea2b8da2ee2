"""`loopsmith apply`, `verify` and `ablate`: taking what a campaign kept, and measuring it once more."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from loopsmith.campaign.taking import ablation, minimizing, picking, verifying
from loopsmith.campaign.taking.comparing import cost_words
from loopsmith.campaign.taking.picking import Picked
from loopsmith.campaign.taking.remeasure import Remeasuring, refuse_running, reopen
from loopsmith.campaign.taking.take import take
from loopsmith.campaign.taking.target import find_target
from loopsmith.cli.find import Found, find_campaign, state_folder
from loopsmith.cli.options import CampaignOption, JsonOption, StateOption, TrackerOption, WorkflowOption
from loopsmith.errors import UsageError
from loopsmith.report import taking
from loopsmith.report.apply import deliver, write_kept
from loopsmith.workflow import MinEffect
from loopsmith.workspace.hunks import hunks

T = TypeVar("T")
WORSE = 1  # exit code: shown to be worse, or failed

RepeatsOption = Annotated[
    int | None,
    typer.Option("--repeats", min=1, help="Pairs of runs. Default: as many as it takes, to repeats.confirm."),
]
NewOption = Annotated[bool, typer.Option("--new", help="Measure anew what an earlier call measured.")]


def apply(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    branch: Annotated[str | None, typer.Option("--branch", help="Default: loopsmith/CAMPAIGN.")] = None,
    patch: Annotated[
        Path | None, typer.Option("--patch", help="Write one patch file instead; - for standard output.")
    ] = None,
    squash: Annotated[bool, typer.Option("--squash", help="One commit of all changes, which lists them.")] = False,
    pick: Annotated[
        list[str] | None,
        typer.Option(
            "--pick", metavar="ID[,ID...]", help="Only these kept changes; measured together, without the others."
        ),
    ] = None,
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Drop every hunk whose removal is measured to lose nothing.")
    ] = False,
    margin: Annotated[
        str | None,
        typer.Option(
            "--margin", help="With --minimize: the loss to be ruled out. Default: objective.min_effect, if noisy."
        ),
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified", help="Write picked changes without measuring them, or a smaller patch that failed."
        ),
    ] = False,
    repeats: RepeatsOption = None,
    new: NewOption = False,
) -> None:
    measured = pick is not None or minimize
    needless = {"--margin": margin is not None and not minimize}
    needless |= {name: bool(given) and not measured for name, given in (("--repeats", repeats), ("--new", new))}
    needless |= {"--unverified": unverified and not measured}
    if wrong := [name for name, given in needless.items() if given]:
        raise UsageError(f"{wrong[0]} is for " + ("--minimize" if wrong[0] == "--margin" else "--pick and --minimize"))
    names = [name for each in pick or () for name in each.split(",") if name.strip()]
    where = (workflow, state, tracker, campaign)
    options: dict[str, Any] = {"branch": branch, "patch": patch, "squash": squash}
    if not measured:
        with find_campaign(*where) as found:
            say(write_kept(found.store, found.repository, found.campaign, **options))
    elif unverified and not minimize:
        with find_campaign(*where) as found:
            say(deliver(found.repository, found.campaign, chosen(found, names), **options))
    else:
        bound = None if margin is None else parsed(margin)
        with measuring(*where, again=new) as (found, lab):
            picked = chosen(found, None if pick is None else names)
            deliver(found.repository, found.campaign, picked, trial=True, **options)  # before it takes time
            announce(lab, picked, bound, repeats, minimize=minimize)
            taken = supervised(lab, take(lab, picked, minimized=minimize, margin=bound, repeats=repeats))
            say(taking.taken(taken))
            if not (taken.holds or unverified):
                say("so nothing was written; --unverified writes it all the same")
                raise typer.Exit(WORSE)
            changes: dict[str, Any] = {
                "tree": taken.tree,
                "note": taking.dropped(taken.smaller),
                "finding": taken.finding,
            }
            say(deliver(found.repository, found.campaign, picked, **options, **changes))


def chosen(found: Found, names: Sequence[str] | None) -> Picked:
    """The kept changes of these names, or all of them."""
    if names is not None:
        return picking.pick(found.store, found.repository, found.campaign, names)
    return picking.everything(found.repository, picking.kept_changes(found.store, found.campaign))


def announce(
    lab: Remeasuring, picked: Picked, margin: MinEffect | None, repeats: int | None, *, minimize: bool
) -> None:
    """Say what taking will cost, before it begins."""
    for note in lab.notes:
        say(note)
    pairs = repeats or (1 if lab.exact else lab.settings.repeats.confirm)
    if minimize:
        if words := minimizing.advice(lab, margin, repeats):
            say(words)
        pieces = len(hunks(lab.repository, lab.origin, picked.state.id))
        tries = minimizing.expected_trials(pieces)
        each = cost_words(lab, 1 if lab.exact else 2 * pairs)
        some = f"{pieces} hunks, about {tries} removals to try, each in at most {each}"
        say(some if tries else "it is a single hunk, so that nothing can be dropped")
    what = f"what is left of {picked.state.name}" if minimize else picked.state.name
    say(f"measuring {what} against the untouched source: at most {cost_words(lab, 2 * pairs)}")


def verify(
    what: Annotated[str, typer.Argument(metavar="CANDIDATE|PATH|GIT-REF", help="What to measure.")],
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    against: Annotated[
        str | None, typer.Option("--against", help="origin, or a candidate. Default: the present baseline.")
    ] = None,
    repeats: RepeatsOption = None,
    as_json: JsonOption = False,
) -> None:
    with measuring(workflow, state, tracker, campaign) as (_, lab):
        target = find_target(lab, what)
        reference, notes = verifying.choose_reference(lab, target, against)
        lab.notes = (*notes, *lab.notes)
        runs = verifying.expected_runs(lab, repeats)
        say(f"measuring {target.state.name} against {reference.state.name}: at most {cost_words(lab, runs)}")
        try:
            result = supervised(lab, verifying.verify(lab, target, reference, repeats=repeats), resumed=False)
        except BaseException:
            lab.discard_logs()
            raise
        print(json.dumps(result.as_record(), indent=2) if as_json else taking.verification(result))
        raise typer.Exit(0 if result.holds else WORSE)


def ablate(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    repeats: RepeatsOption = None,
    new: NewOption = False,
    as_json: JsonOption = False,
) -> None:
    with measuring(workflow, state, tracker, campaign, again=new) as (_, lab):
        runs = ablation.expected_runs(lab, repeats)
        say(f"at most {cost_words(lab, runs)}; what was measured before is used again")
        result = supervised(lab, ablation.ablate(lab, repeats=repeats))
        print(json.dumps(result.as_record(), indent=2) if as_json else taking.ablation(result))


@contextmanager
def measuring(
    workflow: Path | None, state: Path | None, tracker: str | None, campaign: str | None, *, again: bool = False
) -> Iterator[tuple[Found, Remeasuring]]:
    """A campaign that does not run, opened to measure with its verifier.

    Raises:
        UsageError: it runs, or there is none.
    """
    refuse_running(state_folder(workflow, state))
    with find_campaign(workflow, state, tracker, campaign, writing=True) as found:
        lab = reopen(found.store, found.repository, found.state, found.campaign, again=again)
        with shown(lab):
            yield found, lab


@contextmanager
def shown(lab: Remeasuring) -> Iterator[None]:
    """On a terminal, the run that is being made, in a line that is written over."""
    if not sys.stderr.isatty():
        yield
        return

    def tell(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    lab.tell = tell
    try:
        yield
    finally:
        tell("")


def supervised(lab: Remeasuring, work: Coroutine[Any, Any, T], *, resumed: bool = True) -> T:
    """The result of `work`; Ctrl-C and SIGTERM end it at once, with every process that it started.

    Args:
        resumed: its runs are recorded as they are made.
    """

    async def body() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(body())
    except (asyncio.CancelledError, KeyboardInterrupt):
        lab.tell("")
        say("stopped; " + ("what was measured is used when it is run again" if resumed else "nothing of it is kept"))
        raise KeyboardInterrupt from None
    finally:
        lab.tell("")


def parsed(margin: str) -> MinEffect:
    try:
        return MinEffect.parse(margin)
    except ValueError as error:
        raise UsageError(f"--margin: {error}") from None


def say(text: str) -> None:
    print(text, file=sys.stderr)
