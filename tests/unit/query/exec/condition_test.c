/* From WHERE to what a cursor is given, as one text; and over many values that no condition says no
 * to a row that the filter lets pass. */
#include "query/exec/condition.h"

#include "tests/unit/query/sql/group.h"

struct world {
    struct prepare_job job;
    struct budget budget;
    struct exec exec;
    const struct plan *scan;
    struct scan_conditions conditions;
};

static void world_open(struct world *world, const char *where)
{
    char text[2048];
    snprintf(text, sizeof(text), "SELECT * FROM clicks WHERE %s", where);
    prepare(&catalogue, slice_from_cstr(text), &world->job);
    if (world->job.result != OK)
        fail_msg("%s: %s", where, world->job.error.text);
    world->budget = (struct budget){.limit = 64 << 20, .name = "query"};
    exec_init(&world->exec, world->job.statement, catalogue.snapshot, &world->budget);
    world->exec.eval.now_us = 1000;
    const struct plan *plan = world->job.statement->plan;
    while (plan->kind != PLAN_SCAN)
        plan = plan->children[0];
    world->scan = plan;
    scan_conditions_open(&world->exec, plan, &(struct scan_bounds){0}, &world->conditions);
}

static void world_close(struct world *world)
{
    scan_conditions_close(&world->conditions);
    exec_deinit(&world->exec);
    statement_unref(world->job.statement);
}

static void print_value(struct writer *out, const struct value *value)
{
    static const struct text_context context = {.zone = NULL};
    value_print(value, &context, out);
}

