"""The progress curve: its data, and its pictures."""
