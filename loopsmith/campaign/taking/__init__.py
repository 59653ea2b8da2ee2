"""Afterwards: what was kept is measured once more, taken apart, and taken."""
