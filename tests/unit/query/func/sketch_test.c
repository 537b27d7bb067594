/* Sketches: how far off they are, that states written and merged are what one state would be, and
 * that bytes which are no state are refused. */
#include "query/func/aggregate.h"

#include "storage/base/hash.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS_MAX 100000
#ifdef FRESHET_CHECK /* sanitizers: what is slow there is changed less often */
#define HOSTILE_ROUNDS 800
#else
#define HOSTILE_ROUNDS 2000
#endif

static const struct aggregate *find(const char *name)
{
    return aggregate_next(slice_from_cstr(name), NULL);
}

static char *add(const struct aggregate *aggregate, const struct column *column, size_t count,
                 struct arena *arena)
{
    struct aggregate_memory memory = {.arena = arena};
    char *state = arena_alloc(arena, aggregate->state_size);
    aggregate->init(state);
    assert_int_equal(aggregate->update(state, 0, NULL, NULL, count, column, &memory, NULL), OK);
    return state;
}

static struct value finish(const char *name, const char *state, double fraction,
                           struct arena *arena)
{
    struct aggregate_memory memory = {.arena = arena};
    const struct aggregate *aggregate = find(name);
    struct aggregate_call call = {.aggregate = aggregate,
                                  .type = type_of((enum type_id)aggregate->result)};
    call.direct[0] = (struct value){.type = type_of(TYPE_FLOAT8), .f = fraction};
    struct value out;
    assert_int_equal(aggregate->finish(state, &call, &memory, &out, NULL), OK);
    return out;
}

static int64_t merge_distinct(const struct slice *states, size_t count, struct arena *arena)
{
    uint8_t validity[2] = {states[0].size > 0, 1}; /* the state of no rows is NULL */
    struct column column = {.type = type_of(TYPE_BYTEA), .text = states, .validity = validity};
    const char *state = add(find("approx_count_distinct_merge"), &column, count, arena);
    return finish("approx_count_distinct_merge", state, 0, arena).i;
}

