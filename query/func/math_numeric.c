/* sqrt, exp, ln, log, power for numeric, with PostgreSQL's result scales.
 *
 * PostgreSQL computes these digit by digit to a scale that leaves at least 16 significant ones.
 * Here they are computed in quadruple precision (113 bits, 34 digits) and rounded to that scale,
 * which gives the same digits up to rounding ties that no irrational result has; powers with an
 * integer exponent are multiplied out exactly while 128 bits hold them. The scale rules, with w the
 * weight of the first base-10,000 digit:
 *
 *   sqrt   max(15 - 2w, scale of x)             exp   max(16 - int(log10 of the result), scale)
 *   ln     max(16 - int(log10 |ln x|), scale)   x^n   max(16, scale of x); else as exp, from the
 * larger scale */
#include "query/func/math.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

typedef __float128 quad;

#define DIGITS_SIGNIFICANT 16
#define LN_2 0.693147180559945309417232121458176568Q
#define LN_10 2.302585092994045684017991454684364208Q

/* --- quadruple precision --- */

static quad quad_power10(int exponent)
{
    quad result = 1, base = 10;
    for (unsigned n = (unsigned)abs(exponent); n != 0; n >>= 1) {
        if (n & 1)
            result *= base;
        base *= base;
    }
    return exponent < 0 ? 1 / result : result;
}

static quad to_quad(struct numeric n)
{
    return (quad)n.digits / quad_power10(n.scale);
}

static quad quad_absolute(quad x)
{
    return x < 0 ? -x : x;
}

static quad quad_exp(quad x)
{
    int halvings = (int)(x / LN_2 + (x < 0 ? -0.5Q : 0.5Q));
    quad rest = (x - (quad)halvings * LN_2) / 256, term = 1, sum = 1;
    for (int i = 1; i < 24; i++) {
        term *= rest / i;
        sum += term;
    }
    for (int i = 0; i < 8; i++)
        sum *= sum;
    quad scale = 1, base = halvings < 0 ? 0.5Q : 2;
    for (unsigned n = (unsigned)abs(halvings); n != 0; n >>= 1) {
        if (n & 1)
            scale *= base;
        base *= base;
    }
    return sum * scale;
}

/* Newton's steps from the double's logarithm: 53 bits become 106, then all. Near 1 the series keeps
 * relative precision. */
static quad quad_ln(quad x)
{
    quad difference = x - 1;
    if (quad_absolute(difference) < 0.125Q) {
        quad ratio = difference / (2 + difference), square = ratio * ratio, term = ratio, sum = 0;
        for (int i = 1; i < 60; i += 2) {
            sum += term / i;
            term *= square;
        }
        return 2 * sum;
    }
    int exponent = 0;
    for (; x >= 1e300Q; x /= 1024)
        exponent += 10;
    for (; x <= 1e-300Q; x *= 1024)
        exponent -= 10;
    quad result = log((double)x);
    for (int i = 0; i < 2; i++)
        result += x * quad_exp(-result) - 1;
    return result + (quad)exponent * LN_2;
}

static quad quad_sqrt(quad x)
{
    if (x == 0)
        return 0;
    quad root = sqrt((double)x);
    for (int i = 0; i < 2; i++)
        root = (root + x / root) / 2;
    return root;
}

