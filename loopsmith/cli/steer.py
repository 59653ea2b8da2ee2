"""Steering a campaign from another terminal: steer, pause, resume, stop, set, approve and reject."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from loopsmith import report
from loopsmith.cli.find import Found, find_campaign
from loopsmith.cli.options import CampaignOption, CandidateArgument, StateOption, TrackerOption, WorkflowOption
from loopsmith.errors import HarnessError, UsageError
from loopsmith.live import RequestKind, RequestStatus

BY = "terminal"
SOON = 2.0  # seconds that the command waits for what is done between rounds


def steer(
    text: Annotated[str | None, typer.Argument(help="What the workers should try, in a sentence.")] = None,
    shown: Annotated[bool, typer.Option("--list", help="The hints so far, and what became of each.")] = False,
    withdraw: Annotated[
        int | None, typer.Option("--withdraw", metavar="N", help="Take hint N out of the briefs.")
    ] = None,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    if (text is not None) + shown + (withdraw is not None) != 1:
        raise UsageError('give a hint, or --list, or --withdraw N: loopsmith steer "try fusing the two loops"')
    if shown:
        with find_campaign(workflow, state, tracker, campaign) as found:
            print(report.hint_list(found.store, found.campaign))
        return
    data: dict[str, Any] = {"text": text} if withdraw is None else {"withdraw": withdraw}
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.STEER, data)


def pause(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.PAUSE)


def resume(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.RESUME)


def stop(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    now: Annotated[bool, typer.Option("--now", help="Do not finish what is being decided.")] = False,
) -> None:
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.STOP, {"now": now})


def set_(
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Such as budget.wall_clock=10h.")
    ] = None,
    reset: Annotated[
        list[str] | None, typer.Option("--reset", metavar="KEY", help="Let the workflow's own value count again.")
    ] = None,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    if not assignments and not reset:
        raise UsageError("write it as KEY=VALUE, such as: loopsmith set budget.wall_clock=10h")
    wishes: list[dict[str, str]] = [{"key": key} for key in reset or ()]
    for text in assignments or ():
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise UsageError(f"--set {text}: write it as KEY=VALUE, such as budget.rounds=5")
        wishes.append({"key": key, "value": value})
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        for wish in wishes:
            asked(found, RequestKind.SET, wish)


def approve(
    candidate: CandidateArgument,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.APPROVE, {"candidate": candidate})


def reject(
    candidate: CandidateArgument,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    with find_campaign(workflow, state, tracker, campaign, asking=True) as found:
        asked(found, RequestKind.REJECT, {"candidate": candidate})


def asked(found: Found, kind: RequestKind, data: Mapping[str, Any] | None = None) -> None:
    """Ask the campaign, and print its answer, or where the request stands.

    Raises:
        UsageError: it refuses, or nobody is there who could do it.
        HarnessError: it does not answer, and what was asked cannot wait.
    """
    from loopsmith.campaign.live import asking

    elsewhere = found.elsewhere
    request = asking.ask(found.store, found.campaign, kind, data, by=BY, state=found.state, elsewhere=elsewhere)
    heard = asking.listening(found.campaign, found.state, elsewhere=elsewhere)
    if heard is not False:
        patience = SOON if asking.between_rounds(request) else asking.PATIENCE
        request = asking.wait_for_answer(found.store, request, patience)
    words = asking.standing(request, heard)
    if request.status is RequestStatus.REFUSED:
        raise UsageError(words)
    if request.status is RequestStatus.WAITING and kind in asking.OF_A_RUN:
        raise HarnessError(words)
    print(words, file=sys.stdout)
