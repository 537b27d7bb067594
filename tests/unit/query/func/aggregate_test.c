/* Aggregates: every fast path against rows one by one, combining in parts, NULLs, selections and
 * errors. */
#include "query/func/aggregate.h"

#include "query/expr/build.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 400
#define GROUPS 5

struct fixture {
    struct arena arena;
    struct aggregate_memory memory;
    struct error error;
};

static int setup(void **state)
{
    struct fixture *f = memory_alloc_zero(sizeof(*f));
    arena_init(&f->arena);
    f->memory.arena = &f->arena;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_deinit(&f->arena);
    memory_free(f);
    return 0;
}

static const struct aggregate *find(const char *name, uint8_t argument)
{
    const struct aggregate *a = NULL;
    while ((a = aggregate_next(slice_from_cstr(name), a)) != NULL) {
        if (a->argument == argument)
            return a;
    }
    return NULL;
}

/* What a test gives to an argument declared so. */
static enum type_id test_type(uint8_t declared)
{
    return declared < TYPE_COUNT ? declared : TYPE_INT4;
}

/* {0.5, NULL}, as it lies. */
static struct slice fractions(void)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 8,    0,    0,   0,   0,   0,
                                    0, 0, 0, 0, 0xe0, 0x3f, 255, 255, 255, 255};
    return slice_of(bytes, sizeof(bytes));
}

static struct aggregate_call call_of(const struct aggregate *aggregate)
{
    struct aggregate_call call = {.aggregate = aggregate};
    enum type_id type = (enum type_id)aggregate->result;
    if (aggregate->result == AGGREGATE_SAME)
        type = test_type(aggregate->argument);
    else if (aggregate->result == AGGREGATE_ARRAY)
        type = TYPE_INT8_ARRAY;
    call.type = type_of(type);
    for (size_t i = 0; i < AGGREGATE_DIRECT_MAX; i++) {
        struct value *direct = &call.direct[i];
        direct->type =
            type_of(aggregate->direct[i] == 0 ? TYPE_UNKNOWN : test_type(aggregate->direct[i]));
        if (aggregate->direct[i] == TYPE_FLOAT8)
            direct->f = 0.5;
        else if (aggregate->direct[i] == TYPE_FLOAT8_ARRAY)
            direct->text = fractions();
        else if (aggregate->direct[i] == TYPE_TEXT)
            direct->text = SLICE("(?1)(?t>=0)(?1)");
        else if (aggregate->direct[i] == TYPE_INTERVAL)
            direct->interval = (struct interval){0, 0, 100};
        else
            direct->i = 3;
    }
    return call;
}

/* Random column of the aggregate's argument type. */
static struct column random_column(struct fixture *f, enum type_id type, bool has_nulls,
                                   uint64_t seed)
{
    struct random_stream random;
    random_stream_init(&random, seed);
    struct column_builder builder;
    column_builder_init(&builder, type_of(type), &f->arena);
    for (size_t i = 0; i < ROWS; i++) {
        struct value value = {.type = type_of(type)};
        int64_t n = (int64_t)random_below(&random, 2000) - 1000;
        switch (type_physical(type)) {
        case PHYSICAL_BOOL:
            value.b = n > 0;
            break;
        case PHYSICAL_INT:
            value.i = n;
            break;
        case PHYSICAL_FLOAT:
            value.f = (double)n / 4;
            break;
        case PHYSICAL_NUMERIC:
            value.n = numeric_from_int128(n, (int32_t)random_below(&random, 3));
            break;
        case PHYSICAL_INTERVAL:
            value.interval = (struct interval){0, (int32_t)(n % 50), n * 1000};
            break;
        case PHYSICAL_TEXT:
            value.text = slice_from_cstr(arena_printf(&f->arena, "t%lld", (long long)n));
            if (type_is_array(type))
                value.text = array_build(type, NULL, 0, &f->arena);
            break;
        }
        if (has_nulls && random_below(&random, 4) == 0)
            column_builder_add_null(&builder);
        else
            column_builder_add(&builder, &value);
    }
    return column_builder_finish(&builder);
}

