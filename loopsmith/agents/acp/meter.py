"""What an agent's run costs, in the ledger while it runs."""

from dataclasses import replace

from loopsmith.protocols import Services
from loopsmith.records import Usage


class Meter:
    """One run's rows of the ledger: until the end they hold what was reported, and a next step of the largest size.

    Args:
        model: as the ledger shows it.
        per_run: dollars of a run that reports no cost; None: it reports them.

    Raises:
        LimitReached: a limit does not allow the run. Nothing was spent.
    """

    def __init__(self, services: Services, model: str, per_run: float | None):
        self._services, self._per_run = services, per_run
        self.reported = 0.0  # dollars, as the agent counts them over its session
        self._step = 0.0  # the largest
        self._usage = Usage(role="worker", model=model)
        held = per_run or 0.0
        self._rows: list[tuple[int, float]] = [(services.reserve(replace(self._usage, cost_usd=held)), held)]

    def cost(self, total: float) -> None:
        """The agent says what its session has cost so far.

        Raises:
            LimitReached: a next step could pass a limit; what was reported counts all the same.
        """
        self._step = max(self._step, total - self.reported)
        self.reported = max(self.reported, total)
        wanted = self.reported + self._step - sum(held for _, held in self._rows)
        if wanted > 0:
            self._rows.append((self._services.reserve(replace(self._usage, cost_usd=wanted)), wanted))

    def tokens(self, fresh: int, cached: int, written: int, output: int) -> None:
        """The tokens of the session, as the agent counts them at its end."""
        everything = fresh + cached + written
        self._usage = replace(self._usage, input_tokens=everything, cached_tokens=cached, output_tokens=output)

    def end(self, seconds: float, *, began: bool = True) -> None:
        """Settle every row: together what was reported, or the price of a run.

        Args:
            began: whether anything was asked of the agent.
        """
        left = self.reported or ((self._per_run or 0.0) if began else 0.0)
        first, *more = self._rows
        for row, held in more:
            cost = min(held, left)
            self._services.settle(row, Usage(role="worker", model=self._usage.model, cost_usd=cost))
            left -= cost
        self._services.settle(first[0], replace(self._usage, cost_usd=left, seconds=seconds))
        self._rows = []
