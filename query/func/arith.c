/* + - * / % and the signs, for integers, floats and numeric, with PostgreSQL's result types and
 * errors.
 *
 * Integers: every combination of smallint, integer, bigint gives the wider type, and a result
 * outside of it is 22003 even where int64 could hold it. Floats: real with real computes and rounds
 * in float; an infinite result of finite operands is 22003, so is a product or quotient that
 * vanishes. Dense batches run through the kernels; only if a kernel saw something suspicious are
 * the selected rows looked at one by one. */
#include "query/func/func.h"

#include "query/kernel/kernel.h"

#include <float.h>
#include <limits.h>
#include <math.h>

/* Operators with a row form only share these numbers with the kernels'. */
enum { OP_DIVIDE = ARITH_MULTIPLY + 1, OP_MODULO, OP_NEGATE, OP_PLUS, OP_ABS };

enum err error_out_of_range(struct error *error, const char *what)
{
    return error_set(error, ERR_INPUT, "22003", "%s out of range", what);
}

static enum err error_division(struct error *error)
{
    return error_set(error, ERR_INPUT, "22012", "division by zero");
}

/* --- integers --- */

static int64_t int_min(enum type_id type)
{
    return type == TYPE_INT2 ? INT16_MIN : type == TYPE_INT4 ? INT32_MIN : INT64_MIN;
}
static int64_t int_max(enum type_id type)
{
    return type == TYPE_INT2 ? INT16_MAX : type == TYPE_INT4 ? INT32_MAX : INT64_MAX;
}

static enum err int_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    int64_t left = a[0].i, right = count > 1 ? a[1].i : 0, result = 0;
    bool is_bad = false;
    switch (call->function->operation) {
    case ARITH_ADD:
        is_bad = __builtin_add_overflow(left, right, &result);
        break;
    case ARITH_SUBTRACT:
        is_bad = __builtin_sub_overflow(left, right, &result);
        break;
    case ARITH_MULTIPLY:
        is_bad = __builtin_mul_overflow(left, right, &result);
        break;
    case OP_DIVIDE:
        if (right == 0)
            return error_division(call->error);
        if (right == -1)
            is_bad = __builtin_sub_overflow((int64_t)0, left, &result);
        else
            result = left / right;
        break;
    case OP_MODULO:
        if (right == 0)
            return error_division(call->error);
        result = right == -1 ? 0 : left % right;
        break;
    case OP_NEGATE:
        is_bad = __builtin_sub_overflow((int64_t)0, left, &result);
        break;
    case OP_ABS:
        if (left < 0)
            is_bad = __builtin_sub_overflow((int64_t)0, left, &result);
        else
            result = left;
        break;
    default:
        result = left;
    }
    enum type_id type = call->function->result;
    if (is_bad || result < int_min(type) || result > int_max(type))
        return error_out_of_range(call->error, type_name(type));
    out->i = result;
    return OK;
}

/* Looks at selected valid rows by the row form: raises the first error, if any of them has one. */
static enum err check_rows(struct call *call, const struct vector *v)
{
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        struct value arguments[2] = {column_value(&v->arguments[0], row),
                                     column_value(&v->arguments[1], row)};
        struct value result = {.type = call->type};
        enum err err = call->function->row(call, arguments, 2, &result);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err int_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    enum type_id type = call->function->result;
    bool bad =
        arith_int(call->function->operation, (struct kernel_int){a->i, a->form == COLUMN_CONSTANT},
                  (struct kernel_int){b->i, b->form == COLUMN_CONSTANT}, int_min(type),
                  int_max(type), v->row_count, v->out);
    return bad ? check_rows(call, v) : OK;
}

static enum err int_divide_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    bool is_modulo = call->function->operation == OP_MODULO;
    int64_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        int64_t left = a->i[column_index(a, row)], right = b->i[column_index(b, row)];
        if (right == 0 || right == -1) { /* an error, or a result that C leaves undefined */
            if (v->validity != NULL && v->validity[row] == 0)
                continue;
            struct value arguments[2] = {{.type = a->type, .i = left},
                                         {.type = b->type, .i = right}};
            struct value result = {.type = call->type};
            enum err err = int_row(call, arguments, 2, &result);
            if (err != OK)
                return err;
            out[row] = result.i;
        } else {
            out[row] = is_modulo ? left % right : left / right;
        }
    }
    return OK;
}

/* --- floats --- */

static enum err float_check(struct error *error, double result, bool has_infinite_input,
                            bool may_vanish)
{
    if (isinf(result) && !has_infinite_input)
        return error_set(error, ERR_INPUT, "22003", "value out of range: overflow");
    if (result == 0 && !may_vanish)
        return error_set(error, ERR_INPUT, "22003", "value out of range: underflow");
    return OK;
}