static void *state_create(struct fixture *f, const struct aggregate *aggregate, size_t count)
{
    char *states = arena_alloc(&f->arena, aggregate->state_size * count);
    for (size_t i = 0; i < count; i++)
        aggregate->init(states + i * aggregate->state_size);
    return states;
}

static struct value finish(struct fixture *f, const struct aggregate *aggregate, const void *state)
{
    struct aggregate_call call = call_of(aggregate);
    struct value out;
    assert_int_equal(aggregate->finish(state, &call, &f->memory, &out, &f->error), OK);
    return out;
}

static void assert_same(const struct aggregate *aggregate, struct value a, struct value b)
{
    if (a.is_null != b.is_null ||
        (!a.is_null && a.type.id != TYPE_FLOAT8 && value_compare(&a, &b) != 0 &&
         strcmp(aggregate->name, "any_value") != 0))
        fail_msg("%s differs", aggregate->name);
    if (!a.is_null && a.type.id == TYPE_FLOAT8 && fabs(a.f - b.f) > 1e-9 * (1 + fabs(a.f)))
        fail_msg("%s: %.17g and %.17g", aggregate->name, a.f, b.f);
}

/* All at once (the fast path) = by a selection = one group = two halves combined = row by row. */
static void check_shapes(struct fixture *f, const struct aggregate *aggregate,
                         const struct column *column)
{
    uint32_t all[ROWS], zeros[ROWS] = {0};
    for (uint32_t i = 0; i < ROWS; i++)
        all[i] = i;
    size_t stride = aggregate->state_size;
    char *states = state_create(f, aggregate, 5);
    struct error *error = &f->error;
    assert_true(stride == 8 || stride % 16 == 0);
    assert_int_equal(aggregate->update(states, stride, NULL, NULL, ROWS, column, &f->memory, error),
                     OK);
    assert_int_equal(
        aggregate->update(states + stride, stride, NULL, all, ROWS, column, &f->memory, error), OK);
    assert_int_equal(aggregate->update(states + 2 * stride, stride, zeros, NULL, ROWS, column,
                                       &f->memory, error),
                     OK);
    char *first = states + 3 * stride, *second = states + 4 * stride;
    assert_int_equal(
        aggregate->update(first, stride, NULL, all, ROWS / 2, column, &f->memory, error), OK);
    for (size_t i = ROWS / 2; i < ROWS; i++)
        assert_int_equal(
            aggregate->update(second, stride, NULL, all + i, 1, column, &f->memory, error), OK);
    assert_int_equal(aggregate->combine(first, second, &f->memory, error), OK);
    struct value want = finish(f, aggregate, states);
    for (size_t i = 1; i < 4; i++)
        assert_same(aggregate, want, finish(f, aggregate, states + i * stride));
}

/* A constant for each row. */
static struct column constant_column(struct fixture *f, enum type_id type, double number)
{
    struct value value = {.type = type_of(type)};
    if (type == TYPE_FLOAT8)
        value.f = number;
    else
        value.i = (int64_t)number;
    return column_from_value(&value, &f->arena);
}

/* States of the aggregate whose states `merge` reads, each over some values. */
static struct column state_column(struct fixture *f, const struct aggregate *merge, uint64_t seed)
{
    bool is_distinct = strstr(merge->name, "distinct") != NULL;
    const struct aggregate *maker =
        find(is_distinct ? "approx_count_distinct_state" : "approx_percentile_state",
             is_distinct ? AGGREGATE_ANY : TYPE_FLOAT8);
    struct column values = random_column(f, is_distinct ? TYPE_INT4 : TYPE_FLOAT8, true, seed);
    struct column_builder builder;
    column_builder_init(&builder, type_of(TYPE_BYTEA), &f->arena);
    for (uint32_t i = 0; i < ROWS; i++) {
        char *one = state_create(f, maker, 1);
        uint32_t rows[2] = {i / 2, i};
        assert_int_equal(maker->update(one, maker->state_size, NULL, rows, i == 0 ? 1 : 2, &values,
                                       &f->memory, &f->error),
                         OK);
        struct value bytes = finish(f, maker, one);
        bytes.type = type_of(TYPE_BYTEA);
        if (bytes.is_null)
            column_builder_add_null(&builder);
        else
            column_builder_add(&builder, &bytes);
    }
    return column_builder_finish(&builder);
}

