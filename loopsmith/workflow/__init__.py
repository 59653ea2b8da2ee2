"""A `WORKFLOW.md` becomes a validated `Workflow`; its body becomes prompts."""

from loopsmith.workflow.agent import (
    AgentSettings,
    AnthropicAgent,
    EnsembleAgent,
    ModelAgent,
    OpenAIAgent,
    OtherAgent,
    Price,
    Range,
    ScriptedAgent,
    TunerAgent,
)
from loopsmith.workflow.coding import CliAgent
from loopsmith.workflow.describe import affordance, describe
from loopsmith.workflow.load import Workflow, find, from_values, load
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
    Settings,
    Workspace,
)
from loopsmith.workflow.search import Search
from loopsmith.workflow.units import (
    format_count,
    format_duration,
    format_money,
    format_share,
    format_size,
    parse_count,
    parse_duration,
    parse_money,
    parse_share,
    parse_size,
)
from loopsmith.workflow.values import Constraint, MinEffect, Secret, editable_matcher
from loopsmith.workflow.verify import Resources, Verify

__all__ = [
    "VARIABLES",
    "AgentSettings",
    "AnthropicAgent",
    "Budget",
    "Calibrate",
    "CliAgent",
    "Constraint",
    "EnsembleAgent",
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
    "format_count",
    "format_duration",
    "format_money",
    "format_share",
    "format_size",
    "from_values",
    "load",
    "parse_count",
    "parse_duration",
    "parse_money",
    "parse_share",
    "parse_size",
    "render",
]
