"""The measurement: draw inputs, let the candidate answer while our clock runs, then check every answer."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from loopsmith.errors import LoopsmithError, UsageError
from loopsmith.harness.batch import Batch, digest, file_of
from loopsmith.harness.candidate import Candidate, check_device
from loopsmith.harness.channel import Answer, Child, Rejected
from loopsmith.harness.compare import call_text, same, short
from loopsmith.harness.lockdown import MEMORY, keep_out
from loopsmith.harness.metric import Metric
from loopsmith.harness.values import unpack

Args = tuple[Any, ...]

AT_LEAST = 3  # timed batches, before `enough` counts
BATCH = 0.02  # seconds that a batch should take, where a call takes less than half of that
LARGEST = 10_000  # calls in a batch
CHECKING = 2.0  # seconds that `reference` and `check` may take for all batches
LEAST = 0.05  # share of the channel's own time that a call must take to be told from nothing
DOUBTFUL = 20  # times that an empty function is asked before a call counts as too fast to be true
SLOW, SMALL = 0.02, 100_000  # seconds and bytes of a call from and up to which the channel's time is below 1 %
ARRAYS = ("numpy", "torch")
SLACK = 0.02  # seconds of CPU time within which no two calls are called uneven


class Measured(NamedTuple):
    """What was found.

    `seconds` are those of one call, for each batch; `missing` says what the candidate was not kept from.
    """

    value: float
    seconds: tuple[float, ...]
    batch: int
    missing: tuple[str, ...]


def verify(**settings: Any) -> None:
    """Measure, and print `METRIC name=value`; or say on stderr what is wrong, and exit. Takes what `measure` takes."""
    try:
        measured = measure(**settings)
    except LoopsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    for missing in measured.missing:
        print(f"note: {missing}, as the kernel does not allow more here", file=sys.stderr)
    print(f"METRIC {settings['metric'].name}={measured.value:.6g}", flush=True)


def measure(
    *,
    candidate: Candidate,
    inputs: Callable[[random.Random], Args],
    metric: Metric,
    reference: Callable[..., Any] | None = None,
    check: Callable[..., bool] | None = None,
    cases: Callable[[random.Random], Iterable[Args]] | Iterable[Args] = (),
    calls: int = 8,
    batch: int | None = None,
    enough: float | None = None,
    clock: Literal["wall", "cpu"] = "wall",
    rtol: float = 0.0,
    atol: float = 0.0,
    timeout: float = 60.0,
    load_seconds: float = 1.0,
    spread: float | None = 4.0,
    interchangeable: bool = False,
    processes: bool = False,
    hide: Sequence[str] = (),
    size_limit: int = 1 << 30,
    folder: str | os.PathLike[str] | None = None,
) -> Measured:
    """Run the candidate on new inputs, time it, and check every answer.

    Args:
        candidate: from `python` or `library`.
        inputs: makes the arguments of one call from a generator seeded with `LOOPSMITH_SEED`; no two calls may get
            the same.
        metric: from `seconds` or `rate`.
        reference: gives the right result for the same arguments.
        check: instead, or as well, whether `check(result, *arguments)` is right.
        cases: arguments of further calls that are checked and not timed: corners.
        calls: how many timed batches.
        batch: calls in a batch; by default one, or as many as make a fast function last 20 ms.
        enough: seconds of timed work, after which a slow candidate is spared the rest, but not before three.
        clock: what counts from question to answer: `wall`, all of it; or `cpu`, without the time for which another
            program had the processor, and never below the CPU time of all threads together. On a busy machine that is
            steadier. Where the kernel does not tell (other than Linux), it is `wall`.
        rtol, atol: tolerance of floats against the reference; none by default.
        timeout: seconds for one batch.
        load_seconds: CPU time that the candidate may take before it is asked the first time, and between calls.
        spread: how many times the CPU time of the cheapest timed call the dearest may take; None for any.
        interchangeable: whether the right result of one call may be right for another.
        processes: whether the candidate may start processes.
        hide: further files and folders beside the verifier itself that the candidate cannot see.
        size_limit: bytes of one answer.
        folder: of the candidate; by default the verifier's.

    Raises:
        Rejected: there is no score, and why.
        UsageError: the verifier asks for what cannot be.
    """
    home, script = home_of(folder)
    if reference is None and check is None:
        raise UsageError("harness: give `reference` or `check`, so that answers can be checked")
    if clock == "cpu" and (candidate.device is not None or processes):
        unseen = "a device" if candidate.device is not None else "another process"
        raise UsageError(f"harness: the clock `cpu` does not see what {unseen} does; leave out `clock`")
    if candidate.device is not None:
        check_device(candidate.device)
    spent = _awake if clock == "cpu" else _wall
    judge = _Judge(reference, check, rtol, atol)
    rng = random.Random(int(os.environ.get("LOOPSMITH_SEED") or 0))
    draw = _Inputs(inputs, rng, candidate)
    hidden = [os.path.join(home, each) for each in hide] + ([script] if script else [])
    limits: dict[str, Any] = {"hide": hidden, "processes": processes, "timeout": timeout, "size_limit": size_limit}
    with _long_integers(), Child(home, **limits) as child, _Empty(home, limits, candidate.device, spent) as empty:
        if MEMORY in child.missing:
            keep_out()
        modules = [name for name in ARRAYS if name in sys.modules]
        child.prepare(modules, candidate.device)
        before = child.cpu()
        child.ask("load", what=candidate.what(home))
        idle = child.cpu() - before
        _check_idle(idle, load_seconds)
        times: list[float] = []
        overheads: list[float] = []
        costs: list[float] = []
        works: list[list[Args]] = []
        size, probing = batch or 1, batch is None
        while len(times) < calls and (enough is None or len(times) < AT_LEAST or sum(times) < enough):
            with draw(size) as asked:
                answer = asked.ask(child)
                judge(asked, answer)
                before = child.cpu()
                asked.check_unchanged(child)
                idle += child.cpu() - before
                overhead = empty.overhead(asked, answer)
                work = asked.copies()
            if probing and (wanted := _size(spent(answer) - overhead, judge.seconds, calls)) > 1:
                size, probing = wanted, False
                continue
            probing = False
            times.append(spent(answer))
            overheads.append(overhead)
            costs.append(answer.cpu / size)
            works.append(work)
        _check_idle(idle, load_seconds)
        values, seconds = _values(metric, times, min(overheads), works)
        if spread is not None and max(costs) > spread * min(costs) + SLACK:
            raise Rejected(
                f"flagged: one call took {max(costs):.3g} s of CPU time and another {min(costs):.3g} s: "
                "work of some calls is done in others (or set `spread`)"
            )
        if judge.interchangeable and not interchangeable:
            raise Rejected(
                "flagged: every answer also passes as the answer to another call; it does not depend on its input, "
                "or the check is too loose to tell (or set `interchangeable`)"
            )
        if corners := list(cases(rng) if callable(cases) else cases):
            with Batch(corners, candidate) as asked:
                judge(asked, asked.ask(child))
                asked.check_unchanged(child)
        return Measured(metric.summary(values), seconds, size, tuple(child.missing))


@contextmanager
def _long_integers() -> Iterator[None]:
    """Let integers of any length be read and written meanwhile."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def _wall(answer: Answer) -> float:
    return answer.seconds


