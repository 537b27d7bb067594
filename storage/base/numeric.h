/* numeric: a 128-bit scaled integer, value = digits * 10^-scale, at most 38 digits (past that
 * 22003). Result scales are PostgreSQL 15's: add/sub max of both, mul their sum, div at least 16
 * significant digits (numeric.c select_div_scale there). */
#ifndef FRESHET_STORAGE_BASE_NUMERIC_H
#define FRESHET_STORAGE_BASE_NUMERIC_H

#include "storage/base/bytes.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"

#define NUMERIC_DIGITS_MAX 38

enum numeric_kind {
    NUMERIC_FINITE = 0,
    NUMERIC_NAN = 1,
    NUMERIC_INFINITY = 2,
    NUMERIC_MINUS_INFINITY = 3
};

struct numeric {
    __int128 digits;
    int32_t scale; /* 0 … 38 */
    int32_t kind;
};

/* Of what was read: digits, scale and kind are within their bounds. */
bool numeric_is_sound(struct numeric n);
struct numeric numeric_from_int(int64_t value);
struct numeric numeric_from_int128(__int128 value, int32_t scale);
/* As PostgreSQL casts double to numeric: 15 significant digits. real: 6. */
MUST_CHECK enum err numeric_from_double(double value, int significant_digits, struct numeric *out,
                                        struct error *error);
double numeric_to_double(struct numeric n);
/* Rounds half away from zero; 22003 out of range, 22003/0A000 for NaN as PostgreSQL. */
MUST_CHECK enum err numeric_to_int(struct numeric n, int64_t *out, struct error *error);
MUST_CHECK enum err numeric_add(struct numeric a, struct numeric b, struct numeric *out,
                                struct error *error);
MUST_CHECK enum err numeric_subtract(struct numeric a, struct numeric b, struct numeric *out,
                                     struct error *error);
MUST_CHECK enum err numeric_multiply(struct numeric a, struct numeric b, struct numeric *out,
                                     struct error *error);
MUST_CHECK enum err numeric_divide(struct numeric a, struct numeric b, struct numeric *out,
                                   struct error *error); /* 22012 */
MUST_CHECK enum err numeric_modulo(struct numeric a, struct numeric b, struct numeric *out,
                                   struct error *error);
struct numeric numeric_negate(struct numeric n);
/* round(n, scale), half away from zero; trunc; floor; ceil. Negative scales allowed. */
MUST_CHECK enum err numeric_round(struct numeric n, int32_t scale, struct numeric *out,
                                  struct error *error);
struct numeric numeric_truncate(struct numeric n, int32_t scale);
struct numeric numeric_floor(struct numeric n);
struct numeric numeric_ceil(struct numeric n);
/* Rescales to numeric(precision, scale) as on assignment: rounds, 22003 on overflow. */
MUST_CHECK enum err numeric_fit(struct numeric n, int32_t precision, int32_t scale,
                                struct numeric *out, struct error *error);
/* Order: NaN above everything, equal to itself. Scales may differ. */
int numeric_compare(struct numeric a, struct numeric b);
/* Equal values hash equal whatever the scale. */
uint64_t numeric_hash(struct numeric n);
/* PostgreSQL's input syntax: blanks around, sign, point, exponent, NaN, Infinity. 22P02 / 22003. */
MUST_CHECK enum err numeric_parse(struct slice text, struct numeric *out, struct error *error);
/* Appends the text form, trailing zeros kept to the scale. */
void numeric_print(struct numeric n, struct writer *out);
/* 10^exponent, 0 … 38. */
__int128 numeric_power10(int exponent);

#endif
