/* Functions on numbers: rounding, roots, logarithms, trigonometry. For doubles here; for numeric,
 * whose results have PostgreSQL's scales and digits, the rounding family here and the
 * transcendental ones in math_numeric.c. */
#include "query/func/math.h"

#include <math.h>

enum {
    OP_CEIL,
    OP_FLOOR,
    OP_ROUND,
    OP_TRUNC,
    OP_SIGN,
    OP_SQRT,
    OP_CBRT,
    OP_EXP,
    OP_LN,
    OP_LOG10,
    OP_DEGREES,
    OP_RADIANS,
    OP_SIN,
    OP_COS,
    OP_TAN,
    OP_COT,
    OP_ASIN,
    OP_ACOS,
    OP_ATAN,
    OP_SINH,
    OP_COSH,
    OP_TANH,
    OP_ASINH,
    OP_ACOSH,
    OP_ATANH
};

enum err error_log_argument(struct error *error, bool is_zero)
{
    return error_set(error, ERR_INPUT, "2201E", "cannot take logarithm of %s",
                     is_zero ? "zero" : "a negative number");
}

static enum err input_out_of_range(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "22003", "input is out of range");
}

static enum err overflow(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "22003", "value out of range: overflow");
}

static enum err underflow(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "22003", "value out of range: underflow");
}

/* --- doubles --- */

static enum err rounding_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    double x = a[0].f;
    switch (call->function->operation) {
    case OP_CEIL:
        out->f = ceil(x);
        break;
    case OP_FLOOR:
        out->f = floor(x);
        break;
    case OP_ROUND:
        out->f = rint(x);
        break;
    case OP_TRUNC:
        out->f = trunc(x);
        break;
    default:
        out->f = x > 0 ? 1 : x < 0 ? -1 : 0;
        break;
    }
    return OK;
}

static enum err rounding_vector(struct call *call, const struct vector *v)
{
    const struct column *in = &v->arguments[0];
    double *out = v->out;
    int operation = call->function->operation;
    if (in->form != COLUMN_FLAT || operation == OP_SIGN) {
        for (size_t k = 0; k < v->count; k++) {
            size_t row = v->selection != NULL ? v->selection[k] : k;
            struct value x = {.type = in->type, .f = in->f[column_index(in, row)]},
                         result = {.type = call->type};
            enum err err = rounding_row(call, &x, 1, &result);
            if (err != OK)
                return err;
            out[row] = result.f;
        }
        return OK;
    }
    for (size_t i = 0; i < v->row_count; i++)
        out[i] = operation == OP_CEIL    ? ceil(in->f[i])
                 : operation == OP_FLOOR ? floor(in->f[i])
                 : operation == OP_ROUND ? rint(in->f[i])
                                         : trunc(in->f[i]);
    return OK;
}

static enum err exponential_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)count;
    double x = a[0].f;
    switch (call->function->operation) {
    case OP_SQRT:
        if (x < 0)
            return error_set(call->error, ERR_INPUT, "2201F",
                             "cannot take square root of a negative number");
        out->f = sqrt(x);
        break;
    case OP_CBRT:
        out->f = cbrt(x);
        break;
    case OP_EXP:
        out->f = exp(x);
        if (isinf(out->f) && !isinf(x))
            return overflow(call);
        if (out->f == 0 && !isinf(x))
            return underflow(call);
        break;
    default:
        if (x <= 0)
            return error_log_argument(call->error, x == 0);
        out->f = call->function->operation == OP_LN ? log(x) : log10(x);
        break;
    }
    return OK;
}

#define RADIANS_PER_DEGREE 0.0174532925199432957692

static enum err trigonometry_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    double x = a[0].f;
    int operation = call->function->operation;
    if (isinf(x) && operation >= OP_SIN && operation <= OP_COT)
        return input_out_of_range(call);
    if ((operation == OP_ASIN || operation == OP_ACOS || operation == OP_ATANH) &&
        (x < -1 || x > 1))
        return input_out_of_range(call);
    if (operation == OP_ACOSH && x < 1)
        return input_out_of_range(call);
    switch (operation) {
    case OP_DEGREES:
        out->f = x / RADIANS_PER_DEGREE;
        return isinf(out->f) && !isinf(x) ? overflow(call) : OK;
    case OP_RADIANS:
        out->f = x * RADIANS_PER_DEGREE;
        if (out->f == 0 && x != 0)
            return underflow(call);
        return OK;
    case OP_SIN:
        out->f = sin(x);
        return OK;
    case OP_COS:
        out->f = cos(x);
        return OK;
    case OP_TAN:
        out->f = tan(x);
        return OK;
    case OP_COT:
        out->f = 1.0 / tan(x);
        return OK;
    case OP_ASIN:
        out->f = asin(x);
        return OK;
    case OP_ACOS:
        out->f = acos(x);
        return OK;
    case OP_ATAN:
        out->f = atan(x);
        return OK;
    case OP_SINH:
        out->f = sinh(x);
        return OK;
    case OP_COSH:
        out->f = cosh(x);
        return OK;
    case OP_TANH:
        out->f = tanh(x);
        return OK;
    case OP_ASINH:
        out->f = asinh(x);
        return OK;
    case OP_ACOSH:
        out->f = acosh(x);
        return OK;
    default:
        out->f = x == -1 ? -INFINITY : x == 1 ? INFINITY : atanh(x);
        return OK;
    }
}

