/* Aggregates over events in time: funnel, sequence_match, sequence_count, retention.
 *
 * An event is a row whose time is not NULL and for which some of the call's conditions hold; all
 * others are passed over. A state keeps 16 bytes an event in the operator's arena. The end sorts
 * them by time; events of one time are taken in the order of their conditions (the first before the
 * second), so results do not depend on the order rows came in.
 *
 * funnel(within, time, step1, step2, …): the greatest k for which there are events of step 1, 2 … k
 * one after the other, the last at most `within` after the first. An event counts for one step.
 * The latest start that leads to each step is all that has to be kept: one pass.
 * sequence_match(pattern, time, cond1, …): func/sequence.c.
 * retention(cond1, cond2, …): was there a row of cond1, and then for each other condition whether
 * there were a row of it and one of cond1, as 1 or 0. */
#include "query/func/aggregate.h"

#include "query/func/sequence.h"

#include <stdlib.h>
#include <string.h>

#define CONDITIONS_MAX 31

struct events {
    struct event *items;
    size_t count, capacity;
    uint32_t condition_count;
};
struct retention {
    uint32_t conditions, condition_count;
};

static void events_init(void *state)
{
    memset(state, 0, sizeof(struct events));
}
static void retention_init(void *state)
{
    memset(state, 0, sizeof(struct retention));
}

static void events_reserve(struct events *s, size_t more, struct aggregate_memory *memory)
{
    if (s->capacity - s->count >= more)
        return;
    size_t capacity = s->capacity < 4 ? 4 : 2 * s->capacity;
    if (capacity < s->count + more)
        capacity = s->count + more;
    struct event *items = arena_alloc_array(memory->arena, capacity, sizeof(*items));
    if (s->count > 0)
        memcpy(items, s->items, s->count * sizeof(*items));
    s->items = items;
    s->capacity = capacity;
}

static uint32_t row_conditions(const struct column *conditions, uint32_t count, size_t row)
{
    uint32_t bits = 0;
    for (uint32_t c = 0; c < count; c++) {
        bool holds = !column_is_null(&conditions[c], row) &&
                     conditions[c].b[column_index(&conditions[c], row)] != 0;
        bits |= (uint32_t)holds << c;
    }
    return bits;
}

static AGGREGATE_UPDATE(events_update)
{
    const struct column *time = &arguments[0];
    uint32_t condition_count = 0;
    while (arguments[1 + condition_count].type.id == TYPE_BOOL && condition_count < CONDITIONS_MAX)
        condition_count++;
    (void)error;
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        uint32_t bits = row_conditions(arguments + 1, condition_count, row);
        struct events *s = aggregate_state(states, stride, group, row);
        s->condition_count = condition_count;
        if (bits == 0 || column_is_null(time, row))
            continue;
        events_reserve(s, 1, memory);
        s->items[s->count++] = (struct event){time->i[column_index(time, row)], bits};
    }
    return OK;
}

static AGGREGATE_COMBINE(events_combine)
{
    (void)error;
    struct events *to = target;
    const struct events *from = source;
    events_reserve(to, from->count, memory);
    if (from->count > 0)
        memcpy(to->items + to->count, from->items, from->count * sizeof(*from->items));
    to->count += from->count;
    if (from->condition_count > to->condition_count)
        to->condition_count = from->condition_count;
    return OK;
}

/* Where conditions differ, the one with the least number goes first. */
static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return (x->conditions > y->conditions) - (x->conditions < y->conditions);
}

/* --- funnel --- */

static int64_t funnel_depth(const struct event *events, size_t count, uint32_t step_count,
                            int64_t within_us)
{
    int64_t start[CONDITIONS_MAX]; /* the latest from which a step was reached */
    uint32_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t now = events[i].time_us;
        for (uint32_t step = depth < step_count ? depth + 1 : step_count; step-- > 0;) {
            if ((events[i].conditions >> step & 1) == 0)
                continue;
            int64_t from = step == 0 ? now : start[step - 1];
            if (step > 0 && (__int128)now - from > within_us)
                continue;
            bool is_new = step == depth;
            if (is_new || from > start[step])
                start[step] = from;
            depth += is_new;
        }
    }
    return depth;
}

static AGGREGATE_FINISH(funnel_finish)
{
    (void)memory;
    const struct events *s = state;
    __int128 within = interval_span(call->direct[0].interval);
    *out = (struct value){.type = call->type, .is_null = call->direct[0].is_null};
    if (out->is_null)
        return OK;
    if (within < 0)
        return error_set(error, ERR_INPUT, "22023",
                         "the interval of a funnel must not be negative");
    if (s->count > 0)
        qsort(s->items, s->count, sizeof(*s->items), compare_events);
    out->i = funnel_depth(s->items, s->count, s->condition_count,
                          within > INT64_MAX ? INT64_MAX : (int64_t)within);
    return OK;
}

/* --- sequences --- */

