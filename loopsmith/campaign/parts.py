"""The parts of a campaign that are made from its settings, made again when a person changes these meanwhile."""

import asyncio
from dataclasses import dataclass

from loopsmith.agents import registry
from loopsmith.agents.model import Model
from loopsmith.campaign.context import Context
from loopsmith.campaign.opening import check_agent
from loopsmith.campaign.roles.profiling import check_profiler
from loopsmith.campaign.roles.providers import watch
from loopsmith.protocols import Agent
from loopsmith.search.policy import Policy, build_policy
from loopsmith.workflow import Settings, Workflow


@dataclass(frozen=True, slots=True)
class Parts:
    """What is made from the settings, for those that have changed; None: as it was."""

    built: tuple[Agent, dict[str, Model]] | None
    policy: Policy | None


def prepare(context: Context, effective: Workflow) -> Parts:
    """Make what other settings need, and try it; nothing is changed yet.

    Raises:
        LoopsmithError: it cannot work.
    """
    before, settings = context.settings, effective.settings
    built = None
    if any(getter(before) != getter(settings) for getter in (cast, company)):
        built = registry.build(settings, context.tape)
        check_agent(built[0], effective, context.repository, context.state, context.baseline())
    elif settings.budget.limits_money and not before.budget.limits_money and hasattr(context.agent, "require_price"):
        context.agent.require_price()
    if settings.roles.profile != before.roles.profile:
        check_profiler(effective, context.sandbox)
    return Parts(built, build_policy(settings.search) if settings.search != before.search else None)


def cast(settings: Settings) -> tuple[object, ...]:
    return settings.agent, settings.roles, settings.search.plan


def company(settings: Settings) -> bool:
    return settings.search.candidates_per_round > 1


def install(context: Context, effective: Workflow, parts: Parts) -> None:
    """Go on with other settings. Parts other than the budget only between rounds."""
    workers = context.settings.search.workers
    context.workflow = effective
    context.limit = None  # where it is still met, the next call meets it again
    if parts.policy is not None:
        context.policy = parts.policy
    if parts.built is not None:
        context.agent, context.roles = parts.built
        context.silent.clear()
        watch(context)
    if effective.settings.search.workers != workers:
        context.workers = asyncio.Semaphore(effective.settings.search.workers)
