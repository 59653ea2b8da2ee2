/* y = A x for a sparse A in compressed rows (CSR): row r has the values[p] in the columns[p] for p from starts[r] up to,
   not including, starts[r + 1]; y has one value a row, and overlaps nothing. One thread. Rows may be empty. */
#include <stdint.h>

#define LANES 1 /* partial sums of a row, side by side */
#define AHEAD 0 /* how many entries before its use a value of x is fetched; 0: not at all */

void spmv(int64_t rows, int64_t entries, const int32_t *restrict starts, const int32_t *restrict columns,
          const float *restrict values, const float *restrict x, float *restrict y)
{
    for (int64_t row = 0; row < rows; row++) {
        float sum[LANES] = {0};
        int64_t p = starts[row], end = starts[row + 1];
        for (; p + LANES <= end; p += LANES)
            for (int lane = 0; lane < LANES; lane++) {
#if AHEAD
                if (p + lane + AHEAD < entries)
                    __builtin_prefetch(&x[columns[p + lane + AHEAD]]);
#endif
                sum[lane] += values[p + lane] * x[columns[p + lane]];
            }
        for (; p < end; p++)
            sum[0] += values[p] * x[columns[p]];
        for (int lane = 1; lane < LANES; lane++)
            sum[0] += sum[lane];
        y[row] = sum[0];
    }
}
