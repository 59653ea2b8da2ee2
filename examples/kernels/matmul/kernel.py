"""c = a b in single precision, in Triton: a is m x k, b is k x n, row by row. One program a tile of c."""

import torch
import triton
import triton.language as tl

TILE_M = 32
TILE_N = 32
TILE_K = 16


@triton.jit
def tile(a, b, c, m, n, k, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr):
    rows = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)[:, None]
    columns = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)[None, :]
    total = tl.zeros((TILE_M, TILE_N), dtype=tl.float32)
    for start in range(0, k, TILE_K):
        down, across = start + tl.arange(0, TILE_K)[:, None], start + tl.arange(0, TILE_K)[None, :]
        left = tl.load(a + rows * k + across, mask=(rows < m) & (across < k), other=0.0)
        right = tl.load(b + down * n + columns, mask=(down < k) & (columns < n), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(c + rows * n + columns, total, mask=(rows < m) & (columns < n))


def matmul(m, n, k, a, b):
    c = torch.empty((m, n), device=a.device, dtype=a.dtype)
    grid = (triton.cdiv(m, TILE_M), triton.cdiv(n, TILE_N))
    tile[grid](a, b, c, m, n, k, TILE_M=TILE_M, TILE_N=TILE_N, TILE_K=TILE_K)
    return c
