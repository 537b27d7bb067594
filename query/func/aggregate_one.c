/* Aggregates that keep one value: first and last by another value, any_value, and the bits of
 * integers.
 *
 * first(x, by) is the x of the row with the least `by` (of equal ones the one met first), last(x,
 * by) that of the greatest; rows whose `by` is NULL do not count, a NULL x does. A text is copied
 * into a buffer of the state that is used again, so a state takes memory only for the longest one.
 */
#include "query/func/aggregate.h"

#include <string.h>

struct kept {
    struct value value;
    char *buffer;
    size_t capacity;
};
struct first {
    struct kept value, by;
    bool is_set;
};
struct bits {
    int64_t value;
    bool is_set;
};

static void first_init(void *state)
{
    memset(state, 0, sizeof(struct first));
}
static void bits_init(void *state)
{
    memset(state, 0, sizeof(struct bits));
}

static void keep(struct kept *kept, const struct value *value, struct aggregate_memory *memory)
{
    kept->value = *value;
    if (value->is_null || type_physical(value->type.id) != PHYSICAL_TEXT)
        return;
    size_t size = value->text.size;
    if (size > kept->capacity || kept->buffer == NULL) {
        kept->capacity = size + size / 2 + 16;
        kept->buffer = arena_alloc(memory->arena, kept->capacity);
    }
    if (size > 0)
        memmove(kept->buffer, value->text.data, size);
    kept->value.text = slice_of(kept->buffer, size);
}

static void take(struct first *s, const struct value *value, const struct value *by, bool is_last,
                 struct aggregate_memory *memory)
{
    if (s->is_set) {
        int order = value_compare(by, &s->by.value);
        if (is_last ? order <= 0 : order >= 0)
            return;
    }
    s->is_set = true;
    keep(&s->value, value, memory);
    keep(&s->by, by, memory);
}

static void first_rows(char *states, size_t stride, const uint32_t *group,
                       const uint32_t *selection, size_t count, const struct column *arguments,
                       bool is_last, struct aggregate_memory *memory)
{
    const struct column *in = &arguments[0], *order = &arguments[1];
    bool is_int = type_physical(order->type.id) == PHYSICAL_INT;
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(order, row))
            continue;
        struct first *s = aggregate_state(states, stride, group, row);
        if (is_int && s->is_set) { /* most rows lose, and times are cheap to compare */
            int64_t by = order->i[column_index(order, row)], best = s->by.value.i;
            if (is_last ? by <= best : by >= best)
                continue;
        }
        struct value value = column_value(in, row), by = column_value(order, row);
        take(s, &value, &by, is_last, memory);
    }
}

#define FORM(name, is_last)                                                                        \
    static AGGREGATE_UPDATE(name##_update)                                                         \
    {                                                                                              \
        (void)error;                                                                               \
        first_rows(states, stride, group, selection, count, arguments, is_last, memory);           \
        return OK;                                                                                 \
    }                                                                                              \
    static AGGREGATE_COMBINE(name##_combine)                                                       \
    {                                                                                              \
        (void)error;                                                                               \
        const struct first *from = source;                                                         \
        if (from->is_set)                                                                          \
            take(target, &from->value.value, &from->by.value, is_last, memory);                    \
        return OK;                                                                                 \
    }
FORM(first, false)
FORM(last, true)

static AGGREGATE_FINISH(first_finish)
{
    (void)memory, (void)error;
    const struct first *s = state;
    *out = s->value.value;
    out->type = call->type;
    out->is_null = !s->is_set || s->value.value.is_null;
    return OK;
}

/* --- any_value --- */

static AGGREGATE_UPDATE(any_update)
{
    (void)error;
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        struct first *s = aggregate_state(states, stride, group, row);
        if (s->is_set || column_is_null(&arguments[0], row))
            continue;
        struct value value = column_value(&arguments[0], row);
        s->is_set = true;
        keep(&s->value, &value, memory);
    }
    return OK;
}

static AGGREGATE_COMBINE(any_combine)
{
    (void)error;
    struct first *to = target;
    const struct first *from = source;
    if (to->is_set || !from->is_set)
        return OK;
    to->is_set = true;
    keep(&to->value, &from->value.value, memory);
    return OK;
}

/* --- bits --- */

enum { AND, OR, XOR };

static void bits_take(struct bits *s, int64_t value, int operation)
{
    if (!s->is_set)
        s->value = value;
    else if (operation == AND)
        s->value &= value;
    else if (operation == OR)
        s->value |= value;
    else
        s->value ^= value;
    s->is_set = true;
}

#define BITS(name, operation)                                                                      \
    static AGGREGATE_UPDATE(name##_update)                                                         \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        const struct column *in = &arguments[0];                                                   \
        for (size_t k = 0; k < count; k++) {                                                       \
            size_t row = selection != NULL ? selection[k] : k;                                     \
            if (!column_is_null(in, row))                                                          \
                bits_take(aggregate_state(states, stride, group, row),                             \
                          in->i[column_index(in, row)], operation);                                \
        }                                                                                          \
        return OK;                                                                                 \
    }                                                                                              \
    static AGGREGATE_COMBINE(name##_combine)                                                       \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        const struct bits *from = source;                                                          \
        if (from->is_set)                                                                          \
            bits_take(target, from->value, operation);                                             \
        return OK;                                                                                 \
    }
BITS(bit_and, AND)
BITS(bit_or, OR)
BITS(bit_xor, XOR)

static AGGREGATE_FINISH(bits_finish)
{
    (void)memory, (void)error;
    const struct bits *s = state;
    *out = (struct value){.type = call->type, .is_null = !s->is_set, .i = s->value};
    return OK;
}

#define FIRST(name_text, prefix, second, doc_text, example_text)                                   \
    {.name = name_text,                                                                            \
     .argument = AGGREGATE_ANY,                                                                    \
     .more = {second},                                                                             \
     .result = AGGREGATE_SAME,                                                                     \
     .state_size = AGGREGATE_STATE_SIZE(first),                                                    \
     .init = first_init,                                                                           \
     .update = prefix##_update,                                                                    \
     .combine = prefix##_combine,                                                                  \
     .finish = first_finish,                                                                       \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define BIT(name_text, of, doc_text)                                                               \
    {.name = #name_text,                                                                           \
     .argument = of,                                                                               \
     .result = AGGREGATE_SAME,                                                                     \
     .state_size = AGGREGATE_STATE_SIZE(bits),                                                     \
     .init = bits_init,                                                                            \
     .update = name_text##_update,                                                                 \
     .combine = name_text##_combine,                                                               \
     .finish = bits_finish,                                                                        \
     .doc = doc_text,                                                                              \
     .example = #name_text "(x)"},
#define BIT_FORMS(name, doc)                                                                       \
    BIT(name, TYPE_INT4, doc) BIT(name, TYPE_INT2, doc) BIT(name, TYPE_INT8, doc)

static const struct aggregate aggregates[] = {
    FIRST("first", first, AGGREGATE_ANY, "the value of the row with the least second argument",
          "first(s, x)")
        FIRST("last", last, AGGREGATE_ANY, "the value of the row with the greatest second argument",
              "last(s, x)")
            FIRST("any_value", any, 0, "some value that is not NULL", "any_value(s)")
                BIT_FORMS(bit_and, "the bits that all values have")
                    BIT_FORMS(bit_or, "the bits that some value has")
                        BIT_FORMS(bit_xor, "the bits that an odd number of values has")};

const struct aggregate_group aggregates_one = {aggregates, array_count(aggregates)};
