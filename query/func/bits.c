/* & | # ~ << >> on integers. Shifts take their count modulo the width, as the machine and
 * PostgreSQL do. */
#include "query/func/func.h"

enum { OP_AND, OP_OR, OP_XOR, OP_NOT, OP_LEFT, OP_RIGHT };

/* Sign-extends the low bits of the type. */
static int64_t narrow(int64_t value, enum type_id type)
{
    return type == TYPE_INT2 ? (int16_t)value : type == TYPE_INT4 ? (int32_t)value : value;
}

static enum err bits_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    enum type_id type = call->function->result;
    int64_t left = a[0].i, right = count > 1 ? a[1].i : 0;
    unsigned shift = (unsigned)right & (type == TYPE_INT8 ? 63 : 31);
    switch (call->function->operation) {
    case OP_AND:
        out->i = left & right;
        break;
    case OP_OR:
        out->i = left | right;
        break;
    case OP_XOR:
        out->i = left ^ right;
        break;
    case OP_NOT:
        out->i = ~left;
        break;
    case OP_LEFT:
        out->i = narrow((int64_t)((uint64_t)left << shift), type);
        break;
    default:
        out->i = narrow(left >> shift, type);
        break;
    }
    return OK;
}

#define ONE(symbol, kind, type, other, n, example_text)                                            \
    {.name = symbol,                                                                               \
     .argument_count = n,                                                                          \
     .arguments = {type, other},                                                                   \
     .result = type,                                                                               \
     .operation = kind,                                                                            \
     .row = bits_row,                                                                              \
     .doc = "bit by bit",                                                                          \
     .example = example_text},
#define ALL(symbol, kind)                                                                          \
    ONE(symbol, kind, TYPE_INT4, TYPE_INT4, 2, "6 " symbol " 3")                                   \
    ONE(symbol, kind, TYPE_INT2, TYPE_INT2, 2, "6::int2 " symbol " 3::int2")                       \
    ONE(symbol, kind, TYPE_INT8, TYPE_INT8, 2, "6::int8 " symbol " 3::int8")
#define SHIFT(symbol, kind)                                                                        \
    ONE(symbol, kind, TYPE_INT4, TYPE_INT4, 2, "6 " symbol " 3")                                   \
    ONE(symbol, kind, TYPE_INT2, TYPE_INT4, 2, "6::int2 " symbol " 3")                             \
    ONE(symbol, kind, TYPE_INT8, TYPE_INT4, 2, "6::int8 " symbol " 3")

/* clang-format off */
static const struct function functions[] = {
    ALL("&", OP_AND)
    ALL("|", OP_OR)
    ALL("#", OP_XOR)
    SHIFT("<<", OP_LEFT)
    SHIFT(">>", OP_RIGHT)
    ONE("~", OP_NOT, TYPE_INT4, 0, 1, "~ 6")
    ONE("~", OP_NOT, TYPE_INT2, 0, 1, "~ 6::int2")
    ONE("~", OP_NOT, TYPE_INT8, 0, 1, "~ 6::int8")
};
/* clang-format on */

const struct function_group functions_bits = {functions, array_count(functions)};
