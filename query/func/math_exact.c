/* What numeric tells exactly: factorials, scales, common divisors. */
#include "query/func/text.h"

static enum err factorial_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    if (a[0].i < 0)
        return error_set(call->error, ERR_INPUT, "22003",
                         "factorial of a negative number is undefined");
    if (a[0].i > 33)
        return error_out_of_range(call->error, "numeric");
    __int128 product = 1;
    for (int64_t i = 2; i <= a[0].i; i++)
        product *= i;
    out->n = numeric_from_int128(product, 0);
    return OK;
}

enum { SCALE, MIN_SCALE };

/* The scale without zeros at the end. */
static int32_t least_scale(struct numeric n)
{
    __int128 digits = n.digits;
    int32_t scale = n.scale;
    while (scale > 0 && digits % 10 == 0) {
        digits /= 10;
        scale--;
    }
    return scale;
}

static enum err scale_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    out->is_null = a[0].n.kind != NUMERIC_FINITE;
    out->i = call->function->operation == SCALE ? a[0].n.scale : least_scale(a[0].n);
    return OK;
}

static enum err trim_scale_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    out->n = a[0].n;
    return a[0].n.kind != NUMERIC_FINITE
               ? OK
               : numeric_round(a[0].n, least_scale(a[0].n), &out->n, call->error);
}

enum { DIVISOR, MULTIPLE };

/* Both with the scale of the finer one; what has no divisors gives NaN. */
static enum err divisor_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct numeric x = a[0].n, y = a[1].n, product;
    int32_t scale = x.scale > y.scale ? x.scale : y.scale;
    if (x.kind != NUMERIC_FINITE || y.kind != NUMERIC_FINITE) {
        out->n = (struct numeric){.kind = NUMERIC_NAN};
        return OK;
    }
    enum err err = numeric_round(x, scale, &x, call->error);
    if (err == OK)
        err = numeric_round(y, scale, &y, call->error);
    if (err != OK)
        return err;
    __int128 first = x.digits < 0 ? -x.digits : x.digits;
    __int128 second = y.digits < 0 ? -y.digits : y.digits, left = first, right = second;
    while (right != 0) {
        __int128 rest = left % right;
        left = right;
        right = rest;
    }
    out->n = numeric_from_int128(left, scale);
    if (call->function->operation == DIVISOR)
        return OK;
    out->n = numeric_from_int128(0, scale);
    if (left == 0)
        return OK;
    /* Of the quotient no scale is left: it is whole. */
    err = numeric_multiply(numeric_from_int128(first / left, 0), numeric_from_int128(second, scale),
                           &product, call->error);
    return err == OK ? numeric_round(product, scale, &out->n, call->error) : err;
}

#define I TYPE_INT4
#define N TYPE_NUMERIC
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("factorial", 1, LIST(TYPE_INT8), N, 0, factorial_row, "the product of 1 … n", "factorial(5)")
    F("scale", 1, LIST(N), I, SCALE, scale_row, "digits behind the point", "scale(8.410)")
    F("min_scale", 1, LIST(N), I, MIN_SCALE, scale_row, "digits behind the point that are needed",
      "min_scale(8.410)")
    F("trim_scale", 1, LIST(N), N, 0, trim_scale_row, "without zeros at the end",
      "trim_scale(8.410)")
    F("gcd", 2, LIST(N, N), N, DIVISOR, divisor_row, "greatest common divisor", "gcd(1.2, 1.8)")
    F("lcm", 2, LIST(N, N), N, MULTIPLE, divisor_row, "least common multiple", "lcm(0.4, 0.6)")
};
/* clang-format on */

const struct function_group functions_math_exact = {functions, array_count(functions)};
