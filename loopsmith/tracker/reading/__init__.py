"""Verbs that read many rows at once, for people and their pages."""
