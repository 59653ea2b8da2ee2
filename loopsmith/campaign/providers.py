"""The providers of a campaign's models: their rate limits are written down where `status` finds them."""

from datetime import UTC, datetime, timedelta
from functools import partial

from loopsmith.agents.ensemble import Ensemble, model_of
from loopsmith.agents.model import Model
from loopsmith.campaign.context import Context

RATE_LIMITED = "model.rate_limited"


def watch(context: Context) -> None:
    """Write an event for each new rate limit."""
    members = context.agent.members.values() if isinstance(context.agent, Ensemble) else (context.agent,)
    models = {id(model): model for model in (*map(model_of, members), *context.roles.values()) if model is not None}
    for model in models.values():
        model.line.listeners.append(partial(limited, context, model))


def limited(context: Context, model: Model, seconds: float) -> None:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    context.emit(RATE_LIMITED, model=model.name, until=until.isoformat(timespec="seconds"))