static void random_arguments(struct fixture *f, const struct aggregate *aggregate, bool has_nulls,
                             uint64_t seed, struct column columns[6])
{
    bool is_key = strstr(aggregate->name, "object_agg") != NULL;
    if (strstr(aggregate->name, "_merge") != NULL) {
        columns[0] = state_column(f, aggregate, seed);
        return;
    }
    if (aggregate->is_hypothetical) {
        struct value directions = {.type = type_of(TYPE_TEXT), .text = SLICE("dfal")};
        columns[0] = column_from_value(&directions, &f->arena);
        columns[1] = random_column(f, TYPE_INT4, has_nulls, seed);
        columns[2] = random_column(f, TYPE_TEXT, has_nulls, seed);
        columns[3] = constant_column(f, TYPE_INT4, 70);
        columns[4] = random_column(f, TYPE_TEXT, has_nulls, seed + 1);
        return;
    }
    columns[0] = random_column(f, test_type(aggregate->argument), has_nulls && !is_key, seed);
    for (size_t a = 0; a < 3 && aggregate->more[a] != 0; a++)
        columns[a + 1] = random_column(f, test_type(aggregate->more[a]), has_nulls, seed + a + 1);
    if (strcmp(aggregate->name, "histogram") == 0) {
        columns[1] = constant_column(f, TYPE_FLOAT8, -100);
        columns[2] = constant_column(f, TYPE_FLOAT8, 200);
        columns[3] = constant_column(f, TYPE_INT4, 7);
    }
}

static void test_shapes_agree(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;
    for (size_t g = 0; aggregate_table(g) != NULL; g++) {
        for (size_t i = 0; i < aggregate_table(g)->count; i++) {
            const struct aggregate *aggregate = &aggregate_table(g)->aggregates[i];
            assert_non_null(aggregate->doc);
            assert_non_null(aggregate->example);
            for (int nulls = 0; nulls < 2; nulls++) {
                struct column columns[6] = {0};
                random_arguments(f, aggregate, nulls == 1, i + 1, columns);
                check_shapes(f, aggregate, columns);
                count++;
            }
        }
    }
    assert_true(count > 60);
}

static void test_groups(void **state)
{
    struct fixture *f = *state;
    const struct aggregate *sum = find("sum", TYPE_INT4), *max = find("max", TYPE_TEXT);
    struct column numbers = random_column(f, TYPE_INT4, true, 9),
                  texts = random_column(f, TYPE_TEXT, true, 10);
    uint32_t group[ROWS];
    int64_t want[GROUPS] = {0};
    for (size_t i = 0; i < ROWS; i++) {
        group[i] = (uint32_t)(i * 7 % GROUPS);
        if (!column_is_null(&numbers, i))
            want[group[i]] += numbers.i[i];
    }
    char *states = state_create(f, sum, GROUPS);
    assert_int_equal(
        sum->update(states, sum->state_size, group, NULL, ROWS, &numbers, &f->memory, &f->error),
        OK);
    char *texts_states = state_create(f, max, GROUPS);
    assert_int_equal(max->update(texts_states, max->state_size, group, NULL, ROWS, &texts,
                                 &f->memory, &f->error),
                     OK);
    for (size_t g = 0; g < GROUPS; g++) {
        assert_int_equal(finish(f, sum, states + g * sum->state_size).i, want[g]);
        struct value best = finish(f, max, texts_states + g * max->state_size);
        for (size_t i = g; i < ROWS; i++) {
            struct value value = column_value(&texts, i);
            if (group[i] == g && !value.is_null)
                assert_true(value_compare(&value, &best) <= 0);
        }
    }
}

