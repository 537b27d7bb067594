/* Operators over hand-built plans: a provider that makes rows stands at the leaves. */
#include "query/exec/exec.h"
#include "query/expr/build.h"
#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A table of n rows: id 0 … n-1, k = id % 7 or NULL at every 5th, name 'n<k>', at = id days after
 * 2026-03-28. */

static const struct provider_column source_columns[] = {{"id", {.id = TYPE_INT8}},
                                                        {"k", {.id = TYPE_INT8}},
                                                        {"name", {.id = TYPE_TEXT}},
                                                        {"at", {.id = TYPE_TIMESTAMPTZ}}};
#define FIRST_DAY INT64_C(1774656000000000) /* 2026-03-28 00:00 UTC */

/* Where rows are `at`: days apart, or microseconds in bursts. */
static int64_t time_of(size_t i, int64_t step_us)
{
    if (step_us == 0)
        return FIRST_DAY + (int64_t)i * MICROSECONDS_PER_DAY;
    return FIRST_DAY + (int64_t)i * step_us +
           (i % 5000 > 4000 ? (int64_t)(i * 7919 % 60000000) : 0);
}

static int64_t step_us;

static enum err source_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    size_t count = *(const size_t *)context;
    for (size_t i = 0; i < count; i++) {
        provider_int(scan, 0, (int64_t)i);
        if (i % 5 == 4)
            provider_null(scan, 1);
        else
            provider_int(scan, 1, (int64_t)(i % 7));
        provider_cstr(scan, 2, arena_printf(scan->arena, "n%zu", i % 7));
        provider_int(scan, 3, time_of(i, step_us));
    }
    return OK;
}

struct fixture {
    struct arena arena;
    struct budget budget;
    struct statement statement;
    struct error error;
    size_t row_count;
    struct table_provider provider;
    struct exec exec;
    struct exec_node *node;
    struct builder build;
};

static void setup(struct fixture *f, size_t row_count)
{
    *f = (struct fixture){.row_count = row_count};
    arena_init(&f->arena);
    f->budget = (struct budget){.limit = 256 << 20, .name = "query"};
    f->provider = (struct table_provider){"test",        "source",    4, source_columns,
                                          &f->row_count, source_scan, 0, SIGHT_SEEN};
    f->build = (struct builder){.arena = &f->arena, .zone = timezone_utc, .error = &f->error};
}

static struct plan *make_plan(struct fixture *f, enum plan_kind kind, size_t column_count)
{
    struct plan *plan = arena_alloc_zero(&f->arena, sizeof(*plan));
    plan->kind = kind;
    plan->id = f->statement.plan_count++;
    plan->column_count = column_count;
    plan->columns = arena_alloc_zero(&f->arena, (column_count + 1) * sizeof(*plan->columns));
    plan->children = arena_alloc_zero(&f->arena, 2 * sizeof(*plan->children));
    return plan;
}

static struct plan *make_over(struct fixture *f, enum plan_kind kind, struct plan *child)
{
    struct plan *plan = make_plan(f, kind, child->column_count);
    plan->child_count = 1;
    plan->children[0] = child;
    memcpy(plan->columns, child->columns, child->column_count * sizeof(*child->columns));
    return plan;
}

static struct plan *make_source(struct fixture *f)
{
    struct plan *plan = make_plan(f, PLAN_PROVIDER, 4);
    plan->provider.provider = &f->provider;
    plan->provider.columns = arena_alloc_array(&f->arena, 4, sizeof(uint32_t));
    for (uint32_t i = 0; i < 4; i++) {
        plan->provider.columns[i] = i;
        plan->columns[i].type = source_columns[i].type;
    }
    return plan;
}

static struct expr *column_expr(struct fixture *f, uint32_t column)
{
    return build_column(&f->build, column, source_columns[column % 4].type, 0);
}

static struct expr *int_expr(struct fixture *f, int64_t i)
{
    return build_constant(&f->build, &(struct value){.type = type_of(TYPE_INT8), .i = i}, 0);
}

static struct expr *operator_expr(struct fixture *f, struct slice name, struct expr *left,
                                  struct expr *right)
{
    struct expr *out;
    assert_int_equal(build_operator(&f->build, name, left, right, 0, &out), OK);
    return out;
}

static void start(struct fixture *f)
{
    exec_init(&f->exec, &f->statement, NULL, &f->budget);
}