static void test_distinct(void **state)
{
    (void)state;
    static int64_t values[ROWS_MAX];
    struct arena arena;
    arena_init(&arena);
    double worst = 0;
    for (size_t count = 1; count <= ROWS_MAX; count = count * 3 / 2 + 1) {
        for (size_t i = 0; i < count; i++)
            values[i] = (int64_t)(i * 2654435761u) - 77;
        struct column all = {.type = type_of(TYPE_INT8), .i = values};
        struct column half = {.type = type_of(TYPE_INT8), .i = values + count / 3};
        const struct aggregate *aggregate = find("approx_count_distinct");
        char *one = add(aggregate, &all, count, &arena);
        int64_t got = finish("approx_count_distinct", one, 0, &arena).i;
        if (count < 1024)
            assert_int_equal(got, count);
        double off = fabs((double)got - (double)count) / (double)count;
        worst = off > worst ? off : worst;
        /* Parts that overlap, as bytes. */
        struct slice states[2] = {finish("approx_count_distinct_state",
                                         add(aggregate, &all, count * 2 / 3, &arena), 0, &arena)
                                      .text,
                                  finish("approx_count_distinct_state",
                                         add(aggregate, &half, count - count / 3, &arena), 0,
                                         &arena)
                                      .text};
        assert_int_equal(merge_distinct(states, 2, &arena), got);
        arena_reset(&arena);
    }
    assert_true(worst < 4 * 0.0081);
    arena_deinit(&arena);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double shaped(struct random_stream *random, unsigned shape)
{
    double unit = (double)random_below(random, 1000001) / 1000000;
    switch (shape % 5) {
    case 0:
        return unit * 1000;
    case 1:
        return exp(unit * 60 - 30);
    case 2:
        return -exp(unit * 20);
    case 3:
        return unit < 0.2 ? 0 : (unit - 0.6) * 1e9;
    default:
        return unit < 0.5 ? ldexp(unit + 0.1, -1060) : ldexp(unit, 1020);
    }
}

static void test_percentile(void **state)
{
    (void)state;
    static double values[20000], sorted[20000];
    static const double fractions[] = {0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    struct random_stream random;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct arena arena;
        arena_init(&arena);
        random_stream_init(&random, seed);
        size_t count = 1 + random_below(&random, array_count(values));
        for (size_t i = 0; i < count; i++)
            sorted[i] = values[i] = shaped(&random, seed);
        qsort(sorted, count, sizeof(*sorted), compare_doubles);
        const struct aggregate *aggregate = find("approx_percentile");
        size_t part = count / 2;
        struct column all = {.type = type_of(TYPE_FLOAT8), .f = values};
        struct column rest = {.type = type_of(TYPE_FLOAT8), .f = values + part};
        char *one = add(aggregate, &all, count, &arena);
        struct slice states[2] = {
            finish("approx_percentile_state", add(aggregate, &all, part, &arena), 0, &arena).text,
            finish("approx_percentile_state", add(aggregate, &rest, count - part, &arena), 0,
                   &arena)
                .text};
        static const uint8_t validity[2][2] = {{0, 1}, {1, 1}};
        struct column bytes = {
            .type = type_of(TYPE_BYTEA), .text = states, .validity = validity[part > 0]};
        char *merged = add(find("approx_percentile_merge"), &bytes, 2, &arena);
        for (size_t f = 0; f < array_count(fractions); f++) {
            size_t rank = (size_t)ceil(fractions[f] * (double)count);
            double want = sorted[rank > 0 ? rank - 1 : 0];
            double got = finish("approx_percentile", one, fractions[f], &arena).f;
            if (!(fabs(got - want) <= 0.0100001 * fabs(want)))
                fail_msg("seed %u, %g: %g, not %g", seed, fractions[f], got, want);
            assert_true(got == finish("approx_percentile_merge", merged, fractions[f], &arena).f);
        }
        arena_deinit(&arena);
    }
}

static void test_percentile_ends(void **state)
{
    (void)state;
    static const double values[] = {INFINITY, NAN, -INFINITY, 0, -0.0, 5};
    struct arena arena;
    arena_init(&arena);
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    char *one = add(find("approx_percentile"), &column, 6, &arena);
    assert_true(finish("approx_percentile", one, 0, &arena).f == -INFINITY);
    assert_true(finish("approx_percentile", one, 0.5, &arena).f == 0);
    assert_true(fabs(finish("approx_percentile", one, 0.66, &arena).f - 5) < 0.051);
    assert_true(finish("approx_percentile", one, 0.8, &arena).f == INFINITY);
    assert_true(isnan(finish("approx_percentile", one, 1, &arena).f));
    struct slice bytes = finish("approx_percentile_state", one, 0, &arena).text;
    struct column states = {.type = type_of(TYPE_BYTEA), .text = &bytes};
    char *again = add(find("approx_percentile_merge"), &states, 1, &arena);
    assert_true(finish("approx_percentile_merge", again, 0.8, &arena).f == INFINITY);
    assert_true(
        finish("approx_percentile", add(find("approx_percentile"), &column, 0, &arena), 0, &arena)
            .is_null);
    arena_deinit(&arena);
}

/* Changed bytes, with the check sum made good again, are refused or read: no harm either way. */
static void test_hostile(void **state)
{
    (void)state;
    static double values[3000];
    struct random_stream random;
    random_stream_init(&random, 5);
    for (size_t i = 0; i < array_count(values); i++)
        values[i] = shaped(&random, (unsigned)i);
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    static const char *const names[] = {"approx_count_distinct", "approx_percentile"};
    size_t refused = 0;
    for (size_t round = 0; round < HOSTILE_ROUNDS; round++) {
        struct arena arena;
        arena_init(&arena);
        const char *name = names[round % 2];
        char *one = add(find(name), &column, round % 4 < 2 ? 40 : 3000, &arena);
        struct slice bytes = finish(arena_printf(&arena, "%s_state", name), one, 0, &arena).text;
        char *data = (char *)bytes.data;
        for (size_t i = 0; i <= random_below(&random, 3); i++)
            data[random_below(&random, bytes.size < 64 || i == 0 ? bytes.size : 64)] ^=
                (char)(1u << random_below(&random, 8));
        if (random_below(&random, 4) == 0)
            bytes.size = random_below(&random, bytes.size + 1);
        if (bytes.size >= 4 && random_below(&random, 4) != 0) {
            uint32_t sum = crc32c(0, data, bytes.size - 4);
            memcpy(data + bytes.size - 4, &sum, 4);
        }
        struct column states = {.type = type_of(TYPE_BYTEA), .text = &bytes};
        struct aggregate_memory memory = {.arena = &arena};
        const struct aggregate *merge = find(arena_printf(&arena, "%s_merge", name));
        char *target = arena_alloc(&arena, merge->state_size);
        struct error error;
        merge->init(target);
        enum err err = merge->update(target, 0, NULL, NULL, 1, &states, &memory, &error);
        if (err == OK)
            finish(merge->name, target, 0.5, &arena);
        else
            assert_string_equal(error.sqlstate, "22023");
        refused += err != OK;
        arena_deinit(&arena);
    }
    assert_true(refused > HOSTILE_ROUNDS * 3 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distinct),
        cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_percentile_ends),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
