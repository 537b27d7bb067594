/* numeric as a scaled 128-bit integer.
 *
 * Everything that PostgreSQL computes exactly is exact here, to 38 digits; past them the answer is
 * 22003 and never a silent loss. Scales follow numeric.c of PostgreSQL 15 (select_div_scale for
 * quotients), but end at 38: a quotient or product whose scale would be longer is rounded there.
 * Every function keeps |digits| < 10^38 and 0 <= scale <= 38. Most values have 64-bit digits, so
 * those paths come first. */
#include "storage/base/numeric.h"

#include "storage/base/hash.h"
#include "storage/base/number.h"
#include "storage/base/numeric_digits.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define TEXT_SIZE_MAX 48

__int128 numeric_power10(int exponent)
{
    assert(exponent >= 0 && exponent <= NUMERIC_DIGITS_MAX);
    static const uint64_t small[] = {1u,
                                     10u,
                                     100u,
                                     1000u,
                                     10000u,
                                     100000u,
                                     1000000u,
                                     10000000u,
                                     100000000u,
                                     1000000000u,
                                     10000000000u,
                                     100000000000u,
                                     1000000000000u,
                                     10000000000000u,
                                     100000000000000u,
                                     1000000000000000u,
                                     10000000000000000u,
                                     100000000000000000u,
                                     1000000000000000000u,
                                     POWER19};
    if (exponent <= 19)
        return (__int128)small[exponent];
    return (__int128)((u128)small[19] * small[exponent - 19]);
}

static struct numeric make_finite(__int128 digits, int32_t scale)
{
    assert(scale >= 0 && scale <= NUMERIC_DIGITS_MAX);
    return (struct numeric){.digits = digits, .scale = scale, .kind = NUMERIC_FINITE};
}

static struct numeric special(enum numeric_kind kind)
{
    return (struct numeric){.kind = (int32_t)kind};
}

/* digits / 10^places, half away from zero. */
static __int128 round_down(__int128 digits, int32_t places)
{
    if (places <= 0)
        return digits;
    if (places > NUMERIC_DIGITS_MAX)
        return 0;
    u128 unit = (u128)numeric_power10(places);
    u128 value = digits_magnitude(digits);
    u128 quotient = value / unit;
    quotient += value % unit >= unit - unit / 2;
    return digits < 0 ? -(__int128)quotient : (__int128)quotient;
}

static bool is_infinite(struct numeric n)
{
    return n.kind == NUMERIC_INFINITY || n.kind == NUMERIC_MINUS_INFINITY;
}

/* -1, 0, 1; infinities count. */
static int sign_of(struct numeric n)
{
    if (n.kind != NUMERIC_FINITE)
        return n.kind == NUMERIC_MINUS_INFINITY ? -1 : 1;
    return (n.digits > 0) - (n.digits < 0);
}

static struct numeric infinity_of(int sign)
{
    return special(sign < 0 ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY);
}

/* --- making --- */

struct numeric numeric_from_int(int64_t value)
{
    return make_finite(value, 0);
}

bool numeric_is_sound(struct numeric n)
{
    return n.kind >= NUMERIC_FINITE && n.kind <= NUMERIC_MINUS_INFINITY && n.scale >= 0 &&
           n.scale <= NUMERIC_DIGITS_MAX && digits_fit(n.digits);
}

struct numeric numeric_from_int128(__int128 value, int32_t scale)
{
    assert(digits_fit(value));
    return make_finite(value, scale);
}

enum err numeric_from_double(double value, int significant_digits, struct numeric *out,
                             struct error *error)
{
    char text[TEXT_SIZE_MAX];
    assert(significant_digits >= 1 && significant_digits <= 17);
    if (isnan(value) || isinf(value)) {
        *out = isnan(value) ? special(NUMERIC_NAN) : infinity_of(value < 0 ? -1 : 1);
        return OK;
    }
    snprintf(text, sizeof(text), "%.*g", significant_digits, value);
    return numeric_parse(slice_from_cstr(text), out, error);
}

double numeric_to_double(struct numeric n)
{
    if (n.kind != NUMERIC_FINITE)
        return n.kind == NUMERIC_NAN        ? (double)NAN
               : n.kind == NUMERIC_INFINITY ? HUGE_VAL
                                            : -HUGE_VAL;
    if (digits_magnitude(n.digits) <= (u128)1 << 53 && n.scale <= 22)
        return (double)(int64_t)n.digits / (double)numeric_power10(n.scale);
    struct writer text;
    writer_init(&text);
    numeric_print(n, &text);
    double value = 0;
    enum err err = float8_parse(writer_as_slice(&text), &value, NULL);
    assert(err == OK);
    writer_deinit(&text);
    return value;
}

