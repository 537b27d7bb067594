/* Every vector form against its row form: random columns of edge values, flat and constant, with
 * NULLs and selections. The results of selected valid rows are equal, and the vector form raises
 * exactly if some such row does. */
#include "query/func/func.h"

#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ROWS 64

static struct value random_value(struct random_stream *random, enum type_id type,
                                 struct arena *arena)
{
    static const char *const texts[] = {"",    "a",  "abc", "ABC", "day",     "minute",
                                        "UTC", "a%", "%b%", "_",   "\xc3\xa4"};
    static const int64_t ints[] = {0, 1, -1, 2, 7, -32768, 32767};
    struct value value = {.type = type_of(type)};
    int64_t n = ints[random_below(random, 7)];
    switch (type_physical(type)) {
    case PHYSICAL_BOOL:
        value.b = n > 0;
        break;
    case PHYSICAL_INT:
        if (type == TYPE_INT4)
            n = random_below(random, 4) == 0 ? (n >= 0 ? INT32_MAX - n : INT32_MIN - n) : n;
        if (type == TYPE_INT4 && n == INT64_C(-2147483648) + 1)
            n = INT32_MIN;
        if (type == TYPE_INT8)
            n = random_below(random, 8) == 0 ? INT64_MIN + (n & 1) : n;
        if (type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ)
            n = 1777630623000000 + (int64_t)random_below(random, 1000000000) * 7919;
        value.i = n;
        break;
    case PHYSICAL_FLOAT:
        value.f = random_below(random, 8) == 0 ? (random_below(random, 2) == 0 ? 3e38 : NAN)
                                               : (double)n / 4;
        if (type == TYPE_FLOAT4)
            value.f = (float)value.f;
        break;
    case PHYSICAL_NUMERIC:
        value.n = numeric_from_int128(n, (int32_t)random_below(random, 4));
        break;
    case PHYSICAL_INTERVAL:
        value.interval = (struct interval){random_below(random, 4) == 0 ? 1 : 0,
                                           (int32_t)random_below(random, 3),
                                           (int64_t)random_below(random, 5) * 1800000000};
        if (value.interval.months > 0)
            value.interval.days = 0, value.interval.microseconds = 0;
        break;
    case PHYSICAL_TEXT:
        value.text = slice_from_cstr(texts[random_below(random, array_count(texts))]);
        if (type == TYPE_TEXT_ARRAY || type == TYPE_INT8_ARRAY)
            value.text = array_build(type, NULL, 0, arena);
        break;
    }
    return value;
}

static struct column random_column(struct random_stream *random, enum type_id type,
                                   struct arena *arena)
{
    struct column_builder builder;
    bool is_constant = random_below(random, 2) == 0, has_nulls = random_below(random, 2) == 0;
    column_builder_init(&builder, type_of(type), arena);
    for (size_t i = 0; i < (is_constant ? 1 : ROWS); i++) {
        struct value value = random_value(random, type, arena);
        if (has_nulls && !is_constant && random_below(random, 4) == 0)
            column_builder_add_null(&builder);
        else
            column_builder_add(&builder, &value);
    }
    struct column column = column_builder_finish(&builder);
    if (is_constant)
        column.form = COLUMN_CONSTANT;
    return column;
}

