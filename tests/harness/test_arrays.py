"""NumPy arrays and shared objects, honest and not."""

import shutil
import subprocess

import pytest

from loopsmith import harness
from loopsmith.errors import UsageError

np = pytest.importorskip("numpy")


def vectors(rng):
    made = np.random.default_rng(rng.getrandbits(64))
    return made.standard_normal(30_000), made.standard_normal(30_000).astype(np.float32)


ARRAYS = {"inputs": vectors, "reference": lambda a, b: np.sort(a) + b, "rtol": 1e-6, "atol": 1e-6}


def returning(expression: str, before: str = "") -> str:
    return f"import numpy as np\n{before}\ndef squares(a, b):\n    return {expression}\n"


def test_arrays_are_measured(measure):
    measure(returning("np.sort(a) + b"), **ARRAYS)
    measure(returning("(np.sort(a) + b)[::-1][::-1]"), **ARRAYS)


@pytest.mark.parametrize(
    ("expression", "before", "reason"),
    [
        ("np.sort(a) + b + 1e-3", "", "^wrong"),
        ("(np.sort(a) + b).astype(np.float32)", "", "^wrong"),
        ("np.sort(a.astype(np.float16)).astype(np.float64) + b", "", "^wrong"),
        ("(np.sort(a) + b)[None]", "", "^wrong"),
        ("np.full_like(a, np.nan)", "", "^wrong"),
        ("list(np.sort(a) + b)", "", "^wrong"),
        ("a.sort() or a + b", "", "changed its arguments"),
        ("np.add(np.sort(a), b, out=a)", "", "changed its arguments"),
        ("(np.sort(a) + b).view(Lazy)", "class Lazy(np.ndarray): pass", "Lazy is no plain value"),
        ("np.ma.array(np.sort(a) + b)", "", "MaskedArray is no plain value"),
        ("(np.sort(a) + b).astype(object)", "", "object is no plain value"),
        ("a", "np.sort = np.allclose = np.array_equal = lambda *_, **__: True", "^wrong"),
        ("np.sort(a) + np.float64(b.mean())", "", "^wrong"),
    ],
)
def test_an_array_that_is_not_the_right_one_gets_no_score(measure, expression, before, reason):
    with pytest.raises(harness.Rejected, match=reason):
        measure(returning(expression, before), **ARRAYS)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "complex64", "bool", "datetime64[s]", "S5", "U3"])
def test_every_type_of_an_array_arrives_as_it_is(measure, dtype):
    def inputs(rng):
        return (np.array([rng.randrange(100) for _ in range(5_000)]).reshape(50, 100).astype(dtype), rng.random())

    source = returning("(np.sort(a.copy(), axis=0), a[:0], a[0, 0], b)")
    settings = {"inputs": inputs, "reference": lambda a, b: (np.sort(a, axis=0), a[:0], a[0, 0], b)}
    measure(source, **settings, spread=None)
    with pytest.raises(harness.Rejected, match=r"^wrong"):
        measure(source.replace("a[0, 0], b", "a[0, 0], -b"), **settings)


C = r"""
#include <stdio.h>
#include <stdlib.h>
void add(const double *a, const double *b, long n, double *out) {
    for (long i = 0; i < n; i++) out[i] = a[i] + OFFSET + b[i];
}
double total(const double *a, long n) {
    double sum = OFFSET;
    for (long i = 0; i < n; i++) sum += a[i];
    return sum;
}
"""
START = '__attribute__((constructor)) void start(void) { puts("METRIC seconds=0"); fflush(stdout); exit(0); }\n'


@pytest.fixture
def compiled(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("no C compiler")

    def compile(offset: str, extra: str = ""):
        (tmp_path / "kernel.c").write_text(C + extra)
        command = ["cc", "-O1", "-shared", "-fPIC", f"-DOFFSET={offset}", "kernel.c", "-o", "kernel.so"]
        subprocess.run(command, cwd=tmp_path, check=True)

    return compile


def pair(rng):
    made = np.random.default_rng(rng.getrandbits(64))
    return made.standard_normal(500_000), made.standard_normal(500_000), 500_000


ADD = {
    "candidate": harness.library(
        "kernel.so",
        "add",
        arguments=["pointer", "pointer", "long", "pointer"],
        out=lambda a, b, n: (a.shape, a.dtype.str),
    ),
    "inputs": pair,
    "reference": lambda a, b, n: a + b,
    "spread": None,
}
TOTAL = {
    "candidate": harness.library("kernel.so", "total", arguments=["pointer", "long"], returns="float64"),
    "inputs": lambda rng: (pair(rng)[0], 500_000),
    "reference": lambda a, n: float(a.sum()),
    "rtol": 1e-9,
    "atol": 1e-9,
    "spread": None,
}


@pytest.mark.parametrize("settings", [ADD, TOTAL], ids=["writes", "returns"])
def test_a_shared_object_is_measured_and_checked(measure, compiled, settings):
    compiled("0")
    assert measure("", **settings).value > 0
    compiled("1e-3")
    with pytest.raises(harness.Rejected, match=r"^wrong"):
        measure("", **settings)
    compiled("0", START)
    with pytest.raises(harness.Rejected, match="ended without an answer"):
        measure("", **settings)


def test_an_unknown_c_type_is_refused():
    with pytest.raises(UsageError, match="unknown type 'double'"):
        harness.library("kernel.so", "add", arguments=["double"])


def test_what_lay_between_earlier_results_is_no_change_of_the_arguments(measure):
    def inputs(rng):
        return [rng.random()], np.full(3, rng.random()), np.full(3, rng.random())

    source = returning("np.repeat(a + b, 100) + n[0]").replace("(a, b)", "(n, a, b)")
    measure(source, inputs=inputs, reference=lambda n, a, b: np.repeat(a + b, 100) + n[0])
