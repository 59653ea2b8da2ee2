"""What a person would use instead of a kernel of their own; measured as a candidate is, in a process like its."""

import numpy
import scipy.sparse
import scipy.special


def matmul(m, n, k, a, b):
    return numpy.matmul(a, b)


def softmax(rows, columns, x):
    return scipy.special.softmax(x, axis=1)


def spmv(rows, entries, starts, columns, values, x):
    return scipy.sparse.csr_array((values, columns, starts), shape=(rows, len(x))) @ x