static void check_once(const struct function *function, struct random_stream *random)
{
    struct arena arena;
    arena_init(&arena);
    struct eval_context context = {.zone = timezone_utc, .now_us = 1};
    struct error error, row_error;
    struct column arguments[FUNCTION_ARGUMENTS_MAX];
    uint8_t validity[ROWS];
    uint32_t selection[ROWS];
    size_t count = 0;
    for (size_t i = 0; i < function->argument_count; i++)
        arguments[i] = random_column(
            random, function->evaluate_as != 0 ? function->evaluate_as : function->arguments[i],
            &arena);
    for (uint32_t row = 0; row < ROWS; row++) {
        validity[row] = 1;
        for (size_t i = 0; i < function->argument_count; i++)
            validity[row] &= !column_is_null(&arguments[i], row);
        if (random_below(random, 3) != 0)
            selection[count++] = row;
    }
    struct call call = {.context = &context,
                        .function = function,
                        .type = type_of(function->result),
                        .arena = &arena,
                        .error = &error};
    struct column out = {.type = call.type};
    out.values = arena_alloc_zero(&arena, ROWS * sizeof(struct numeric));
    struct vector vector = {.arguments = arguments,
                            .row_count = ROWS,
                            .count = count,
                            .selection = selection,
                            .validity = validity,
                            .out = (void *)out.values};
    enum err err = function->vector(&call, &vector), row_err = OK;
    if (err == VECTOR_DECLINED) {
        arena_deinit(&arena);
        return;
    }
    call.error = &row_error;
    for (size_t k = 0; k < count && row_err == OK; k++) {
        uint32_t row = selection[k];
        struct value values[FUNCTION_ARGUMENTS_MAX], want = {.type = call.type},
                                                     got = column_value(&out, row);
        if (!validity[row])
            continue;
        for (size_t i = 0; i < function->argument_count; i++)
            values[i] = column_value(&arguments[i], row);
        row_err = function->row(&call, values, function->argument_count, &want);
        if (row_err == OK && err == OK && value_compare(&want, &got) != 0)
            fail_msg("%s: row and vector form differ", function->example);
    }
    if (err != row_err)
        fail_msg("%s: one form raises, the other does not (%d, %d)", function->example, err,
                 row_err);
    if (call.state != NULL && call.state_free != NULL)
        call.state_free(call.state);
    arena_deinit(&arena);
}

static void test_vector_forms(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 11);
    size_t checked = 0;
    for (size_t g = 0; function_table(g) != NULL; g++) {
        for (size_t i = 0; i < function_table(g)->count; i++) {
            const struct function *function = &function_table(g)->functions[i];
            assert_non_null(function->row);
            if (function->vector == NULL)
                continue;
            checked++;
            for (int round = 0; round < 60; round++)
                check_once(function, &random);
        }
    }
    assert_true(checked > 150);
}

/* Windows tile time: each starts where the one before ends, and holds the times between. */
static void test_windows_tile(void **state)
{
    (void)state;
    static const struct interval sizes[] = {{0, 0, 300000000}, {0, 1, 0}, {0, 7, 0},
                                            {1, 0, 0},         {3, 0, 0}, {0, 0, 7}};
    struct error error;
    for (size_t i = 0; i < array_count(sizes); i++) {
        int64_t us = -1777630623000001, last_end = 0;
        for (int step = 0; step < 50; step++) {
            int64_t start, end;
            assert_int_equal(window_find(us, sizes[i], timezone_utc, &start, &end, &error), OK);
            assert_true(start <= us && us < end);
            if (step > 0)
                assert_true(start == last_end);
            last_end = end;
            us = end;
        }
    }
    int64_t start, end;
    assert_int_equal(window_find(0, (struct interval){1, 1, 0}, timezone_utc, &start, &end, &error),
                     ERR_INPUT);
    assert_string_equal(error.sqlstate, "22023");
    assert_int_equal(window_find(0, (struct interval){0, 0, 0}, timezone_utc, &start, &end, &error),
                     ERR_INPUT);
    assert_int_equal(window_find(0, (struct interval){0, 7, 0}, timezone_utc, &start, &end, &error),
                     OK);
    assert_true((start - INT64_C(946857600000000)) % (7 * MICROSECONDS_PER_DAY) ==
                0); /* Monday 2000-01-03 */
}

/* Times close together, so that often one bucket holds them all: if a function says so, its row
 * form says the same of every row. */