static void teardown(struct fixture *f)
{
    exec_deinit(&f->exec);
    size_t used = atomic_load(&f->budget.used);
    if (used != 0)
        budget_release(&f->budget, used);
    arena_deinit(&f->arena);
}

/* Runs the plan; the text of all rows as "1|x;2|NULL;". */
static enum err run(struct fixture *f, const struct plan *plan, struct writer *out)
{
    struct exec_node *node = NULL;
    struct batch batch;
    writer_reset(out);
    enum err err = exec_open(&f->exec, plan, &node, &f->error);
    while (err == OK && (err = exec_next(node, &batch, &f->error)) == OK && batch.row_count != 0) {
        for (size_t row = 0; row < batch.row_count; row++) {
            for (size_t i = 0; i < batch.column_count; i++) {
                struct value value = column_value(&batch.columns[i], row);
                if (i != 0)
                    writer_u8(out, '|');
                if (value.is_null)
                    writer_cstr(out, "NULL");
                value_print(&value, &(struct text_context){0}, out);
            }
            writer_u8(out, ';');
        }
    }
    exec_close(node);
    writer_u8(out, 0);
    return err;
}

static void expect(struct fixture *f, const struct plan *plan, const char *want)
{
    struct writer out;
    writer_init(&out);
    start(f);
    assert_int_equal(run(f, plan, &out), OK);
    assert_string_equal((const char *)out.data, want);
    writer_deinit(&out);
    teardown(f);
}

static void expect_error(struct fixture *f, const struct plan *plan, enum err want,
                         const char *sqlstate)
{
    struct writer out;
    writer_init(&out);
    assert_int_equal(run(f, plan, &out), want);
    assert_string_equal(f->error.sqlstate, sqlstate);
    writer_deinit(&out);
    teardown(f);
}

/* --- tests --- */

static void test_filter_and_limit(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10000);
    struct plan *filter = make_over(&f, PLAN_FILTER, make_source(&f));
    filter->filter.predicate =
        operator_expr(&f, SLICE(">"), column_expr(&f, 0), int_expr(&f, 4990));
    struct plan *limit = make_over(&f, PLAN_LIMIT, filter);
    limit->sort.limit = int_expr(&f, 2);
    limit->sort.offset = int_expr(&f, 3000);
    expect(&f, limit, "7991|4|n4|2048-02-12 00:00:00+00;7992|5|n5|2048-02-13 00:00:00+00;");
}

/* A gate is asked once, whatever comes, and what is below a shut one never begins. */
static void test_gates(void **state)
{
    (void)state;
    for (int64_t is_open = 0; is_open < 2; is_open++) {
        struct fixture f;
        struct exec_node *node;
        struct batch batch;
        setup(&f, 10000);
        struct plan *source = make_source(&f);
        struct plan *gate = make_over(&f, PLAN_FILTER, source);
        gate->filter.predicate =
            operator_expr(&f, SLICE(">"), int_expr(&f, is_open), int_expr(&f, 0));
        gate->filter.is_gate = true;
        start(&f);
        assert_int_equal(exec_open(&f.exec, gate, &node, &f.error), OK);
        for (size_t i = 0; i < 7; i++)
            assert_int_equal(exec_next(node, &batch, &f.error), OK);
        assert_int_equal(batch.row_count, 0);
        assert_int_equal(f.exec.actual[source->id].rows, is_open ? 10000 : 0);
        assert_int_equal(f.exec.actual[gate->id].rows_in, is_open ? 10000 : 0);
        exec_close(node);
        teardown(&f);
    }
}

static void test_negative_limit(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10);
    struct plan *limit = make_over(&f, PLAN_LIMIT, make_source(&f));
    limit->sort.limit = int_expr(&f, -1);
    start(&f);
    expect_error(&f, limit, ERR_INPUT, "2201W");
}

static struct plan *make_group(struct fixture *f, struct plan *child, uint32_t key, bool has_count)
{
    struct plan *group = make_plan(f, PLAN_GROUP, has_count ? 2 : 1);
    group->child_count = 1;
    group->children[0] = child;
    group->group.key_count = 1;
    group->group.keys = arena_alloc_array(&f->arena, 1, sizeof(struct expr *));
    group->group.keys[0] = column_expr(f, key);
    group->columns[0].type = source_columns[key].type;
    if (!has_count)
        return group;
    struct aggregate_request request = {.name = SLICE("count"), .is_star = true};
    group->group.aggregate_count = 1;
    group->group.aggregates = arena_alloc_zero(&f->arena, sizeof(struct aggregate_call));
    assert_int_equal(build_aggregate(&f->build, &request, &group->group.aggregates[0]), OK);
    group->columns[1].type = group->group.aggregates[0].type;
    return group;
}

