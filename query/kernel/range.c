/* The least and the greatest of an array of integers, and whether there are infinities among
 * doubles, in eight lanes of a vector. */
#include "query/kernel/kernel.h"
#include "storage/encoding/kernels.h"

typedef int64_t lanes __attribute__((vector_size(64)));
#define LANES 8
#define BODY static inline __attribute__((always_inline))

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

BODY void range_body(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    lanes lows, highs, value;
    int64_t first = values[0], last = values[0];
    size_t i = 0;
    if (count >= LANES) {
        __builtin_memcpy(&lows, values, sizeof(lows));
        highs = lows;
        for (i = LANES; i + LANES <= count; i += LANES) {
            __builtin_memcpy(&value, values + i, sizeof(value));
            lanes is_below = value<lows, is_above = value> highs;
            lows = (value & is_below) | (lows & ~is_below);
            highs = (value & is_above) | (highs & ~is_above);
        }
        for (int lane = 0; lane < LANES; lane++) {
            first = least(first, lows[lane]);
            last = greatest(last, highs[lane]);
        }
    }
    for (; i < count; i++) {
        first = least(first, values[i]);
        last = greatest(last, values[i]);
    }
    *low = first;
    *high = last;
}

#define ABOVE_FINITE INT64_C(0x7ff0000000000000) /* the bits of an infinity without its sign */

BODY bool infinite_body(const double *values, size_t count)
{
    lanes any = {0}, value;
    size_t i = 0;
    bool is = false;
    for (; i + LANES <= count; i += LANES) {
        __builtin_memcpy(&value, values + i, sizeof(value));
        any |= (value & INT64_MAX) == ABOVE_FINITE;
    }
    for (int lane = 0; lane < LANES; lane++)
        is = is || any[lane] != 0;
    for (; i < count; i++) {
        int64_t bits;
        __builtin_memcpy(&bits, values + i, sizeof(bits));
        is = is || (bits & INT64_MAX) == ABOVE_FINITE;
    }
    return is;
}

static bool infinite_base(const double *values, size_t count)
{
    return infinite_body(values, count);
}

static void range_base(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void range_avx2(const int64_t *values, size_t count,
                                                       int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) static void
range_avx512(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    range_body(values, count, low, high);
}

__attribute__((target("avx2"))) static bool infinite_avx2(const double *values, size_t count)
{
    return infinite_body(values, count);
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) static bool
infinite_avx512(const double *values, size_t count)
{
    return infinite_body(values, count);
}

#else
#define range_avx2 range_base
#define range_avx512 range_base
#define infinite_avx2 infinite_base
#define infinite_avx512 infinite_base
#endif

void range_ints(const int64_t *values, size_t count, int64_t *low, int64_t *high)
{
    static void (*const variants[KERNEL_ISA_COUNT])(const int64_t *, size_t, int64_t *,
                                                    int64_t *) = {
        [KERNEL_BASE] = range_base, [KERNEL_AVX2] = range_avx2, [KERNEL_AVX512] = range_avx512};
    variants[kernels_chosen()->isa](values, count, low, high);
}

bool has_infinite(const double *values, size_t count)
{
    static bool (*const variants[KERNEL_ISA_COUNT])(const double *,
                                                    size_t) = {[KERNEL_BASE] = infinite_base,
                                                               [KERNEL_AVX2] = infinite_avx2,
                                                               [KERNEL_AVX512] = infinite_avx512};
    return variants[kernels_chosen()->isa](values, count);
}