static enum err float_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    double left = a[0].f, right = count > 1 ? a[1].f : 0, result;
    bool is_single = call->function->result == TYPE_FLOAT4;
    bool is_infinite = isinf(left) || isinf(right), may_vanish = true;
    switch (call->function->operation) {
    case ARITH_ADD:
        result = left + right;
        break;
    case ARITH_SUBTRACT:
        result = left - right;
        break;
    case ARITH_MULTIPLY:
        result = left * right;
        may_vanish = left == 0 || right == 0;
        break;
    case OP_DIVIDE:
        if (right == 0 && !isnan(left))
            return error_division(call->error);
        result = left / right;
        is_infinite = isinf(left);
        may_vanish = left == 0 || isinf(right);
        break;
    case OP_NEGATE:
        result = -left;
        break;
    case OP_ABS:
        result = fabs(left);
        break;
    default:
        result = left;
    }
    /* One operation on two floats, rounded to double and then to float, is the float operation: 53
     * >= 2 * 24 + 2. */
    out->f = is_single ? (double)(float)result : result;
    return float_check(call->error, out->f, is_infinite, may_vanish);
}

static enum err float_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    bool bad = arith_float(call->function->operation,
                           (struct kernel_float){a->f, a->form == COLUMN_CONSTANT},
                           (struct kernel_float){b->f, b->form == COLUMN_CONSTANT},
                           call->function->result == TYPE_FLOAT4, v->row_count, v->out);
    return bad ? check_rows(call, v) : OK;
}

static enum err float_divide_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    bool is_single = call->function->result == TYPE_FLOAT4;
    double *out = v->out;
    bool bad = false;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        double left = a->f[column_index(a, row)], right = b->f[column_index(b, row)];
        double result = left / right;
        out[row] = is_single ? (double)(float)result : result;
        bad |= right == 0 || isinf(out[row]) || (out[row] == 0 && left != 0);
    }
    return bad ? check_rows(call, v) : OK;
}

/* --- numeric --- */

static enum err numeric_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    switch (call->function->operation) {
    case ARITH_ADD:
        return numeric_add(a[0].n, a[1].n, &out->n, call->error);
    case ARITH_SUBTRACT:
        return numeric_subtract(a[0].n, a[1].n, &out->n, call->error);
    case ARITH_MULTIPLY:
        return numeric_multiply(a[0].n, a[1].n, &out->n, call->error);
    case OP_DIVIDE:
        return numeric_divide(a[0].n, a[1].n, &out->n, call->error);
    case OP_MODULO:
        return numeric_modulo(a[0].n, a[1].n, &out->n, call->error);
    case OP_NEGATE:
        out->n = numeric_negate(a[0].n);
        return OK;
    case OP_ABS:
        out->n = a[0].n.kind == NUMERIC_MINUS_INFINITY || a[0].n.digits < 0 ? numeric_negate(a[0].n)
                                                                            : a[0].n;
        return OK;
    default:
        out->n = a[0].n;
        return OK;
    }
}

