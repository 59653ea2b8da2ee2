"""From the settings to an agent, and to the models of the roles.

An agent registers under the entry point group `loopsmith.agents`: a callable that takes the `agent` section of the
settings and returns a `protocols.Agent`; an agent with an attribute `model` (agents/model.py) lends it to the roles of
a round. The built-in ones register the same way. Importing this module imports no SDK of a provider; building an agent
imports what that agent needs.
"""

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar, cast

from pydantic import BaseModel

from loopsmith.agents.model import Model
from loopsmith.agents.recording import Tape
from loopsmith.errors import WorkflowError
from loopsmith.log import register_secret
from loopsmith.protocols import Agent
from loopsmith.workflow.agent import AgentSettings, AnthropicAgent, EnsembleAgent, ModelAgent, OpenAIAgent, SingleAgent
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.values import Secret

GROUP = "loopsmith.agents"
ROLES = ("planner", "reviewer", "reflector")
M = TypeVar("M", bound=BaseModel)
PLACEHOLDER = "none"  # sent where an endpoint of one's own needs no key; the SDKs insist on one


def build(settings: Settings, tape: Tape | None = None) -> tuple[Agent, dict[str, Model]]:
    """The agent that the settings ask for, and the model of each role that is on and no command.

    Args:
        tape: records or replays every model.

    Raises:
        WorkflowError: no such agent is installed, or its settings cannot work.
    """
    agent: Agent
    if isinstance(settings.agent, EnsembleAgent):
        agent = build_ensemble(settings.agent, tape)
    else:
        agent = build_one(settings.agent, tape)
    if settings.budget.limits_money and hasattr(agent, "require_price"):
        agent.require_price()
    return agent, build_roles(settings, getattr(agent, "model", None), tape)


def build_ensemble(settings: EnsembleAgent, tape: Tape | None = None) -> Agent:
    """Its agents, each under a name of its own.

    Raises:
        WorkflowError: with the problems of all of them.
    """
    from loopsmith.agents.ensemble import Ensemble, with_names

    members: dict[str, Agent] = {}
    weights: dict[str, float] = {}
    problems: list[str] = []
    for each in with_names(settings.agents):
        try:
            agent = build_one(each, tape)
        except WorkflowError as error:
            problems += error.problems
            continue
        name, number = agent.name, 1
        while name in members:
            number += 1
            name = f"{agent.name}#{number}"
        members[name], weights[name] = agent, float(getattr(each, "weight", 1))
    if problems:
        raise WorkflowError(*problems)
    return Ensemble(members, weights, settings.choose)


def build_one(settings: SingleAgent, tape: Tape | None = None) -> Agent:
    """One agent, by its entry point.

    Raises:
        WorkflowError: it is not installed, or its settings cannot work.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    kind = settings.kind
    if kind not in points:
        known = ", ".join(sorted(points)) or "none; install loopsmith itself with pip"
        raise WorkflowError(f"no agent `{kind}` is installed; there are: {known}")
    try:
        factory = cast(Callable[[AgentSettings], Agent], points[kind].load())
    except (ImportError, AttributeError) as error:
        raise WorkflowError(f"agent `{kind}` ({points[kind].value}) cannot be loaded: {error}") from error
    agent = factory(with_key(settings, tape))
    if tape is not None and (model := getattr(agent, "model", None)) is not None:
        agent.model = tape.around(model)  # type: ignore[attr-defined]
    return agent


def build_roles(settings: Settings, lent: Model | None, tape: Tape | None = None) -> dict[str, Model]:
    """The model of each role that is on and no command.

    Args:
        lent: the agent's, if it has one.
        tape: records or replays the others.

    Raises:
        WorkflowError: a role that is on has no model; every problem at once.
    """
    models: dict[str, Model] = {}
    problems: list[str] = []
    for name in ROLES:
        role = getattr(settings.roles, name)
        company = settings.search.candidates_per_round > 1 and lent is not None
        if role.command is not None or not settings.plays(name, company=company):
            continue
        try:
            model = lent if role.model is None else build_role(role.model, tape)
        except WorkflowError as error:
            problems += [f"roles.{name}: {problem}" for problem in error.problems]
            continue
        if model is not None:
            models[name] = model
        elif role.enabled:
            problems.append(
                f"roles.{name} is on, but the agent has no model to lend; give "
                f"roles.{name}.model or roles.{name}.command"
            )
    if problems:
        raise WorkflowError(*problems)
    return models


def build_role(settings: ModelAgent, tape: Tape | None) -> Model:
    """A role's own model."""
    model = build_model(with_key(settings, tape))
    return model if tape is None else tape.around(model)


def with_key(settings: M, tape: Tape | None) -> M:
    """The settings, without the need of a key where a tape answers in the provider's place."""
    if tape is None or not tape.replays or "api_key" not in type(settings).model_fields:
        return settings
    return settings.model_copy(update={"api_key": Secret(PLACEHOLDER)})


def build_model(settings: ModelAgent) -> Model:
    """The model that the settings name, ready to be asked. No call is made.

    Raises:
        WorkflowError: its key or its price is missing; every problem at once.
    """
    from loopsmith.agents.pricing import listed_context, pricing

    problems: list[str] = []
    key = settings.api_key.get_secret_value()
    if settings.api_key.unset:
        if settings.base_url is None or "api_key" in settings.model_fields_set:
            problems.append(
                f"no key for {settings.kind}: set the environment variable {settings.api_key}, "
                "or name another one in agent.api_key"
            )
        key = PLACEHOLDER
    url = settings.base_url or os.environ.get(f"{settings.kind.upper()}_BASE_URL")
    try:
        cost = pricing(settings.kind, settings.model, url=url, price=settings.price)
    except WorkflowError as error:
        problems += error.problems
    if problems:
        raise WorkflowError(*problems)
    register_secret(key)
    context = settings.context_tokens or (
        None if settings.price is not None and settings.base_url else listed_context(settings.kind, settings.model, url)
    )
    if isinstance(settings, AnthropicAgent):
        from loopsmith.agents.anthropic import AnthropicModel

        return AnthropicModel(settings, key, cost, context)
    assert isinstance(settings, OpenAIAgent)
    if settings.api == "responses":
        from loopsmith.agents.responses import ResponsesModel

        return ResponsesModel(settings, key, cost, context)
    from loopsmith.agents.openai import OpenAIModel

    return OpenAIModel(settings, key, cost, context)
