"""The candidate's state machine: the one place that says which state may follow which."""

from loopsmith.errors import IllegalTransition
from loopsmith.records import Status

# state -> the states that may follow. A verdict has none, except that a person ends a quarantine.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PLANNED: frozenset({Status.RUNNING}),
    Status.RUNNING: frozenset({Status.GENERATED, Status.REJECTED, Status.FAILED, Status.CRASHED, Status.TIMED_OUT}),
    Status.GENERATED: frozenset({Status.VERIFYING, Status.DUPLICATE}),
    Status.VERIFYING: frozenset(
        {Status.SCREENED, Status.DISCARDED, Status.FAILED, Status.CRASHED, Status.TIMED_OUT},
    ),
    Status.SCREENED: frozenset({Status.CONFIRMING, Status.DISCARDED}),
    Status.CONFIRMING: frozenset(
        {Status.KEPT, Status.DISCARDED, Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.QUARANTINED}
    ),
    **{status: frozenset() for status in Status if status.final},
    Status.QUARANTINED: frozenset({Status.KEPT, Status.DISCARDED}),  # by a person
}

# The only ways back: what a killed run left busy, when the campaign is resumed.
RELEASES = {
    Status.RUNNING: Status.PLANNED,
    Status.VERIFYING: Status.GENERATED,
    Status.CONFIRMING: Status.SCREENED,
}


def allows(from_: Status, to: Status) -> bool:
    return to in TRANSITIONS[from_]


def sources(to: Status) -> tuple[Status, ...]:
    """The states from which `to` may be entered, in the order of a candidate's life."""
    return tuple(status for status in Status if allows(status, to))


def require(from_: Status, to: Status, *, candidate: str = "a candidate") -> None:
    """Check one step.

    Raises:
        IllegalTransition: naming the candidate, its state and the asked one.
    """
    if not allows(from_, to):
        possible = ", ".join(status for status in Status if allows(from_, status))
        after = f"only {possible} may follow" if possible else f"{from_} is final"
        raise IllegalTransition(f"candidate {candidate} is {from_} and cannot become {to}: {after}")
