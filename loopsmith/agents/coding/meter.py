"""What a program's run costs, call by call, in the ledger while it runs."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from loopsmith.agents.coding.stream import Amount
from loopsmith.agents.model import Tokens
from loopsmith.errors import LimitReached, ProviderError
from loopsmith.protocols import Services
from loopsmith.records import Usage

Call = tuple[Tokens, float]  # and dollars
NOTHING: Call = (Tokens(), 0.0)
PROMPT = 10_000  # tokens that a program sends beside the prompt with its first call: its own words, and its tools
ANSWER = 1_000  # tokens of a first answer

Priced = Callable[[Tokens, str], float | None]  # tokens and the model's name to dollars; None: nobody knows


@dataclass
class Meter:
    """The rows of one run. One is always open: the call under way, at what the dearest call so far took.

    A program says what a call took when it is over, so a limit ends the run before the next one; what is open when the
    program is ended stays as it is.

    Args:
        price: dollars for tokens.
        flat: dollars that each run counts, in place of any other price.
        first: dollars reserved for the first call; None: as `price` says of a usual one.
        tells: the program names dollars at some point, so that tokens without a price are no loss.
        believed: they count; otherwise `price` does.
        strict: a price that nobody knows is an error.
    """

    services: Services
    name: str
    price: Priced
    flat: float | None = None
    first: float | None = None
    tells: bool = False
    believed: bool = True
    strict: bool = False
    booked: dict[str, Call] = field(default_factory=dict)  # by id
    calls: Call = NOTHING  # the sum of what calls took
    total: Call = NOTHING  # what the run took by its own count
    spent: Call = NOTHING  # the larger of both, which is in the ledger
    expected: Call = NOTHING  # of the next call
    row: int | None = None
    late: Call = NOTHING  # what was used after a limit was met
    over: bool = False  # a limit was met
    since: float = field(default_factory=time.monotonic)

    def open(self, prompt: int) -> None:
        """Reserve the first call.

        Args:
            prompt: tokens of it.

        Raises:
            LimitReached: nothing was spent.
        """
        tokens = Tokens(input=prompt + PROMPT, output=ANSWER)
        if self.flat is not None:
            whole = Usage(role="worker", model=self.name, cost_usd=self.flat)
            self.services.settle(self.services.reserve(whole), whole)
            self.expected = tokens, 0.0
        else:
            self.expected = tokens, (self.price(tokens, "") or 0.0) if self.first is None else self.first
        self._reserve()

    def count(self, amount: Amount) -> None:
        """Book what the program says that it used.

        Raises:
            LimitReached: there is nothing left for another call; what was used is booked.
            ProviderError: nobody knows the price.
        """
        call = amount.tokens, self._dollars(amount)
        if amount.total:
            self.total = _most(self.total, call)
        else:
            self.calls = _sum(self.calls, _beyond(call, self.booked.get(amount.id, NOTHING)))
            if amount.id:
                self.booked[amount.id] = _most(self.booked.get(amount.id, NOTHING), call)
        more = _beyond(_most(self.calls, self.total), self.spent)
        if self.row is None or more == NOTHING:
            return
        first, self.spent = self.spent == NOTHING, _sum(self.spent, more)
        if self.over:
            self.late = _sum(self.late, more)
            return
        self.services.settle(self.row, self._usage(more))
        self.row = None
        self.expected = more if first else _most(self.expected, more)
        try:
            self._reserve()
        except LimitReached:
            self.over = True
            with suppress(LimitReached):  # for what still comes until the program is ended
                self.row = self.services.reserve(self._usage(NOTHING))
            raise

    def close(self, *, whole: bool) -> None:
        """Settle what is open.

        Args:
            whole: the program came to its own end, so that no call is under way.
        """
        if self.row is not None:
            left = self.late if whole or self.late != NOTHING else self.expected
            self.services.settle(self.row, self._usage(left))
            self.row = None

    def _dollars(self, amount: Amount) -> float:
        if self.flat is not None:
            return 0.0
        if self.believed and amount.cost:
            return amount.cost
        priced = self.price(amount.tokens, amount.model)
        unknown = priced is None and amount.tokens != Tokens()
        if unknown and self.strict and (amount.cost is not None or not self.tells):
            raise ProviderError(
                f"{self.name} used tokens, and nobody knows what they cost; give agent.price in dollars per million "
                "tokens (`price: 0` where they cost nothing) or agent.cost_per_run, then run again"
            )
        return priced or 0.0

    def _reserve(self) -> None:
        self.since = time.monotonic()
        self.row = self.services.reserve(self._usage(self.expected))

    def _usage(self, call: Call) -> Usage:
        tokens, dollars = call
        return Usage(
            role="worker",
            model=self.name,
            input_tokens=tokens.input,
            cached_tokens=min(tokens.cached, tokens.input),
            output_tokens=tokens.output,
            cost_usd=dollars,
            seconds=time.monotonic() - self.since,
        )


def _each(one: Call, other: Call, rule: Callable[[int, int], int], dollars: float) -> Call:
    names = ("input", "cached", "written", "output")
    return Tokens(**{name: rule(getattr(one[0], name), getattr(other[0], name)) for name in names}), dollars


def _sum(one: Call, other: Call) -> Call:
    return _each(one, other, lambda a, b: a + b, one[1] + other[1])


def _beyond(call: Call, booked: Call) -> Call:
    """What of a call is not booked yet; never less than nothing, since the ledger takes nothing back."""
    return _each(call, booked, lambda a, b: max(0, a - b), max(0.0, call[1] - booked[1]))


def _most(one: Call, other: Call) -> Call:
    return _each(one, other, max, max(one[1], other[1]))
