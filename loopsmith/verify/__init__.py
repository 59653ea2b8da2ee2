"""Guardrails, checks, measurements, and the statistics of a decision."""
