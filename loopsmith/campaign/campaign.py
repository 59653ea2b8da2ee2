"""A campaign: measure the baseline, then rounds until a limit, the target or a person ends it."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

from loopsmith.campaign.activity import shown
from loopsmith.campaign.calibration import calibrate
from loopsmith.campaign.canaries import try_canaries
from loopsmith.campaign.clock import clock
from loopsmith.campaign.context import Context
from loopsmith.campaign.observation import used, value_of
from loopsmith.campaign.plan import plan
from loopsmith.campaign.recovery import recover
from loopsmith.campaign.reload import Watched, reload
from loopsmith.campaign.round import run_round
from loopsmith.campaign.steering import hear, steered
from loopsmith.campaign.stop import Stopped
from loopsmith.campaign.telling import told
from loopsmith.errors import BaselineError, HarnessError, LoopsmithError, NoiseError, ProviderError, VerifierError
from loopsmith.records import CampaignStatus
from loopsmith.search.budget import End, campaign_end, limit_end

LITTLE = 5_000_000  # bytes; a disk with less is full: not every library says so itself


@told
async def run_campaign(context: Context) -> End:
    """Work until the campaign is over; gives the reason.

    Raises:
        LoopsmithError: the baseline, the provider or the harness failed. The campaign's status says so, and running it
            again goes on from there.
    """
    context.store.set_campaign_status(context.id, CampaignStatus.RUNNING)
    context.emit("campaign.started")
    try:
        async with clock(context), shown(context), steered(context):
            end = await work(context)
    except BaseException as error:
        problem = explained(cause(error), context.state.root)
        with suppress(HarnessError):  # a tracker that cannot be written; the next run recovers what this one left
            finish(context, ending(problem))
        raise problem from error
    finish(context, end)
    return end


async def work(context: Context) -> End:
    """The baseline, then rounds; gives why they are over."""
    file = Watched(context.filed.path, context.filed.text)
    try:
        await calibrate(context)
        await try_canaries(context)
        while True:
            await between_rounds(context, file)
            if (end := over(context)) is not None:
                return end
            await run_round(context, context.store.open_round(context.id) or await plan(context))
    except Stopped:  # at the gate of a pause
        assert context.stop.end is not None
        return context.stop.end


async def between_rounds(context: Context, file: Watched) -> None:
    """Wait for the end of a pause, and take in what people asked for meanwhile, in the workflow's file too."""
    context.between_rounds = True
    try:
        await context.pause.gate()
        hear(context)
        if context.stop.end is None:
            await reload(context, file)
    finally:
        context.between_rounds = False


def over(context: Context) -> End | None:
    """Why the campaign is over, if it is: asked to stop, or a limit as the tracker has it."""
    if context.stop.end or context.limit:
        return context.stop.end or (limit_end(context.limit) if context.limit else None)
    objective = context.settings.objective
    best = value_of(context, context.baseline()) if objective.target is not None else None
    context.used = used(context)
    if context.tape is not None and (recorded := context.tape.end(context.used.rounds)):
        return End(reason=recorded[0], message=recorded[1])
    return campaign_end(context.settings.budget, context.used, objective, best)


def cause(error: BaseException) -> BaseException:
    """The one error to tell: of a group, loopsmith's own before any other."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [cause(item) for item in error.exceptions]
    return next((item for item in inner if isinstance(item, LoopsmithError)), inner[0])


def explained(problem: BaseException, state: Path) -> BaseException:
    """A full disk by its name, whoever noticed it, and any other failure of the system in one line."""
    expected = isinstance(problem, (BaselineError, ProviderError))
    if isinstance(problem, (HarnessError, OSError)) and not expected and shutil.disk_usage(state).free < LITTLE:
        return HarnessError(f"the disk of {state} is full; free some space, then run again ({problem})")
    if isinstance(problem, OSError):
        return HarnessError(f"{problem.filename or 'the system'}: {(problem.strerror or str(problem)).lower()}")
    return problem


def ending(problem: BaseException) -> End:
    if isinstance(problem, (asyncio.CancelledError, KeyboardInterrupt)):
        return End(reason="stopped", message="stopped at once by a person")
    names = (
        (BaselineError, "baseline"),
        (NoiseError, "noise"),
        (VerifierError, "verifier"),
        (ProviderError, "provider"),
    )
    reason = next((name for kind, name in names if isinstance(problem, kind)), "harness")
    return End(reason=reason, message=str(problem) or type(problem).__name__)


def finish(context: Context, end: End) -> None:
    """Put back what was under way and write how the campaign ended."""
    recover(context.store, context.repository, context.state, context.id)
    failed = end.reason in ("baseline", "noise", "verifier", "provider", "harness")
    status = CampaignStatus.FAILED if failed else CampaignStatus.DONE
    status = CampaignStatus.STOPPED if end.reason == "stopped" else status
    context.store.set_campaign_status(context.id, status, stop_reason=end.reason, message=end.message)
    if context.tape is not None and not failed:
        context.tape.finish(context.id, used(context).rounds, end.reason, end.message)
    context.emit("campaign.ended", status=str(status), reason=end.reason, message=end.message)
