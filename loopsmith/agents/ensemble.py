"""Several agents in one campaign: each candidate is made by the one that its round was cast with."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from loopsmith.agents.line import Line
from loopsmith.agents.model import Model
from loopsmith.errors import WorkflowError
from loopsmith.protocols import Agent, Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.agent import ModelAgent, SingleAgent

LONG = 60.0  # seconds of a rate limit for which an agent gets no new candidate while others can work


class Ensemble:
    """`Agent` over its members, by the name in the brief.

    Args:
        members: by name, in the workflow's order.
        weights: the share of each.
        choose: weight or bandit.
    """

    name = "ensemble"

    def __init__(self, members: dict[str, Agent], weights: dict[str, float], choose: str):
        self.members, self.weights, self.choose = members, weights, choose
        self.lost: set[str] = set()  # whose provider refuses for good, or is silent

    @property
    def model(self) -> Model | None:
        """The first member's that has one; it plans the rounds."""
        return next((model for agent in self.members.values() if (model := model_of(agent))), None)

    @property
    def resolves_conflicts(self) -> bool:
        """Whether every member can; who gets a merge is not known when it is made."""
        return all(getattr(agent, "resolves_conflicts", True) for agent in self.members.values())

    def lent(self, model: Model) -> Model:
        """A model that a role borrowed, or another member's where the provider of its own is lost."""
        there = [agent for name, agent in self.members.items() if name not in self.lost]
        models = [other for other in map(model_of, there) if other is not None]
        own = any(model_of(agent) is model for agent in self.members.values())
        return models[0] if own and models and not any(other is model for other in models) else model

    def lose_model(self, model: Model) -> bool:
        """Go on without the member whose provider refuses for good; gives whether another has a model to lend."""
        self.lost |= {name for name, agent in self.members.items() if model_of(agent) is model}
        return self.lent(model) is not model

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """See `protocols.Agent`; says what is wrong with any member."""
        problems: list[str] = []
        for agent in self.members.values():
            try:
                agent.check(folder, files)
            except WorkflowError as error:
                problems += error.problems
        if problems:
            raise WorkflowError(*problems)

    def require_price(self) -> None:
        """See `coding.CodingAgent`; of every member.

        Raises:
            WorkflowError: nobody knows what one of them costs.
        """
        for agent in self.members.values():
            if hasattr(agent, "require_price"):
                agent.require_price()

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """See `protocols.Agent`. A member that is lost, or not in the workflow any more, is stood in for."""
        name = brief.agent if brief.agent in self.members and brief.agent not in self.lost else self.available()[0]
        return await self.members[name].work(brief, workspace, services)

    def available(self) -> list[str]:
        """Who can take a candidate now: not lost, and not rate limited for long while others are free."""
        there = [name for name in self.members if name not in self.lost] or list(self.members)
        free = [name for name in there if not ((line := line_of(self.members[name])) and line.wait > LONG)]
        return free or there

    def lose(self, name: str) -> bool:
        """Go on without a member; gives whether there is another."""
        self.lost.add(name)
        return len(self.lost) < len(self.members)


def model_of(agent: Agent) -> Model | None:
    found: Model | None = getattr(agent, "model", None)
    return found


def line_of(agent: Agent) -> Line | None:
    """What is known of the state of an agent's provider, where it is a model or a program."""
    model = model_of(agent)
    found: Line | None = getattr(agent, "line", None) if model is None else model.line
    return found


def with_names(agents: Sequence[SingleAgent]) -> list[SingleAgent]:
    """The agents, those with models each with a name of its own: two providers may have a model of the same name.

    Raises:
        WorkflowError: the workflow gives one name to two of them.
    """
    given = [agent.name for agent in agents if isinstance(agent, ModelAgent) and agent.name]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise WorkflowError(*(f"two agents have the name `{name}`; give each its own in agent.name" for name in twice))
    plain = [f"{agent.kind}/{agent.model}" if isinstance(agent, ModelAgent) else "" for agent in agents]
    taken, found = set(given), list[SingleAgent]()
    for agent, name in zip(agents, plain, strict=True):
        if isinstance(agent, ModelAgent) and not agent.name:
            host = urlsplit(agent.base_url or "").netloc
            if plain.count(name) > 1 and host:
                name = f"{name}@{host}"
            number, unique = 1, name
            while unique in taken:
                number += 1
                unique = f"{name}#{number}"
            taken.add(unique)
            agent = agent.model_copy(update={"name": unique})
        found.append(agent)
    return found