#define BINARY(symbol, op, left, right, to, row_form, vector_form, doc_text, example_text)         \
    {.name = symbol,                                                                               \
     .argument_count = 2,                                                                          \
     .arguments = {left, right},                                                                   \
     .result = to,                                                                                 \
     .operation = op,                                                                              \
     .row = row_form,                                                                              \
     .vector = vector_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define UNARY(symbol, op, type, row_form, doc_text, example_text)                                  \
    {.name = symbol,                                                                               \
     .argument_count = 1,                                                                          \
     .arguments = {type},                                                                          \
     .result = type,                                                                               \
     .operation = op,                                                                              \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},

#define INT_PAIRS(symbol, op, form)                                                                \
    BINARY(symbol, op, TYPE_INT4, TYPE_INT4, TYPE_INT4, int_row, form, "integer arithmetic",       \
           "7 " symbol " 2")                                                                       \
    BINARY(symbol, op, TYPE_INT2, TYPE_INT2, TYPE_INT2, int_row, form, "integer arithmetic",       \
           "7::smallint " symbol " 2::smallint")                                                   \
    BINARY(symbol, op, TYPE_INT8, TYPE_INT8, TYPE_INT8, int_row, form, "integer arithmetic",       \
           "7::bigint " symbol " 2::bigint")
#define INT_MIXED(symbol, op, form)                                                                \
    BINARY(symbol, op, TYPE_INT2, TYPE_INT4, TYPE_INT4, int_row, form, "integer arithmetic",       \
           "7::int2 " symbol " 2")                                                                 \
    BINARY(symbol, op, TYPE_INT2, TYPE_INT8, TYPE_INT8, int_row, form, "integer arithmetic",       \
           "7::int2 " symbol " 2::int8")                                                           \
    BINARY(symbol, op, TYPE_INT4, TYPE_INT2, TYPE_INT4, int_row, form, "integer arithmetic",       \
           "7 " symbol " 2::int2")                                                                 \
    BINARY(symbol, op, TYPE_INT4, TYPE_INT8, TYPE_INT8, int_row, form, "integer arithmetic",       \
           "7 " symbol " 2::int8")                                                                 \
    BINARY(symbol, op, TYPE_INT8, TYPE_INT2, TYPE_INT8, int_row, form, "integer arithmetic",       \
           "7::int8 " symbol " 2::int2")                                                           \
    BINARY(symbol, op, TYPE_INT8, TYPE_INT4, TYPE_INT8, int_row, form, "integer arithmetic",       \
           "7::int8 " symbol " 2")
#define FLOAT_PAIRS(symbol, op, form)                                                              \
    BINARY(symbol, op, TYPE_FLOAT8, TYPE_FLOAT8, TYPE_FLOAT8, float_row, form,                     \
           "floating-point arithmetic", "7::float8 " symbol " 2::float8")                          \
    BINARY(symbol, op, TYPE_FLOAT4, TYPE_FLOAT4, TYPE_FLOAT4, float_row, form,                     \
           "floating-point arithmetic", "7::real " symbol " 2::real")                              \
    BINARY(symbol, op, TYPE_FLOAT4, TYPE_FLOAT8, TYPE_FLOAT8, float_row, form,                     \
           "floating-point arithmetic", "7::real " symbol " 2::float8")                            \
    BINARY(symbol, op, TYPE_FLOAT8, TYPE_FLOAT4, TYPE_FLOAT8, float_row, form,                     \
           "floating-point arithmetic", "7::float8 " symbol " 2::real")
#define NUMERIC(symbol, op)                                                                        \
    BINARY(symbol, op, TYPE_NUMERIC, TYPE_NUMERIC, TYPE_NUMERIC, numeric_row, NULL,                \
           "exact decimal arithmetic", "7.5 " symbol " 2.0")
#define SIGN(symbol, op, doc_text)                                                                 \
    UNARY(symbol, op, TYPE_INT4, int_row, doc_text, symbol " (7)")                                 \
    UNARY(symbol, op, TYPE_INT2, int_row, doc_text, symbol " (7::smallint)")                       \
    UNARY(symbol, op, TYPE_INT8, int_row, doc_text, symbol " (7::bigint)")                         \
    UNARY(symbol, op, TYPE_FLOAT4, float_row, doc_text, symbol " (7::real)")                       \
    UNARY(symbol, op, TYPE_FLOAT8, float_row, doc_text, symbol " (7::float8)")                     \
    UNARY(symbol, op, TYPE_NUMERIC, numeric_row, doc_text, symbol " (7.5)")

static const struct function functions[] = {
    INT_PAIRS("+", ARITH_ADD, int_vector) INT_MIXED("+", ARITH_ADD, int_vector) FLOAT_PAIRS(
        "+", ARITH_ADD, float_vector) NUMERIC("+", ARITH_ADD) INT_PAIRS("-", ARITH_SUBTRACT,
                                                                        int_vector)
        INT_MIXED("-", ARITH_SUBTRACT, int_vector) FLOAT_PAIRS("-", ARITH_SUBTRACT, float_vector)
            NUMERIC("-", ARITH_SUBTRACT) INT_PAIRS("*", ARITH_MULTIPLY, int_vector) INT_MIXED(
                "*", ARITH_MULTIPLY, int_vector) FLOAT_PAIRS("*", ARITH_MULTIPLY, float_vector)
                NUMERIC("*", ARITH_MULTIPLY) INT_PAIRS("/", OP_DIVIDE, int_divide_vector)
                    INT_MIXED("/", OP_DIVIDE, int_divide_vector) FLOAT_PAIRS(
                        "/", OP_DIVIDE, float_divide_vector) NUMERIC("/", OP_DIVIDE)
                        INT_PAIRS("%", OP_MODULO, int_divide_vector) NUMERIC("%", OP_MODULO) BINARY(
                            "mod", OP_MODULO, TYPE_INT4, TYPE_INT4, TYPE_INT4,
                            int_row, int_divide_vector, "the remainder", "mod(7, 2)")
                            BINARY("mod", OP_MODULO, TYPE_INT2, TYPE_INT2, TYPE_INT2, int_row,
                                   int_divide_vector, "the remainder", "mod(7::int2, 2::int2)")
                                BINARY("mod", OP_MODULO, TYPE_INT8, TYPE_INT8, TYPE_INT8, int_row,
                                       int_divide_vector, "the remainder", "mod(7::int8, 2)")
                                    BINARY("mod", OP_MODULO, TYPE_NUMERIC, TYPE_NUMERIC,
                                           TYPE_NUMERIC, numeric_row, NULL, "the remainder",
                                           "mod(7.5, 2)") SIGN("-", OP_NEGATE, "changes the sign")
                                        SIGN("+", OP_PLUS, "the value itself")
                                            SIGN("@", OP_ABS, "absolute value")
                                                SIGN("abs", OP_ABS, "absolute value")};

const struct function_group functions_arith = {functions, array_count(functions)};
