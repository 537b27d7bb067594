/* Arrays: lengths, containment, overlap, joining. One dimension. */
#include "query/func/text.h"

/* All elements of an array in the batch's arena. */
static enum err read_array(struct call *call, const struct value *in, struct value **elements,
                           size_t *count)
{
    struct array_reader reader;
    if (!array_begin(&reader, in->type.id, in->text))
        return call_bad_array(call);
    *count = 0;
    enum err err =
        call_array(call, (size_t)reader.count + 1, sizeof(struct value), (void **)elements);
    if (err != OK)
        return err;
    while (array_next(&reader, &(*elements)[*count]))
        (*count)++;
    return OK;
}

static bool has_element(const struct value *elements, size_t count, const struct value *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (!elements[i].is_null && !wanted->is_null && value_compare(&elements[i], wanted) == 0)
            return true;
    }
    return false;
}

enum { CARDINALITY, LENGTH, UPPER };

static enum err length_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct array_reader reader;
    if (!array_begin(&reader, a[0].type.id, a[0].text))
        return call_bad_array(call);
    out->i = reader.count;
    if (call->function->operation != CARDINALITY)
        out->is_null = reader.count == 0 || (count > 1 && a[1].i != 1);
    return OK;
}

static enum err lower_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    enum err err = length_row(call, a, count, out);
    out->i = 1;
    return err;
}

enum { CONTAINS, CONTAINED, OVERLAPS };
#define COMPARED_PER_LOOK ((size_t)1 << 16)

static enum err contains_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct value *left, *right;
    size_t left_count, right_count;
    enum err err = read_array(call, &a[0], &left, &left_count);
    if (err == OK)
        err = read_array(call, &a[1], &right, &right_count);
    if (err != OK)
        return err;
    int operation = call->function->operation;
    const struct value *inner = operation == CONTAINED ? left : right,
                       *outer = operation == CONTAINED ? right : left;
    size_t inner_count = operation == CONTAINED ? left_count : right_count;
    size_t outer_count = operation == CONTAINED ? right_count : left_count;
    bool wants_any = operation == OVERLAPS;
    out->b = !wants_any;
    for (size_t i = 0, compared = 0; i < inner_count; i++) {
        compared += outer_count;
        if (compared >= COMPARED_PER_LOOK) {
            compared = 0;
            err = call_look(call);
            if (err != OK)
                return err;
        }
        if (has_element(outer, outer_count, &inner[i]) == wants_any) {
            out->b = wants_any;
            break;
        }
    }
    return OK;
}

static enum err position_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct value *elements;
    size_t length;
    out->is_null = a[0].is_null;
    if (a[0].is_null)
        return OK;
    enum err err = read_array(call, &a[0], &elements, &length);
    for (size_t i = 0; err == OK && i < length; i++) {
        bool is_same = elements[i].is_null || a[1].is_null
                           ? elements[i].is_null == a[1].is_null
                           : value_compare(&elements[i], &a[1]) == 0;
        if (is_same) {
            out->i = (int64_t)i + 1;
            return OK;
        }
    }
    out->is_null = true;
    return err;
}

enum { APPEND, PREPEND, JOIN };

static enum err append_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    struct value *elements[2] = {NULL, NULL};
    size_t counts[2] = {0, 0};
    int operation = call->function->operation;
    for (size_t i = 0; i < 2; i++) {
        bool is_single = (operation == APPEND && i == 1) || (operation == PREPEND && i == 0);
        if (is_single) {
            elements[i] = (struct value *)&a[i];
            counts[i] = 1;
            continue;
        }
        if (a[i].is_null)
            continue;
        enum err err = read_array(call, &a[i], &elements[i], &counts[i]);
        if (err != OK)
            return err;
    }
    if (operation == JOIN && a[0].is_null && a[1].is_null) {
        out->is_null = true;
        return OK;
    }
    struct value *all;
    enum err err = call_array(call, counts[0] + counts[1] + 1, sizeof(*all), (void **)&all);
    if (err != OK)
        return err;
    for (size_t i = 0; i < counts[0]; i++)
        all[i] = elements[0][i];
    for (size_t i = 0; i < counts[1]; i++)
        all[counts[0] + i] = elements[1][i];
    out->text = array_build(call->function->result, all, counts[0] + counts[1], call->arena);
    return OK;
}

static enum err to_string_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    struct value *elements;
    size_t length;
    out->is_null = a[0].is_null || a[1].is_null;
    if (out->is_null)
        return OK;
    enum err err = read_array(call, &a[0], &elements, &length);
    if (err != OK)
        return err;
    bool shows_null = count > 2 && !a[2].is_null, is_first = true;
    struct writer writer;
    text_begin(&writer);
    for (size_t i = 0; i < length; i++) {
        if (elements[i].is_null && !shows_null)
            continue;
        if (!is_first)
            writer_slice(&writer, a[1].text);
        is_first = false;
        if (elements[i].is_null)
            writer_slice(&writer, a[2].text);
        else
            writer_slice(&writer, value_to_text(&elements[i], call->context, call->arena));
    }
    return text_end(call, &writer, OK, out);
}

