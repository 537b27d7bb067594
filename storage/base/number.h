/* Numbers to text and back, by PostgreSQL's rules, without locale. */
#ifndef FRESHET_STORAGE_BASE_NUMBER_H
#define FRESHET_STORAGE_BASE_NUMBER_H

#include "storage/base/bytes.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"

/* Strict decimal integer with optional sign and blanks around; ERR_INPUT 22P02 for the form, 22003
 * for the range [min, max]. `type_name` goes into the text: invalid input syntax for type integer:
 * "x". */
MUST_CHECK enum err int_parse(struct slice text, int64_t min, int64_t max, const char *type_name,
                              int64_t *out, struct error *error);
void int_print(int64_t value, struct writer *out);
void uint_print(uint64_t value, struct writer *out);
/* PostgreSQL's float8in: NaN, Infinity, inf, exponents, blanks; 22P02, 22003 on overflow or
 * underflow. float4: rounded to float, its own range. Correctly rounded. */
MUST_CHECK enum err float8_parse(struct slice text, double *out, struct error *error);
MUST_CHECK enum err float4_parse(struct slice text, double *out, struct error *error);
/* Shortest text that reads back the same, in PostgreSQL 12+'s form: 0.1, 1e+20, 1e-05, NaN,
 * Infinity, -0. */
void float8_print(double value, struct writer *out);
void float4_print(double value, struct writer *out);
/* A JSON number (RFC 8259) from exact bytes, no blanks: true if it is one; *is_integer if it has
 * neither point nor exponent and fits int64 (then *i), and *d always (±HUGE_VAL past the range). */
bool json_number_parse(struct slice text, bool *is_integer, int64_t *i, double *d);

#endif
