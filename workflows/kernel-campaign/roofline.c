/* What one thread of this machine can do at most, each the best of several: `peak_gflops`, multiply-adds in registers,
   and a triad a[i] = b[i] + 3 c[i], `memory_gb_s` over 192 MiB and `cache_gb_s` over 512 KiB, or as many bytes as the two
   arguments say. A triad's bytes are counted once for each array. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef float vector_16 __attribute__((vector_size(64)));
typedef float vector_8 __attribute__((vector_size(32)));
typedef float vector_4 __attribute__((vector_size(16)));

/* seconds of the processor, which other programs do not disturb much */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* GFLOP/s of independent sums, more of them than latency times units, and few enough for the registers */
#define PEAK(name, vector, lanes, chains)                                     \
    static double name(long steps)                                            \
    {                                                                         \
        vector sum[chains], factor, term;                                     \
        for (int lane = 0; lane < lanes; lane++)                              \
            factor[lane] = 0.999f, term[lane] = 0.001f;                       \
        for (int chain = 0; chain < chains; chain++)                          \
            sum[chain] = term * (float)chain;                                 \
        __asm__ volatile("" : : "m"(sum), "m"(factor), "m"(term) : "memory"); \
        double began = now();                                                 \
        for (long step = 0; step < steps; step++)                             \
            for (int chain = 0; chain < chains; chain++)                      \
                sum[chain] = sum[chain] * factor + term;                      \
        double seconds = now() - began;                                       \
        __asm__ volatile("" : : "m"(sum) : "memory");                         \
        return 2e-9 * lanes * chains * steps / seconds;                       \
    }
PEAK(peak_16, vector_16, 16, 24)
PEAK(peak_8, vector_8, 8, 12)
PEAK(peak_4, vector_4, 4, 24)

static double triad(size_t bytes, int repeats)
{
    size_t count = bytes / 3 / sizeof(float), again = 1 + (size_t)(16 << 20) / bytes;
    float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b), *c = malloc(count * sizeof *c);
    double best = 0;
    if (!a || !b || !c)
        exit(1);
    for (size_t at = 0; at < count; at++)
        a[at] = 0, b[at] = 1, c[at] = 2;
    for (int repeat = 0; repeat < repeats; repeat++) {
        double began = now();
        for (size_t time = 0; time < again; time++) {
            for (size_t at = 0; at < count; at++)
                a[at] = b[at] + 3 * c[at];
            __asm__ volatile("" : : "r"(a) : "memory");
        }
        double rate = 1e-9 * again * count * 3 * sizeof(float) / (now() - began);
        best = rate > best ? rate : best;
    }
    free(a), free(b), free(c);
    return best;
}

int main(int count, char **words)
{
    double (*kinds[])(long) = {peak_16, peak_8, peak_4}, peak = 0;
    size_t memory = count > 1 ? strtoul(words[1], 0, 10) : 192 << 20;
    size_t cache = count > 2 ? strtoul(words[2], 0, 10) : 512 << 10;
    for (int repeat = 0; repeat < 24; repeat++) {
        double rate = kinds[repeat % 3](200000);
        peak = rate > peak ? rate : peak;
    }
    printf("peak_gflops=%.6g memory_gb_s=%.6g cache_gb_s=%.6g\n", peak, triad(memory, 5), triad(cache, 20));
    return 0;
}