static void print_condition(struct writer *out, const struct plan *scan,
                            const struct scan_condition *condition)
{
    const struct slice name = scan->columns[condition->column].name;
    writer_slice(out, name);
    switch (condition->test) {
    case SCAN_RANGE:
        writer_u8(out, '[');
        if (condition->has_low)
            print_value(out, &condition->low);
        writer_cstr(out, "..");
        if (condition->has_high)
            print_value(out, &condition->high);
        writer_cstr(out, "] ");
        break;
    case SCAN_IN:
        writer_u8(out, '{');
        for (size_t i = 0; i < condition->value_count; i++) {
            writer_cstr(out, i > 0 ? "," : "");
            print_value(out, &condition->values[i]);
            assert_true(
                type_equal(condition->values[i].type, scan->columns[condition->column].type));
        }
        writer_cstr(out, "} ");
        break;
    case SCAN_MATCHES:
        writer_cstr(out, "? ");
        break;
    case SCAN_NULL:
        writer_cstr(out, " null ");
        break;
    case SCAN_NOT_NULL:
        writer_cstr(out, " not null ");
        break;
    }
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *where, *want;
    } cases[] = {
        {"n = 5", "n{5} "},
        {"5 = n", "n{5} "},
        {"n > 5", "n[6..] "},
        {"5 > n", "n[..4] "},
        {"n >= 5 AND n < 9 AND n > 1", "n[5..8] "},
        {"n BETWEEN 5 AND 9", "n[5..9] "},
        {"n BETWEEN 9 AND 5", "never"},
        {"n > 2147483646", "n[2147483647..] "},
        {"n > 3000000000", "never"},
        {"n < 3000000000", ""},
        {"n = 3000000000", "never"},
        {"n IN (3, 1, NULL, 3, 3000000000)", "n{1,3} "},
        {"n IN (3000000000, 4000000000)", "never"},
        {"n NOT IN (1, 2)", ""},
        {"n = ANY ('{3,1,1}'::bigint[])", "n{1,3} "},
        {"n = ANY ('{}'::bigint[])", "never"},
        {"n = NULL", "never"},
        {"n = 1 OR n IN (5, 3) OR 2 = n", "n{1,2,3,5} "},
        {"n = 1 OR user_id = 2", ""},
        {"n > 1.5", ""},
        {"n::bigint > 7", "n[8..] "},
        {"n::text = '7'", ""},
        {"n IS NULL", "n null "},
        {"n IS NOT NULL AND n = 4", "n not null n{4} "},
        {"user_id > 9223372036854775806", "user_id[9223372036854775807..] "},
        {"user_id > 9223372036854775807", "never"},
        {"user_id = 7 AND country = 'DE'", "user_id{7} country{DE} "},
        {"latency_ms > 1", "latency_ms[1..] "},
        {"latency_ms > 0", "latency_ms[-0..] "},
        {"latency_ms <= '-0'::float8", "latency_ms[..0] "},
        {"latency_ms = 0", "latency_ms[-0..0] "},
        {"latency_ms IN (3, 1)", "latency_ms[1..3] "},
        {"latency_ms < 'NaN'", ""},
        {"latency_ms = 'NaN'", ""},
        {"amount = 1.5", "amount{1.5} "},
        {"amount = 1.555", "amount{1.555} "},
        {"amount > 10", "amount[10..] "},
        {"amount BETWEEN 10 AND 20", "amount[10..20] "},
        {"amount < 20", "amount[..20] "},
        {"amount < 'NaN'", ""},
        {"country = 'DE'", "country{DE} "},
        {"country > 'DE'", "country[DE..] "},
        {"country LIKE 'DE%'", "country[DE..DF] "},
        {"country LIKE 'DE%x'", "country? country[DE..DF] "},
        {"country LIKE 'D_'", "country? country[D..E] "},
        {"country LIKE '%E'", "country? "},
        {"country NOT LIKE 'DE%'", "country? "},
        {"country <> 'DE'", "country? "},
        {"lower(country) = 'de'", "country? "},
        {"coalesce(country, '') = ''", ""},
        {"country IS NULL OR country = 'DE'", ""},
        {"country::bigint > 5", "country? "}, /* a text that raises passes */
        {"ts > now()", "ts[1970-01-01 00:00:00.001001+00..] "},
        {"ts > now() - interval '1 ms'", "ts[1970-01-01 00:00:00.000001+00..] "},
        {"ts >= date '2026-05-01' AND ts < timestamptz '2026-05-02'",
         "ts[2026-05-01 00:00:00+00..2026-05-01 23:59:59.999999+00] "},
        {"ts > (SELECT max(ts) FROM clicks)", ""},
        {"n = 1 AND 10 / user_id = 1 AND country = 'DE'", "n{1} "},
        {"country = 'DE' AND n + 1 = 2 AND user_id = 3", "country{DE} "},
        {"random() < 0.5 AND n = 1", "n{1} "},
        {"tags = '{a}'", ""},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct world world;
        struct writer out;
        writer_init(&out);
        world_open(&world, cases[i].where);
        for (size_t c = 0; c < world.conditions.filter.condition_count; c++)
            print_condition(&out, world.scan, &world.conditions.filter.conditions[c]);
        if (world.conditions.is_never) {
            writer_reset(&out);
            writer_cstr(&out, "never");
        }
        if (!slice_equal(writer_as_slice(&out), slice_from_cstr(cases[i].want)))
            fail_msg("%s: %.*s, want %s", cases[i].where, (int)out.size, (const char *)out.data,
                     cases[i].want);
        writer_deinit(&out);
        world_close(&world);
    }
}

/* What a cursor may do with a condition. */
static bool passes(const struct scan_condition *condition, const struct value *value)
{
    if (condition->test == SCAN_NULL)
        return value->is_null;
    if (value->is_null)
        return false;
    bool is_in = false;
    for (size_t i = 0; condition->test == SCAN_IN && i < condition->value_count; i++)
        is_in = is_in || value_compare(value, &condition->values[i]) == 0;
    switch (condition->test) {
    case SCAN_RANGE:
        return (!condition->has_low || value_compare(value, &condition->low) >= 0) &&
               (!condition->has_high || value_compare(value, &condition->high) <= 0);
    case SCAN_IN:
        return is_in;
    case SCAN_MATCHES:
        return condition->matches(condition->context, value->text);
    default:
        return true;
    }
}