static struct value total(struct fixture *f, const struct aggregate *aggregate,
                          const struct column *column, size_t count)
{
    char *states = state_create(f, aggregate, 1);
    assert_int_equal(aggregate->update(states, aggregate->state_size, NULL, NULL, count, column,
                                       &f->memory, &f->error),
                     OK);
    return finish(f, aggregate, states);
}

static void test_sums_are_exact(void **state)
{
    struct fixture *f = *state;
    static const double cancelling[] = {1e16, 1, -1e16, 1e100, 1, -1e100};
    struct column doubles = {.type = type_of(TYPE_FLOAT8), .f = cancelling};
    assert_true(total(f, find("sum", TYPE_FLOAT8), &doubles, 3).f == 1);
    static const int64_t large[] = {INT64_MAX, INT64_MAX, INT64_MIN};
    struct column ints = {.type = type_of(TYPE_INT8), .i = large};
    struct value sum = total(f, find("sum", TYPE_INT8), &ints, 3);
    assert_int_equal(numeric_compare(sum.n, numeric_from_int128((__int128)INT64_MAX - 1, 0)), 0);
    static const int64_t seven[] = {1, 2, 4};
    struct column small = {.type = type_of(TYPE_INT4), .i = seven};
    struct value mean = total(f, find("avg", TYPE_INT4), &small, 3);
    struct writer text;
    writer_init(&text);
    numeric_print(mean.n, &text);
    assert_memory_equal(text.data, "2.3333333333333333", text.size);
    writer_deinit(&text);
}

/* Whatever lies between the fields of a state, the same state is the same bytes, and comes back. */
static void test_sums_as_bytes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        uint8_t argument;
        size_t gaps[2]; /* where eight bytes lie that are of no field; 0: nowhere */
    } cases[] = {{"count", AGGREGATE_ANY, {0}},   {"sum", TYPE_INT4, {24}},
                 {"avg", TYPE_INT8, {24}},        {"sum", TYPE_FLOAT8, {0}},
                 {"sum", TYPE_NUMERIC, {24, 40}}, {"avg", TYPE_NUMERIC, {24, 40}},
                 {"sum", TYPE_INTERVAL, {56}},    {"bool_or", TYPE_BOOL, {0}}};
    for (size_t i = 0; i < array_count(cases); i++) {
        const struct aggregate *a = find(cases[i].name, cases[i].argument);
        struct aggregate_call call = call_of(a);
        struct column column = random_column(f, test_type(a->argument), true, i);
        _Alignas(16) char plain[64], soiled[64], back[64];
        struct writer first, second;
        writer_init(&first);
        writer_init(&second);
        a->init(plain);
        assert_int_equal(a->update(plain, 0, NULL, NULL, ROWS, &column, &f->memory, &f->error), OK);
        memcpy(soiled, plain, a->state_size);
        for (size_t gap = 0; gap < 2; gap++)
            if (cases[i].gaps[gap] != 0)
                memset(soiled + cases[i].gaps[gap], 0x55, 8);
        aggregate_sum_write(a, plain, &first);
        aggregate_sum_write(a, soiled, &second);
        assert_int_equal(first.size, a->state_size);
        assert_memory_equal(first.data, second.data, first.size);
        for (size_t size = 0; size <= first.size; size++) { /* every torn tail is found */
            struct reader in = reader_of(slice_of(first.data, size));
            assert_int_equal(aggregate_sum_read(a, &in, back), size == first.size);
        }
        struct value want, got;
        assert_int_equal(a->finish(plain, &call, &f->memory, &want, &f->error), OK);
        assert_int_equal(a->finish(back, &call, &f->memory, &got, &f->error), OK);
        assert_false(want.is_null);
        assert_int_equal(value_compare(&want, &got), 0);
        writer_deinit(&first);
        writer_deinit(&second);
    }
}

