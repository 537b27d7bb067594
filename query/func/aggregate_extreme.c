/* min and max, by memory form: integers and times, doubles (NaN above everything), and the rest by
 * value_compare. Text states keep a buffer in the operator's arena and copy a value only when it
 * becomes the new extreme. */
#include "query/func/aggregate.h"

#include "query/func/text.h"

#include <math.h>
#include <string.h>

struct int_extreme {
    int64_t value;
    int64_t count;
};
struct float_extreme {
    double value;
    int64_t count;
};
struct value_extreme {
    struct value value;
    size_t capacity; /* of the text buffer */
    int64_t count;
};

#define STATE(type) ((sizeof(struct type) + 15) / 16 * 16)
#define ROW(k) (selection != NULL ? selection[k] : (k))

static void int_init(void *state)
{
    memset(state, 0, sizeof(struct int_extreme));
}
static void float_init(void *state)
{
    memset(state, 0, sizeof(struct float_extreme));
}
static void value_init(void *state)
{
    memset(state, 0, sizeof(struct value_extreme));
}

/* --- integers and times --- */

static inline void int_take(struct int_extreme *state, int64_t value, bool is_max)
{
    if (state->count++ == 0 || (is_max ? value > state->value : value < state->value))
        state->value = value;
}

static inline __attribute__((always_inline)) void
int_flat(struct int_extreme *state, const int64_t *values, size_t count, bool is_max)
{
    int64_t best = state->count > 0 ? state->value : values[0];
    for (size_t i = 0; i < count; i++)
        best =
            is_max ? (values[i] > best ? values[i] : best) : (values[i] < best ? values[i] : best);
    state->value = best;
    state->count += (int64_t)count;
}

static inline __attribute__((always_inline)) enum err
int_update(char *states, size_t stride, const uint32_t *group, const uint32_t *selection,
           size_t count, const struct column *in, bool is_max)
{
    if (count > 0 && group == NULL && selection == NULL && in->form == COLUMN_FLAT &&
        in->validity == NULL) {
        int_flat((struct int_extreme *)states, in->i, count, is_max);
        return OK;
    }
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (!column_is_null(in, row))
            int_take(aggregate_state(states, stride, group, row), in->i[column_index(in, row)],
                     is_max);
    }
    return OK;
}

/* --- doubles --- */

/* Is a above b: NaN is above every number, and not above NaN. */
static inline bool float_above(double a, double b)
{
    return a > b || (isnan(a) && !isnan(b));
}

static inline void float_take(struct float_extreme *state, double value, bool is_max)
{
    if (state->count++ == 0 ||
        (is_max ? float_above(value, state->value) : float_above(state->value, value)))
        state->value = value;
}

static inline __attribute__((always_inline)) enum err
float_update(char *states, size_t stride, const uint32_t *group, const uint32_t *selection,
             size_t count, const struct column *in, bool is_max)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (!column_is_null(in, row))
            float_take(aggregate_state(states, stride, group, row), in->f[column_index(in, row)],
                       is_max);
    }
    return OK;
}

/* --- everything else --- */

static void value_keep(struct value_extreme *state, const struct value *value,
                       struct aggregate_memory *memory)
{
    if (type_physical(value->type.id) != PHYSICAL_TEXT) {
        state->value = *value;
        return;
    }
    char *buffer = (char *)state->value.text.data;
    if (value->text.size > state->capacity) {
        state->capacity = value->text.size + value->text.size / 2 + 16;
        buffer = arena_alloc(memory->arena, state->capacity);
    }
    if (value->text.size > 0)
        memmove(buffer, value->text.data, value->text.size);
    state->value = *value;
    state->value.text.data = buffer;
}

static void value_take(struct value_extreme *state, const struct value *value, bool is_max,
                       struct aggregate_memory *memory)
{
    if (state->count++ > 0) {
        int order = value_compare(value, &state->value);
        if (is_max ? order <= 0 : order >= 0)
            return;
    }
    value_keep(state, value, memory);
}

static enum err value_update(char *states, size_t stride, const uint32_t *group,
                             const uint32_t *selection, size_t count, const struct column *in,
                             bool is_max, struct aggregate_memory *memory)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct value value = column_value(in, row);
        value_take(aggregate_state(states, stride, group, row), &value, is_max, memory);
    }
    return OK;
}

/* --- the five functions of each form and direction --- */

