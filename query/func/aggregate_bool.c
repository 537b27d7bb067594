/* bool_and, every, bool_or. */
#include "query/func/aggregate.h"

#include <string.h>

struct bool_state {
    int64_t count;
    int64_t decided; /* a value that settles the result was seen */
};

static void bool_init(void *state)
{
    memset(state, 0, sizeof(struct bool_state));
}

static enum err bool_update(char *states, size_t stride, const uint32_t *group,
                            const uint32_t *selection, size_t count, const struct column *arguments,
                            uint8_t deciding)
{
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(in, row))
            continue;
        struct bool_state *state = aggregate_state(states, stride, group, row);
        state->count++;
        state->decided |= (in->b[column_index(in, row)] != 0) == deciding;
    }
    return OK;
}

static enum err bool_and_update(char *states, size_t stride, const uint32_t *group,
                                const uint32_t *selection, size_t count,
                                const struct column *arguments, struct aggregate_memory *memory,
                                struct error *error)
{
    (void)memory, (void)error;
    return bool_update(states, stride, group, selection, count, arguments, 0);
}

static enum err bool_or_update(char *states, size_t stride, const uint32_t *group,
                               const uint32_t *selection, size_t count,
                               const struct column *arguments, struct aggregate_memory *memory,
                               struct error *error)
{
    (void)memory, (void)error;
    return bool_update(states, stride, group, selection, count, arguments, 1);
}

static enum err bool_combine(void *target, const void *source, struct aggregate_memory *memory,
                             struct error *error)
{
    (void)memory, (void)error;
    struct bool_state *to = target;
    const struct bool_state *from = source;
    to->count += from->count;
    to->decided |= from->decided;
    return OK;
}

static enum err bool_and_finish(const void *state, const struct aggregate_call *call,
                                struct aggregate_memory *memory, struct value *out,
                                struct error *error)
{
    (void)memory, (void)error;
    const struct bool_state *s = state;
    *out = (struct value){.type = call->type, .is_null = s->count == 0, .b = s->decided == 0};
    return OK;
}

static enum err bool_or_finish(const void *state, const struct aggregate_call *call,
                               struct aggregate_memory *memory, struct value *out,
                               struct error *error)
{
    (void)memory, (void)error;
    const struct bool_state *s = state;
    *out = (struct value){.type = call->type, .is_null = s->count == 0, .b = s->decided != 0};
    return OK;
}

#define AGGREGATE(name_text, update_form, finish_form, doc_text)                                   \
    {                                                                                              \
        .name = name_text, .argument = TYPE_BOOL, .result = TYPE_BOOL,                             \
        .state_size = sizeof(struct bool_state), .init = bool_init, .update = update_form,         \
        .need = NEED_VALUES, .combine = bool_combine, .finish = finish_form, .doc = doc_text,      \
        .example = name_text "(true)"                                                              \
    }

static const struct aggregate aggregates[] = {
    AGGREGATE("bool_and", bool_and_update, bool_and_finish, "are all values true"),
    AGGREGATE("every", bool_and_update, bool_and_finish, "are all values true"),
    AGGREGATE("bool_or", bool_or_update, bool_or_finish, "is some value true"),
};

const struct aggregate_group aggregates_bool = {aggregates, array_count(aggregates)};
