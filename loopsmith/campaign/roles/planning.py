"""Hypotheses: what a planner asks the workers of a round to try, in categories that pay."""

from collections.abc import Sequence
from dataclasses import replace

from loopsmith.campaign.context import Context
from loopsmith.campaign.observation import observe
from loopsmith.campaign.roles.consult import ask, plays
from loopsmith.campaign.stop import Stopped
from loopsmith.records import Candidate, Slot, Status
from loopsmith.search.brief import write_brief
from loopsmith.search.categories import draw, records
from loopsmith.search.planner import Hypothesis, Plan, dead_ends, distinct, request
from loopsmith.search.policy import seed_of
from loopsmith.workflow.quote import fence, one_line

ROLE = "planner"
RECENT = 400  # candidates whose outcome is looked at


async def hypotheses(context: Context, number: int, count: int) -> tuple[Hypothesis, ...]:
    """Up to `count` hypotheses for round `number`, distinct from each other and from what failed lately."""
    if not plays(context, ROLE) or count < 1:
        return ()
    situation = observe(context, number, context.baseline())
    final = [status for status in Status if status.final]
    recent = context.store.candidates(context.id, statuses=final, limit=RECENT, newest_first=True)
    found = records(recent, number)
    wanted = draw(found, count, seed_of(context.seed, number, ROLE))
    brief = write_brief(context.settings, situation, hypothesis="", emphasis="", nearest=())
    prompt = request(brief, sources(context, situation.files), count, wanted, found)
    try:
        plan, _ = await context.stop.unless(ask(context, ROLE, f"r{number}", Plan, prompt))
    except Stopped:
        return ()  # the workers stop too
    return distinct(plan.hypotheses if plan else (), count, dead_ends(recent, situation.learned, number))


def with_plans(
    slots: Sequence[Slot], planned: Sequence[Hypothesis], earlier: Candidate | None = None
) -> tuple[Slot, ...]:
    """The slots, each with what the planner said of its hypothesis.

    Args:
        earlier: a candidate that is tried again, with its plan.
    """
    said = {item.text: item.model_dump() for item in planned}
    again = {earlier.id: earlier.plan} if earlier else {}
    return tuple(replace(slot, plan=again.get(slot.retry_of or "") or said.get(slot.hypothesis, {})) for slot in slots)


def sources(context: Context, files: Sequence[str]) -> str:
    """The editable files' text, fenced, cut to about as many tokens as a brief may have."""
    left = context.settings.memory.brief_tokens * 4
    parts = []
    for path in files:
        text = context.repository.read(context.baseline(), path).decode(errors="replace")[:left]
        left -= len(text)
        parts.append(f"`{one_line(path)}`\n{fence(text)}")
        if left <= 0:
            break
    return "\n\n".join(parts)
