"""The tools that ask the campaign: what others did, and what the worker's folder as it is now is worth."""

from pydantic import BaseModel, Field

from loopsmith.agents.arguments import Arguments, tool
from loopsmith.agents.files import Refused
from loopsmith.agents.model import Tool
from loopsmith.errors import LimitReached, UsageError
from loopsmith.protocols import Services
from loopsmith.records import Brief, Tryout
from loopsmith.workflow.quote import NOTICE, fence


class ReadCandidate(Arguments):
    """Read of an earlier candidate of this campaign: what it tried, how it was decided, what it taught, its patch."""

    candidate: str = Field(description="its number, as the brief and search_memory name it, such as c17")


class RunChecks(Arguments):
    """Run the workflow's own setup and checks on your folder as it is now, in a clean copy, as the verifier will.
    Nothing is measured. It also says which rules your change breaks."""


class Probe(Arguments):
    """Run the checks and then the verifier itself, once, on your folder as it is now. You may do this only a few times,
    and one run does not decide: it has a seed of its own, and noise."""


class Note(Arguments):
    """Write down at once what you learned, for the workers after you. It stays even when you run out of time or money
    before you submit."""

    text: str = Field(min_length=1, description="one finding: names, numbers, what you did and what you saw")


CAMPAIGN_KINDS: tuple[type[BaseModel], ...] = (ReadCandidate, RunChecks, Probe, Note)


def offered(kinds: tuple[type[BaseModel], ...], brief: Brief) -> tuple[Tool, ...]:
    """The tools of these kinds that the worker has: `probe` only where it may use it."""
    return tuple(tool(kind) for kind in kinds if kind is not Probe or brief.limits.probes)


async def ask(wish: BaseModel, brief: Brief, services: Services) -> str:
    """The campaign's answer.

    Raises:
        Refused: it does not do that; the message is for the model.
        HarnessError: the machinery under the campaign broke.
    """
    try:
        match wish:
            case ReadCandidate():
                return services.read_candidate(wish.candidate)
            case RunChecks():
                return words(await services.run_checks(), "the checks pass; nothing was measured")
            case Probe():
                found = await services.probe()
                shown = ", ".join(f"{name} = {value:.6g}" for name, value in found.metrics.items())
                return words(found, f"{shown} (one run; {brief.metric} is to {brief.direction})")
            case Note():
                services.note(wish.text)
                return "noted"
    except (LimitReached, UsageError) as error:
        raise Refused(str(error)) from None
    raise TypeError(f"{wish!r} is none of {CAMPAIGN_KINDS}")


def words(found: Tryout, passed: str) -> str:
    if not found.problem:
        return passed
    shown = f"\n{NOTICE}\n{fence(found.output)}" if found.output else ""
    return f"it would not be kept: {found.problem}{shown}"