/* Cuts at the separator, or at every character where it is NULL. False at the end. */
static bool next_piece(struct slice *rest, const struct value *separator, bool *has_more,
                       struct slice *piece)
{
    if (!*has_more)
        return false;
    size_t size = text_prefix_size(*rest, 1), skip = 0;
    *has_more = size < rest->size;
    if (!separator->is_null) {
        size_t found = separator->text.size == 0 ? SIZE_MAX : text_find(*rest, separator->text);
        *has_more = found != SIZE_MAX;
        size = *has_more ? found : rest->size;
        skip = *has_more ? separator->text.size : 0;
    }
    *piece = slice_of(rest->data, size);
    *rest = slice_of(rest->data + size + skip, rest->size - size - skip);
    return true;
}

#define PIECES_PER_LOOK 65536

/* Pieces are counted first: there may be as many as bytes, or one. */
static enum err from_string_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    out->is_null = a[0].is_null;
    if (a[0].is_null)
        return OK;
    struct slice rest = a[0].text, piece;
    size_t length = 0;
    bool has_more = rest.size > 0;
    enum err err = OK;
    while (err == OK && next_piece(&rest, &a[1], &has_more, &piece))
        err = ++length % PIECES_PER_LOOK == 0 ? call_look(call) : OK;
    struct value *elements = NULL;
    if (err == OK)
        err = call_array(call, length + 1, sizeof(*elements), (void **)&elements);
    if (err != OK)
        return err;
    bool has_null_text = count > 2 && !a[2].is_null;
    rest = a[0].text;
    has_more = rest.size > 0;
    for (size_t i = 0; next_piece(&rest, &a[1], &has_more, &piece); i++) {
        elements[i] = (struct value){.type = type_of(TYPE_TEXT), .text = piece};
        elements[i].is_null = has_null_text && slice_equal(piece, a[2].text);
    }
    out->text = array_build(TYPE_TEXT_ARRAY, elements, length, call->arena);
    return OK;
}

#define T TYPE_TEXT
#define TA TYPE_TEXT_ARRAY
#define F TEXT_FUNCTION
#define TOLERANT TEXT_FUNCTION_TOLERANT
/* What does not compare elements, and what does. */
#define SHAPE(array, element, literal, item)                                                       \
    F("cardinality", 1, LIST(array), TYPE_INT4, CARDINALITY, length_row, "how many elements",      \
      "cardinality(" literal ")")                                                                  \
    F("array_length", 2, LIST(array, TYPE_INT4), TYPE_INT4, LENGTH, length_row,                    \
      "how many elements, NULL if none", "array_length(" literal ", 1)")                           \
    F("array_upper", 2, LIST(array, TYPE_INT4), TYPE_INT4, UPPER, length_row,                      \
      "the last subscript", "array_upper(" literal ", 1)")                                         \
    F("array_lower", 2, LIST(array, TYPE_INT4), TYPE_INT4, UPPER, lower_row,                       \
      "the first subscript", "array_lower(" literal ", 1)")                                        \
    TOLERANT("array_append", 2, LIST(array, element), array, APPEND, append_row,                   \
             "with one more at the end", "array_append(" literal ", " item ")")                    \
    TOLERANT("array_prepend", 2, LIST(element, array), array, PREPEND, append_row,                 \
             "with one more at the start", "array_prepend(" item ", " literal ")")                 \
    TOLERANT("array_cat", 2, LIST(array, array), array, JOIN, append_row,                          \
             "both, one after the other", "array_cat(" literal ", " literal ")")                   \
    TOLERANT("||", 2, LIST(array, array), array, JOIN, append_row, "both, one after the other",    \
             literal " || " literal)                                                               \
    TOLERANT("||", 2, LIST(array, element), array, APPEND, append_row, "with one more at the end", \
             literal " || " item)                                                                  \
    TOLERANT("||", 2, LIST(element, array), array, PREPEND, append_row,                            \
             "with one more at the start", item " || " literal)                                    \
    TOLERANT("array_to_string", 2, LIST(array, T), T, 0, to_string_row,                            \
             "elements joined by a separator", "array_to_string(" literal ", ',')")                \
    TOLERANT("array_to_string", 3, LIST(array, T, T), T, 0, to_string_row,                         \
             "elements joined, NULLs shown", "array_to_string(" literal ", ',', '-')")
#define COMPARED(array, element, literal, item)                                                    \
    F("@>", 2, LIST(array, array), TYPE_BOOL, CONTAINS, contains_row,                              \
      "has all elements of the other", literal " @> " literal)                                     \
    F("<@", 2, LIST(array, array), TYPE_BOOL, CONTAINED, contains_row,                             \
      "has no element that the other has not", literal " <@ " literal)                             \
    F("&&", 2, LIST(array, array), TYPE_BOOL, OVERLAPS, contains_row,                              \
      "has an element of the other", literal " && " literal)                                       \
    TOLERANT("array_position", 2, LIST(array, element), TYPE_INT4, 0, position_row,                \
             "where an element stands", "array_position(" literal ", " item ")")

/* clang-format off */
static const struct function functions[] = {
    FOR_COMPARED_ARRAYS(SHAPE)
    FOR_OTHER_ARRAYS(SHAPE)
    FOR_COMPARED_ARRAYS(COMPARED)
    TOLERANT("string_to_array", 2, LIST(T, T), TA, 0, from_string_row, "cut at a separator",
             "string_to_array('a,b', ',')")
    TOLERANT("string_to_array", 3, LIST(T, T, T), TA, 0, from_string_row,
             "cut at a separator, one text being NULL", "string_to_array('a,-', ',', '-')")
};
/* clang-format on */

const struct function_group functions_array = {functions, array_count(functions)};
