"""A function that adds squares, for the tests of the harness: the honest candidate, and verifiers of it."""

from typing import Any

from loopsmith import harness

HONEST = """
def squares(n):
    return sum(i * i for i in range(n))
"""


def reference(n: int) -> int:
    return (n - 1) * n * (2 * n - 1) // 6


SETTINGS: dict[str, Any] = {
    "candidate": harness.python("candidate.py", "squares"),
    "inputs": lambda rng: (rng.randrange(10_000, 20_000),),
    "reference": reference,
    "metric": harness.seconds("seconds"),
    "calls": 3,
    "batch": 1,
    "timeout": 20.0,
}
VERIFIER = """
from loopsmith import harness

harness.verify(
    candidate=harness.python("candidate.py", "squares"),
    inputs=lambda rng: (rng.randrange(20_000, 40_000),),
    reference=lambda n: (n - 1) * n * (2 * n - 1) // 6,
    metric=harness.rate("per_second", 1.0),
    calls=3,
    batch=1,
)
"""