/* All results at once against one by one; false where they differ. */
static bool are_ints_as_finished(struct fixture *f, const struct aggregate *aggregate, int64_t by)
{
    enum { STATES = 65 };
    struct aggregate_call call = call_of(aggregate);
    size_t stride = aggregate->state_size + 16, count = 0;
    char *states = arena_alloc_zero(&f->arena, STATES * stride);
    int64_t out[STATES] = {0}, number;
    uint8_t validity[STATES] = {0};
    bool has_null, is_same = true;
    for (count = 0; count < STATES; count++) {
        aggregate->init(states + count * stride);
        struct column column = {.type = type_of(test_type(aggregate->argument)), .i = &number};
        for (size_t row = 0; row < count % 5; row++) {
            number = (int64_t)(count + row) * by;
            assert_int_equal(aggregate->update(states + count * stride, stride, NULL, NULL, 1,
                                               &column, &f->memory, &f->error),
                             OK);
        }
    }
    if (!aggregate_sum_ints(&call, states, stride, count, out, validity, &has_null))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct value value = finish(f, aggregate, states + i * stride);
        is_same =
            is_same && value.is_null == (validity[i] == 0) && (value.is_null || value.i == out[i]);
    }
    assert_true(aggregate_sum_ints(&call, states, stride, 0, out, validity, &has_null));
    assert_false(has_null);
    return is_same;
}

/* Each state into another one, some of them the same, against combine one by one. */
static bool are_combined_as_one_by_one(struct fixture *f, const struct aggregate *aggregate)
{
    enum { STATES = 65 };
    size_t size = aggregate->state_size;
    char *from = state_create(f, aggregate, STATES), *to = state_create(f, aggregate, STATES);
    char *want = state_create(f, aggregate, STATES);
    uint32_t ids[STATES], groups[STATES];
    int64_t numbers[STATES];
    struct column column = {.type = type_of(test_type(aggregate->argument)), .i = numbers};
    for (uint32_t i = 0; i < STATES; i++) {
        ids[i] = i * 7 % 50;
        groups[i] = i % 60;
        numbers[i] = i == 0 ? INT64_MAX : (int64_t)i - 30;
    }
    assert_int_equal(
        aggregate->update(from, size, groups, NULL, STATES, &column, &f->memory, &f->error), OK);
    assert_int_equal(aggregate->update(to, size, ids, NULL, STATES, &column, &f->memory, &f->error),
                     OK);
    memcpy(want, to, STATES * size);
    for (size_t i = 0; i < STATES; i++)
        assert_int_equal(
            aggregate->combine(want + ids[i] * size, from + i * size, &f->memory, &f->error), OK);
    return aggregate_sum_combine(aggregate, to, ids, from, size, STATES) &&
           memcmp(to, want, STATES * size) == 0;
}

static void test_ints_at_once(void **state)
{
    struct fixture *f = *state;
    assert_true(are_ints_as_finished(f, find("count", AGGREGATE_NONE), 1));
    assert_true(are_ints_as_finished(f, find("count", AGGREGATE_ANY), 1));
    assert_true(are_ints_as_finished(f, find("sum", TYPE_INT4), -3));
    assert_true(are_ints_as_finished(f, find("sum", TYPE_INT2), INT64_MAX / 1000));
    assert_false(are_ints_as_finished(f, find("sum", TYPE_INT2), INT64_MAX / 70)); /* 22003 */
    assert_false(are_ints_as_finished(f, find("sum", TYPE_INT8), 1));              /* numeric */
    assert_false(are_ints_as_finished(f, find("avg", TYPE_INT4), 1));
    assert_false(are_ints_as_finished(f, find("max", TYPE_INT4), 1));
    assert_true(are_combined_as_one_by_one(f, find("count", AGGREGATE_NONE)));
    assert_true(are_combined_as_one_by_one(f, find("count", AGGREGATE_ANY)));
    assert_true(are_combined_as_one_by_one(f, find("sum", TYPE_INT4)));
    assert_true(are_combined_as_one_by_one(f, find("avg", TYPE_INT8)));
    assert_false(are_combined_as_one_by_one(f, find("max", TYPE_INT8)));
    fault_plant("aggregate.null_sum");
    assert_false(are_ints_as_finished(f, find("sum", TYPE_INT4), 1));
    fault_clear();
}