/* Rounds to `scale` decimals, half away from zero. */
static enum err from_quad(quad x, int scale, struct numeric *out, struct error *error)
{
    if (scale > NUMERIC_DIGITS_MAX)
        scale = NUMERIC_DIGITS_MAX;
    quad scaled = x * quad_power10(scale);
    if (!(quad_absolute(scaled) < quad_power10(NUMERIC_DIGITS_MAX)))
        return error_set(error, ERR_INPUT, "22003", "value overflows numeric format");
    *out = (struct numeric){.digits = (__int128)(scaled + (scaled < 0 ? -0.5Q : 0.5Q)),
                            .scale = scale};
    return OK;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* --- scales --- */

/* Weight of the first base-10,000 digit. */
static int numeric_weight(struct numeric n)
{
    unsigned __int128 digits = (unsigned __int128)(n.digits < 0 ? -n.digits : n.digits);
    int count = 0;
    for (; digits != 0; digits /= 10)
        count++;
    int exponent = count - n.scale - 1; /* of the first decimal digit */
    return exponent >= 0 ? exponent / 4 : -((-exponent + 3) / 4);
}

/* PostgreSQL's estimate of the decimal weight of ln x. */
static int ln_weight(quad x, quad ln)
{
    if (x == 1)
        return 0;
    if (x >= 0.9Q && x <= 1.1Q) {
        double difference = (double)quad_absolute(x - 1);
        int weight = (int)floor(log10(difference) / 4 + 1e-12);
        double first = difference / pow(10, weight * 4);
        return weight * 4 + (int)log10(floor(first + 1e-9));
    }
    return (int)log10(fabs((double)ln));
}

static int clamp_scale(int scale)
{
    return scale < 0 ? 0 : scale;
}

/* --- functions --- */

static bool is_special(const struct value *a, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i].n.kind != NUMERIC_FINITE)
            return true;
    }
    return false;
}

/* NaN and infinities go the way of doubles. */
static enum err special(struct call *call, double result, struct value *out)
{
    return numeric_from_double(result, 15, &out->n, call->error);
}

static enum err sqrt_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct numeric n = a[0].n;
    if (n.kind == NUMERIC_MINUS_INFINITY || (n.kind == NUMERIC_FINITE && n.digits < 0))
        return error_set(call->error, ERR_INPUT, "2201F",
                         "cannot take square root of a negative number");
    if (is_special(a, count))
        return special(call, sqrt(numeric_to_double(n)), out);
    int weight = n.digits == 0 ? 0 : numeric_weight(n);
    int scale = clamp_scale(larger(15 - 2 * weight, n.scale));
    return from_quad(quad_sqrt(to_quad(n)), scale, &out->n, call->error);
}

static enum err exp_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    if (is_special(a, count))
        return special(call, exp(numeric_to_double(a[0].n)), out);
    double weight = numeric_to_double(a[0].n) * 0.434294481903252;
    if (weight > 2000)
        return error_set(call->error, ERR_INPUT, "22003", "value overflows numeric format");
    int scale = clamp_scale(
        larger(DIGITS_SIGNIFICANT - (int)(weight < -2000 ? -2000 : weight), a[0].n.scale));
    if (weight < -2000)
        return from_quad(0, scale, &out->n, call->error);
    return from_quad(quad_exp(to_quad(a[0].n)), scale, &out->n, call->error);
}

static enum err check_positive(struct call *call, struct numeric n)
{
    if (n.kind == NUMERIC_MINUS_INFINITY || (n.kind == NUMERIC_FINITE && n.digits <= 0))
        return error_log_argument(call->error, n.kind == NUMERIC_FINITE && n.digits == 0);
    return OK;
}

static enum err ln_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    enum err err = check_positive(call, a[0].n);
    if (err != OK)
        return err;
    if (is_special(a, count))
        return special(call, log(numeric_to_double(a[0].n)), out);
    quad x = to_quad(a[0].n), ln = quad_ln(x);
    int scale = clamp_scale(larger(DIGITS_SIGNIFICANT - ln_weight(x, ln), a[0].n.scale));
    return from_quad(ln, scale, &out->n, call->error);
}

/* log(x), log(base, x) */
static enum err log_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct numeric base = count > 1 ? a[0].n : numeric_from_int(10), n = a[count - 1].n;
    if (base.kind == NUMERIC_NAN || n.kind == NUMERIC_NAN)
        return special(call, NAN, out);
    enum err err = check_positive(call, base);
    if (err == OK)
        err = check_positive(call, n);
    if (err != OK)
        return err;
    if (is_special(a, count))
        return special(call, log(numeric_to_double(n)) / log(numeric_to_double(base)), out);
    quad x = to_quad(n), b = to_quad(base), ln_x = quad_ln(x), ln_b = quad_ln(b);
    if (ln_b == 0)
        return error_set(call->error, ERR_INPUT, "22012", "division by zero");
    int scale = DIGITS_SIGNIFICANT - (ln_weight(x, ln_x) - ln_weight(b, ln_b));
    scale = clamp_scale(larger(larger(scale, base.scale), n.scale));
    return from_quad(ln_x / ln_b, scale, &out->n, call->error);
}