enum err numeric_to_int(struct numeric n, int64_t *out, struct error *error)
{
    if (n.kind != NUMERIC_FINITE)
        return error_set(error, ERR_UNSUPPORTED, NULL, "cannot convert %s to bigint",
                         n.kind == NUMERIC_NAN ? "NaN" : "infinity");
    __int128 value = round_down(n.digits, n.scale);
    if (value < INT64_MIN || value > INT64_MAX)
        return error_set(error, ERR_INPUT, "22003", "bigint out of range");
    *out = (int64_t)value;
    return OK;
}

/* --- arithmetic --- */

static bool align(struct numeric *a, struct numeric *b)
{
    if (a->scale == b->scale)
        return true;
    struct numeric *low = a->scale < b->scale ? a : b;
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    if (!digits_scale_up(low->digits, scale - low->scale, &low->digits))
        return false;
    low->scale = scale;
    return true;
}

enum err numeric_add(struct numeric a, struct numeric b, struct numeric *out, struct error *error)
{
    if (a.kind != NUMERIC_FINITE || b.kind != NUMERIC_FINITE) {
        if (a.kind == NUMERIC_NAN || b.kind == NUMERIC_NAN ||
            (is_infinite(a) && is_infinite(b) && a.kind != b.kind))
            *out = special(NUMERIC_NAN);
        else
            *out = is_infinite(a) ? a : b;
        return OK;
    }
    if (!align(&a, &b))
        return digits_overflow(error);
    __int128 sum; /* two numbers below 10^38 cannot overflow this twice: checked, then bounded */
    if (__builtin_add_overflow(a.digits, b.digits, &sum) || !digits_fit(sum))
        return digits_overflow(error);
    *out = make_finite(sum, a.scale);
    return OK;
}

struct numeric numeric_negate(struct numeric n)
{
    if (is_infinite(n))
        return infinity_of(-sign_of(n));
    n.digits = -n.digits;
    return n;
}

enum err numeric_subtract(struct numeric a, struct numeric b, struct numeric *out,
                          struct error *error)
{
    return numeric_add(a, numeric_negate(b), out, error);
}

enum err numeric_multiply(struct numeric a, struct numeric b, struct numeric *out,
                          struct error *error)
{
    if (a.kind != NUMERIC_FINITE || b.kind != NUMERIC_FINITE) {
        int sign = sign_of(a) * sign_of(b);
        bool is_nan = a.kind == NUMERIC_NAN || b.kind == NUMERIC_NAN || sign == 0;
        *out = is_nan ? special(NUMERIC_NAN) : infinity_of(sign);
        return OK;
    }
    __int128 product;
    int32_t scale = a.scale + b.scale;
    if (__builtin_mul_overflow(a.digits, b.digits, &product) || !digits_fit(product))
        return digits_overflow(error);
    if (scale > NUMERIC_DIGITS_MAX) {
        product = round_down(product, scale - NUMERIC_DIGITS_MAX);
        scale = NUMERIC_DIGITS_MAX;
    }
    *out = make_finite(product, scale);
    return OK;
}

static int digit_count(u128 value)
{
    int count = 0;
    for (; value >= POWER19; value /= 10)
        count++;
    for (uint64_t low = (uint64_t)value; low > 0; low /= 10)
        count++;
    return count;
}

/* The base-10000 weight and first digit that PostgreSQL's representation would have. */
static void leading_group(struct numeric n, int *weight, int *first)
{
    *weight = 0;
    *first = 0;
    if (n.digits == 0)
        return;
    u128 value = digits_magnitude(n.digits);
    int count = digit_count(value);
    int exponent = count - 1 - n.scale;
    *weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4);
    int keep = exponent - 4 * *weight + 1;
    assert(keep >= 1 && keep <= 4);
    if (keep <= count)
        *first = (int)(value / (u128)numeric_power10(count - keep));
    else
        *first = (int)(value * (u128)numeric_power10(keep - count));
}

static int32_t divide_scale(struct numeric a, struct numeric b)
{
    int weight_a, weight_b, first_a, first_b;
    leading_group(a, &weight_a, &first_a);
    leading_group(b, &weight_b, &first_b);
    int weight = weight_a - weight_b - (first_a <= first_b);
    int32_t scale = 16 - weight * 4;
    scale = scale > a.scale ? scale : a.scale;
    scale = scale > b.scale ? scale : b.scale;
    return scale < NUMERIC_DIGITS_MAX ? scale : NUMERIC_DIGITS_MAX;
}

