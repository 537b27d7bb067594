/* Arrays: subscripts, slices, finding, removing and replacing elements. One dimension, subscripts
 * from 1. */
#include "query/func/text.h"

#include <limits.h>

/* Equal as IS NOT DISTINCT FROM has it. */
static bool is_same(const struct value *a, const struct value *b)
{
    return a->is_null || b->is_null ? a->is_null == b->is_null : value_compare(a, b) == 0;
}

static enum err subscript_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct array_reader array;
    struct value element;
    if (!array_begin(&array, a[0].type.id, a[0].text))
        return call_bad_array(call);
    out->is_null = true;
    if (a[1].i < 1 || a[1].i > array.count)
        return OK;
    for (int64_t i = 0; i < a[1].i; i++)
        if (!array_next(&array, &element))
            return call_bad_array(call);
    struct type type = out->type;
    *out = element;
    out->type = type;
    return OK;
}

struct kept {
    struct value *elements;
    size_t count;
    struct array_reader from;
};

static enum err kept_begin(struct kept *kept, struct call *call, const struct value *array)
{
    *kept = (struct kept){0};
    if (!array_begin(&kept->from, array->type.id, array->text))
        return call_bad_array(call);
    return call_array(call, (size_t)kept->from.count + 1, sizeof(struct value),
                      (void **)&kept->elements);
}

static enum err slice_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct kept kept;
    enum err err = kept_begin(&kept, call, &a[0]);
    struct value element;
    for (int64_t i = 1; err == OK && array_next(&kept.from, &element); i++)
        if (i >= a[1].i && i <= a[2].i)
            kept.elements[kept.count++] = element;
    if (err == OK)
        out->text = array_build(call->function->result, kept.elements, kept.count, call->arena);
    return err;
}

#define ARRAY_LENGTH_MAX 134217727 /* as PostgreSQL */

enum { REMOVE, REPLACE, TRIM };

static enum err change_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    struct kept kept;
    struct value element;
    out->is_null = a[0].is_null;
    enum err err = a[0].is_null ? OK : kept_begin(&kept, call, &a[0]);
    if (err != OK || a[0].is_null)
        return err;
    while (array_next(&kept.from, &element)) {
        bool is_it = is_same(&element, &a[1]);
        if (is_it && call->function->operation == REMOVE)
            continue;
        kept.elements[kept.count++] = is_it ? a[2] : element;
    }
    out->text = array_build(call->function->result, kept.elements, kept.count, call->arena);
    return OK;
}

static enum err trim_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct kept kept;
    enum err err = kept_begin(&kept, call, &a[0]);
    if (err == OK && (a[1].i < 0 || a[1].i > kept.from.count))
        err = error_set(call->error, ERR_INPUT, "2202E",
                        "number of elements to trim must be between 0 and %u", kept.from.count);
    if (err != OK)
        return err;
    while (array_next(&kept.from, &kept.elements[kept.count]))
        kept.count++;
    out->text = array_build(call->function->result, kept.elements, kept.count - (size_t)a[1].i,
                            call->arena);
    return OK;
}

static enum err positions_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct kept kept;
    struct value element;
    out->is_null = a[0].is_null;
    enum err err = a[0].is_null ? OK : kept_begin(&kept, call, &a[0]);
    if (err != OK || a[0].is_null)
        return err;
    for (int64_t i = 1; array_next(&kept.from, &element); i++)
        if (is_same(&element, &a[1]))
            kept.elements[kept.count++] = (struct value){.type = type_of(TYPE_INT4), .i = i};
    out->text = array_build(TYPE_INT4_ARRAY, kept.elements, kept.count, call->arena);
    return OK;
}

/* Nothing is found of an empty array, and no NULL where there is none, wherever to start. */
static bool may_find(struct array_reader array, const struct value *wanted)
{
    struct value element;
    bool may = false;
    while (!may && array_next(&array, &element))
        may = !wanted->is_null || element.is_null;
    return may;
}

/* array_position(array, element, from) */
static enum err position_from_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    (void)count;
    struct array_reader array;
    struct value element;
    out->is_null = true;
    if (a[0].is_null)
        return OK;
    if (!array_begin(&array, a[0].type.id, a[0].text))
        return call_bad_array(call);
    if (a[2].is_null && may_find(array, &a[1]))
        return error_set(call->error, ERR_INPUT, "22004", "initial position must not be null");
    for (int64_t i = 1; out->is_null && array_next(&array, &element); i++) {
        if (a[2].is_null || i < a[2].i || !is_same(&element, &a[1]))
            continue;
        out->is_null = false;
        out->i = i;
    }
    return OK;
}

enum { NDIMS, DIMS };

