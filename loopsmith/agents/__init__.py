"""Agents: a brief and a workspace in, a report out.

An agent registers under the entry point group `loopsmith.agents`: a callable that takes the `agent` section of the
settings and returns a `protocols.Agent`; an agent with an attribute `model` (agents/model.py) lends it to the planner.
The built-in ones register the same way. Importing this package imports no SDK of a provider; building an agent imports
what that agent needs.
"""

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from loopsmith.agents.model import Model
from loopsmith.errors import WorkflowError
from loopsmith.log import register_secret
from loopsmith.protocols import Agent
from loopsmith.workflow.agent import AgentSettings, ModelAgent
from loopsmith.workflow.schema import Settings

GROUP = "loopsmith.agents"
PLACEHOLDER = "none"  # sent where an endpoint of one's own needs no key; the SDKs insist on one


def build(settings: Settings) -> tuple[Agent, Model | None]:
    """The agent that the settings ask for, and the model that plans its rounds, if one is wanted and there is one.

    Raises:
        WorkflowError: no such agent is installed, or its settings cannot work.
    """
    kind, search = settings.agent.kind, settings.search
    points = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in points:
        known = ", ".join(sorted(points)) or "none; install loopsmith itself with pip"
        raise WorkflowError(f"no agent `{kind}` is installed; there are: {known}")
    try:
        factory = cast(Callable[[AgentSettings], Agent], points[kind].load())
    except (ImportError, AttributeError) as error:
        raise WorkflowError(f"agent `{kind}` ({points[kind].value}) cannot be loaded: {error}") from error
    agent = factory(settings.agent)
    if settings.budget.limits_money and hasattr(agent, "require_price"):
        agent.require_price()
    plans = search.candidates_per_round > 1 if search.plan is None else search.plan
    return agent, getattr(agent, "model", None) if plans else None


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
