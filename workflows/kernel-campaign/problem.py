"""What the kernel computes: change this file, and `kernel.c`, for a kernel of your own."""

import numpy

NAME = "matmul"  # the function in kernel.c
ARGUMENTS = ["int64", "int64", "int64", "pointer", "pointer", "pointer"]  # of the C function, the result's memory last
METRIC = "gflops"  # or gb_s
TOLERANCE = {"rtol": 1e-5, "atol": 1e-4}  # a few times the rounding of single precision; half precision is far beyond


def shape(m, n, k, a, b):
    """Of the result, in single precision."""
    return m, n


def work(m, n, k, a, b):
    """GFLOP of one call, or GB that must at least move."""
    return 2e-9 * m * n * k


def matrices(rng, m, n, k):
    draw = numpy.random.default_rng(rng.getrandbits(64))
    a, b = (draw.uniform(-1, 1, sides).astype(numpy.float32) for sides in ((m, k), (k, n)))
    return m, n, k, a, b


def inputs(rng, small):
    """Of one timed call, drawn anew for each."""
    low, high = (41, 61) if small else (301, 341)
    return matrices(rng, *(rng.randrange(low, high, 2) for _ in "mnk"))  # odd, so that no shape is aligned


def corners(rng):
    """Of calls that are only checked."""
    shapes = [(1, 1, 1), (1, 67, 5), (67, 1, 5), (5, 7, 1), (33, 129, 65), (3, 530, 40)]
    return [matrices(rng, *shape) for shape in [*shapes, *([rng.randrange(1, 100) for _ in "mnk"] for _ in range(4))]]


def reference(m, n, k, a, b):
    """The right result."""
    return (a.astype(numpy.float64) @ b.astype(numpy.float64)).astype(numpy.float32)


def library(m, n, k, a, b):
    """What you would use instead; measured in the same run."""
    return numpy.matmul(a, b)