static enum err find_sequences(const struct events *s, const struct aggregate_call *call,
                               struct aggregate_memory *memory, size_t most, size_t *found,
                               struct error *error)
{
    struct sequence sequence;
    *found = 0;
    if (s->count == 0 || call->direct[0].is_null)
        return OK;
    enum err err = sequence_parse(call->direct[0].text, s->condition_count, &sequence, error);
    size_t size = err == OK ? sequence.step_count * s->count * sizeof(int64_t) : 0;
    if (err == OK && memory->budget != NULL)
        err = budget_charge(memory->budget, size, error);
    if (err != OK)
        return err;
    int64_t *times = memory_alloc(size);
    qsort(s->items, s->count, sizeof(*s->items), compare_events);
    *found = sequence_count(&sequence, s->items, s->count, times, most);
    memory_free(times);
    if (memory->budget != NULL)
        budget_release(memory->budget, size);
    return OK;
}

static AGGREGATE_FINISH(match_finish)
{
    size_t found;
    enum err err = find_sequences(state, call, memory, 1, &found, error);
    *out = (struct value){
        .type = call->type, .is_null = call->direct[0].is_null, .b = err == OK && found > 0};
    return err;
}

static AGGREGATE_FINISH(count_finish)
{
    size_t found;
    enum err err = find_sequences(state, call, memory, SIZE_MAX, &found, error);
    *out = (struct value){.type = call->type,
                          .is_null = call->direct[0].is_null,
                          .i = err == OK ? (int64_t)found : 0};
    return err;
}

/* --- retention --- */

static AGGREGATE_UPDATE(retention_update)
{
    (void)memory, (void)error;
    uint32_t condition_count = 0;
    while (arguments[condition_count].type.id == TYPE_BOOL && condition_count < CONDITIONS_MAX)
        condition_count++;
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        struct retention *s = aggregate_state(states, stride, group, row);
        s->condition_count = condition_count;
        s->conditions |= row_conditions(arguments, condition_count, row);
    }
    return OK;
}

static AGGREGATE_COMBINE(retention_combine)
{
    (void)memory, (void)error;
    struct retention *to = target;
    const struct retention *from = source;
    to->conditions |= from->conditions;
    if (from->condition_count > to->condition_count)
        to->condition_count = from->condition_count;
    return OK;
}

static AGGREGATE_FINISH(retention_finish)
{
    (void)error;
    const struct retention *s = state;
    struct value values[CONDITIONS_MAX];
    *out = (struct value){.type = call->type, .is_null = s->condition_count == 0};
    for (uint32_t c = 0; c < s->condition_count; c++)
        values[c] = (struct value){.type = type_of(TYPE_INT8),
                                   .i = (s->conditions & 1) != 0 && (s->conditions >> c & 1) != 0};
    if (!out->is_null)
        out->text = array_build(TYPE_INT8_ARRAY, values, s->condition_count, memory->arena);
    return OK;
}

#define EVENTS(name_text, first, time, to, finish_form, doc_text, example_text)                    \
    {.name = name_text,                                                                            \
     .direct = {first},                                                                            \
     .argument = time,                                                                             \
     .more = {TYPE_BOOL},                                                                          \
     .is_variadic = true,                                                                          \
     .result = to,                                                                                 \
     .state_size = AGGREGATE_STATE_SIZE(events),                                                   \
     .init = events_init,                                                                          \
     .update = events_update,                                                                      \
     .combine = events_combine,                                                                    \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define FUNNEL(time)                                                                               \
    EVENTS("funnel", TYPE_INTERVAL, time, TYPE_INT4, funnel_finish,                                \
           "how many steps were done one after the other within the interval",                     \
           "funnel('1 hour', t, s = 'b', s = 'a')")
#define SEQUENCE(time)                                                                             \
    EVENTS("sequence_match", TYPE_TEXT, time, TYPE_BOOL, match_finish,                             \
           "do events follow each other so: (?1) condition, . any, .* gap, (?t<=30) seconds",      \
           "sequence_match('(?1)(?t<=60)(?2)', t, s = 'b', s = 'a')")                              \
    EVENTS("sequence_count", TYPE_TEXT, time, TYPE_INT8, count_finish,                             \
           "how often events follow each other so, without overlap",                               \
           "sequence_count('(?1).*(?2)', t, s = 'a', s = 'b')")

static const struct aggregate aggregates[] = {
    FUNNEL(TYPE_TIMESTAMPTZ) FUNNEL(TYPE_TIMESTAMP) SEQUENCE(TYPE_TIMESTAMPTZ)
        SEQUENCE(TYPE_TIMESTAMP){
            .name = "retention",
            .argument = TYPE_BOOL,
            .is_variadic = true,
            .result = TYPE_INT8_ARRAY,
            .state_size = AGGREGATE_STATE_SIZE(retention),
            .init = retention_init,
            .update = retention_update,
            .combine = retention_combine,
            .finish = retention_finish,
            .doc = "1 for each condition that held in some row, 0 for all if the first did not",
            .example = "retention(s = 'a', s = 'b', s = 'c')"},
};

const struct aggregate_group aggregates_event = {aggregates, array_count(aggregates)};