static enum err atan2_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)call, (void)count;
    out->f = atan2(a[0].f, a[1].f);
    return OK;
}

static enum err power_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    double base = a[0].f, exponent = a[1].f;
    if (base == 0 && exponent < 0)
        return error_set(call->error, ERR_INPUT, "2201F",
                         "zero raised to a negative power is undefined");
    if (base < 0 && !isnan(exponent) && floor(exponent) != exponent)
        return error_set(call->error, ERR_INPUT, "2201F",
                         "a negative number raised to a non-integer power yields a complex result");
    out->f = pow(base, exponent);
    bool is_finite = isfinite(base) && isfinite(exponent);
    if (is_finite && isinf(out->f))
        return overflow(call);
    if (is_finite && out->f == 0 && base != 0)
        return underflow(call);
    return OK;
}

static enum err pi_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)call, (void)a, (void)count;
    out->f = 3.14159265358979323846;
    return OK;
}

/* --- numeric rounding --- */

static enum err numeric_rounding_row(struct call *call, const struct value *a, size_t count,
                                     struct value *out)
{
    struct numeric n = a[0].n;
    int32_t scale = count > 1 ? (int32_t)(a[1].i > 2000    ? 2000
                                          : a[1].i < -2000 ? -2000
                                                           : a[1].i)
                              : 0;
    out->n = n;
    if (n.kind != NUMERIC_FINITE && call->function->operation != OP_SIGN)
        return OK;
    switch (call->function->operation) {
    case OP_CEIL:
        out->n = numeric_ceil(n);
        return OK;
    case OP_FLOOR:
        out->n = numeric_floor(n);
        return OK;
    case OP_ROUND:
        return numeric_round(n, scale, &out->n, call->error);
    case OP_TRUNC:
        out->n = numeric_truncate(n, scale);
        return OK;
    default:
        if (n.kind == NUMERIC_NAN)
            return OK;
        out->n = numeric_from_int(n.kind == NUMERIC_INFINITY || n.digits > 0         ? 1
                                  : n.kind == NUMERIC_MINUS_INFINITY || n.digits < 0 ? -1
                                                                                     : 0);
        return OK;
    }
}

static enum err numeric_rounding_vector(struct call *call, const struct vector *v)
{
    const struct column *in = &v->arguments[0];
    struct numeric *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        struct value x = {.type = in->type, .n = in->n[column_index(in, row)]},
                     result = {.type = call->type};
        enum err err = numeric_rounding_row(call, &x, 1, &result);
        if (err != OK)
            return err;
        out[row] = result.n;
    }
    return OK;
}

/* div(a, b): the quotient cut to an integer. */
static enum err numeric_div_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)count;
    if (a[0].n.kind != NUMERIC_FINITE || a[1].n.kind != NUMERIC_FINITE)
        return numeric_divide(a[0].n, a[1].n, &out->n, call->error);
    /* Exact: (a - a mod b) / b has no fraction. */
    struct numeric rest, whole, quotient;
    enum err err = numeric_modulo(a[0].n, a[1].n, &rest, call->error);
    if (err == OK)
        err = numeric_subtract(a[0].n, rest, &whole, call->error);
    if (err == OK)
        err = numeric_divide(whole, a[1].n, &quotient, call->error);
    if (err == OK)
        out->n = numeric_truncate(quotient, 0);
    return err;
}

/* --- integers --- */

static enum err gcd_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    bool is_lcm = call->function->operation == 1;
    uint64_t x = a[0].i < 0 ? -(uint64_t)a[0].i : (uint64_t)a[0].i;
    uint64_t y = a[1].i < 0 ? -(uint64_t)a[1].i : (uint64_t)a[1].i;
    uint64_t first = x, second = y;
    while (y != 0) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    uint64_t limit = call->function->result == TYPE_INT4 ? INT32_MAX : INT64_MAX;
    unsigned __int128 result = !is_lcm ? x
                               : first == 0 || second == 0
                                   ? 0
                                   : (unsigned __int128)(first / x) * second;
    if (result > limit)
        return error_out_of_range(call->error, type_name(call->function->result));
    out->i = (int64_t)result;
    return OK;
}

