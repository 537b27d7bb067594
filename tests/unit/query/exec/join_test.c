/* Joins of every kind against a naive model: random small tables with NULL keys, with and without
 * keys, with and without a condition beside them, either side built. */
#include "query/exec/exec.h"
#include "query/expr/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 20260501
#define ROUNDS 60
#define NONE INT64_MIN /* NULL */

struct table {
    size_t count;
    int64_t *keys, *values; /* value: the row's number */
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static struct table make_table(size_t count, uint64_t range, uint64_t *random)
{
    struct table table = {.count = count,
                          .keys = malloc((count + 1) * sizeof(int64_t)),
                          .values = malloc((count + 1) * sizeof(int64_t))};
    for (size_t row = 0; row < count; row++) {
        table.keys[row] =
            next_random(random) % 6 == 0 ? NONE : (int64_t)(next_random(random) % range);
        table.values[row] = (int64_t)row;
    }
    return table;
}

static void free_table(struct table *table)
{
    free(table->keys);
    free(table->values);
}

static enum err table_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    const struct table *table = context;
    for (size_t row = 0; row < table->count; row++) {
        if (table->keys[row] == NONE)
            provider_null(scan, 0);
        else
            provider_int(scan, 0, table->keys[row]);
        provider_int(scan, 1, table->values[row]);
    }
    return OK;
}

struct fixture {
    struct arena arena;
    struct budget budget;
    struct statement statement;
    struct error error;
    struct builder build;
    struct table tables[2];
    struct table_provider providers[2];
};

static const struct provider_column columns[] = {{"k", {.id = TYPE_INT8}},
                                                 {"v", {.id = TYPE_INT8}}};

static struct plan *make_plan(struct fixture *f, enum plan_kind kind, size_t column_count)
{
    struct plan *plan = arena_alloc_zero(&f->arena, sizeof(*plan));
    plan->kind = kind;
    plan->id = f->statement.plan_count++;
    plan->column_count = column_count;
    plan->columns = arena_alloc_zero(&f->arena, column_count * sizeof(*plan->columns));
    for (size_t i = 0; i < column_count; i++)
        plan->columns[i].type = type_of(TYPE_INT8);
    plan->children = arena_alloc_zero(&f->arena, 2 * sizeof(*plan->children));
    return plan;
}

/* A provider's length is not known: LIMIT tells the estimate, so that either side may be built. */
static struct plan *make_side(struct fixture *f, unsigned side)
{
    struct plan *scan = make_plan(f, PLAN_PROVIDER, 2);
    f->providers[side] = (struct table_provider){"test",           "side",     2, columns,
                                                 &f->tables[side], table_scan, 0, SIGHT_SEEN};
    scan->provider.provider = &f->providers[side];
    scan->provider.columns = arena_alloc_array(&f->arena, 2, sizeof(uint32_t));
    scan->provider.columns[0] = 0;
    scan->provider.columns[1] = 1;
    struct value all = {.type = type_of(TYPE_INT8), .i = (int64_t)f->tables[side].count};
    struct plan *limit = make_plan(f, PLAN_LIMIT, 2);
    limit->child_count = 1;
    limit->children[0] = scan;
    limit->sort.limit = build_constant(&f->build, &all, 0);
    return limit;
}

static struct expr *column(struct fixture *f, uint32_t index)
{
    return build_column(&f->build, index, type_of(TYPE_INT8), 0);
}

static bool gives_left_only(enum join_kind kind)
{
    return kind == JOIN_SEMI || kind == JOIN_ANTI;
}

static struct plan *make_join(struct fixture *f, enum join_kind kind, bool has_keys,
                              bool has_condition)
{
    struct plan *join = make_plan(f, PLAN_JOIN, gives_left_only(kind) ? 2 : 4);
    join->child_count = 2;
    join->children[0] = make_side(f, 0);
    join->children[1] = make_side(f, 1);
    join->join.kind = kind;
    if (has_keys) {
        join->join.key_count = 1;
        join->join.left_keys = arena_alloc_array(&f->arena, 1, sizeof(struct expr *));
        join->join.right_keys = arena_alloc_array(&f->arena, 1, sizeof(struct expr *));
        join->join.left_keys[0] = column(f, 0);
        join->join.right_keys[0] = column(f, 0);
    }
    if (has_condition) /* left v < right v */
        assert_int_equal(build_operator(&f->build, SLICE("<"), column(f, 1), column(f, 3), 0,
                                        &join->join.condition),
                         OK);
    return join;
}

