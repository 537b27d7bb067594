/* One query on several threads: the same bytes as on one, beside others that want the threads too,
 * and when it is cancelled, fails or runs out of memory. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#define BATCH 50000
#define SEALED 9 /* batches */
#define BATCHES 11
#define COLUMNS 4
#define CORES 3

static const struct made_column definitions[COLUMNS] = {{"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_OFF},
                                                        {"n", {.id = TYPE_INT8}, INDEX_OFF},
                                                        {"ratio", {.id = TYPE_FLOAT8}, INDEX_OFF},
                                                        {"kind", {.id = TYPE_INT4}, INDEX_OFF}};

static void insert(struct made_store *f, int64_t first)
{
    static int64_t times[BATCH], numbers[BATCH], kinds[BATCH];
    static double ratios[BATCH];
    const void *values[] = {times, numbers, ratios, kinds};
    const uint32_t ids[] = {1, 2, 3, 4};
    struct column columns[COLUMNS];
    struct error error;
    for (int64_t i = 0; i < BATCH; i++) {
        int64_t row = first + i, mixed = row * 7919 % 100003;
        times[i] = row * 1000;
        numbers[i] = mixed;
        ratios[i] = (double)mixed / 7 + (row % 5003 == 0 ? 1e15 : 0);
        kinds[i] = mixed % 13;
    }
    for (uint32_t i = 0; i < COLUMNS; i++)
        columns[i] =
            (struct column){.type = definitions[i].type, .form = COLUMN_FLAT, .values = values[i]};
    struct batch batch = {.row_count = BATCH, .column_count = COLUMNS, .columns = columns};
    struct snapshot *snapshot = snapshot_open(f->store);
    struct commit *commit = commit_create(f->store);
    commit_add_rows(commit, table_view_schema(snapshot_find_id(snapshot, f->table_id)), ids,
                    &batch);
    snapshot_close(snapshot);
    assert_int_equal(store_commit(f->store, commit, &f->position, &error), OK);
}

static void setup(struct made_store *f)
{
    made_store_open(
        f, &(struct made_options){.core_count = CORES, .engine = {.partial_memory = 16 << 20}});
    f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (int64_t i = 0; i < BATCHES; i++) {
        insert(f, i * BATCH);
        if (i + 1 == SEALED)
            made_store_seal(f);
    }
}

/* CSV, or "!" and the error's class. */
static void run(struct made_store *f, const char *text, const char *threads, const char *cache,
                char *out, size_t out_size)
{
    const struct made_setting settings[] = {
        {"freshet.partial_cache", cache}, {"freshet.threads", threads}, {0}};
    made_outcome(f->engine, text, settings, out, out_size);
}

static const char *const queries[] = {
    "SELECT count(*), sum(n), sum(ratio), stddev(ratio), avg(ratio), max(n) FROM t",
    ("SELECT kind, sum(ratio), stddev(ratio), approx_percentile(0.9, ratio), "
     "approx_count_distinct(n) FROM t WHERE n > 20 GROUP BY 1"),
    "SELECT date_trunc('second', ts), sum(ratio) FROM t WHERE ts > to_timestamp(3.5) GROUP BY 1",
    "SELECT n, count(*), stddev(ratio) FROM t WHERE n < 5000 GROUP BY 1", /* too many groups */
    "SELECT kind, sum(1 / (n - 90000)) FROM t GROUP BY 1",                /* 22012, in the middle */
};
#define SIZE (1 << 20)

static char *expected[array_count(queries)];

static void expect(struct made_store *f)
{
    for (size_t i = 0; i < array_count(queries); i++) {
        expected[i] = memory_alloc(SIZE);
        run(f, queries[i], "1", "off", expected[i], SIZE);
    }
    assert_string_equal(expected[array_count(queries) - 1], "! 22012");
}

static void forget(void)
{
    for (size_t i = 0; i < array_count(queries); i++)
        memory_free(expected[i]);
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct made_store f;
    char *got = memory_alloc(SIZE);
    setup(&f);
    expect(&f);
    for (int turn = 0; turn < 6; turn++) {
        for (size_t i = 0; i < array_count(queries); i++) {
            static const char *const threads[] = {"2", "3", "0"};
            run(&f, queries[i], threads[turn % 3], turn < 3 ? "off" : "on", got, SIZE);
            assert_string_equal(got, expected[i]);
        }
    }
    /* Whether a helper comes in time is up to the machine: on a busy one it takes some tries. */
    const char *helped = NULL;
    for (int i = 0; i < 1000 && helped == NULL; i++) {
        run(&f, "EXPLAIN ANALYZE SELECT kind, stddev(ratio) FROM t GROUP BY 1", "3", "off", got,
            SIZE);
        helped = strstr(got, " threads=");
    }
    assert_non_null(helped);
    const char *skipped = strstr(got, "blocks=");
    assert_non_null(skipped);
    assert_non_null(strstr(skipped, " skipped=0"));
    run(&f, "EXPLAIN ANALYZE SELECT kind, stddev(ratio) FROM t GROUP BY 1", "1", "off", got, SIZE);
    assert_null(strstr(got, " threads="));
    made_store_close(&f);
    forget();
    memory_free(got);
}

/* What is made ahead of its turn and finds no memory is made again. */
static void test_no_memory_ahead(void **state)
{
    (void)state;
    struct made_store f;
    char *got = memory_alloc(SIZE);
    setup(&f);
    expect(&f);
    fault_plant("crew.no_memory");
    for (size_t i = 0; i < array_count(queries); i++) {
        run(&f, queries[i], "0", "off", got, SIZE);
        assert_string_equal(got, expected[i]);
    }
    fault_clear();
    assert_int_equal(f.memory.used, 0);
    made_store_close(&f);
    forget();
    memory_free(got);
}

struct client {
    struct made_store *f;
    _Atomic uint32_t *left, *differences;
};

/* --- what is counted --- */

/* The figure of an answer's statistics; on one thread or more, given up portions or not. */
static uint64_t rows_scanned(struct made_store *f, const char *text, const char *threads)
{
    const struct made_setting settings[] = {
        {"freshet.partial_cache", "off"}, {"freshet.threads", threads}, {0}};
    return made_rows_scanned(f->engine, text, settings);
}

static void test_rows_count_once(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    static const char *const all[] = {
        "SELECT kind, stddev(ratio) FROM t GROUP BY 1",
        "SELECT n, stddev(ratio) FROM t GROUP BY 1", /* the first portion is given up */
        /* … one after others have been made, and more ahead of it */
        "SELECT CASE WHEN ts < to_timestamp(300) THEN 1 ELSE n END, stddev(n) FROM t GROUP BY 1",
    };
    for (size_t i = 0; i < array_count(all); i++) {
        assert_int_equal(rows_scanned(&f, all[i], "1"), BATCHES * BATCH);
        for (int turn = 0; turn < 5; turn++)
            assert_int_equal(rows_scanned(&f, all[i], "3"), BATCHES * BATCH);
    }
    fault_plant("crew.no_memory");
    assert_int_equal(rows_scanned(&f, all[0], "3"), BATCHES * BATCH);
    fault_clear();
    made_store_close(&f);
}

/* What EXPLAIN tells of the group and of its scan, where a portion in the middle is given up and
 * those behind it have been made; until a helper came, at least so often. */
static bool are_rows_told_once(struct made_store *f, int turns)
{
    static const char text[] = "EXPLAIN ANALYZE SELECT CASE WHEN ts >= to_timestamp(270) AND ts < "
                               "to_timestamp(300) THEN n ELSE 1 END, stddev(n) FROM t GROUP BY 1";
    char *got = memory_alloc(SIZE), group[64], scan[64];
    bool are = true, is_helped = false;
    snprintf(group, sizeof(group), " of %d ", BATCHES * BATCH);
    snprintf(scan, sizeof(scan), "  (rows=%d ", BATCHES * BATCH);
    for (int turn = 0; are && (turn < turns || (turn < 1000 && !is_helped)); turn++) {
        run(f, text, "3", "off", got, SIZE);
        is_helped = is_helped || strstr(got, " threads=") != NULL;
        are = strstr(got, group) != NULL && strstr(got, scan) != NULL;
    }
    assert_true(!are || is_helped);
    memory_free(got);
    return are;
}

/* The engine is made anew: helpers that came late, which look at faults, are gone then. */
static void plant(struct made_store *f, const char *fault)
{
    made_engine_stop(f);
    fault_plant(fault);
    made_engine_start(f);
}

static void test_rows_are_told_once(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    assert_true(are_rows_told_once(&f, 10));
    plant(&f, "crew.no_memory");
    assert_true(are_rows_told_once(&f, 3));
    plant(&f, "partial.taken_twice");
    assert_false(are_rows_told_once(&f, 1000));
    made_engine_stop(&f);
    fault_clear();
    made_engine_start(&f);
    made_store_close(&f);
}

static void ask_until_seen(void *context)
{
    struct client *client = context;
    char *got = memory_alloc(SIZE);
    while (*client->left > 1)
        run(client->f, queries[1], "0", "off", got, SIZE);
    memory_free(got);
    --*client->left;
}

/* The CPU time of helpers is in freshet.queries while they help: here it is a day for each. */
static void test_cpu_of_helpers(void **state)
{
    (void)state;
    struct made_store f;
    _Atomic uint32_t left = 2;
    char got[256] = "";
    setup(&f);
    struct client client = {.f = &f, .left = &left};
    fault_plant("crew.cpu_is_large");
    assert_int_equal(worker_submit(f.pool, WORKER_QUERY, ask_until_seen, &client), OK);
    while (strstr(got, "\nt\r") == NULL)
        run(&f, "SELECT max(cpu_ms) >= 86400000 AS is FROM freshet.queries", "1", "off", got,
            sizeof(got));
    left = 1;
    while (left > 0)
        thread_yield();
    fault_clear();
    made_store_close(&f);
}

/* --- under load --- */

static void ask(void *context)
{
    struct client *client = context;
    char *got = memory_alloc(SIZE);
    for (size_t i = 0; i < 2 * array_count(queries); i++) {
        size_t query = i % array_count(queries);
        run(client->f, queries[query], "0", i % 3 == 0 ? "on" : "off", got, SIZE);
        *client->differences += strcmp(got, expected[query]) != 0;
    }
    memory_free(got);
    --*client->left;
}

static void test_under_load(void **state)
{
    (void)state;
    struct made_store f;
    _Atomic uint32_t left = 6, differences = 0;
    setup(&f);
    expect(&f);
    struct client client = {.f = &f, .left = &left, .differences = &differences};
    for (int i = 0; i < 6; i++)
        assert_int_equal(worker_submit(f.pool, WORKER_QUERY, ask, &client), OK);
    while (left > 0)
        thread_yield();
    assert_int_equal(differences, 0);
    made_store_close(&f);
    forget();
}

/* --- many that ask the same at once --- */

static const char *const many =
    "SELECT n % 10000, count(*), sum(n), max(ts) FROM t WHERE ts >= to_timestamp(150) GROUP BY 1";
static char *many_expected;

static void ask_many(void *context)
{
    struct client *client = context;
    char *got = memory_alloc(SIZE);
    for (int i = 0; i < 4; i++) {
        run(client->f, many, "1", "on", got, SIZE);
        *client->differences += strcmp(got, many_expected) != 0;
    }
    memory_free(got);
    --*client->left;
}

static void ask_many_at_once(struct made_store *f)
{
    _Atomic uint32_t left = 6, differences = 0;
    struct client client = {.f = f, .left = &left, .differences = &differences};
    run(f, many, "1", "off", many_expected, SIZE);
    for (int i = 0; i < 6; i++)
        assert_int_equal(worker_submit(f->pool, WORKER_QUERY, ask_many, &client), OK);
    while (left > 0)
        thread_yield();
    assert_int_equal(differences, 0);
}

/* Portions of many groups, made and put together by whoever comes first; rows come, are sealed. */
static void test_runs_at_once(void **state)
{
    (void)state;
    struct made_store f;
    char *got = memory_alloc(SIZE);
    many_expected = memory_alloc(SIZE);
    setup(&f);
    for (int turn = 0; turn < 3; turn++) {
        ask_many_at_once(&f);
        if (turn == 0)
            insert(&f, BATCHES * BATCH);
        else
            made_store_seal(&f);
    }
    char text[256];
    snprintf(text, sizeof(text), "EXPLAIN ANALYZE %s", many);
    run(&f, text, "1", "on", got, SIZE);
    const char *found = strstr(got, " partials=");
    assert_non_null(found);
    assert_int_not_equal(found[strlen(" partials=")], '0');
    made_store_close(&f);
    memory_free(many_expected);
    memory_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),         cmocka_unit_test(test_no_memory_ahead),
        cmocka_unit_test(test_rows_count_once),    cmocka_unit_test(test_cpu_of_helpers),
        cmocka_unit_test(test_rows_are_told_once), cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_runs_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