static void check_whole(const struct function *function, struct random_stream *random,
                        size_t *whole_count)
{
    static const int64_t spans[] = {1, 1000, 1000000, 60000000, 86400000000, INT64_C(1) << 62};
    static const char *const units[] = {"second", "minute", "hour", "day", "month", "nothing"};
    struct arena arena;
    arena_init(&arena);
    struct eval_context context = {.zone = timezone_utc, .now_us = 1};
    struct error error;
    if (random_below(random, 4) == 0)
        assert_int_equal(timezone_find(SLICE("CET-1CEST,M3.5.0,M10.5.0/3"), &context.zone, &error),
                         OK);
    struct column arguments[FUNCTION_ARGUMENTS_MAX];
    struct value parts[FUNCTION_ARGUMENTS_MAX];
    int64_t times[ROWS], span = spans[random_below(random, array_count(spans))];
    int64_t base = (int64_t)random_below(random, UINT64_C(1) << 52) - (INT64_C(1) << 50);
    for (size_t i = 0; i < function->argument_count; i++) {
        parts[i] = (struct value){.type = type_of(function->arguments[i])};
        if (parts[i].type.id == TYPE_TEXT)
            parts[i].text = slice_from_cstr(i == 0 ? units[random_below(random, 6)] : "UTC");
        else if (parts[i].type.id == TYPE_INTERVAL)
            parts[i].interval = (struct interval){
                .microseconds = spans[random_below(random, 5)],
                .months = random_below(random, 8) == 0,
            };
        else
            parts[i].i = base;
        arguments[i] = column_from_value(&parts[i], &arena);
    }
    size_t time = type_physical(function->arguments[0]) == PHYSICAL_INT ? 0 : 1;
    for (size_t row = 0; row < ROWS; row++)
        times[row] = random_below(random, 500) == 0
                         ? (int64_t)random_next(random)
                         : base + (int64_t)random_below(random, (uint64_t)span);
    arguments[time] = (struct column){.type = parts[time].type, .form = COLUMN_FLAT, .i = times};
    struct call call = {.context = &context,
                        .function = function,
                        .type = type_of(function->result),
                        .arena = &arena,
                        .error = &error};
    struct vector vector = {.arguments = arguments, .row_count = ROWS, .count = ROWS};
    struct value whole;
    if (function_is_whole(&call, &vector, &whole)) {
        ++*whole_count;
        for (size_t row = 0; row < ROWS; row++) {
            struct value want = {.type = call.type};
            parts[time].i = times[row];
            assert_int_equal(function->row(&call, parts, function->argument_count, &want), OK);
            if (want.i != whole.i)
                fail_msg("%s: one bucket was promised", function->example);
        }
    }
    arena_deinit(&arena);
}

static void test_whole_batches(void **state)
{
    (void)state;
    static const char *const names[] = {"date_trunc", "date_bin", "time_bucket", "tumble_start",
                                        "tumble_end"};
    struct random_stream random;
    random_stream_init(&random, 11);
    for (size_t n = 0; n < array_count(names); n++) {
        size_t whole_count = 0;
        const struct function *function = NULL;
        while ((function = function_next(slice_from_cstr(names[n]), function)) != NULL)
            for (int round = 0; function->vector != NULL && round < 400; round++)
                check_whole(function, &random, &whole_count);
        if (whole_count < 50)
            fail_msg("%s: only %zu batches were one bucket", names[n], whole_count);
    }
}

/* --- long calls --- */

#define LONG_SIZE ((size_t)3 << 20)

static const struct function *find(const char *name, int first, uint32_t count)
{
    struct slice key = slice_from_cstr(name);
    const struct function *function = function_next(key, NULL);
    while (function != NULL &&
           (function->argument_count != count || (int)function->arguments[0] != first))
        function = function_next(key, function);
    if (function == NULL)
        fail_msg("there is no %s", name);
    return function;
}

