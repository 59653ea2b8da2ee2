"""The roles beside the worker, as a round asks them."""
