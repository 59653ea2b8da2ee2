"""The kernels' problems: their arguments, drawn from a seed; the right answer; and what one call's work is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

Args = tuple[Any, ...]
TINY, SMALL, USUAL, LARGE = range(4)  # sizes: for an interpreter, for a trial, for a processor, for a GPU


class Problem(NamedTuple):
    """`work` is GFLOP, or GB that must at least move, of one call; `metric` its rate."""

    arguments: list[str]  # types of the C function, the result's pointer last
    shape: Callable[..., tuple[int, ...]]  # of the result
    inputs: Callable[[Any, int], Args]  # of a timed call, in one of the sizes
    cases: Callable[[Any], list[Args]]  # of calls that are only checked
    reference: Callable[..., Any]
    tolerance: dict[str, float]
    metric: str
    work: Callable[..., float]


def generator(rng):
    return numpy.random.default_rng(rng.getrandbits(64))


# Matrix times matrix. The tolerance is five times the error of single precision at these sizes, and a tenth of what
# half precision would cost.


def matrices(rng, m, n, k):
    draw = generator(rng)
    a, b = (draw.uniform(-1, 1, shape).astype(numpy.float32) for shape in ((m, k), (k, n)))
    return m, n, k, a, b


def matmul_inputs(rng, size):
    low, high = [(21, 41), (71, 99), (681, 721), (4001, 4097)][size]
    return matrices(rng, *(rng.randrange(low, high, 2) for _ in range(3)))  # odd: no row but the first is aligned


def matmul_cases(rng):
    shapes = [(1, 1, 1), (1, 67, 5), (67, 1, 5), (5, 7, 1), (16, 16, 16), (64, 64, 256), (33, 129, 257), (3, 1030, 40)]
    shapes += [tuple(rng.randrange(1, 140) for _ in range(3)) for _ in range(6)]
    return [matrices(rng, *shape) for shape in shapes]


def matmul_reference(m, n, k, a, b):
    return (a.astype(numpy.float64) @ b.astype(numpy.float64)).astype(numpy.float32)


# Softmax of rows. The relative tolerance is for sums of thousands of terms and an exponential good to six digits.


def rows_of(rng, rows, columns, spread):
    draw = generator(rng)
    x = draw.normal(draw.normal(0, 50, (rows, 1)), spread, (rows, columns)).astype(numpy.float32)
    return rows, columns, x


def softmax_inputs(rng, size):
    rows, low, high = [(8, 301, 399), (48, 301, 399), (512, 3901, 4099), (8192, 7901, 8099)][size]
    return rows_of(rng, rows, rng.randrange(low, high, 2), rng.uniform(1, 5))


def softmax_cases(rng):
    found = [
        rows_of(rng, rng.randrange(1, 9), columns, spread)
        for columns in (1, 2, 3, 15, 16, 17, 63, 130, 1023)
        for spread in (1, 40)
    ]
    found.append((2, 70, numpy.full((2, 70), 3.0e38, numpy.float32)))
    far = numpy.zeros((3, 50), numpy.float32)
    far[0, 7], far[1, 49], far[2, 0] = 1.0e4, 88.0, -3.0e38
    return [*found, (3, 50, far)]


def softmax_reference(rows, columns, x):
    wide = x.astype(numpy.float64)
    wide = numpy.exp(wide - wide.max(axis=1, keepdims=True))
    return (wide / wide.sum(axis=1, keepdims=True)).astype(numpy.float32)


# Sparse matrix times vector: a few long rows and many short ones, some empty, columns anywhere.


def sparse(rng, rows, width, mean):
    draw = generator(rng)
    lengths = numpy.minimum(draw.pareto(1.6, rows) * 0.6 * mean, min(width, 60 * mean)).astype(numpy.int32)
    starts = numpy.zeros(rows + 1, numpy.int32)
    numpy.cumsum(lengths, out=starts[1:])
    entries = int(starts[-1])
    columns = draw.integers(0, width, entries, dtype=numpy.int32)
    values = draw.uniform(-1, 1, entries).astype(numpy.float32)
    return rows, entries, starts, columns, values, draw.uniform(-1, 1, width).astype(numpy.float32)


def spmv_inputs(rng, size):
    rows, width, mean = [(50, 60, 6), (950, 800, 10), (55_000, 185_000, 16), (2_000_000, 6_000_000, 16)][size]
    rows, width = (rng.randrange(each - each // 30, each + each // 30 + 1) for each in (rows, width))
    return sparse(rng, rows, width, mean)


def spmv_cases(rng):
    empty = (3, 0, numpy.zeros(4, numpy.int32), numpy.zeros(0, numpy.int32), numpy.zeros(0, numpy.float32))
    found = [sparse(rng, rng.randrange(1, 60), rng.randrange(1, 90), mean) for mean in (1, 3, 8, 20, 40) for _ in "12"]
    return [(*empty, numpy.ones(5, numpy.float32)), *found]


def spmv_reference(rows, entries, starts, columns, values, x):
    products = values.astype(numpy.float64) * x.astype(numpy.float64)[columns]
    sums = numpy.concatenate([[0.0], numpy.cumsum(products)])
    return (sums[starts[1:]] - sums[starts[:-1]]).astype(numpy.float32)


PROBLEMS = {
    "matmul": Problem(
        ["int64", "int64", "int64", "pointer", "pointer", "pointer"],
        lambda m, n, k, a, b: (m, n),
        matmul_inputs,
        matmul_cases,
        matmul_reference,
        {"rtol": 1e-5, "atol": 2e-4},
        "gflops",
        lambda m, n, k, a, b: 2e-9 * m * n * k,
    ),
    "softmax": Problem(
        ["int64", "int64", "pointer", "pointer"],
        lambda rows, columns, x: (rows, columns),
        softmax_inputs,
        softmax_cases,
        softmax_reference,
        {"rtol": 1e-4, "atol": 1e-10},
        "gb_s",
        lambda rows, columns, x: 2e-9 * x.nbytes,
    ),
    "spmv": Problem(
        ["int64", "int64", "pointer", "pointer", "pointer", "pointer", "pointer"],
        lambda rows, entries, starts, columns, values, x: (rows,),
        spmv_inputs,
        spmv_cases,
        spmv_reference,
        {"rtol": 1e-4, "atol": 2e-4},
        "gb_s",
        lambda rows, entries, starts, columns, values, x: 1e-9 * (8 * entries + 8 * rows + x.nbytes),
    ),
}
