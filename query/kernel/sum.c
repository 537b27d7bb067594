/* Sums of whole arrays.
 *
 * Doubles are compensated (Neumaier, by Knuth's two-sum) in four lanes side by side: one addition
 * waits for the one before, four chains do not wait for each other. The lanes are the same with
 * every instruction set, and so is the result, to the bit. Numerics of one scale add up as
 * 128-bit integers; what does not fit that shape is told, and the caller adds one by one. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

typedef double lanes __attribute__((vector_size(32)));
#define LANES 4
#define BODY static inline __attribute__((always_inline))

BODY void sum_body(const double *values, size_t count, double *sum, double *compensation)
{
    lanes total = {0}, lost = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        lanes value;
        __builtin_memcpy(&value, values + i, sizeof(value));
        lanes next = total + value, part = next - total;
        lost += (total - (next - part)) + (value - part);
        total = next;
    }
    for (; i < count; i++) {
        double next = total[0] + values[i], part = next - total[0];
        lost[0] += (total[0] - (next - part)) + (values[i] - part);
        total[0] = next;
    }
    double all = 0, rest = 0;
    for (int lane = 0; lane < LANES; lane++) {
        double next = all + total[lane], part = next - all;
        rest += (all - (next - part)) + (total[lane] - part) + lost[lane];
        all = next;
    }
    *sum = all;
    *compensation = rest;
}

static void sum_base(const double *values, size_t count, double *sum, double *compensation)
{
    sum_body(values, count, sum, compensation);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void sum_avx2(const double *values, size_t count,
                                                     double *sum, double *compensation)
{
    sum_body(values, count, sum, compensation);
}

#else
#define sum_avx2 sum_base
#endif

void sum_doubles(const double *values, size_t count, double *sum, double *compensation)
{
    static void (*const variants[KERNEL_ISA_COUNT])(const double *, size_t, double *, double *) = {
        [KERNEL_BASE] = sum_base, [KERNEL_AVX2] = sum_avx2, [KERNEL_AVX512] = sum_avx2};
    variants[kernels_chosen()->isa](values, count, sum, compensation);
}

bool sum_numerics(const struct numeric *values, size_t count, struct numeric *sum)
{
    unsigned __int128 digits = 0;
    uint64_t odd = 0; /* not finite, of another scale, or beyond 64 bits */
    for (size_t i = 0; i < count; i++) {
        __int128 value = values[i].digits;
        digits += (unsigned __int128)value;
        odd |= (uint64_t)(value >> 64) ^ (uint64_t)((int64_t)value >> 63);
        odd |= (uint64_t)(uint32_t)(values[i].scale ^ values[0].scale);
        odd |= (uint64_t)(values[i].kind ^ NUMERIC_FINITE);
    }
    if (odd != 0 || count == 0)
        return false;
    *sum = values[0];
    sum->digits = (__int128)digits;
    return true;
}