#define FORMS(direction, is_max)                                                                   \
    static enum err int_##direction##_update(char *states, size_t stride, const uint32_t *group,   \
                                             const uint32_t *selection, size_t count,              \
                                             const struct column *arguments,                       \
                                             struct aggregate_memory *memory, struct error *error) \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        return int_update(states, stride, group, selection, count, arguments, is_max);             \
    }                                                                                              \
    static enum err float_##direction##_update(                                                    \
        char *states, size_t stride, const uint32_t *group, const uint32_t *selection,             \
        size_t count, const struct column *arguments, struct aggregate_memory *memory,             \
        struct error *error)                                                                       \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        return float_update(states, stride, group, selection, count, arguments, is_max);           \
    }                                                                                              \
    static enum err value_##direction##_update(                                                    \
        char *states, size_t stride, const uint32_t *group, const uint32_t *selection,             \
        size_t count, const struct column *arguments, struct aggregate_memory *memory,             \
        struct error *error)                                                                       \
    {                                                                                              \
        (void)error;                                                                               \
        return value_update(states, stride, group, selection, count, arguments, is_max, memory);   \
    }                                                                                              \
    static enum err int_##direction##_take(void *state, const struct scan_extent *extent,          \
                                           struct aggregate_memory *memory, struct error *error)   \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        const struct value *value = (is_max) ? &extent->greatest : &extent->least;                 \
        if (extent->null_count < extent->row_count)                                                \
            int_take(state, value->i, is_max);                                                     \
        return OK;                                                                                 \
    }                                                                                              \
    static enum err float_##direction##_take(void *state, const struct scan_extent *extent,        \
                                             struct aggregate_memory *memory, struct error *error) \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        const struct value *value = (is_max) ? &extent->greatest : &extent->least;                 \
        if (extent->null_count < extent->row_count)                                                \
            float_take(state, value->f, is_max);                                                   \
        return OK;                                                                                 \
    }                                                                                              \
    static enum err value_##direction##_take(void *state, const struct scan_extent *extent,        \
                                             struct aggregate_memory *memory, struct error *error) \
    {                                                                                              \
        (void)error;                                                                               \
        const struct value *value = (is_max) ? &extent->greatest : &extent->least;                 \
        if (extent->null_count < extent->row_count)                                                \
            value_take(state, value, is_max, memory);                                              \
        return OK;                                                                                 \
    }                                                                                              \
    static enum err int_##direction##_combine(                                                     \
        void *target, const void *source, struct aggregate_memory *memory, struct error *error)    \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        if (((const struct int_extreme *)source)->count > 0)                                       \
            int_take(target, ((const struct int_extreme *)source)->value, is_max);                 \
        return OK;                                                                                 \
    }                                                                                              \
    static enum err float_##direction##_combine(                                                   \
        void *target, const void *source, struct aggregate_memory *memory, struct error *error)    \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        if (((const struct float_extreme *)source)->count > 0)                                     \
            float_take(target, ((const struct float_extreme *)source)->value, is_max);             \
        return OK;                                                                                 \
    }                                                                                              \
    static enum err value_##direction##_combine(                                                   \
        void *target, const void *source, struct aggregate_memory *memory, struct error *error)    \
    {                                                                                              \
        (void)error;                                                                               \
        if (((const struct value_extreme *)source)->count > 0)                                     \
            value_take(target, &((const struct value_extreme *)source)->value, is_max, memory);    \
        return OK;                                                                                 \
    }

FORMS(min, false)
FORMS(max, true)

static enum err int_finish(const void *state, const struct aggregate_call *call,
                           struct aggregate_memory *memory, struct value *out, struct error *error)
{
    (void)memory, (void)error;
    const struct int_extreme *s = state;
    *out = (struct value){.type = call->type, .is_null = s->count == 0, .i = s->value};
    return OK;
}

static enum err float_finish(const void *state, const struct aggregate_call *call,
                             struct aggregate_memory *memory, struct value *out,
                             struct error *error)
{
    (void)memory, (void)error;
    const struct float_extreme *s = state;
    *out = (struct value){.type = call->type, .is_null = s->count == 0, .f = s->value};
    return OK;
}

static enum err value_finish(const void *state, const struct aggregate_call *call,
                             struct aggregate_memory *memory, struct value *out,
                             struct error *error)
{
    (void)error;
    const struct value_extreme *s = state;
    *out = s->value;
    out->is_null = s->count == 0;
    out->type = call->type;
    if (!out->is_null && type_physical(call->type.id) == PHYSICAL_TEXT)
        out->text = arena_copy(memory->arena, s->value.text);
    return OK;
}

#define ONE(direction, of, prefix, state_type, example_text)                                       \
    {.name = #direction,                                                                           \
     .argument = of,                                                                               \
     .result = AGGREGATE_SAME,                                                                     \
     .state_size = STATE(state_type),                                                              \
     .init = prefix##_init,                                                                        \
     .update = prefix##_##direction##_update,                                                      \
     .need = NEED_RANGE,                                                                           \
     .take = prefix##_##direction##_take,                                                          \
     .combine = prefix##_##direction##_combine,                                                    \
     .finish = prefix##_finish,                                                                    \
     .doc = "the " #direction "imum of the values that are not NULL",                              \
     .example = #direction "(" example_text ")"},
#define BOTH(of, prefix, state_type, example_text)                                                 \
    ONE(min, of, prefix, state_type, example_text) ONE(max, of, prefix, state_type, example_text)

#define ARRAYS(array, element, literal, item) BOTH(array, value, value_extreme, literal)

/* clang-format off */
static const struct aggregate aggregates[] = {
    BOTH(TYPE_INT4, int, int_extreme, "1") BOTH(TYPE_INT2, int, int_extreme, "1::smallint")
        BOTH(TYPE_INT8, int, int_extreme, "1::bigint")
            BOTH(TYPE_FLOAT8, float, float_extreme, "1.5::float8")
                BOTH(TYPE_FLOAT4, float, float_extreme, "1.5::real")
                    BOTH(TYPE_NUMERIC, value, value_extreme, "1.5") BOTH(TYPE_TEXT, value,
                                                                         value_extreme, "'a'::text")
                        BOTH(TYPE_TIMESTAMPTZ, int, int_extreme, "now()")
                            BOTH(TYPE_TIMESTAMP, int, int_extreme, "timestamp '2026-05-01 10:00'")
                                BOTH(TYPE_DATE, int, int_extreme, "date '2026-05-01'")
                                    BOTH(TYPE_INTERVAL, value, value_extreme, "interval '1 minute'")
                                        FOR_COMPARED_ARRAYS(ARRAYS)};
/* clang-format on */

const struct aggregate_group aggregates_extreme = {aggregates, array_count(aggregates)};
