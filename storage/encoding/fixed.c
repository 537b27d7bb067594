/* Sums of a dictionary's doubles in integers: for runs of rows that are long for it.
 *
 *   entries ─▶ multiples of near / 2^60, once a run ─▶ added up by codes, 8 at a time in 64 bits
 *
 * What is lost of an entry is less than near / 2^60, where nothing is above `near`; a double keeps
 * all of its bits if it is above near / 256. A sum whose values are small beside `near` on average
 * is not taken: what is lost is at most 2^-50 of a sum, if all values are as small as may be, and
 * 2^-53 or less, as one rounding of a double loses, where the average is above near / 128. A
 * compensated sum takes 1.6 times as long. Integers add up to the same in any order: the result
 * depends on the rows alone. */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"

#include <math.h>

#define FIXED_BITS 60u
#define SMALL_BITS 10u /* the average is at least near / 2^10 */
#define STRIDE 8u      /* so many values below 2^60 add up within 64 bits */

typedef double eight_doubles __attribute__((vector_size(64)));
typedef int64_t eight_integers __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) void fix_body(const uint8_t *entries, uint32_t count,
                                                           double scale, uint64_t *fixed)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        eight_doubles value;
        memcpy(&value, entries + (size_t)i * 8, sizeof(value));
        eight_integers whole = __builtin_convertvector(value * scale, eight_integers);
        memcpy(fixed + i, &whole, sizeof(whole));
    }
    for (; i < count; i++) {
        double value;
        memcpy(&value, entries + (size_t)i * 8, sizeof(value));
        fixed[i] = (uint64_t)(int64_t)(value * scale);
    }
}

static void fix_base(const uint8_t *entries, uint32_t count, double scale, uint64_t *fixed)
{
    fix_body(entries, count, scale, fixed);
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512dq,avx512vl"))) static void
fix_avx512(const uint8_t *entries, uint32_t count, double scale, uint64_t *fixed)
{
    fix_body(entries, count, scale, fixed);
}
#else
#define fix_avx512 fix_base
#endif

void fixed_make(const uint8_t *entries, uint32_t count, double near, uint64_t *fixed)
{
    double scale = ldexp(1, (int)FIXED_BITS) / near; /* a power of two: no product is rounded */
    if (kernels_chosen()->isa == KERNEL_AVX512)
        fix_avx512(entries, count, scale, fixed);
    else
        fix_base(entries, count, scale, fixed);
}

/* Two codes that lie side by side: loads are what it takes. */
static inline uint64_t add_pair(const uint64_t *fixed, const uint32_t *codes)
{
    uint64_t pair = load_u64((const uint8_t *)codes);
    return fixed[(uint32_t)pair] + fixed[pair >> 32];
}

unsigned __int128 fixed_sum(const uint64_t *fixed, const uint32_t *codes, uint32_t count)
{
    unsigned __int128 sum = 0;
    uint32_t i = 0;
    for (; i + STRIDE <= count; i += STRIDE) {
        uint64_t one = add_pair(fixed, codes + i) + add_pair(fixed, codes + i + 2);
        uint64_t other = add_pair(fixed, codes + i + 4) + add_pair(fixed, codes + i + 6);
        sum += one + other;
    }
    for (; i < count; i++)
        sum += fixed[codes[i]];
    return sum;
}

bool fixed_result(unsigned __int128 all, uint32_t count, double near, double *sum, double *lost)
{
    double unit = near / ldexp(1, (int)FIXED_BITS), whole = (double)all;
    if (all >> (FIXED_BITS - SMALL_BITS) < count && !fault_is("fixed.small_kept"))
        return false;
    __int128 rest = (__int128)(all - (unsigned __int128)whole);
    *sum = whole * unit;
    *lost = fault_is("fixed.rest_lost") ? 0 : (double)rest * unit;
    return true;
}