/* One step of long division: *remainder * 10 = digit * divisor + new *remainder. The product may
 * not fit 128 bits, so it is made by additions, each reduced at once. */
static unsigned next_digit(u128 *remainder, u128 divisor)
{
    unsigned digit = 0;
    u128 sum = 0;
    for (int step = 0; step < 10; step++) {
        sum += *remainder;
        if (sum >= divisor) {
            sum -= divisor;
            digit++;
        }
    }
    *remainder = sum;
    return digit;
}

/* value * 10^places / divisor, half away from zero; false past 38 digits. */
static bool divide_scaled(u128 value, int32_t places, u128 divisor, u128 *out)
{
    u128 limit = (u128)numeric_power10(NUMERIC_DIGITS_MAX);
    __int128 scaled;
    u128 quotient, remainder;
    if (digits_scale_up((__int128)value, places, &scaled)) {
        quotient = (u128)scaled / divisor;
        remainder = (u128)scaled % divisor;
    } else {
        quotient = value / divisor;
        remainder = value % divisor;
        for (int32_t place = 0; place < places; place++) {
            quotient = quotient * 10 + next_digit(&remainder, divisor);
            if (quotient >= limit)
                return false;
        }
    }
    quotient += remainder >= divisor - remainder;
    *out = quotient;
    return quotient < limit;
}

static enum err division_by_zero(struct error *error)
{
    return error_set(error, ERR_INPUT, "22012", "division by zero");
}

enum err numeric_divide(struct numeric a, struct numeric b, struct numeric *out,
                        struct error *error)
{
    if (a.kind == NUMERIC_NAN || b.kind == NUMERIC_NAN) {
        *out = special(NUMERIC_NAN);
        return OK;
    }
    if (sign_of(b) == 0)
        return division_by_zero(error);
    if (is_infinite(a)) {
        *out = is_infinite(b) ? special(NUMERIC_NAN) : infinity_of(sign_of(a) * sign_of(b));
        return OK;
    }
    if (is_infinite(b)) {
        *out = make_finite(0, 0);
        return OK;
    }
    int32_t scale = divide_scale(a, b);
    u128 quotient;
    if (!divide_scaled(digits_magnitude(a.digits), scale - a.scale + b.scale,
                       digits_magnitude(b.digits), &quotient))
        return digits_overflow(error);
    bool is_negative = (a.digits < 0) != (b.digits < 0);
    *out = make_finite(is_negative ? -(__int128)quotient : (__int128)quotient, scale);
    return OK;
}

enum err numeric_modulo(struct numeric a, struct numeric b, struct numeric *out,
                        struct error *error)
{
    if (a.kind == NUMERIC_NAN || b.kind == NUMERIC_NAN) {
        *out = special(NUMERIC_NAN);
        return OK;
    }
    if (sign_of(b) == 0)
        return division_by_zero(error);
    if (is_infinite(a) || is_infinite(b)) {
        *out = is_infinite(a) ? special(NUMERIC_NAN) : a;
        return OK;
    }
    if (!align(&a, &b))
        return digits_overflow(error);
    *out = make_finite(a.digits % b.digits, a.scale);
    return OK;
}

/* --- rounding --- */

enum err numeric_round(struct numeric n, int32_t scale, struct numeric *out, struct error *error)
{
    if (n.kind != NUMERIC_FINITE) {
        *out = n;
        return OK;
    }
    if (scale > NUMERIC_DIGITS_MAX)
        scale = NUMERIC_DIGITS_MAX;
    if (scale >= n.scale) {
        if (!digits_scale_up(n.digits, scale - n.scale, &n.digits))
            return digits_overflow(error);
        *out = make_finite(n.digits, scale);
        return OK;
    }
    if (scale < -NUMERIC_DIGITS_MAX)
        scale = -NUMERIC_DIGITS_MAX;
    __int128 digits = round_down(n.digits, n.scale - scale);
    if (scale < 0 && !digits_scale_up(digits, -scale, &digits))
        return digits_overflow(error);
    if (!digits_fit(digits))
        return digits_overflow(error);
    *out = make_finite(digits, scale < 0 ? 0 : scale);
    return OK;
}

