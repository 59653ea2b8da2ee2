/* c = a b in single precision: a is m x k, b is k x n, c is m x n, all row by row, none overlapping another.
   One thread. This is the textbook's version in tiles; the three sizes are for the tuner. */
#include <stdint.h>

#define TILE_M 16
#define TILE_N 16
#define TILE_K 16

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void matmul(int64_t m, int64_t n, int64_t k, const float *restrict a, const float *restrict b, float *restrict c)
{
    for (int64_t at = 0; at < m * n; at++)
        c[at] = 0;
    for (int64_t i0 = 0; i0 < m; i0 += TILE_M)
        for (int64_t p0 = 0; p0 < k; p0 += TILE_K)
            for (int64_t j0 = 0; j0 < n; j0 += TILE_N)
                for (int64_t i = i0; i < least(i0 + TILE_M, m); i++)
                    for (int64_t p = p0; p < least(p0 + TILE_K, k); p++) {
                        float factor = a[i * k + p];
                        for (int64_t j = j0; j < least(j0 + TILE_N, n); j++)
                            c[i * n + j] += factor * b[p * n + j];
                    }
}
