"""For authors of verifiers: measure a function of the candidate without sharing an interpreter with it.

    from loopsmith import harness

    harness.verify(
        candidate=harness.python("primes.py", "count_primes"),
        inputs=lambda rng: (start := rng.randrange(10**9), start + 10**6),
        reference=slow_but_sure,
        metric=harness.rate("millions_per_second", per_call=1.0),
    )

The parent process owns inputs, reference, clock and the metrics line. The candidate runs in a child process with no
way to them but its answers, each of which is checked. For a candidate that is a program, not a function, `run` starts a
command to which given files look empty, and measures it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopsmith.harness.candidate import library, python
    from loopsmith.harness.channel import Rejected
    from loopsmith.harness.dialogue import Session, session
    from loopsmith.harness.measurement import Measured, measure, verify
    from loopsmith.harness.metric import rate, seconds
    from loopsmith.harness.program import Ran, run

# fmt: off
__all__ = [
    "Measured", "Ran", "Rejected", "Session",
    "library", "measure", "python", "rate", "run", "seconds", "session", "verify",
]
# fmt: on

_HOMES = {"library": "candidate", "python": "candidate", "rate": "metric", "seconds": "metric", "Rejected": "channel"}
_HOMES |= {"Ran": "program", "run": "program", "Session": "dialogue", "session": "dialogue"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only that: the candidate's process starts anew for each measurement."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOMES.get(name, 'measurement')}")
    return getattr(module, name)
