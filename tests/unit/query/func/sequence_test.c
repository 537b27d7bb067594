/* Patterns over events and funnels against models that try every way; what patterns are refused. */
#include "query/func/sequence.h"

#include "query/func/aggregate.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EVENTS_MAX 9
#define CONDITIONS 3

/* Does a match of the steps from `step` on end at `last`, the step before being at `at`? */
static bool model_match(const struct sequence *p, const struct event *events, size_t at,
                        size_t last, size_t step)
{
    for (size_t next = at + 1; next <= last; next++) {
        const struct sequence_step *s = &p->steps[step];
        int64_t since = events[next].time_us - events[at].time_us;
        if (!s->has_gap && next > at + 1)
            break;
        if ((events[next].conditions & s->conditions) == 0 || since < s->least_us ||
            since > s->most_us)
            continue;
        if (step + 1 == p->step_count ? next == last : model_match(p, events, next, last, step + 1))
            return true;
    }
    return false;
}

static size_t model_count(const struct sequence *p, const struct event *events, size_t count)
{
    size_t found = 0, begin = 0;
    for (size_t last = 0; last < count; last++) {
        bool is_match = false;
        for (size_t first = begin; first <= last && !is_match; first++) {
            if ((events[first].conditions & p->steps[0].conditions) == 0)
                continue;
            is_match = p->step_count == 1 ? first == last : model_match(p, events, first, last, 1);
        }
        found += is_match;
        begin = is_match ? last + 1 : begin;
    }
    return found;
}

static size_t random_events(struct random_stream *random, struct event *events)
{
    size_t count = random_below(random, EVENTS_MAX + 1);
    int64_t now = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t conditions = 1 + (uint32_t)random_below(random, (1 << CONDITIONS) - 1);
        int64_t step = (int64_t)random_below(random, 4) * 500000;
        now += step;
        if (i > 0 && step == 0 && conditions < events[i - 1].conditions)
            conditions = events[i - 1].conditions; /* in order of conditions */
        events[i] = (struct event){now, conditions};
    }
    return count;
}

static void random_pattern(struct random_stream *random, char *out, size_t size)
{
    static const char *const operators[] = {"<", "<=", ">", ">=", "=="};
    size_t used = 0, steps = 1 + random_below(random, 4);
    out[0] = 0;
    for (size_t i = 0; i < steps; i++) {
        if (random_below(random, 2) == 0)
            used += (size_t)snprintf(out + used, size - used, ".*");
        while (i > 0 && random_below(random, 3) == 0)
            used +=
                (size_t)snprintf(out + used, size - used, "(?t%s%d)",
                                 operators[random_below(random, 5)], (int)random_below(random, 4));
        if (random_below(random, 5) == 0)
            used += (size_t)snprintf(out + used, size - used, ".");
        else
            used += (size_t)snprintf(out + used, size - used, "(?%d)",
                                     1 + (int)random_below(random, CONDITIONS));
    }
}

static void test_against_model(void **state)
{
    (void)state;
    struct random_stream random;
    size_t matched = 0;
    for (uint64_t seed = 1; seed <= 30000; seed++) {
        struct event events[EVENTS_MAX];
        struct sequence sequence;
        char pattern[256];
        int64_t times[SEQUENCE_STEPS_MAX * EVENTS_MAX];
        random_stream_init(&random, seed);
        random_pattern(&random, pattern, sizeof(pattern));
        size_t count = random_events(&random, events);
        assert_int_equal(sequence_parse(slice_from_cstr(pattern), CONDITIONS, &sequence, NULL), OK);
        size_t want = model_count(&sequence, events, count);
        size_t got = sequence_count(&sequence, events, count, times, SIZE_MAX);
        if (got != want)
            fail_msg("seed %llu: %s is found %zu times, not %zu", (unsigned long long)seed, pattern,
                     got, want);
        assert_int_equal(sequence_count(&sequence, events, count, times, 1), want > 0);
        matched += want > 0;
    }
    assert_true(matched > 3000);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "",         "x",          "(?",          "(?1",
        "(?0)",     "(?4)",       "(?t<=3)",     "(?1)(?t<=)",
        "(?1)(?t",  "(?1)(?t=3)", "(?1)(?t<=3)", "(?1)*",
        ".*",       "(1)",        "(?-1)",       "(?1)(?t<99999999999999)(?2)",
        "(?1)(?x)",
    };
    struct sequence sequence;
    struct error error;
    for (size_t i = 0; i < array_count(patterns); i++) {
        if (sequence_parse(slice_from_cstr(patterns[i]), CONDITIONS, &sequence, &error) == OK)
            fail_msg("%s is taken", patterns[i]);
        assert_string_equal(error.sqlstate, "22023");
    }
    char many[4 * 33 + 1];
    for (size_t i = 0; i < 33; i++)
        memcpy(many + 4 * i, "(?1)", 4);
    assert_int_equal(sequence_parse(slice_of(many, sizeof(many) - 5), 1, &sequence, &error), OK);
    assert_int_equal(sequence_parse(slice_of(many, sizeof(many) - 1), 1, &sequence, &error),
                     ERR_INPUT);
}