static void test_group_counts(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 70000);
    expect(&f, make_group(&f, make_source(&f), 1, true),
           "0|8000;1|8000;2|8000;3|8000;NULL|14000;5|8000;6|8000;4|8000;");
    setup(&f, 0);
    expect(&f, make_group(&f, make_source(&f), 1, true), "");
}

static struct plan *make_sort(struct fixture *f, struct plan *child, uint32_t key,
                              bool is_descending, bool is_nulls_first)
{
    struct plan *sort = make_over(f, PLAN_SORT, child);
    sort->sort.key_count = 2;
    sort->sort.keys = arena_alloc_zero(&f->arena, 2 * sizeof(struct sort_key));
    sort->sort.keys[0] = (struct sort_key){column_expr(f, key), is_descending, is_nulls_first};
    sort->sort.keys[1] = (struct sort_key){column_expr(f, 0), true, true};
    return sort;
}

static void test_sort_and_top(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 6);
    expect(&f, make_sort(&f, make_group(&f, make_source(&f), 0, false), 0, true, true),
           "5;4;3;2;1;0;");
    setup(&f, 100000);
    struct plan *sort = make_sort(&f, make_source(&f), 1, true, false);
    sort->sort.limit = int_expr(&f, 2);
    sort->sort.offset = int_expr(&f, 1);
    struct plan *keys = make_over(&f, PLAN_PROJECT, sort);
    keys->column_count = 2;
    keys->project.exprs = arena_alloc_array(&f.arena, 2, sizeof(struct expr *));
    keys->project.exprs[0] = column_expr(&f, 1);
    keys->project.exprs[1] = column_expr(&f, 0);
    keys->columns[0].type = keys->columns[1].type = type_of(TYPE_INT8);
    expect(&f, keys, "6|99980;6|99973;");
    setup(&f, 100000);
    sort = make_sort(&f, make_source(&f), 1, false, true);
    sort->sort.limit = int_expr(&f, 1);
    keys = make_over(&f, PLAN_PROJECT, sort);
    keys->column_count = 2;
    keys->project.exprs = arena_alloc_array(&f.arena, 2, sizeof(struct expr *));
    keys->project.exprs[0] = column_expr(&f, 1);
    keys->project.exprs[1] = column_expr(&f, 0);
    expect(&f, keys, "NULL|99999;");
}

static struct plan *make_join(struct fixture *f, enum join_kind kind, bool has_keys)
{
    struct plan *left = make_over(f, PLAN_LIMIT, make_source(f));
    struct plan *right = make_group(f, make_source(f), 1, true);
    left->sort.limit = int_expr(f, 6);
    left->column_count = 2;
    struct plan *project = make_over(f, PLAN_PROJECT, left);
    project->project.exprs = arena_alloc_array(&f->arena, 2, sizeof(struct expr *));
    project->project.exprs[0] = column_expr(f, 0);
    project->project.exprs[1] = column_expr(f, 1);
    left->column_count = 4;
    struct plan *join = make_plan(f, PLAN_JOIN, 4);
    join->child_count = 2;
    join->children[0] = project;
    join->children[1] = right;
    join->join.kind = kind;
    for (size_t i = 0; i < 4; i++)
        join->columns[i].type = type_of(TYPE_INT8);
    if (has_keys) {
        join->join.key_count = 1;
        join->join.left_keys = arena_alloc_array(&f->arena, 1, sizeof(struct expr *));
        join->join.right_keys = arena_alloc_array(&f->arena, 1, sizeof(struct expr *));
        join->join.left_keys[0] = column_expr(f, 1);
        join->join.right_keys[0] = build_column(&f->build, 0, type_of(TYPE_INT8), 0);
    }
    return join;
}

/* The right side is (k, count) of 20 rows; id 4 has a NULL key and meets nothing, not even the NULL
 * group. */
