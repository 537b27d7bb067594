/* = <> < <= > >= for every type that has them, with PostgreSQL's cross-type forms.
 *
 * Three kinds of evaluation serve all descriptors: integers and times (one int64 kernel), floats
 * (one double kernel), and the rest row by row through value_compare; texts have a loop of their
 * own that borrows slices. Cross-type forms of dates and timestamps name the type both sides are
 * cast to first (evaluate_as), the integers and floats need no cast: they have one memory form. */
#include "query/func/text.h"

#include "query/kernel/kernel.h"

static bool holds(enum compare_operation operation, int order)
{
    switch (operation) {
    case COMPARE_EQ:
        return order == 0;
    case COMPARE_NE:
        return order != 0;
    case COMPARE_LT:
        return order < 0;
    case COMPARE_LE:
        return order <= 0;
    case COMPARE_GT:
        return order > 0;
    case COMPARE_GE:
        return order >= 0;
    }
    return false;
}

static enum err compare_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    out->b = holds(call->function->operation, value_compare(&a[0], &a[1]));
    return OK;
}

static enum err int_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    compare_int(call->function->operation, (struct kernel_int){a->i, a->form == COLUMN_CONSTANT},
                (struct kernel_int){b->i, b->form == COLUMN_CONSTANT}, v->row_count, v->out);
    return OK;
}

static enum err float_vector(struct call *call, const struct vector *v)
{
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    compare_float(call->function->operation,
                  (struct kernel_float){a->f, a->form == COLUMN_CONSTANT},
                  (struct kernel_float){b->f, b->form == COLUMN_CONSTANT}, v->row_count, v->out);
    return OK;
}

static enum err text_vector(struct call *call, const struct vector *v)
{
    enum compare_operation operation = call->function->operation;
    const struct column *a = &v->arguments[0], *b = &v->arguments[1];
    uint8_t *out = v->out;
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        struct slice left = a->text[column_index(a, row)], right = b->text[column_index(b, row)];
        if (operation <= COMPARE_NE)
            out[row] = slice_equal(left, right) == (operation == COMPARE_EQ);
        else
            out[row] = holds(operation, slice_compare(left, right));
    }
    return OK;
}

#define ONE(symbol, op, left, right, as, form, example_text)                                       \
    {.name = symbol,                                                                               \
     .argument_count = 2,                                                                          \
     .arguments = {left, right},                                                                   \
     .result = TYPE_BOOL,                                                                          \
     .evaluate_as = as,                                                                            \
     .operation = op,                                                                              \
     .row = compare_row,                                                                           \
     .vector = form,                                                                               \
     .doc = "compares two values",                                                                 \
     .example = example_text},
#define SIX(left, right, as, form, example_operand)                                                \
    ONE("=", COMPARE_EQ, left, right, as, form, example_operand " = " example_operand)             \
    ONE("<>", COMPARE_NE, left, right, as, form, example_operand " <> " example_operand)           \
    ONE("<", COMPARE_LT, left, right, as, form, example_operand " < " example_operand)             \
    ONE("<=", COMPARE_LE, left, right, as, form, example_operand " <= " example_operand)           \
    ONE(">", COMPARE_GT, left, right, as, form, example_operand " > " example_operand)             \
    ONE(">=", COMPARE_GE, left, right, as, form, example_operand " >= " example_operand)

#define ARRAYS(array, element, literal, item) SIX(array, array, 0, NULL, literal)
/* clang-format off */
static const struct function functions[] = {
    SIX(TYPE_INT4, TYPE_INT4, 0, int_vector, "1")
    SIX(TYPE_INT2, TYPE_INT2, 0, int_vector, "1::smallint")
    SIX(TYPE_INT8, TYPE_INT8, 0, int_vector, "1::bigint")
    SIX(TYPE_INT2, TYPE_INT4, 0, int_vector, "1")
    SIX(TYPE_INT2, TYPE_INT8, 0, int_vector, "1")
    SIX(TYPE_INT4, TYPE_INT2, 0, int_vector, "1")
    SIX(TYPE_INT4, TYPE_INT8, 0, int_vector, "1")
    SIX(TYPE_INT8, TYPE_INT2, 0, int_vector, "1")
    SIX(TYPE_INT8, TYPE_INT4, 0, int_vector, "1")
    SIX(TYPE_FLOAT8, TYPE_FLOAT8, 0, float_vector, "1.5::float8")
    SIX(TYPE_FLOAT4, TYPE_FLOAT4, 0, float_vector, "1.5::real")
    SIX(TYPE_FLOAT4, TYPE_FLOAT8, 0, float_vector, "1.5::real")
    SIX(TYPE_FLOAT8, TYPE_FLOAT4, 0, float_vector, "1.5::real")
    SIX(TYPE_NUMERIC, TYPE_NUMERIC, 0, NULL, "1.5")
    SIX(TYPE_TEXT, TYPE_TEXT, 0, text_vector, "'a'")
    SIX(TYPE_BOOL, TYPE_BOOL, 0, NULL, "true")
    SIX(TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, 0, int_vector, "timestamptz '2026-05-01'")
    SIX(TYPE_TIMESTAMP, TYPE_TIMESTAMP, 0, int_vector, "timestamp '2026-05-01'")
    SIX(TYPE_DATE, TYPE_DATE, 0, int_vector, "date '2026-05-01'")
    SIX(TYPE_DATE, TYPE_TIMESTAMP, TYPE_TIMESTAMP, int_vector, "date '2026-05-01'")
    SIX(TYPE_DATE, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, int_vector, "date '2026-05-01'")
    SIX(TYPE_TIMESTAMP, TYPE_DATE, TYPE_TIMESTAMP, int_vector, "date '2026-05-01'")
    SIX(TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, int_vector, "date '2026-05-01'")
    SIX(TYPE_TIMESTAMPTZ, TYPE_DATE, TYPE_TIMESTAMPTZ, int_vector, "date '2026-05-01'")
    SIX(TYPE_TIMESTAMPTZ, TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, int_vector, "date '2026-05-01'")
    SIX(TYPE_INTERVAL, TYPE_INTERVAL, 0, NULL, "interval '1 day'")
    SIX(TYPE_UUID, TYPE_UUID, 0, text_vector, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid")
    SIX(TYPE_BYTEA, TYPE_BYTEA, 0, text_vector, "'\\x0a'::bytea")
    FOR_COMPARED_ARRAYS(ARRAYS)
    ONE("=", COMPARE_EQ, TYPE_JSONB, TYPE_JSONB, 0, text_vector, "'1'::jsonb = '1'::jsonb")
    ONE("<>", COMPARE_NE, TYPE_JSONB, TYPE_JSONB, 0, text_vector, "'1'::jsonb <> '1'::jsonb")
};
/* clang-format on */

const struct function_group functions_compare = {functions, array_count(functions)};
