"""Measure: the baseline, screening, confirmation, the holdout, under leases on the machine."""
