"""A campaign that runs, and people: what goes on, what they ask, who is told."""