static void test_errors_and_ends(void **state)
{
    struct fixture *f = *state;
    const struct aggregate *sum = find("sum", TYPE_FLOAT8);
    static const double high[] = {1e308, 1e308}, infinite[] = {INFINITY, 1, NAN};
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = high};
    char *states = state_create(f, sum, 1);
    struct aggregate_call call = call_of(sum);
    struct value out;
    assert_int_equal(
        sum->update(states, sum->state_size, NULL, NULL, 2, &column, &f->memory, &f->error), OK);
    assert_int_equal(sum->finish(states, &call, &f->memory, &out, &f->error), ERR_INPUT);
    assert_string_equal(f->error.sqlstate, "22003");
    column.f = infinite;
    assert_true(isinf(total(f, sum, &column, 2).f));
    assert_true(isnan(total(f, sum, &column, 3).f));
    assert_true(isnan(total(f, find("max", TYPE_FLOAT8), &column, 3).f));
    assert_true(total(f, find("min", TYPE_FLOAT8), &column, 3).f == 1);
    assert_true(total(f, sum, &column, 0).is_null);
    assert_int_equal(total(f, find("count", AGGREGATE_ANY), &column, 0).i, 0);
    assert_true(total(f, find("stddev", TYPE_FLOAT8), &column, 1).is_null);
}

static void test_percentile(void **state)
{
    struct fixture *f = *state;
    const struct aggregate *percentile = find("percentile_cont", TYPE_FLOAT8);
    static const double values[] = {10, 40, 20, 30};
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    char *states = state_create(f, percentile, 1);
    assert_int_equal(percentile->update(states, percentile->state_size, NULL, NULL, 4, &column,
                                        &f->memory, &f->error),
                     OK);
    static const struct {
        double fraction, want;
        bool is_descending;
    } cases[] = {{0, 10, false},   {1, 40, false},  {0.5, 25, false},
                 {0.1, 13, false}, {0.1, 37, true}, {0, 40, true}};
    for (size_t i = 0; i < array_count(cases); i++) {
        struct aggregate_call call = call_of(percentile);
        struct value out;
        call.direct[0].f = cases[i].fraction;
        call.is_descending = cases[i].is_descending;
        assert_int_equal(percentile->finish(states, &call, &f->memory, &out, &f->error), OK);
        assert_true(fabs(out.f - cases[i].want) < 1e-12);
        call.direct[0].f = 1.5;
        assert_int_equal(percentile->finish(states, &call, &f->memory, &out, &f->error), ERR_INPUT);
    }
}

/* An infinity among the rows of groups is one of its group's sum, and no overflow. */
static bool are_infinities_kept(struct fixture *f)
{
    const struct aggregate *sum = find("sum", TYPE_FLOAT8);
    static double values[20];
    static uint32_t group[20];
    for (uint32_t i = 0; i < 20; i++) {
        values[i] = i == 7 ? INFINITY : i;
        group[i] = i % 3;
    }
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    char *states = state_create(f, sum, 3);
    assert_int_equal(
        sum->update(states, sum->state_size, group, NULL, 20, &column, &f->memory, &f->error), OK);
    struct aggregate_call call = call_of(sum);
    struct value out;
    if (sum->finish(states + sum->state_size, &call, &f->memory, &out, &f->error) != OK)
        return false;
    assert_true(isinf(out.f));
    assert_int_equal(sum->finish(states, &call, &f->memory, &out, &f->error), OK);
    return out.f == 63;
}

