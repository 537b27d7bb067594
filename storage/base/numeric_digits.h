/* Digits of numerics, as numeric.c and numeric_text.c go about them. Private to these. */
#ifndef FRESHET_STORAGE_BASE_NUMERIC_DIGITS_H
#define FRESHET_STORAGE_BASE_NUMERIC_DIGITS_H

#include "storage/base/numeric.h"

#include <assert.h>

typedef unsigned __int128 u128; /* the language has no shorter name for it */

#define POWER19 UINT64_C(10000000000000000000)

static inline u128 digits_magnitude(__int128 value)
{
    return value < 0 ? -(u128)value : (u128)value;
}

static inline bool digits_fit(__int128 digits)
{
    return digits_magnitude(digits) < (u128)numeric_power10(NUMERIC_DIGITS_MAX);
}

static inline enum err digits_overflow(struct error *error)
{
    return error_set(error, ERR_INPUT, "22003", "value overflows numeric format");
}

/* digits * 10^places, false past 38 digits. */
static inline bool digits_scale_up(__int128 digits, int32_t places, __int128 *out)
{
    assert(places >= 0);
    if (digits == 0) {
        *out = 0;
        return true;
    }
    if (places > NUMERIC_DIGITS_MAX)
        return false;
    return !__builtin_mul_overflow(digits, numeric_power10(places), out) && digits_fit(*out);
}

#endif
