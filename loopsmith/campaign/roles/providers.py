"""The providers of a campaign's models: their rate limits are written down where `status` finds them."""

from datetime import UTC, datetime, timedelta
from functools import partial

from loopsmith.agents.ensemble import Ensemble, line_of
from loopsmith.campaign.context import Context

RATE_LIMITED = "model.rate_limited"


def watch(context: Context) -> None:
    """Write an event for each new rate limit."""
    members = context.agent.members.values() if isinstance(context.agent, Ensemble) else (context.agent,)
    lines = {id(line): (agent.name, line) for agent in members if (line := line_of(agent)) is not None}
    lines |= {id(model.line): (model.name, model.line) for model in context.roles.values() if model is not None}
    for name, line in lines.values():
        line.listeners.append(partial(limited, context, name))


def limited(context: Context, name: str, seconds: float) -> None:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    context.emit(RATE_LIMITED, model=name, until=until.isoformat(timespec="seconds"))