def _awake(answer: Answer) -> float:
    return answer.awake


class _Empty:
    """A process like the candidate's, with a function that does nothing; started when it is needed."""

    def __init__(self, folder: str, limits: dict[str, Any], device: str | None, spent: Callable[[Answer], float]):
        self._folder, self._limits, self._device, self._spent = folder, limits, device, spent
        self._child: Child | None = None

    def __enter__(self) -> "_Empty":
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.close()

    def overhead(self, asked: Batch, answer: Answer) -> float:
        """Seconds that the same questions and answers take here, the best of two; 0 where they are nothing.

        Of more, where the candidate was hardly slower: on a busy machine two may both have been disturbed.
        """
        if (
            self._device is None
            and answer.seconds > SLOW
            and asked.size + len(answer.memory) < SMALL
            and len(asked) == 1
        ):
            return 0.0
        if self._child is None:
            self._child = Child(self._folder, **self._limits)
            modules = [name for name in ARRAYS if name in sys.modules]
            self._child.prepare(modules, self._device)
        file = file_of(answer.memory)
        try:
            best, asks = float("inf"), 0
            while asks < 2 or (asks < DOUBTFUL and self._spent(answer) - best < LEAST * best):
                self._child.ask("repeat", file, results=answer.results, device=self._device)
                best, asks = min(best, self._spent(asked.ask(self._child))), asks + 1
            return best
        finally:
            if file is not None:
                os.close(file)


