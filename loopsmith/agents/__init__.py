"""Agents: a brief and a workspace in, a report out. `registry` builds the one that the settings name."""
