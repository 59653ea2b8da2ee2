"""What an agent's run costs, in the ledger while it runs."""

from loopsmith.protocols import Services
from loopsmith.records import Usage


class Meter:
    """One run's rows of the ledger: what was reported is settled, and a next step of the largest size seen is held.

    Args:
        model: as the ledger shows it.
        per_run: dollars of a run that reports no cost; None: it reports them.

    Raises:
        LimitReached: a limit does not allow the run. Nothing was spent.
    """

    def __init__(self, services: Services, model: str, per_run: float | None):
        self._services, self._model, self._per_run = services, model, per_run
        self.reported = 0.0  # dollars, as the agent counts them over the session
        self._settled = self._largest = 0.0
        self._tokens = Usage(role="worker", model=model)
        self._row: int | None = services.reserve(self._usage(per_run or 0.0))

    def cost(self, total: float) -> None:
        """The agent says what its session has cost so far.

        Raises:
            LimitReached: the next step could pass a limit. What was reported is in the ledger.
        """
        step = total - self._settled
        if step <= 0:
            return
        self.reported = total
        self._largest = max(self._largest, step)
        if self._row is not None:
            row, self._row = self._row, None
            self._services.settle(row, self._usage(step))
            self._settled = total
        self._row = self._services.reserve(self._usage(max(self._largest, (self._per_run or 0.0) - total)))

    def tokens(self, fresh: int, cached: int, written: int, output: int) -> None:
        """The tokens of the session, as the agent counts them at its end."""
        self._tokens = Usage(
            role="worker",
            model=self._model,
            input_tokens=fresh + cached + written,
            cached_tokens=cached,
            output_tokens=output,
        )

    def end(self, seconds: float, *, began: bool = True) -> None:
        """Settle what is held: nothing more than was reported, or the price of a run.

        Args:
            began: whether anything was asked of the agent.
        """
        if self._row is None:
            return
        cost = 0.0 if self.reported or not began else self._per_run or 0.0
        row, self._row = self._row, None
        self._services.settle(row, self._usage(cost, seconds))

    def _usage(self, cost: float, seconds: float = 0.0) -> Usage:
        tokens = self._tokens
        return Usage(
            role="worker",
            model=self._model,
            input_tokens=tokens.input_tokens,
            cached_tokens=tokens.cached_tokens,
            output_tokens=tokens.output_tokens,
            cost_usd=cost,
            seconds=seconds,
        )
