"""What a person with a GPU would use instead of a Triton kernel of their own."""

import torch


def matmul(m, n, k, a, b):
    return torch.matmul(a, b)


def softmax(rows, columns, x):
    return torch.softmax(x, dim=1)


def spmv(rows, entries, starts, columns, values, x):
    return torch.sparse_csr_tensor(starts, columns, values, (rows, len(x)), check_invariants=False) @ x