static void test_joins(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 20);
    expect(&f, make_join(&f, JOIN_INNER, true), "0|0|0|2;1|1|1|3;2|2|2|2;3|3|3|3;5|5|5|2;");
    setup(&f, 20);
    expect(&f, make_join(&f, JOIN_LEFT, true),
           "0|0|0|2;1|1|1|3;2|2|2|2;3|3|3|3;5|5|5|2;4|NULL|NULL|NULL;");
    setup(&f, 20);
    struct plan *join = make_join(&f, JOIN_LEFT, true);
    join->join.condition = operator_expr(
        &f, SLICE(">"), build_column(&f.build, 3, type_of(TYPE_INT8), 0), int_expr(&f, 2));
    expect(&f, join, "1|1|1|3;3|3|3|3;0|0|NULL|NULL;2|2|NULL|NULL;4|NULL|NULL|NULL;5|5|NULL|NULL;");
    setup(&f, 20);
    join = make_join(&f, JOIN_CROSS, false);
    join->join.condition =
        operator_expr(&f, SLICE("<"), build_column(&f.build, 2, type_of(TYPE_INT8), 0),
                      build_column(&f.build, 1, type_of(TYPE_INT8), 0));
    expect(
        &f, join,
        "1|1|0|2;2|2|0|2;3|3|0|2;5|5|0|2;2|2|1|3;3|3|1|3;5|5|1|3;3|3|2|2;5|5|2|2;5|5|3|3;5|5|4|2;");
}

static void test_hop(void **state)
{
    (void)state;
    struct fixture f;
    static const struct {
        struct interval slide, size;
        const char *want;
    } cases[] = {
        /* 2026-03-28 is a Saturday: weeks start on Mondays */
        {{.days = 7},
         {.days = 7},
         "0|2026-03-23 00:00:00+00|2026-03-30 00:00:00+00;1|2026-03-23 00:00:00+00|2026-03-30 "
         "00:00:00+00;"},
        {{.microseconds = 12 * MICROSECONDS_PER_HOUR},
         {.days = 1},
         "0|2026-03-27 12:00:00+00|2026-03-28 12:00:00+00;0|2026-03-28 00:00:00+00|2026-03-29 "
         "00:00:00+00;"
         "1|2026-03-28 12:00:00+00|2026-03-29 12:00:00+00;1|2026-03-29 00:00:00+00|2026-03-30 "
         "00:00:00+00;"},
        {{.months = 1},
         {.months = 2},
         "0|2026-02-01 00:00:00+00|2026-04-01 00:00:00+00;0|2026-03-01 00:00:00+00|2026-05-01 "
         "00:00:00+00;"
         "1|2026-02-01 00:00:00+00|2026-04-01 00:00:00+00;1|2026-03-01 00:00:00+00|2026-05-01 "
         "00:00:00+00;"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        setup(&f, 2);
        struct plan *source = make_source(&f);
        struct plan *hop = make_plan(&f, PLAN_HOP, 6);
        hop->child_count = 1;
        hop->children[0] = source;
        memcpy(hop->columns, source->columns, 4 * sizeof(*hop->columns));
        hop->columns[4].type = hop->columns[5].type = type_of(TYPE_TIMESTAMPTZ);
        hop->hop.time_column = 3;
        hop->hop.slide = cases[i].slide;
        hop->hop.size = cases[i].size;
        hop->hop.zone = timezone_utc;
        struct plan *project = make_over(&f, PLAN_PROJECT, hop);
        project->column_count = 3;
        project->project.exprs = arena_alloc_array(&f.arena, 3, sizeof(struct expr *));
        project->project.exprs[0] = column_expr(&f, 0);
        for (uint32_t c = 1; c < 3; c++)
            project->project.exprs[c] = build_column(&f.build, c + 3, type_of(TYPE_TIMESTAMPTZ), 0);
        expect(&f, project, cases[i].want);
    }
}

/* Rows in time order with bursts out of order: each row in each of its windows, once. */
static void test_hop_of_runs(void **state)
{
    (void)state;
    static const struct {
        int64_t step_us, slide_s, size_s;
    } cases[] = {
        {1000, 30, 60}, {20000, 30, 60}, {700000, 1, 5}, {10, 60, 60}, {90000000, 60, 180}};
    for (size_t i = 0; i < array_count(cases); i++) {
        enum { COUNT = 30000 };
        struct fixture f;
        step_us = cases[i].step_us;
        int64_t slide = cases[i].slide_s * 1000000, size = cases[i].size_s * 1000000;
        setup(&f, COUNT);
        struct plan *source = make_source(&f);
        struct plan *hop = make_over(&f, PLAN_HOP, source);
        hop->column_count = 6;
        hop->columns = arena_alloc_zero(&f.arena, 6 * sizeof(*hop->columns));
        memcpy(hop->columns, source->columns, 4 * sizeof(*hop->columns));
        hop->columns[4].type = hop->columns[5].type = type_of(TYPE_TIMESTAMPTZ);
        hop->hop.time_column = 3;
        hop->hop.slide = (struct interval){.microseconds = slide};
        hop->hop.size = (struct interval){.microseconds = size};
        hop->hop.zone = timezone_utc;
        start(&f);
        uint8_t *seen = arena_alloc_zero(&f.arena, (size_t)COUNT * 8);
        struct exec_node *node;
        struct batch batch;
        assert_int_equal(exec_open(&f.exec, hop, &node, &f.error), OK);
        while (exec_next(node, &batch, &f.error) == OK && batch.row_count != 0)
            for (size_t row = 0; row < batch.row_count; row++) {
                size_t id = (size_t)column_value(&batch.columns[0], row).i;
                int64_t at = column_value(&batch.columns[3], row).i;
                int64_t from = column_value(&batch.columns[4], row).i;
                assert_int_equal(at, time_of(id, step_us));
                assert_int_equal(column_value(&batch.columns[5], row).i, from + size);
                assert_true(from <= at && at < from + size && from % slide == 0);
                seen[id * 8 + (size_t)((at - from) / slide)]++;
            }
        exec_close(node);
        for (size_t id = 0; id < COUNT; id++)
            for (int64_t window = 0; window < 8; window++)
                assert_int_equal(seen[id * 8 + (size_t)window], window < size / slide);
        step_us = 0;
        teardown(&f);
    }
}

static void test_memory_cancel_and_time(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 50000);
    struct plan *sort = make_sort(&f, make_source(&f), 2, false, false);
    start(&f);
    f.budget.limit = 7 << 20;
    expect_error(&f, sort, ERR_LIMIT, "53200");
    _Atomic bool is_cancelled = true;
    setup(&f, 100);
    sort = make_sort(&f, make_source(&f), 2, false, false);
    start(&f);
    f.exec.is_cancelled = &is_cancelled;
    expect_error(&f, sort, ERR_CANCELLED, "57014");
    setup(&f, 100);
    sort = make_sort(&f, make_source(&f), 2, false, false);
    start(&f);
    f.exec.deadline_us = 1;
    expect_error(&f, sort, ERR_TIMEOUT, "57014");
    assert_string_equal(f.error.text, "canceling statement due to statement timeout");
}