static enum err dimensions_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    struct array_reader array;
    if (!array_begin(&array, a[0].type.id, a[0].text))
        return call_bad_array(call);
    out->is_null = array.count == 0;
    if (call->function->operation == NDIMS)
        out->i = 1;
    else
        out->text = slice_from_cstr(arena_printf(call->arena, "[1:%u]", array.count));
    return OK;
}

/* array_fill(element, {length} [, {1}]): one dimension, subscripts from 1. */
static enum err fill_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct array_reader lengths, bounds;
    struct value length, bound = {.i = 1}, *elements;
    if (a[1].is_null || (count > 2 && a[2].is_null))
        return error_set(call->error, ERR_INPUT, "22004",
                         "dimension array or low bound array cannot be null");
    if (!array_begin(&lengths, TYPE_INT4_ARRAY, a[1].text) ||
        (count > 2 && !array_begin(&bounds, TYPE_INT4_ARRAY, a[2].text)))
        return call_bad_array(call);
    if (count > 2 && bounds.count != lengths.count)
        return error_set(call->error, ERR_INPUT, "2202E", "wrong number of array subscripts");
    if (lengths.count > 1)
        return error_set(call->error, ERR_UNSUPPORTED, "0A000", "arrays have one dimension");
    out->text = array_build(call->function->result, NULL, 0, call->arena);
    if (!array_next(&lengths, &length))
        return OK;
    if (count > 2)
        array_next(&bounds, &bound);
    if (length.is_null || bound.is_null)
        return error_set(call->error, ERR_INPUT, "22004", "dimension values cannot be null");
    if (length.i < 0 || length.i > ARRAY_LENGTH_MAX)
        return error_set(call->error, ERR_LIMIT, "54000",
                         "array size exceeds the maximum allowed (%d)", ARRAY_LENGTH_MAX);
    if (bound.i != 1)
        return error_set(call->error, ERR_UNSUPPORTED, "0A000", "subscripts start at 1");
    enum err err = call_array(call, (size_t)length.i + 1, sizeof(*elements), (void **)&elements);
    for (int64_t i = 0; i < length.i && err == OK; i++)
        elements[i] = a[0];
    if (err == OK)
        out->text = array_build(call->function->result, elements, (size_t)length.i, call->arena);
    return err;
}

#define T TYPE_TEXT
#define I TYPE_INT4
#define F TEXT_FUNCTION
#define TOLERANT TEXT_FUNCTION_TOLERANT
#define SHAPE(array, element, literal, item)                                                       \
    F("[]", 2, LIST(array, I), element, 0, subscript_row, "the element of that number",            \
      "(" literal ")[1]")                                                                          \
    F("array_slice", 3, LIST(array, I, I), array, 0, slice_row, "the elements from … to …",        \
      "(" literal ")[1:1]")                                                                        \
    F("trim_array", 2, LIST(array, I), array, TRIM, trim_row, "without the last elements",         \
      "trim_array(" literal ", 1)")                                                                \
    TOLERANT("array_fill", 2, LIST(element, TYPE_INT4_ARRAY), array, 0, fill_row,                  \
             "an array of so many of one element", "array_fill(" item ", '{2}'::int[])")           \
    TOLERANT("array_fill", 3, LIST(element, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY), array, 0, fill_row, \
             "an array of so many of one element",                                                 \
             "array_fill(" item ", '{2}'::int[], '{1}'::int[])")                                   \
    F("array_ndims", 1, LIST(array), I, NDIMS, dimensions_row, "how many dimensions",              \
      "array_ndims(" literal ")")                                                                  \
    F("array_dims", 1, LIST(array), T, DIMS, dimensions_row, "the bounds of its subscripts",       \
      "array_dims(" literal ")")
#define COMPARED(array, element, literal, item)                                                    \
    TOLERANT("array_remove", 2, LIST(array, element), array, REMOVE, change_row,                   \
             "without elements that are equal", "array_remove(" literal ", " item ")")             \
    TOLERANT("array_replace", 3, LIST(array, element, element), array, REPLACE, change_row,        \
             "with elements exchanged", "array_replace(" literal ", " item ", NULL)")              \
    TOLERANT("array_positions", 2, LIST(array, element), TYPE_INT4_ARRAY, 0, positions_row,        \
             "where an element stands, each time", "array_positions(" literal ", " item ")")       \
    TOLERANT("array_position", 3, LIST(array, element, I), I, 0, position_from_row,                \
             "where an element stands from there on", "array_position(" literal ", " item ", 1)")

/* clang-format off */
static const struct function functions[] = {
    FOR_COMPARED_ARRAYS(SHAPE)
    FOR_OTHER_ARRAYS(SHAPE)
    FOR_COMPARED_ARRAYS(COMPARED)
};
/* clang-format on */

const struct function_group functions_array_elements = {functions, array_count(functions)};