static bool filter_keeps(struct world *world, const struct value *country, const struct value *n,
                         const struct value *latency)
{
    struct column columns[8];
    struct arena arena;
    struct error error;
    arena_init(&arena);
    for (size_t i = 0; i < world->scan->column_count; i++) {
        struct slice name = world->scan->columns[i].name;
        struct value value = {.type = world->scan->columns[i].type, .is_null = true};
        value = slice_equal(name, SLICE("country"))      ? *country
                : slice_equal(name, SLICE("n"))          ? *n
                : slice_equal(name, SLICE("latency_ms")) ? *latency
                                                         : value;
        columns[i] = column_from_value(&value, &arena);
    }
    struct batch batch = {
        .row_count = 1, .column_count = world->scan->column_count, .columns = columns};
    struct evaluator *evaluator = evaluator_create(world->scan->scan.filter, &world->exec.eval);
    uint32_t selection[16];
    size_t count = 0;
    enum err err = evaluator_filter(evaluator, &batch, NULL, 0, selection, &count, &error);
    evaluator_destroy(evaluator);
    arena_deinit(&arena);
    return err != OK || count != 0;
}

static void test_nothing_lost(void **state)
{
    (void)state;
    static const char *const parts[] = {"country = 'a'",
                                        "country LIKE 'a%'",
                                        "country LIKE '_b%'",
                                        "country > 'ab'",
                                        "country <> 'b'",
                                        "country IN ('a','abc')",
                                        "country IS NOT NULL",
                                        "NOT (country = 'a')",
                                        "upper(country) = 'AB'",
                                        "country < 'b' OR country = 'zz'",
                                        "n = 1",
                                        "n <> 1",
                                        "n > 0",
                                        "n BETWEEN -1 AND 1",
                                        "n IN (2, NULL, 0)",
                                        "n = ANY ('{0,1}'::bigint[])",
                                        "n IS NULL",
                                        "latency_ms > 0",
                                        "latency_ms >= 0",
                                        "latency_ms = 0",
                                        "latency_ms < 1.5",
                                        "latency_ms <= 'NaN'",
                                        "latency_ms > 'NaN'",
                                        "latency_ms IN (0, 2)",
                                        "10 / n > 3",
                                        "country::bigint = 4"};
    static const char *const texts[] = {"", "a", "ab", "abc", "b", "bb", "zz", "4", "A"};
    static const double doubles[] = {0.0, -0.0, 1.5, -3, 2, 1e300};
    for (size_t a = 0; a < array_count(parts); a++)
        for (size_t b = 0; b < array_count(parts); b++) {
            char where[256];
            snprintf(where, sizeof(where), "(%s) AND (%s)", parts[a], parts[b]);
            struct world world;
            world_open(&world, where);
            for (size_t row = 0; row < 160; row++) {
                struct value country = {.type = type_of(TYPE_TEXT),
                                        .is_null = row % 10 == 9,
                                        .text = slice_from_cstr(texts[row % 9])};
                struct value n = {.type = type_of(TYPE_INT4), .is_null = row % 7 == 6};
                n.i = (int64_t)(row % 7) - 3;
                struct value latency = {.type = type_of(TYPE_FLOAT8), .is_null = row % 8 == 7};
                latency.f = row % 8 == 6 ? __builtin_nan("") : doubles[row % 6];
                bool is_lost = world.conditions.is_never;
                for (size_t c = 0; c < world.conditions.filter.condition_count; c++) {
                    const struct scan_condition *condition = &world.conditions.filter.conditions[c];
                    struct slice name = world.scan->columns[condition->column].name;
                    is_lost = is_lost || !passes(condition, name.data[0] == 'c'   ? &country
                                                            : name.data[0] == 'n' ? &n
                                                                                  : &latency);
                }
                if (is_lost && filter_keeps(&world, &country, &n, &latency))
                    fail_msg("%s loses row %zu", where, row);
            }
            world_close(&world);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conditions),
                                       cmocka_unit_test(test_nothing_lost)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