struct numeric numeric_truncate(struct numeric n, int32_t scale)
{
    if (n.kind != NUMERIC_FINITE)
        return n;
    if (scale > NUMERIC_DIGITS_MAX)
        scale = NUMERIC_DIGITS_MAX;
    if (scale >= n.scale) {
        __int128 digits; /* where the zeros have no room the scale stays as it is: the value is the
                            same */
        return digits_scale_up(n.digits, scale - n.scale, &digits) ? make_finite(digits, scale) : n;
    }
    if (scale < -NUMERIC_DIGITS_MAX || n.scale - scale > NUMERIC_DIGITS_MAX)
        return make_finite(0, scale < 0 ? 0 : scale);
    __int128 digits = n.digits / numeric_power10(n.scale - scale);
    return scale >= 0 ? make_finite(digits, scale)
                      : make_finite(digits * numeric_power10(-scale), 0);
}

static struct numeric step_from_truncated(struct numeric n, int direction)
{
    struct numeric whole = numeric_truncate(n, 0);
    if (n.kind != NUMERIC_FINITE || sign_of(n) != direction)
        return whole;
    bool is_exact = n.digits % numeric_power10(n.scale) == 0;
    whole.digits += is_exact ? 0 : direction; /* a fraction was cut, so there is room */
    return whole;
}

struct numeric numeric_floor(struct numeric n)
{
    return step_from_truncated(n, -1);
}

struct numeric numeric_ceil(struct numeric n)
{
    return step_from_truncated(n, 1);
}

enum err numeric_fit(struct numeric n, int32_t precision, int32_t scale, struct numeric *out,
                     struct error *error)
{
    assert(precision >= 1 && precision <= NUMERIC_DIGITS_MAX);
    assert(scale >= 0 && scale <= precision);
    if (n.kind == NUMERIC_NAN) {
        *out = n;
        return OK;
    }
    if (n.kind != NUMERIC_FINITE) {
        enum err err = error_set(error, ERR_INPUT, "22003", "numeric field overflow");
        error_hint(error, "A field with precision %d, scale %d cannot hold an infinite value.",
                   precision, scale);
        return err;
    }
    struct numeric rounded;
    enum err err = numeric_round(n, scale, &rounded, NULL);
    if (err == OK && digits_magnitude(rounded.digits) < (u128)numeric_power10(precision)) {
        *out = rounded;
        return OK;
    }
    err = error_set(error, ERR_INPUT, "22003", "numeric field overflow");
    error_hint(
        error,
        "A field with precision %d, scale %d must round to an absolute value less than 10^%d.",
        precision, scale, precision - scale);
    return err;
}

/* --- order --- */

int numeric_compare(struct numeric a, struct numeric b)
{
    static const int ranks[] = {[NUMERIC_MINUS_INFINITY] = 0,
                                [NUMERIC_FINITE] = 1,
                                [NUMERIC_INFINITY] = 2,
                                [NUMERIC_NAN] = 3};
    if (a.kind != NUMERIC_FINITE || b.kind != NUMERIC_FINITE)
        return (ranks[a.kind] > ranks[b.kind]) - (ranks[a.kind] < ranks[b.kind]);
    if (a.scale == b.scale)
        return (a.digits > b.digits) - (a.digits < b.digits);
    __int128 unit_a = numeric_power10(a.scale);
    __int128 unit_b = numeric_power10(b.scale);
    __int128 whole_a = a.digits / unit_a;
    __int128 whole_b = b.digits / unit_b;
    if (whole_a != whole_b)
        return whole_a > whole_b ? 1 : -1;
    /* Fractions brought to the longer scale stay below 10^38. */
    __int128 rest_a = a.digits % unit_a;
    __int128 rest_b = b.digits % unit_b;
    if (a.scale < b.scale)
        rest_a *= numeric_power10(b.scale - a.scale);
    else
        rest_b *= numeric_power10(a.scale - b.scale);
    return (rest_a > rest_b) - (rest_a < rest_b);
}

uint64_t numeric_hash(struct numeric n)
{
    if (n.kind != NUMERIC_FINITE)
        return hash_mix((uint64_t)n.kind + 0x9e3779b97f4a7c15ULL);
    __int128 digits = n.digits;
    int32_t scale = n.scale;
    if (digits == 0)
        scale = 0;
    while (scale > 0 && digits != (int64_t)digits && digits % 10 == 0) {
        digits /= 10;
        scale--;
    }
    if (digits == (int64_t)digits) {
        int64_t low = (int64_t)digits;
        for (; scale > 0 && low % 10 == 0; scale--)
            low /= 10;
        digits = low;
    }
    uint64_t hash = hash_mix((uint64_t)digits + (uint64_t)scale);
    return hash_mix(hash ^ (uint64_t)((u128)digits >> 64));
}