/* --- the model --- */

static bool matches(const struct fixture *f, size_t left, size_t right, bool has_keys,
                    bool has_condition)
{
    int64_t a = f->tables[0].keys[left], b = f->tables[1].keys[right];
    if (has_keys && (a == NONE || b == NONE || a != b))
        return false;
    return !has_condition || f->tables[0].values[left] < f->tables[1].values[right];
}

/* A row as one number: left row + 1 in the upper half, right row + 1 in the lower one; 0: NULLs. */
static size_t model(const struct fixture *f, enum join_kind kind, bool has_keys, bool has_condition,
                    uint64_t *out)
{
    size_t count = 0;
    bool *is_met = calloc(f->tables[1].count + 1, 1);
    for (size_t left = 0; left < f->tables[0].count; left++) {
        bool has_match = false;
        for (size_t right = 0; right < f->tables[1].count; right++) {
            if (!matches(f, left, right, has_keys, has_condition))
                continue;
            has_match = is_met[right] = true;
            if (!gives_left_only(kind))
                out[count++] = (left + 1) << 32 | (right + 1);
        }
        bool is_outer = kind == JOIN_LEFT || kind == JOIN_FULL || kind == JOIN_ANTI;
        if ((!has_match && is_outer) || (has_match && kind == JOIN_SEMI))
            out[count++] = (left + 1) << 32;
    }
    for (size_t right = 0; right < f->tables[1].count; right++)
        if (!is_met[right] && (kind == JOIN_RIGHT || kind == JOIN_FULL))
            out[count++] = right + 1;
    free(is_met);
    return count;
}

static int compare_rows(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A row's number by its values; its keys must be those of the tables' rows. */
static uint64_t row_number(const struct fixture *f, const struct batch *batch, size_t row)
{
    uint64_t number = 0;
    for (size_t side = 0; side < batch->column_count / 2; side++) {
        struct value key = column_value(&batch->columns[side * 2], row);
        struct value value = column_value(&batch->columns[side * 2 + 1], row);
        if (!value.is_null) {
            int64_t want = f->tables[side].keys[value.i];
            assert_int_equal(key.is_null, want == NONE);
            assert_true(key.is_null || key.i == want);
            number |= ((uint64_t)value.i + 1) << (side == 0 ? 32 : 0);
        }
        assert_true(!value.is_null || key.is_null);
    }
    return number;
}

static void check(struct fixture *f, enum join_kind kind, bool has_keys, bool has_condition)
{
    size_t capacity = (f->tables[0].count + 1) * (f->tables[1].count + 1) + 1, count = 0;
    uint64_t *want = malloc(capacity * sizeof(*want)), *got = malloc(capacity * sizeof(*got));
    size_t wanted = model(f, kind, has_keys, has_condition, want);
    struct plan *plan = make_join(f, kind, has_keys, has_condition);
    struct exec exec;
    struct exec_node *node;
    struct batch batch;
    exec_init(&exec, &f->statement, NULL, &f->budget);
    assert_int_equal(exec_open(&exec, plan, &node, &f->error), OK);
    for (;;) {
        assert_int_equal(exec_next(node, &batch, &f->error), OK);
        if (batch.row_count == 0)
            break;
        assert_int_equal(batch.column_count, plan->column_count);
        for (size_t row = 0; row < batch.row_count; row++) {
            assert_true(count < capacity);
            got[count++] = row_number(f, &batch, row);
        }
    }
    exec_close(node);
    exec_deinit(&exec);
    assert_int_equal(atomic_load(&f->budget.used), 0);
    qsort(want, wanted, sizeof(*want), compare_rows);
    qsort(got, count, sizeof(*got), compare_rows);
    assert_int_equal(count, wanted);
    assert_true(count == 0 || memcmp(got, want, count * sizeof(*got)) == 0);
    free(want);
    free(got);
}

static void test_model(void **state)
{
    (void)state;
    static const enum join_kind kinds[] = {JOIN_INNER, JOIN_LEFT, JOIN_RIGHT,
                                           JOIN_FULL,  JOIN_SEMI, JOIN_ANTI};
    static const size_t sizes[] = {0, 1, 7, 40, 300};
    uint64_t random = SEED;
    printf("seed %d\n", SEED);
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture f = {.budget = {.limit = 64 << 20, .name = "query"}};
        arena_init(&f.arena);
        f.build = (struct builder){.arena = &f.arena, .zone = timezone_utc, .error = &f.error};
        for (size_t side = 0; side < 2; side++)
            f.tables[side] =
                make_table(sizes[next_random(&random) % 5], 1 + next_random(&random) % 60, &random);
        for (size_t kind = 0; kind < 6; kind++)
            for (unsigned form = 0; form < 4; form++)
                check(&f, kinds[kind], (form & 1) != 0, (form & 2) != 0);
        free_table(&f.tables[0]);
        free_table(&f.tables[1]);
        arena_deinit(&f.arena);
    }
}

