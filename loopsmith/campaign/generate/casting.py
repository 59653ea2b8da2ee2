"""Cast: who of an ensemble makes each candidate of a round, and who stands in for one whose provider is gone."""

from collections.abc import Iterable
from dataclasses import replace

from loopsmith.agents.ensemble import Ensemble
from loopsmith.campaign.context import Context
from loopsmith.errors import ProviderError
from loopsmith.records import Candidate, Slot, Status
from loopsmith.search.casting import Return, by_return, by_weight
from loopsmith.search.policy import seed_of


def cast(context: Context, number: int, slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The slots of round `number`, each that is the ensemble's given to one of its agents."""
    agent = context.agent
    if not isinstance(agent, Ensemble):
        return slots
    open_ = sum(slot.agent == agent.name for slot in slots)
    candidates, names = context.store.candidates(context.id), agent.available()
    if agent.choose == "bandit":
        returns = returns_of(candidates, context.store.cost_by_candidate(context.id))
        chosen = iter(by_return(names, returns, open_, seed_of(context.seed, number, "cast")))
    else:
        made = [candidate.agent for candidate in candidates]
        chosen = iter(
            by_weight({name: agent.weights[name] for name in names}, {n: made.count(n) for n in names}, open_)
        )
    return tuple(replace(slot, agent=next(chosen)) if slot.agent == agent.name else slot for slot in slots)


def returns_of(candidates: Iterable[Candidate], costs: dict[str, float]) -> dict[str, Return]:
    """What each agent's candidates cost and brought; a runner-up that is kept later is its author's."""
    by_id = {candidate.id: candidate for candidate in candidates}
    found: dict[str, Return] = {}
    for candidate in by_id.values():
        author = candidate
        while author.retry_of in by_id:
            author = by_id[author.retry_of]
        if candidate is author and not candidate.status.final:
            continue
        old = found.get(author.agent) or Return(agent=author.agent)
        found[author.agent] = replace(
            old,
            candidates=old.candidates + (candidate is author),
            kept=old.kept + (candidate.status is Status.KEPT),
            cost_usd=old.cost_usd + costs.get(candidate.id, 0.0),
        )
    return found


def stood_in_for(context: Context, candidate: Candidate, error: ProviderError) -> bool:
    """Whether another agent can make the candidate; the one whose provider failed gets no more in this run."""
    agent = context.agent
    if not isinstance(agent, Ensemble) or candidate.agent in agent.lost or not agent.lose(candidate.agent):
        return False
    context.emit("agent.lost", candidate, agent=candidate.agent, error=str(error))
    return True
