/* y = softmax of each row of x: exp(x - max) over its sum; x and y are rows x columns, row by row, columns >= 1, and do
   not overlap. One thread. The exponential is the textbook's series, and its length one of the tuner's constants. */
#include <stdint.h>

#define LANES 2  /* partial maxima and sums of a row, side by side */
#define TERMS 12 /* of the series */

/* e to the x, for x <= 0: a power of two, times the series for a rest of at most log(2) / 2 */
static float power(float x)
{
    if (x < -87)
        return 0;
    int whole = (int)(x * 1.44269504f - 0.5f);
    float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f, sum = 1;
    for (int term = TERMS; term > 0; term--)
        sum = 1 + sum * rest / term;
    union { int32_t bits; float value; } two = {(whole + 127) << 23};
    return sum * two.value;
}

void softmax(int64_t rows, int64_t columns, const float *restrict x, float *restrict y)
{
    for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
        float most[LANES], sum[LANES];
        for (int lane = 0; lane < LANES; lane++) {
            most[lane] = x[0];
            sum[lane] = 0;
        }
        int64_t even = columns - columns % LANES;
        for (int64_t at = 0; at < even; at += LANES)
            for (int lane = 0; lane < LANES; lane++)
                most[lane] = most[lane] > x[at + lane] ? most[lane] : x[at + lane];
        for (int64_t at = even; at < columns; at++)
            most[0] = most[0] > x[at] ? most[0] : x[at];
        for (int lane = 1; lane < LANES; lane++)
            most[0] = most[0] > most[lane] ? most[0] : most[lane];

        for (int64_t at = 0; at < columns; at++)
            y[at] = power(x[at] - most[0]);
        for (int64_t at = 0; at < even; at += LANES)
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] += y[at + lane];
        for (int64_t at = even; at < columns; at++)
            sum[0] += y[at];
        for (int lane = 1; lane < LANES; lane++)
            sum[0] += sum[lane];
        for (int64_t at = 0; at < columns; at++)
            y[at] /= sum[0];
    }
}