/* The built side is charged: 53200, and nothing is left behind. */
static void test_memory(void **state)
{
    (void)state;
    uint64_t random = SEED;
    struct fixture f = {.budget = {.limit = 64 << 20, .name = "query"}};
    arena_init(&f.arena);
    f.build = (struct builder){.arena = &f.arena, .zone = timezone_utc, .error = &f.error};
    for (size_t side = 0; side < 2; side++)
        f.tables[side] = make_table(20000, 20000, &random);
    struct plan *plan = make_join(&f, JOIN_FULL, true, false);
    struct exec exec;
    struct exec_node *node;
    struct batch batch;
    exec_init(&exec, &f.statement, NULL, &f.budget);
    assert_int_equal(exec_open(&exec, plan, &node, &f.error), OK);
    f.budget.limit = atomic_load(&f.budget.used) + (200 << 10); /* the tables, and a little */
    assert_int_not_equal(exec_next(node, &batch, &f.error), OK);
    assert_string_equal(f.error.sqlstate, "53200");
    exec_close(node);
    exec_deinit(&exec);
    assert_int_equal(atomic_load(&f.budget.used), 0);
    free_table(&f.tables[0]);
    free_table(&f.tables[1]);
    arena_deinit(&f.arena);
}

/* A cross join of long tables stops when it is cancelled. */
static void test_cancel(void **state)
{
    (void)state;
    uint64_t random = SEED;
    struct fixture f = {.budget = {.limit = 64 << 20, .name = "query"}};
    arena_init(&f.arena);
    f.build = (struct builder){.arena = &f.arena, .zone = timezone_utc, .error = &f.error};
    for (size_t side = 0; side < 2; side++)
        f.tables[side] = make_table(20000, 20000, &random);
    struct plan *plan = make_join(&f, JOIN_CROSS, false, false);
    struct exec exec;
    struct exec_node *node;
    struct batch batch;
    _Atomic bool is_cancelled = false;
    exec_init(&exec, &f.statement, NULL, &f.budget);
    exec.is_cancelled = &is_cancelled;
    assert_int_equal(exec_open(&exec, plan, &node, &f.error), OK);
    assert_int_equal(exec_next(node, &batch, &f.error), OK);
    atomic_store(&is_cancelled, true);
    enum err err = OK;
    for (int round = 0; round < 1000 && err == OK; round++)
        err = exec_next(node, &batch, &f.error);
    assert_int_equal(err, ERR_CANCELLED);
    exec_close(node);
    exec_deinit(&exec);
    free_table(&f.tables[0]);
    free_table(&f.tables[1]);
    arena_deinit(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
