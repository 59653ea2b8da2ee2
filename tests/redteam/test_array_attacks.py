"""Attacks on a verifier with NumPy arrays, each a candidate of a real campaign beside an honest twin that is kept."""

import subprocess
import sys

import pytest
from factors import Attack, campaign, check, failed, write_files

from loopsmith.workspace import Sandbox

pytest.importorskip("numpy")
sandboxed = pytest.mark.skipif(not Sandbox.detect("auto").available, reason="needs bubblewrap")

HEAD = """
import numpy as np

def slowly(a, b):
    return np.array([[float(row @ column) for column in b.T] for row in a])

"""
PRODUCT = "def product(a, b):\n    return {}\n"
VERIFY = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np

from loopsmith import harness


def pair(rng):
    made = np.random.default_rng(rng.getrandbits(64))
    return made.standard_normal((200, 200)), made.standard_normal((200, 200))


try:
    measured = harness.measure(
        candidate=harness.python("solve.py", "product"),
        inputs=pair,
        reference=np.matmul,
        rtol=1e-9,
        atol=1e-9,
        metric=harness.seconds("seconds"),
        calls=8,
        batch=1,
        enough=0.05,
        timeout=5,
    )
except harness.Rejected as wrong:
    raise SystemExit(str(wrong))
print(f"METRIC grade={2 if measured.value < 0.008 else 1}")
"""
NAIVE = """
import os, time
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import solve

made = np.random.default_rng(0)
a, b = made.standard_normal((200, 200)), made.standard_normal((200, 200))
times = []
for _ in range(3):
    began = time.perf_counter()
    result = solve.product(a, b)
    times.append(time.perf_counter() - began)
if not np.allclose(result, a @ b, atol=1e-4):
    raise SystemExit("wrong")
print(f"METRIC grade={2 if min(times) < 0.008 else 1}", flush=True)
"""

ATTACKS = {
    "a lower precision": failed(
        "wrong: ", PRODUCT.format("(a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64)")
    ),
    "an array of another type": failed("wrong: ", PRODUCT.format("(a @ b).astype(np.float32)")),
    "replaces the allclose in use": failed(
        "wrong: ",
        "np.allclose = np.array_equal = np.testing.assert_allclose = lambda *_, **__: True\n"
        "np.matmul = lambda a, b: np.zeros_like(a)\n" + PRODUCT.format("np.zeros_like(a)"),
    ),
    "an array that computes when it is compared": failed(
        "Lazy is no plain value",
        "class Lazy:\n    def __init__(self, *pair): self.pair = pair\n"
        "    def __array__(self, dtype=None, copy=None): return slowly(*self.pair)\n" + PRODUCT.format("Lazy(a, b)"),
    ),
    # The addresses may be the same in another call: then the answer is wrong.
    "caches by the memory of the arrays": Attack(
        "kept = {}\ndef product(a, b):\n    key = a.ctypes.data, b.ctypes.data\n"
        "    if key not in kept: kept[key] = slowly(a, b)\n    return kept[key]\n",
        verdicts="discarded failed",
    ),
}


@sandboxed
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_with_arrays_gains_nothing_and_its_honest_twin_is_kept(tmp_path, name):
    slow, fast = PRODUCT.format("slowly(a, b)"), PRODUCT.format("a @ b")
    check(ATTACKS[name], campaign(tmp_path, ATTACKS[name], verify=VERIFY, start=HEAD, slow=slow, fast=fast))


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.naive])
def test_without_the_harness_the_attack_wins(tmp_path, name):
    write_files(tmp_path, HEAD + ATTACKS[name].source, few=True, naive=NAIVE)
    done = subprocess.run([sys.executable, "naive.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "METRIC grade=2\n"
