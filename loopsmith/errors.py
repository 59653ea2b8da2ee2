"""Every error that loopsmith raises on purpose.

The message of each says in one line what happened and what to do; the command line prints it without
a traceback and exits with `exit_code`.
"""


def amount(value: float) -> str:
    """A number of tokens, dollars or seconds, to read: a large one in full, and not as 1e+06."""
    return f"{value:.0f}" if value >= 1e5 else f"{value:g}"


class LoopsmithError(Exception):
    """The root. A caller that catches this catches every expected failure."""

    exit_code = 4


class WorkflowError(LoopsmithError):
    """The workflow, or the way loopsmith was called, is wrong. Carries every problem found.

    Args:
        problems: one line each, already with file and line number where they are known.
        notices: what else there is to say of the file, one line each.
    """

    exit_code = 2

    def __init__(self, *problems: str, notices: tuple[str, ...] = ()):
        self.problems, self.notices = problems, notices
        super().__init__("\n".join(problems))


class UsageError(LoopsmithError):
    """A command was called in a way that cannot work: no such candidate, nothing to apply, not installed."""

    exit_code = 2


class BaselineError(LoopsmithError):
    """The untouched source does not pass its own verifier, so nothing can be compared with it."""

    exit_code = 3


class VerifierError(LoopsmithError):
    """The verifier lets something through that must not be kept, so its word is worth nothing."""

    exit_code = 3


class NoiseError(LoopsmithError):
    """Runs of the untouched source differ so much that a person must agree before anything is spent."""

    exit_code = 2


class HarnessError(LoopsmithError):
    """Something under the loop broke (disk, git, tracker, sandbox). The campaign stops and can be resumed."""


class TrackerError(HarnessError):
    """The tracker cannot be opened, read or written."""


class IllegalTransition(HarnessError):
    """A candidate was asked to move to a state that its present state does not allow."""


class ProviderError(HarnessError):
    """The model provider refuses for good: wrong key, no such model, empty balance, endpoint down."""


class LimitReached(LoopsmithError):
    """A limit was met before spending. Ends a worker or a campaign normally; never a failure.

    Args:
        limit: the dotted key of the limit, such as `budget.cost_usd` or `budget.per_worker.turns`.
        used: what is used so far, in the limit's own unit.
        bound: the limit's value.
    """

    exit_code = 0

    def __init__(self, limit: str, used: float, bound: float):
        self.limit, self.used, self.bound = limit, used, bound
        super().__init__(f"{limit} reached: {amount(used)} of {amount(bound)}")
