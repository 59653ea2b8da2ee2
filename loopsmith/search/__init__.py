"""What to try next: limits, slots of a round, the memory that enters a brief."""