static void test_infinities_of_groups(void **state)
{
    assert_true(are_infinities_kept(*state));
    fault_plant("aggregate.infinity");
    assert_false(are_infinities_kept(*state));
    fault_clear();
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Many values, of which a sample is taken: in any order, and where the sample misleads. */
static void test_percentile_of_many(void **state)
{
    enum { MANY = 20011, STEP = MANY / 512 };
    struct fixture *f = *state;
    const struct aggregate *percentile = find("percentile_cont", TYPE_FLOAT8);
    double *values = malloc(MANY * sizeof(*values)), *sorted = malloc(MANY * sizeof(*values));
    struct random_stream random;
    random_stream_init(&random, 8);
    for (int shape = 0; shape < 6; shape++) {
        for (size_t i = 0; i < MANY; i++) {
            double any = (double)(int64_t)random_next(&random);
            values[i] = shape == 0   ? any
                        : shape == 1 ? (double)i
                        : shape == 2 ? (double)random_below(&random, 4)
                        : shape == 3 ? 1
                        : shape == 4 ? (i % STEP == 0 ? -1 : any) /* most of the sample */
                                     : (i % STEP < 2 ? INFINITY : any);
        }
        memcpy(sorted, values, MANY * sizeof(*values));
        qsort(sorted, MANY, sizeof(*sorted), compare_doubles);
        struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
        char *states = state_create(f, percentile, 1);
        assert_int_equal(percentile->update(states, percentile->state_size, NULL, NULL, MANY,
                                            &column, &f->memory, &f->error),
                         OK);
        for (int step = 0; step <= 60; step++) {
            struct aggregate_call call = call_of(percentile);
            struct value out;
            double place = step / 60.0 * (MANY - 1), low = sorted[(size_t)floor(place)],
                   high = sorted[(size_t)ceil(place)];
            call.direct[0].f = step / 60.0;
            call.is_descending = false;
            assert_int_equal(percentile->finish(states, &call, &f->memory, &out, &f->error), OK);
            double want =
                floor(place) == ceil(place) ? low : low + (place - floor(place)) * (high - low);
            assert_true(out.f == want || (isnan(out.f) && isnan(want)));
        }
    }
    free(sorted);
    free(values);
}

static void test_resolution(void **state)
{
    struct fixture *f = *state;
    struct builder b = {.arena = &f->arena, .zone = timezone_utc, .error = &f->error};
    static const struct {
        const char *name;
        enum type_id argument;
        const char *type; /* NULL: 42883 */
    } cases[] = {{"sum", TYPE_INT2, "bigint"},      {"sum", TYPE_INT8, "numeric"},
                 {"sum", TYPE_FLOAT4, "real"},      {"sum", TYPE_TEXT, NULL},
                 {"avg", TYPE_INT4, "numeric"},     {"avg", TYPE_FLOAT4, "double precision"},
                 {"min", TYPE_VARCHAR, "text"},     {"min", TYPE_BOOL, NULL},
                 {"max", TYPE_DATE, "date"},        {"stddev", TYPE_INT4, "double precision"},
                 {"bool_and", TYPE_INT4, NULL},     {"count", TYPE_JSONB, "bigint"},
                 {"avg", TYPE_INTERVAL, "interval"}};
    for (size_t i = 0; i < array_count(cases); i++) {
        struct expr *argument = build_column(&b, 0, type_of(cases[i].argument), 3);
        struct aggregate_request request = {.name = slice_from_cstr(cases[i].name),
                                            .arguments = &argument,
                                            .argument_count = 1,
                                            .position = 1};
        struct aggregate_call call;
        enum err err = build_aggregate(&b, &request, &call);
        if (cases[i].type == NULL) {
            assert_int_equal(err, ERR_INPUT);
            assert_string_equal(f->error.sqlstate, "42883");
            continue;
        }
        assert_int_equal(err, OK);
        assert_string_equal(type_name(call.type.id), cases[i].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shapes_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums_as_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ints_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_percentile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_infinities_of_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_percentile_of_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolution, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