/* Steps done from `step` on by events behind `at`. */
static size_t model_depth(const struct event *events, size_t count, size_t steps, size_t at,
                          size_t step, int64_t first, int64_t within)
{
    size_t best = step;
    for (size_t next = at; next < count && step < steps; next++) {
        if ((events[next].conditions >> step & 1) == 0)
            continue;
        int64_t start = step == 0 ? events[next].time_us : first;
        if (events[next].time_us - start > within)
            continue;
        size_t depth = model_depth(events, count, steps, next + 1, step + 1, start, within);
        best = depth > best ? depth : best;
    }
    return best;
}

/* The events as columns, in another order than that of time. */
static int64_t run_funnel(const struct event *events, size_t count, int64_t within,
                          struct arena *arena)
{
    const struct aggregate *funnel = aggregate_next(SLICE("funnel"), NULL);
    struct aggregate_memory memory = {.arena = arena};
    struct column columns[CONDITIONS + 2] = {0};
    int64_t times[EVENTS_MAX];
    uint8_t holds[CONDITIONS][EVENTS_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &events[(i * 7 + 3) % count];
        times[i] = count % 7 == 0 ? events[i].time_us : event->time_us;
        for (size_t c = 0; c < CONDITIONS; c++)
            holds[c][i] = (count % 7 == 0 ? events[i] : *event).conditions >> c & 1;
    }
    columns[0] = (struct column){.type = type_of(TYPE_TIMESTAMPTZ), .i = times};
    for (size_t c = 0; c < CONDITIONS; c++)
        columns[c + 1] = (struct column){.type = type_of(TYPE_BOOL), .b = holds[c]};
    char *funnel_state = arena_alloc(arena, funnel->state_size);
    funnel->init(funnel_state);
    assert_int_equal(funnel->update(funnel_state, 0, NULL, NULL, count, columns, &memory, NULL),
                     OK);
    struct aggregate_call call = {.aggregate = funnel, .type = type_of(TYPE_INT4)};
    call.direct[0] = (struct value){.type = type_of(TYPE_INTERVAL), .interval = {0, 0, within}};
    struct value out;
    assert_int_equal(funnel->finish(funnel_state, &call, &memory, &out, NULL), OK);
    return out.i;
}

static void test_funnel(void **state)
{
    (void)state;
    struct random_stream random;
    size_t deep = 0;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct event events[EVENTS_MAX];
        struct arena arena;
        arena_init(&arena);
        random_stream_init(&random, seed);
        size_t count = random_events(&random, events);
        int64_t within = (int64_t)random_below(&random, 8) * 500000;
        size_t want = model_depth(events, count, CONDITIONS, 0, 0, 0, within);
        int64_t got = run_funnel(events, count, within, &arena);
        if (got != (int64_t)want)
            fail_msg("seed %llu: %lld steps, not %zu", (unsigned long long)seed, (long long)got,
                     want);
        deep += want == CONDITIONS;
        arena_deinit(&arena);
    }
    assert_true(deep > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_funnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
