"""A planner: one model call that gives each worker of a round a hypothesis of its own."""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field

from loopsmith.agents.conversation import complete_once
from loopsmith.agents.model import ConversationError, Model
from loopsmith.records import Usage
from loopsmith.search.brief import HYPOTHESIS_LIMIT, Situation, write_brief
from loopsmith.workflow import Settings
from loopsmith.workflow.quote import one_line

SYSTEM = """You plan the next round of a search for improvements to a program. Several workers will each try one \
hypothesis, alone, without seeing each other's work. Give them hypotheses that differ in their mechanism, not in their \
wording; prefer those with the largest expected gain, and keep one for a risky idea. Do not repeat what was tried and \
failed, unless you say what would be different. One or two sentences each: what to change, where, and why it should \
help. A worker sees the same brief as you, and the files."""


class Plan(BaseModel):
    """The hypotheses of the round, one for each worker."""

    hypotheses: list[str] = Field(description="one for each worker, each a different mechanism, one or two sentences")


async def plan_hypotheses(
    model: Model,
    settings: Settings,
    situation: Situation,
    sources: str,
    count: int,
    reserve: Callable[[Usage], int],
    settle: Callable[[int, Usage], None],
) -> tuple[str, ...]:
    """Up to `count` hypotheses that differ from each other; none when the model gives none.

    Args:
        sources: the editable files, as far as they fit the planner's prompt.

    Raises:
        LimitReached: the ledger does not allow the call.
        ProviderError: the provider refuses for good.
    """
    brief = write_brief(settings, situation, hypothesis="", emphasis="", nearest=())
    prompt = (
        f"{brief}\n\n### The editable files\n{sources}\n\nPlan {count} hypotheses, one for each of {count} workers."
    )
    try:
        plan = await complete_once(
            model, Plan, role="planner", system=SYSTEM, prompt=prompt, reserve=reserve, settle=settle
        )
    except ConversationError:
        return ()  # a round without a plan is a round all the same
    return distinct(plan.hypotheses if plan else (), count)


def distinct(hypotheses: Sequence[str], count: int) -> tuple[str, ...]:
    """The first `count` that are not empty and do not say the same as an earlier one in mostly the same words."""
    chosen: list[str] = []
    seen: list[set[str]] = []
    for text in hypotheses:
        words = set(text.lower().split())
        if words and all(len(words & other) / len(words | other) < 0.8 for other in seen):
            chosen.append(one_line(text, HYPOTHESIS_LIMIT))
            seen.append(words)
    return tuple(chosen[:count])
