"""A whole campaign, from the first snapshot to the last decision."""