/* base^exponent exactly; false where 128 bits do not hold it. */
static bool power_exact(struct numeric base, int64_t exponent, struct numeric *out)
{
    __int128 digits = 1;
    if (exponent < 0 || exponent > 127 || (int64_t)base.scale * exponent > NUMERIC_DIGITS_MAX)
        return false;
    for (int64_t i = 0; i < exponent; i++) {
        if (__builtin_mul_overflow(digits, base.digits, &digits))
            return false;
    }
    __int128 limit = numeric_power10(NUMERIC_DIGITS_MAX);
    *out = (struct numeric){.digits = digits, .scale = base.scale * (int32_t)exponent};
    return digits < limit && digits > -limit;
}

static enum err power_integer(struct call *call, struct numeric base, int64_t exponent,
                              struct value *out)
{
    int scale = larger(DIGITS_SIGNIFICANT, base.scale);
    struct numeric exact;
    if (power_exact(base, exponent, &exact))
        return numeric_round(exact, scale, &out->n, call->error);
    quad factor = to_quad(base), result = 1;
    for (uint64_t n = (uint64_t)(exponent < 0 ? -exponent : exponent); n != 0; n >>= 1) {
        if (n & 1)
            result *= factor;
        if (n > 1)
            factor *= factor;
    }
    return from_quad(exponent < 0 ? 1 / result : result, scale, &out->n, call->error);
}

static enum err power_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct numeric base = a[0].n, exponent = a[1].n;
    if (is_special(a, count))
        return special(call, pow(numeric_to_double(base), numeric_to_double(exponent)), out);
    bool is_integer = numeric_compare(numeric_truncate(exponent, 0), exponent) == 0;
    if (base.digits == 0 && exponent.digits < 0)
        return error_set(call->error, ERR_INPUT, "2201F",
                         "zero raised to a negative power is undefined");
    if (base.digits < 0 && !is_integer)
        return error_set(call->error, ERR_INPUT, "2201F",
                         "a negative number raised to a non-integer power yields a complex result");
    int64_t integer;
    if (is_integer && numeric_to_int(exponent, &integer, NULL) == OK && integer >= INT_MIN &&
        integer <= INT_MAX)
        return power_integer(call, base, integer, out);
    if (base.digits == 0)
        return from_quad(0, DIGITS_SIGNIFICANT, &out->n, call->error);
    quad power = to_quad(exponent) * quad_ln(to_quad(base));
    double weight = (double)power * 0.434294481903252;
    if (weight > 2000)
        return error_set(call->error, ERR_INPUT, "22003", "value overflows numeric format");
    int scale = DIGITS_SIGNIFICANT - (int)(weight < -2000 ? -2000 : weight);
    scale = clamp_scale(larger(larger(scale, base.scale), exponent.scale));
    return from_quad(weight < -2000 ? 0 : quad_exp(power), scale, &out->n, call->error);
}

#define N TYPE_NUMERIC
#define ONE(name_text, n, list, row_form, doc_text, example_text)                                  \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = N,                                                                                  \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},

/* clang-format off */
static const struct function functions[] = {
    ONE("sqrt", 1, LIST(N), sqrt_row, "square root", "sqrt(2.0)")
    ONE("exp", 1, LIST(N), exp_row, "e to that power", "exp(1.0)")
    ONE("ln", 1, LIST(N), ln_row, "natural logarithm", "ln(2.0)")
    ONE("log", 1, LIST(N), log_row, "logarithm to base 10", "log(2.0)")
    ONE("log10", 1, LIST(N), log_row, "logarithm to base 10", "log10(2.0)")
    ONE("log", 2, LIST(N, N), log_row, "logarithm to a base", "log(2.0, 64.0)")
    ONE("power", 2, LIST(N, N), power_row, "a to the power of b", "power(1.5, 2)")
    ONE("pow", 2, LIST(N, N), power_row, "a to the power of b", "pow(1.5, 2)")
    ONE("^", 2, LIST(N, N), power_row, "a to the power of b", "1.5 ^ 2")
};
/* clang-format on */

const struct function_group functions_math_numeric = {functions, array_count(functions)};