/* One call over megabytes ends when the query is cancelled, and leaves nothing charged. */
static void test_long_calls_look(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int first;
        uint32_t count;
        const char *second, *third;
    } cases[] = {
        {"md5", TYPE_TEXT, 1, NULL, NULL},       {"sha256", TYPE_BYTEA, 1, NULL, NULL},
        {"sha512", TYPE_BYTEA, 1, NULL, NULL},   {"reverse", TYPE_TEXT, 1, NULL, NULL},
        {"upper", TYPE_TEXT, 1, NULL, NULL},     {"lower", TYPE_TEXT, 1, NULL, NULL},
        {"initcap", TYPE_TEXT, 1, NULL, NULL},   {"quote_literal", TYPE_ANY, 1, NULL, NULL},
        {"replace", TYPE_TEXT, 3, "a", "bcd"},   {"regexp_replace", TYPE_TEXT, 4, "a", "bcd"},
        {"split_part", TYPE_TEXT, 3, "a", NULL}, {"repeat", TYPE_TEXT, 2, NULL, NULL},
    };
    struct arena arena;
    struct budget budget = {.limit = 64 << 20, .name = "query"};
    arena_init(&arena);
    char *data = arena_alloc(&arena, LONG_SIZE);
    /* Few matches: a sanitizer's memmem reads the whole rest for each of them. */
    for (size_t i = 0; i < LONG_SIZE; i++)
        data[i] = i % 1024 == 0 ? 'a' : "xb c"[i % 4];
    for (size_t i = 0; i < array_count(cases); i++) {
        for (int round = 0; round < 2; round++) {
            _Atomic bool is_cancelled = round == 1;
            struct error error;
            struct eval_context context = {.budget = &budget, .is_cancelled = &is_cancelled};
            struct call call = {.context = &context, .arena = &arena, .error = &error};
            struct value values[4] = {{.type = type_of(cases[i].first == TYPE_BYTEA ? TYPE_BYTEA
                                                                                    : TYPE_TEXT),
                                       .text = slice_of(data, LONG_SIZE)}},
                         result = {0};
            call.function = find(cases[i].name, cases[i].first, cases[i].count);
            for (uint32_t k = 1; k < cases[i].count; k++) {
                const char *text = k == 1 ? cases[i].second : k == 2 ? cases[i].third : "g";
                values[k].type = type_of(call.function->arguments[k]);
                if (text != NULL)
                    values[k].text = slice_from_cstr(text);
                else
                    values[k].i = k == 1 ? 3 : 1000000;
            }
            enum err err = call.function->row(&call, values, cases[i].count, &result);
            if (err != (round == 1 ? ERR_CANCELLED : OK))
                fail_msg("%s: %d", cases[i].name, (int)err);
            if (call.state != NULL)
                call.state_free(call.state);
            assert_int_equal(budget.used, 0);
        }
    }
    arena_deinit(&arena);
}

#define FIVE "[0,0][0,0][0,0][0,0][0,0]"

/* A short path over a short value may make 2^25 values: it ends where the query's memory does. */
static void test_path_is_charged(void **state)
{
    (void)state;
    const char path[] = "$" FIVE FIVE FIVE FIVE FIVE ".type() ? (@ == \"x\")";
    struct arena arena;
    struct error error;
    struct budget budget = {.limit = 4 << 20, .name = "query"};
    struct eval_context context = {.budget = &budget};
    struct call call = {.context = &context, .arena = &arena, .error = &error};
    arena_init(&arena);
    struct value values[2] = {{.type = type_of(TYPE_JSONB), .text = SLICE("1")},
                              {.type = type_of(TYPE_TEXT), .text = slice_from_cstr(path)}},
                 result = {0};
    call.function = find("jsonb_path_exists", TYPE_JSONB, 2);
    assert_int_equal(call.function->row(&call, values, 2, &result), ERR_LIMIT);
    assert_string_equal(error.sqlstate, "53200");
    if (call.state != NULL)
        call.state_free(call.state);
    assert_int_equal(budget.used, 0);
    arena_deinit(&arena);
}

/* What PCRE2 keeps of a pattern is the query's, and goes with the call. */
static void test_pattern_is_charged(void **state)
{
    (void)state;
    struct arena arena;
    struct error error;
    arena_init(&arena);
    for (int round = 0; round < 2; round++) {
        struct budget budget = {.limit = round == 0 ? 16 << 10 : 64 << 20, .name = "query"};
        struct eval_context context = {.budget = &budget};
        struct call call = {.context = &context, .arena = &arena, .error = &error};
        struct value values[2] = {{.type = type_of(TYPE_TEXT), .text = SLICE("abc")},
                                  {.type = type_of(TYPE_TEXT), .text = SLICE("(a[b-y]?){1000}")}},
                     result = {0};
        call.function = find("~", TYPE_TEXT, 2);
        enum err err = call.function->row(&call, values, 2, &result);
        assert_int_equal(err, round == 0 ? ERR_LIMIT : OK);
        if (round == 0)
            assert_string_equal(error.sqlstate, "53200");
        else
            assert_true(budget.used > 16 << 10);
        if (call.state != NULL)
            call.state_free(call.state);
        assert_int_equal(budget.used, 0);
    }
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_forms),    cmocka_unit_test(test_whole_batches),
        cmocka_unit_test(test_windows_tile),    cmocka_unit_test(test_long_calls_look),
        cmocka_unit_test(test_path_is_charged), cmocka_unit_test(test_pattern_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
