"""y = A x for a sparse A in compressed rows (CSR), in Triton: one program a row, in pieces of PIECE entries."""

import torch
import triton
import triton.language as tl

PIECE = 32
WARPS = 1


@triton.jit
def row_of(starts, columns, values, x, y, PIECE: tl.constexpr):
    row = tl.program_id(0)
    first, end = tl.load(starts + row), tl.load(starts + row + 1)
    total = tl.zeros((PIECE,), dtype=tl.float32)
    for start in range(first, end, PIECE):
        place = start + tl.arange(0, PIECE)
        column = tl.load(columns + place, mask=place < end, other=0)
        total += tl.load(values + place, mask=place < end, other=0.0) * tl.load(x + column, mask=place < end, other=0.0)
    tl.store(y + row, tl.sum(total, axis=0))


def spmv(rows, entries, starts, columns, values, x):
    y = torch.empty(rows, device=x.device, dtype=x.dtype)
    row_of[(rows,)](starts, columns, values, x, y, PIECE=PIECE, num_warps=WARPS)
    return y