class _Inputs:
    """Draws batches of arguments, none of them twice."""

    def __init__(self, make: Callable[[random.Random], Args], rng: random.Random, candidate: Candidate):
        self._make, self._rng, self._candidate = make, rng, candidate
        self._seen: set[bytes] = set()

    def __call__(self, size: int) -> Batch:
        drawn: list[Args] = []
        for _ in range(100 * size):
            args = self._make(self._rng)
            if type(args) is not tuple:
                raise UsageError(f"harness: `inputs` must give a tuple of arguments, not a {type(args).__name__}")
            if (found := digest(args)) not in self._seen:
                self._seen.add(found)
                drawn.append(args)
                if len(drawn) == size:
                    return Batch(drawn, self._candidate)
        raise UsageError("harness: `inputs` gives the same arguments again and again; draw them from more")


class _Judge:
    """Checks answers after the clock has stopped.

    `interchangeable` stays true while every answer would pass for the call before it as well; `seconds` is how long
    the reference and the check take for one call.
    """

    def __init__(
        self, reference: Callable[..., Any] | None, check: Callable[..., bool] | None, rtol: float, atol: float
    ):
        self._reference, self._check, self._rtol, self._atol = reference, check, rtol, atol
        self._previous: tuple[Args, Any] | None = None
        self._compared = False
        self._differs = False
        self.seconds = 0.0

    @property
    def interchangeable(self) -> bool:
        return self._compared and not self._differs

    def __call__(self, asked: Batch, answer: Answer) -> None:
        """Check every result.

        Raises:
            Rejected: one is wrong, or not a value.
        """
        try:
            results = [unpack(each, answer.memory) for each in answer.results]
        except (ValueError, RecursionError, MemoryError):
            raise Rejected("wrong: an answer that is not one") from None
        arguments = asked.copies()
        began = time.perf_counter()
        expected = [self._reference(*args) if self._reference else None for args in asked.copies()]
        for args, right, result in zip(arguments, expected, results, strict=True):
            if not self._right(args, right, result):
                known = f", not {short(right)}" if self._reference else ""
                raise Rejected(f"wrong: {short(result)} for {call_text(args)}{known}")
        self.seconds = (time.perf_counter() - began) / len(results)
        for args, right, result in zip(asked.copies(), expected, results, strict=True):
            if self._previous and not self._differs:
                self._compared = True
                self._differs = not self._right(*self._previous, result)
            self._previous = args, right

    def _right(self, args: Args, expected: Any, result: Any) -> bool:
        if self._reference is not None and not same(expected, result, self._rtol, self._atol):
            return False
        return self._check is None or bool(self._check(result, *args))


def _values(
    metric: Metric, times: Sequence[float], overhead: float, works: Sequence[Sequence[Args]]
) -> tuple[list[float], tuple[float, ...]]:
    """The metric of each batch, and the seconds of one call in it, without the channel's time.

    Args:
        overhead: the least that was seen, so that a moment's disturbance of it makes no candidate look fast.

    Raises:
        Rejected: a batch is too fast to be true.
    """
    net = [time - overhead for time in times]
    if min(net) < LEAST * overhead:
        raise Rejected(
            f"flagged: {len(works[0])} calls took {min(times):.3g} s, and as many of an empty function "
            f"{overhead:.3g} s; if that is honest, let one call do more"
        )
    values = [metric.of(seconds, work) for seconds, work in zip(net, works, strict=True)]
    for value in values:
        if metric.impossible(value):
            raise Rejected(f"flagged: {metric.name} = {value:.6g} is beyond the roofline of {metric.bound:g}")
    return values, tuple(seconds / len(work) for seconds, work in zip(net, works, strict=True))


def _size(net: float, reference: float, calls: int) -> int:
    """How many calls make a batch."""
    wanted = BATCH / max(net, 1e-7)
    affordable = CHECKING / calls / max(reference, 1e-7)
    return 1 if wanted < 2 else max(1, int(min(wanted, affordable, LARGEST)))


def _check_idle(seconds: float, most: float) -> None:
    if seconds > most:
        raise Rejected(
            f"flagged: {seconds:.3g} s of CPU time before and between calls, and {most:g} are free (`load_seconds`)"
        )


def home_of(folder: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """The folder, and the verifier's own file where it is a script."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    path = os.path.realpath(script) if script and os.path.isfile(script) else None
    if folder is not None:
        return os.path.realpath(folder), path
    return os.path.dirname(path) if path else os.getcwd(), path
