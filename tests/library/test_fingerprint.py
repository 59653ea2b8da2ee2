"""The number that tells whether a function is the one that a campaign was measured with."""

import subprocess
import sys

import pytest

from loopsmith.library.fingerprint import fingerprint

CODE = """
import math
from loopsmith.library.fingerprint import fingerprint
{lines}
WEIGHTS = {weights}
class Case:
    limit = {limit}
    def cost(self, x):
        return x * self.limit
def helper(x):
    return x in {{"a", "b", "c", "d"}} or {constant}
def evaluate(folder, rate={rate}):
    case = Case()
    return [math.sqrt(w) for w in WEIGHTS if helper(w)], case.cost(rate)
evaluate.self = evaluate
print(fingerprint(evaluate))
"""
SAME = {"lines": "", "weights": {"a": 1, "b": 2}, "limit": 3, "constant": 4, "rate": 5}


def told(seed="0", **changes):
    code = CODE.format(**{**SAME, **changes})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": seed})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_function_has_the_same_number_in_another_process_and_place():
    assert told() == told(seed="7") == told(lines="\n\n# moved\n") == told(weights={"b": 2, "a": 1})


@pytest.mark.parametrize("change", [{"weights": {"a": 1}}, {"limit": 9}, {"constant": 9}, {"rate": 9}])
def test_what_a_function_uses_changes_its_number(change):
    assert told(**change) != told()


def test_closures_and_recursion_count():
    def make(bound):
        def down(n):
            return bound if n < bound else down(n - 1)

        return down

    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))


def test_what_is_not_used_does_not_count():
    first = {"unused": 1, "__builtins__": __builtins__}
    second = {"unused": 2, "__builtins__": __builtins__}
    for space in (first, second):
        exec("def f(x):\n    return x.unused\n", space)
    assert fingerprint(first["f"]) == fingerprint(second["f"])
