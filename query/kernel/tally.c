/* Sums and counts by code: each row adds to the place of its code.
 *
 *   codes ──▶ counts[code][row % 4]      values ──▶ sums[code][row % 4]
 *
 * Rows of one code mostly come close together, and each would wait for the store of the one before.
 * So four lanes stand side by side for each code, and rows go to them in turn; a table of 256 codes
 * still fits the first cache. Which row goes to which lane follows from its place in the call
 * alone, so a sum of doubles is the same for the same calls.
 *
 * Doubles that are known to lie within a window are cut in two: the high part is a multiple of one
 * power of two, so that adding up high parts rounds nothing, and what is left is so small that
 * what rounding takes of its sum is nothing of the whole. Both parts are added at once. That takes
 * half the time of a compensated addition, which others get. */
#include "query/kernel/kernel.h"

#include "storage/base/fault.h"
#include "storage/encoding/kernels.h"

#define BODY static inline __attribute__((always_inline))

typedef double pair __attribute__((vector_size(16)));
typedef uint64_t lanes __attribute__((vector_size(64)));
#define LANES 8

static inline size_t place_of(const uint32_t *codes, size_t i)
{
    return (size_t)codes[i] * TALLY_LANES + i % TALLY_LANES;
}

uint32_t tally_rows(const uint32_t *codes, size_t count, uint32_t *counts)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t *place = &counts[place_of(codes, i)], before = *place;
        *place = before + 1;
        seen |= before;
    }
    return seen;
}

void tally_selected(const uint32_t *codes, const uint32_t *selection, size_t count,
                    uint32_t *counts)
{
    for (size_t i = 0; i < count; i++)
        counts[codes[selection[i]]]++;
}

/* Knuth's two-sum: what is lost of a sum is exact. */
void tally_doubles(const uint32_t *codes, const double *values, size_t count,
                   struct tally_sum *sums)
{
    for (size_t i = 0; i < count; i++) {
        struct tally_sum *place = &sums[place_of(codes, i)];
        double value = values[i], before = place->sum, sum = before + value, part = sum - before;
        place->sum = sum;
        __asm__ volatile("" ::: "memory"); /* the next row of the lane waits for the sum alone */
        place->lost += (before - (sum - part)) + (value - part);
    }
}

void tally_ints(const uint32_t *codes, const int64_t *values, size_t count, int64_t *sums)
{
    for (size_t i = 0; i < count; i++)
        sums[place_of(codes, i)] += values[i];
}

/* --- doubles within a window --- */

#define EXPONENT_BIT 52
#define HIGH_BITS 33   /* of a high part: 2^TALLY_ROWS_BIT of them need 51 */
#define WINDOW_BITS 24 /* from the least to the greatest */

static double power_of_two(int64_t exponent)
{
    int64_t bits = exponent << EXPONENT_BIT;
    double value;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
}

bool tally_window_make(const double *values, size_t count, struct tally_window *window)
{
    int64_t low, high;
    range_ints((const int64_t *)(const void *)values, count, &low, &high);
    /* Some room above what the first values are. */
    int64_t exponent = (high >> EXPONENT_BIT) + 4;
    if (low < 0 || exponent <= HIGH_BITS + 1 || exponent - HIGH_BITS + EXPONENT_BIT >= 2046)
        return false;
    window->low = (exponent - WINDOW_BITS) << EXPONENT_BIT;
    window->high = (exponent << EXPONENT_BIT) - 1;
    /* Added and taken away again it leaves multiples of 2^(exponent - HIGH_BITS). */
    window->magic = 1.5 * power_of_two(exponent - HIGH_BITS + EXPONENT_BIT);
    return tally_window_holds(window, values, count);
}

/* The top bit of each term: below 0; above the window; above 0 and below the window. */
BODY bool window_body(const struct tally_window *window, const int64_t *bits, size_t count)
{
    lanes any = {0}, value;
    lanes low = any + (uint64_t)window->low, high = any + (uint64_t)window->high;
    uint64_t outside = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __builtin_memcpy(&value, bits + i, sizeof(value));
        any |= value | (high - value) | ((value - low) & -value);
    }
    for (int lane = 0; lane < LANES; lane++)
        outside |= any[lane];
    for (; i < count; i++)
        if (bits[i] != 0 && (bits[i] < window->low || bits[i] > window->high))
            outside = UINT64_MAX;
    return outside >> 63 == 0;
}

static bool window_base(const struct tally_window *window, const int64_t *bits, size_t count)
{
    return window_body(window, bits, count);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool window_avx2(const struct tally_window *window,
                                                        const int64_t *bits, size_t count)
{
    return window_body(window, bits, count);
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) static bool
window_avx512(const struct tally_window *window, const int64_t *bits, size_t count)
{
    return window_body(window, bits, count);
}
#else
#define window_avx2 window_base
#define window_avx512 window_base
#endif

bool tally_window_holds(const struct tally_window *window, const double *values, size_t count)
{
    static bool (*const variants[KERNEL_ISA_COUNT])(const struct tally_window *, const int64_t *,
                                                    size_t) = {
        [KERNEL_BASE] = window_base, [KERNEL_AVX2] = window_avx2, [KERNEL_AVX512] = window_avx512};
    return variants[kernels_chosen()->isa](window, (const int64_t *)(const void *)values, count);
}

BODY void add_parts(struct tally_sum *place, pair parts)
{
    pair sum;
    __builtin_memcpy(&sum, place, sizeof(sum));
    sum += parts;
    __builtin_memcpy(place, &sum, sizeof(sum));
}

BODY uint32_t count_place(uint32_t *place)
{
    uint32_t before = *place;
    *place = before + 1;
    return before;
}

/* Two rows, for the places of two lanes. */
BODY void add_two(const uint32_t *codes, const double *values, double magic, size_t lane,
                  struct tally_sum *sums)
{
    pair value, high, low;
    __builtin_memcpy(&value, values, sizeof(value));
    high = (value + magic) - magic;
    low = value - high;
    add_parts(&sums[(size_t)codes[0] * TALLY_LANES + lane], (pair){high[0], low[0]});
    add_parts(&sums[(size_t)codes[1] * TALLY_LANES + lane + 1], (pair){high[1], low[1]});
}

BODY uint32_t parts_body(const struct tally_window *window, const uint32_t *codes,
                         const double *values, size_t count, struct tally_sum *sums,
                         uint32_t *counts)
{
    uint32_t seen = 0;
    double magic = window->magic;
    size_t i = 0;
    for (; i + TALLY_LANES <= count; i += TALLY_LANES) {
        add_two(codes + i, values + i, magic, 0, sums);
        add_two(codes + i + 2, values + i + 2, magic, 2, sums);
        for (size_t lane = 0; counts != NULL && lane < TALLY_LANES; lane++)
            seen |= count_place(&counts[(size_t)codes[i + lane] * TALLY_LANES + lane]);
    }
    for (; i < count; i++) {
        double high = (values[i] + magic) - magic;
        add_parts(&sums[place_of(codes, i)], (pair){high, values[i] - high});
        if (counts != NULL)
            seen |= count_place(&counts[place_of(codes, i)]);
    }
    return seen;
}

uint32_t tally_parts(const struct tally_window *window, const uint32_t *codes, const double *values,
                     size_t count, struct tally_sum *sums, uint32_t *counts)
{
    size_t end = count - (fault_is("kernel.tally_parts") && count > 1 ? 1 : 0);
    return counts == NULL ? parts_body(window, codes, values, end, sums, NULL)
                          : parts_body(window, codes, values, end, sums, counts);
}
