"""A `WORKFLOW.md` becomes a validated `Workflow`; its body becomes prompts."""

from loopsmith.workflow.agent import (
    AgentSettings,
    AnthropicAgent,
    ModelAgent,
    OpenAIAgent,
    OtherAgent,
    Price,
    Range,
    ScriptedAgent,
    TunerAgent,
)
from loopsmith.workflow.describe import affordance, describe
from loopsmith.workflow.load import Workflow, find, load
from loopsmith.workflow.render import VARIABLES, render
from loopsmith.workflow.schema import (
    Budget,
    Calibrate,
    Guardrails,
    Memory,
    Objective,
    PerRound,
    PerWorker,
    Repeats,
    Resources,
    Search,
    Settings,
    Verify,
    Workspace,
)
from loopsmith.workflow.values import Constraint, MinEffect, Secret, editable_matcher

__all__ = [
    "VARIABLES",
    "AgentSettings",
    "AnthropicAgent",
    "Budget",
    "Calibrate",
    "Constraint",
    "Guardrails",
    "Memory",
    "MinEffect",
    "ModelAgent",
    "Objective",
    "OpenAIAgent",
    "OtherAgent",
    "PerRound",
    "PerWorker",
    "Price",
    "Range",
    "Repeats",
    "Resources",
    "ScriptedAgent",
    "Search",
    "Secret",
    "Settings",
    "TunerAgent",
    "Verify",
    "Workflow",
    "Workspace",
    "affordance",
    "describe",
    "editable_matcher",
    "find",
    "load",
    "render",
]
