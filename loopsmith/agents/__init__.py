"""Agents: a brief and a workspace in, a report out.

An agent registers under the entry point group `loopsmith.agents`: a callable that takes the `agent` section of the
settings and returns a `protocols.Agent`; an agent with an attribute `model` (agents/model.py) lends it to the roles of
a round. The built-in ones register the same way. Importing this package imports no SDK of a provider; building an agent
imports what that agent needs.
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import cast

from loopsmith.agents.model import Model
from loopsmith.errors import WorkflowError
from loopsmith.log import register_secret
from loopsmith.protocols import Agent
from loopsmith.workflow.agent import AgentSettings, ModelAgent
from loopsmith.workflow.schema import Settings

GROUP = "loopsmith.agents"
ROLES = ("planner", "reviewer", "reflector")
PLACEHOLDER = "none"  # sent where an endpoint of one's own needs no key; the SDKs insist on one


def build(settings: Settings) -> tuple[Agent, Mapping[str, Model]]:
    """The agent that the settings ask for, and the model of each role that is on and no command.

    Raises:
        WorkflowError: no such agent is installed, or its settings cannot work.
    """
    kind = settings.agent.kind
    points = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in points:
        known = ", ".join(sorted(points)) or "none; install loopsmith itself with pip"
        raise WorkflowError(f"no agent `{kind}` is installed; there are: {known}")
    try:
        factory = cast(Callable[[AgentSettings], Agent], points[kind].load())
    except (ImportError, AttributeError) as error:
        raise WorkflowError(f"agent `{kind}` ({points[kind].value}) cannot be loaded: {error}") from error
    agent = factory(settings.agent)
    return agent, build_roles(settings, getattr(agent, "model", None))


def build_roles(settings: Settings, lent: Model | None) -> Mapping[str, Model]:
    """The model of each role that is on and no command.

    Args:
        lent: the agent's, if it has one.

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
            model = lent if role.model is None else build_model(role.model)
        except WorkflowError as error:
            problems += [f"roles.{name}: {problem}" for problem in error.problems]
            continue
        if model is not None:
            models[name] = model
        elif role.enabled:
            problems.append(
                f"roles.{name} is on, but the agent `{settings.agent.kind}` has no model to lend; give "
                f"roles.{name}.model or roles.{name}.command"
            )
    if problems:
        raise WorkflowError(*problems)
    return models


def build_model(settings: ModelAgent) -> Model:
    """The model that the settings name, ready to be asked. No call is made.

    Raises:
        WorkflowError: its key or its price is missing; every problem at once.
    """
    from loopsmith.agents.pricing import pricing

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
    if settings.kind == "anthropic":
        from loopsmith.agents.anthropic import AnthropicModel

        return AnthropicModel(settings, key, cost)
    from loopsmith.agents.openai import OpenAIModel

    return OpenAIModel(settings, key, cost)
