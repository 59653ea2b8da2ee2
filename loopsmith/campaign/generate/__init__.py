"""Generate: a worker, its folder, what it left there."""
