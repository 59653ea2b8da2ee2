"""Coding agents that run as programs of their own: `agent.kind: cli`."""

from loopsmith.agents.coding.presets import entry, presets
from loopsmith.agents.coding.program import CodingAgent

__all__ = ["CodingAgent", "entry", "presets"]