/* A batch whose row 700 raises, below LIMITs that are met before it, at it and behind it. */
static void test_rows_before_an_error(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        struct fixture f;
        struct writer out;
        setup(&f, 3000);
        struct expr *quotient =
            operator_expr(&f, SLICE("/"), int_expr(&f, 1),
                          operator_expr(&f, SLICE("-"), column_expr(&f, 0), int_expr(&f, 700)));
        struct plan *filter = make_over(&f, PLAN_FILTER, make_source(&f));
        filter->filter.predicate = operator_expr(&f, SLICE("<="), quotient, int_expr(&f, 0));
        struct plan *limit = make_over(&f, PLAN_LIMIT, filter);
        limit->sort.limit = int_expr(&f, round == 0 ? 2 : 701);
        limit->sort.offset = int_expr(&f, round == 0 ? 698 : 0);
        start(&f);
        if (round == 1) {
            expect_error(&f, limit, ERR_INPUT, "22012");
            continue;
        }
        writer_init(&out);
        if (round == 2)
            fault_plant("raise.forgotten");
        assert_int_equal(run(&f, limit, &out), OK);
        fault_clear();
        if (round == 0)
            assert_string_equal((const char *)out.data, "698|5|n5|2028-02-24 00:00:00+00;"
                                                        "699|NULL|n6|2028-02-25 00:00:00+00;");
        writer_deinit(&out);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_and_limit),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_negative_limit),
        cmocka_unit_test(test_group_counts),
        cmocka_unit_test(test_sort_and_top),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_hop),
        cmocka_unit_test(test_hop_of_runs),
        cmocka_unit_test(test_memory_cancel_and_time),
        cmocka_unit_test(test_rows_before_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
