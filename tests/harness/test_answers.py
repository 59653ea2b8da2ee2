"""Only right answers, finished when the clock stops, are timed."""

import sys

import pytest
from squares import HONEST, SETTINGS

from loopsmith import harness
from loopsmith.errors import UsageError

RIGHT = "sum(i * i for i in range(n))"


def returning(expression: str, before: str = "") -> str:
    return f"{before}\ndef squares(n):\n    right = {RIGHT}\n    return {expression}\n"


def test_an_honest_candidate_is_measured(measure):
    measured = measure(HONEST)
    assert len(measured.seconds) == 3
    assert measured.value == min(measured.seconds) > 0


@pytest.mark.parametrize(
    ("expression", "before", "reason"),
    [
        ("right + 1", "", "^wrong: .* not "),
        ("float(right)", "", "^wrong: "),
        ("right if n % 2 else True", "", "^wrong: "),
        ("(i for i in [right])", "", "builtins.generator is no plain value"),
        ("type('Number', (int,), {})(right)", "", "Number is no plain value"),
        ("Lazy()", "class Lazy:\n    __eq__ = lambda self, other: True", "Lazy is no plain value"),
        ("Bomb()", "class Bomb:\n    __reduce__ = lambda self: (print, ('gone',))", "Bomb is no plain value"),
        ("pool.submit(lambda: right)", "import concurrent.futures as c\npool = c.ThreadPoolExecutor()", "Future is no"),
        ("lambda: right", "", "function is no plain value"),
        ("1 / 0", "", "ZeroDivisionError"),
        ("exit()", "", "SystemExit"),
        ("__import__('os')._exit(0)", "", "ended without an answer"),
        ("__import__('time').sleep(60)", "", "took longer than"),
        ("'x' * 10**6", "", "more than"),
    ],
)
def test_what_is_not_the_right_finished_value_gets_no_score(measure, expression, before, reason):
    timeout = 1.0 if "sleep" in expression else 20.0
    with pytest.raises(harness.Rejected, match=reason):
        measure(returning(expression, before), timeout=timeout, size_limit=100_000)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("[n, 'ü', None, True, 1.5, float('inf')]", "[n, 'ü', None, 1, 1.5, float('inf')]"),
        ("(n, [n], {n: (n,)}, b'x' * (n % 99))", "(n, [n], {n: [n]}, b'x' * (n % 99))"),
        ("{'a': {n, 2}, 'b': complex(n, 1), 'c': bytearray(3)}", "{'a': {n, 2}, 'b': complex(n, 1), 'c': bytes(3)}"),
        ("(2 ** n, float('nan'))", "(2 ** n + 1, float('nan'))"),
    ],
)
def test_plain_values_arrive_as_they_are(measure, value, wrong):
    reference, digits = eval(f"lambda n: {value}"), sys.get_int_max_str_digits()
    measure(f"def squares(n):\n    sum(range(30_000))\n    return {value}\n", reference=reference, spread=None)
    with pytest.raises(harness.Rejected, match=r"^wrong"):
        measure(f"def squares(n):\n    return {wrong}\n", reference=reference)
    assert sys.get_int_max_str_digits() == digits, "this process is as it was"


def test_lists_are_checked_for_changes(measure):
    settings = {"inputs": lambda rng: (rng.sample(range(100_000), 20_000),), "reference": sorted}
    measure("def squares(n):\n    return sorted(n)\n", **settings)
    with pytest.raises(harness.Rejected, match="changed its arguments"):
        measure("def squares(n):\n    n.sort()\n    return n\n", **settings)


def test_a_reference_that_changes_its_arguments_harms_nobody(measure):
    def sort_in_place(values):
        values.sort()
        return values

    inputs = {"inputs": lambda rng: (rng.sample(range(100_000), 20_000),), "reference": sort_in_place}
    measure("def squares(n):\n    return sorted(n)\n", **inputs)


def test_corners_are_checked_too(measure):
    cases = {"cases": [(0,), (1,), (2,)]}
    measure(HONEST, **cases)
    with pytest.raises(harness.Rejected, match=r"^wrong: 7 for \(0\), not 0"):
        measure(returning("right if n else 7"), **cases)


def test_an_answer_that_does_not_depend_on_its_input_is_flagged(measure):
    loose = {"reference": lambda n: 1e9 + n, "rtol": 1e-3, "metric": harness.seconds("s")}
    with pytest.raises(harness.Rejected, match="does not depend on its input"):
        measure("def squares(n):\n    sum(range(3 * n))\n    return 1e9\n", **loose)
    tight = loose | {"rtol": 1e-12}
    measure("def squares(n):\n    sum(range(3 * n))\n    return 1e9 + n\n", **tight)
    measure("def squares(n):\n    sum(range(3 * n))\n    return 1e9\n", interchangeable=True, **loose)


def test_a_check_that_takes_anything_is_flagged(measure):
    anything = {"reference": None, "check": lambda result, n: isinstance(result, int)}
    with pytest.raises(harness.Rejected, match="too loose to tell"):
        measure(HONEST, **anything)
    measure(HONEST, reference=None, check=lambda result, n: result == SETTINGS["reference"](n))


def test_a_float_may_differ_by_the_tolerance_and_no_more(measure):
    settings = {"reference": lambda n: float(SETTINGS["reference"](n)), "rtol": 1e-9}
    measure(returning("float(right) * (1 + 1e-10)"), **settings)
    for wrong in ("1 + 1e-8", "float('nan')", "float('inf')"):
        with pytest.raises(harness.Rejected, match=r"^wrong"):
            measure(returning(f"float(right) * ({wrong})"), **settings)


def test_inputs_are_never_repeated(measure):
    seen_again = "seen = set()\ndef squares(n):\n    assert n not in seen\n    seen.add(n)\n" + f"    return {RIGHT}\n"
    measure(seen_again, inputs=lambda rng: (rng.randrange(10_000, 10_050),), batch=10, spread=None)
    with pytest.raises(UsageError, match="again and again"):
        measure(HONEST, inputs=lambda rng: (rng.randrange(10_000, 10_002),))


def test_a_program_that_is_right_only_for_the_inputs_that_it_knows_is_wrong_for_others(measure, monkeypatch):
    asked: list[int] = []

    def draw(rng):
        asked.append(rng.randrange(10_000, 20_000))
        return (asked[-1],)

    measure(HONEST, inputs=draw)
    table = {n: SETTINGS["reference"](n) for n in asked}
    monkeypatch.setenv("LOOPSMITH_SEED", "2")
    with pytest.raises(harness.Rejected, match="KeyError"):
        measure(f"table = {table}\ndef squares(n):\n    return table[n]\n", inputs=draw)


def test_a_verifier_without_a_check_is_refused(measure):
    with pytest.raises(UsageError, match="reference"):
        measure(HONEST, reference=None)