#define F8 TYPE_FLOAT8
#define N TYPE_NUMERIC
#define ONE(name_text, n, list, to, kind, row_form, vector_form, doc_text, example_text)           \
    {.name = name_text,                                                                            \
     .argument_count = n,                                                                          \
     .arguments = list,                                                                            \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .row = row_form,                                                                              \
     .vector = vector_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define ROUNDING(name_text, kind, doc_text)                                                        \
    ONE(name_text, 1, LIST(F8), F8, kind, rounding_row, rounding_vector, doc_text,                 \
        name_text "(-1.5::float8)")                                                                \
    ONE(name_text, 1, LIST(N), N, kind, numeric_rounding_row, numeric_rounding_vector, doc_text,   \
        name_text "(-1.5)")
#define EXPONENTIAL(name_text, kind, doc_text)                                                     \
    ONE(name_text, 1, LIST(F8), F8, kind, exponential_row, NULL, doc_text, name_text "(2::float8)")
#define TRIGONOMETRY(name_text, kind, argument)                                                    \
    ONE(name_text, 1, LIST(F8), F8, kind, trigonometry_row, NULL, "in radians",                    \
        name_text "(" argument ")")

/* clang-format off */
static const struct function functions[] = {
    ROUNDING("ceil", OP_CEIL, "the next integer above")
    ROUNDING("ceiling", OP_CEIL, "the next integer above")
    ROUNDING("floor", OP_FLOOR, "the next integer below")
    ROUNDING("round", OP_ROUND, "the nearest integer")
    ROUNDING("trunc", OP_TRUNC, "without the fraction")
    ROUNDING("sign", OP_SIGN, "-1, 0 or 1")
    ONE("round", 2, LIST(N, TYPE_INT4), N, OP_ROUND, numeric_rounding_row, NULL,
        "rounded to so many decimals", "round(1.55, 1)")
    ONE("trunc", 2, LIST(N, TYPE_INT4), N, OP_TRUNC, numeric_rounding_row, NULL,
        "cut to so many decimals", "trunc(1.55, 1)")
    ONE("div", 2, LIST(N, N), N, 0, numeric_div_row, NULL, "the quotient cut to an integer",
        "div(7, 2)")
    EXPONENTIAL("sqrt", OP_SQRT, "square root")
    EXPONENTIAL("cbrt", OP_CBRT, "cube root")
    EXPONENTIAL("exp", OP_EXP, "e to that power")
    EXPONENTIAL("ln", OP_LN, "natural logarithm")
    EXPONENTIAL("log", OP_LOG10, "logarithm to base 10")
    EXPONENTIAL("log10", OP_LOG10, "logarithm to base 10")
    ONE("|/", 1, LIST(F8), F8, OP_SQRT, exponential_row, NULL, "square root", "|/ 2::float8")
    ONE("||/", 1, LIST(F8), F8, OP_CBRT, exponential_row, NULL, "cube root", "||/ 8::float8")
    ONE("power", 2, LIST(F8, F8), F8, 0, power_row, NULL, "a to the power of b", "power(2, 10)")
    ONE("pow", 2, LIST(F8, F8), F8, 0, power_row, NULL, "a to the power of b", "pow(2, 10)")
    ONE("^", 2, LIST(F8, F8), F8, 0, power_row, NULL, "a to the power of b", "2 ^ 10")
    ONE("pi", 0, LIST(0), F8, 0, pi_row, NULL, "the number pi", "pi()")
    ONE("atan2", 2, LIST(F8, F8), F8, 0, atan2_row, NULL, "the angle of a point (y, x)",
        "atan2(1, 2)")
    TRIGONOMETRY("degrees", OP_DEGREES, "1")
    TRIGONOMETRY("radians", OP_RADIANS, "90")
    TRIGONOMETRY("sin", OP_SIN, "1")
    TRIGONOMETRY("cos", OP_COS, "1")
    TRIGONOMETRY("tan", OP_TAN, "1")
    TRIGONOMETRY("cot", OP_COT, "1")
    TRIGONOMETRY("asin", OP_ASIN, "0.5")
    TRIGONOMETRY("acos", OP_ACOS, "0.5")
    TRIGONOMETRY("atan", OP_ATAN, "1")
    TRIGONOMETRY("sinh", OP_SINH, "1")
    TRIGONOMETRY("cosh", OP_COSH, "1")
    TRIGONOMETRY("tanh", OP_TANH, "1")
    TRIGONOMETRY("asinh", OP_ASINH, "1")
    TRIGONOMETRY("acosh", OP_ACOSH, "2")
    TRIGONOMETRY("atanh", OP_ATANH, "0.5")
    ONE("gcd", 2, LIST(TYPE_INT4, TYPE_INT4), TYPE_INT4, 0, gcd_row, NULL,
        "greatest common divisor", "gcd(12, 18)")
    ONE("gcd", 2, LIST(TYPE_INT8, TYPE_INT8), TYPE_INT8, 0, gcd_row, NULL,
        "greatest common divisor", "gcd(12::bigint, 18)")
    ONE("lcm", 2, LIST(TYPE_INT4, TYPE_INT4), TYPE_INT4, 1, gcd_row, NULL, "least common multiple",
        "lcm(4, 6)")
    ONE("lcm", 2, LIST(TYPE_INT8, TYPE_INT8), TYPE_INT8, 1, gcd_row, NULL, "least common multiple",
        "lcm(4::bigint, 6)")
};
/* clang-format on */

const struct function_group functions_math = {functions, array_count(functions)};
