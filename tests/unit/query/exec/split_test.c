/* Groups of which each thread has half: the same bytes as of one thread, in the same order,
 * whatever keys and aggregates, when helpers fail, go or find no memory. */
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#include "storage/base/fault.h"
#include "storage/base/thread.h"

#include <math.h>

#define BATCH 27000
#define SEALED 6 /* batches */
#define BATCHES 8
#define CORES 3
#define SIZE ((size_t)32 << 20)

static const struct made_column columns[] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, 0},
    {"id", {.id = TYPE_INT8}, 0},
    {"far", {.id = TYPE_INT8}, 0},
    {"kind", {.id = TYPE_INT4}, 0},
    {"ratio", {.id = TYPE_FLOAT8}, 0},
    {"name", {.id = TYPE_TEXT}, 0},
    {"word", {.id = TYPE_TEXT}, 0},
    {"price", {.id = TYPE_NUMERIC, .precision = 12, .scale = 2}, 0},
};

/* Keys close together and far apart, of dictionaries and a text a row, doubles of all kinds, NULLs.
 */
static struct value cell(struct random_stream *chance, uint32_t column, uint32_t row,
                         struct arena *arena)
{
    uint64_t any = random_next(chance);
    struct value value = {.type = columns[column].type,
                          .is_null = column != 0 && column != 3 && any % 53 == 0};
    static const double doubles[] = {0.0, -0.0, 1e100, -1e100, 0.1, NAN, INFINITY};
    any /= 64;
    switch (column) {
    case 0:
        value.i = (int64_t)row * 1000;
        break;
    case 1:
        value.i = (int64_t)(any % 20000) - 5000;
        break;
    case 2:
        value.i = (int64_t)((any % 9000) * 0x9E3779B97F4A7C15U);
        break;
    case 3:
        value.i = (int64_t)(any % 13);
        break;
    case 4:
        value.f = any % 40 < 7 ? doubles[any % 40] : (double)(any % 1000003) / 7;
        break;
    case 5:
        value.text = slice_from_cstr(arena_printf(arena, "name %u", (unsigned)(any % 3000)));
        break;
    case 6:
        value.text = slice_from_cstr(
            arena_printf(arena, "%x of %u", (unsigned)(any % 100000), (unsigned)row % 3));
        break;
    default:
        value.n = (struct numeric){.digits = (int64_t)(any % 700), .scale = 2};
        break;
    }
    return value;
}

static struct made_store f;

/* The engine is made anew before a fault is planted: helpers that came late are gone then. */
static void plant(const char *fault) /* NULL: none */
{
    made_engine_stop(&f);
    if (fault != NULL)
        fault_plant(fault);
    else
        fault_clear();
    made_engine_start(&f);
}

static int setup(void **state)
{
    (void)state;
    made_store_open(&f, &(struct made_options){.memory_limit = 1024 << 20,
                                               .core_count = CORES,
                                               .has_temp = true,
                                               .engine = {.query_memory_limit = 512 << 20,
                                                          .partial_memory = 16 << 20}});
    f.table_id = made_table_create(f.store, columns, array_count(columns), &f.position);
    for (uint32_t i = 0; i < BATCHES; i++) {
        made_table_insert(f.store, f.table_id, array_count(columns), cell, i * BATCH, BATCH,
                          &f.position);
        if (i + 1 == SEALED || i + 1 == SEALED / 2)
            made_store_seal(&f);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    made_store_close(&f);
    return 0;
}

/* CSV, or "!" and the error's class. */
static void run(const char *text, const char *threads, const char *memory, char *out)
{
    const struct made_setting settings[] = {{"freshet.partial_cache", "off"},
                                            {"freshet.query_memory", memory},
                                            {"freshet.threads", threads},
                                            {0}};
    made_outcome(f.engine, text, settings, out, SIZE);
}

#define LARGE "400 MB"

#define DISC "percentile_disc(0.5) WITHIN GROUP (ORDER BY kind)"
#define MODE "mode() WITHIN GROUP (ORDER BY kind)"

/* Groups in the order of their first rows: there is no ORDER BY. */
static const char *const queries[] = {
    "SELECT id, sum(ratio), avg(ratio), stddev(ratio), " MODE " FROM t GROUP BY 1",
    "SELECT far, kind, " DISC ", min(ratio), sum(ratio) FROM t WHERE kind < 9 GROUP BY 1, 2",
    "SELECT name, approx_count_distinct(id), approx_percentile(0.9, ratio) FROM t GROUP BY 1",
    "SELECT word, string_agg(name, '+'), count(*) FROM t GROUP BY 1",
    "SELECT id, count(DISTINCT name), count(DISTINCT far), array_agg(kind) FROM t GROUP BY 1",
    "SELECT kind, word, sum(DISTINCT id), max(DISTINCT name) FROM t WHERE ratio < 9000 "
    "GROUP BY 1, 2",
    "SELECT date_trunc('minute', ts), name, " DISC " FROM t GROUP BY 1, 2",
    "SELECT ts, sum(id), avg(price), sum(kind), max(far), min(far) FROM t GROUP BY 1",
    "SELECT ts, min(name), max(name), min(word), avg(price) FROM t GROUP BY 1",
    "SELECT ts, id, corr(ratio, kind), sum(kind) FILTER (WHERE kind > 4) FROM t "
    "WHERE ts > to_timestamp(100) GROUP BY 1, 2",
    "SELECT id, sum(10 / (kind - 12)), " MODE " FROM t GROUP BY 1", /* 22012 */
    "SELECT id, " MODE ", sum(ratio) FROM t GROUP BY 1 HAVING count(*) > 9 LIMIT 3000",
    "SELECT c, count(*) FROM (SELECT far, " MODE " AS c FROM t GROUP BY 1) AS x GROUP BY 1",
    "SELECT DISTINCT id, name FROM t", /* few bytes: one thread */
    "SELECT far, " DISC " FROM (SELECT far, kind + 1 AS kind FROM t WHERE id > 0) AS x GROUP BY 1",
    "SELECT name, price, avg(ratio), " MODE " FROM t GROUP BY 2, 1",
};

static char *expected[array_count(queries)];

static void expect(void)
{
    if (expected[0] != NULL)
        return;
    for (size_t i = 0; i < array_count(queries); i++) {
        expected[i] = memory_alloc(SIZE);
        run(queries[i], "1", LARGE, expected[i]);
        assert_true(i == 10 || expected[i][0] != '!');
    }
    assert_string_equal(expected[10], "! 22012");
}

/* How many of the first `query_count` differ. How many groups there are is known from a run before.
 */
static uint32_t differences(const char *threads, size_t query_count)
{
    char *got = memory_alloc(SIZE);
    uint32_t count = 0;
    expect();
    for (size_t i = 0; i < query_count; i++) {
        run(queries[i], "1", LARGE, got);
        assert_string_equal(got, expected[i]);
        run(queries[i], threads, LARGE, got);
        count += strcmp(got, expected[i]) != 0;
    }
    memory_free(got);
    assert_int_equal(f.memory.used, 0);
    return count;
}

static void test_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(differences("2", array_count(queries)), 0);
}

/* Whether a helper comes in time is up to the machine: on a busy one it takes some tries. What two
 * have read is counted once. */
static void test_has_helpers(void **state)
{
    (void)state;
    static const char *const asked[] = {
        "EXPLAIN ANALYZE SELECT id, sum(ratio), " MODE " FROM t GROUP BY 1",
        "EXPLAIN ANALYZE SELECT word, approx_count_distinct(id) FROM t GROUP BY 1",
        ("EXPLAIN ANALYZE SELECT ts, sum(id), avg(price), sum(kind), max(far), min(far) FROM t "
         "GROUP BY 1")};
    char *got = memory_alloc(SIZE), rows[64];
    snprintf(rows, sizeof(rows), "  (rows=%d ", BATCHES * BATCH); /* the scan's */
    for (size_t i = 0; i < array_count(asked); i++) {
        const char *helped = NULL;
        run(asked[i], "1", LARGE, got);
        assert_null(strstr(got, " threads="));
        for (int turn = 0; turn < 1000 && helped == NULL; turn++) {
            run(asked[i], "3", LARGE, got);
            helped = strstr(got, " threads=");
            assert_true(i != 0 || strstr(got, rows) != NULL); /* others try portions first */
        }
        assert_non_null(helped);
        assert_non_null(strstr(got, " skipped=0"));
    }
    memory_free(got);
}

/* Helpers that go after each morsel, and no memory from some morsel on: rows are counted once. */
static void test_helpers_in_vain(void **state)
{
    (void)state;
    static const char *const faults[] = {"split.helper_goes", "split.no_memory"};
    static const struct made_setting settings[] = {{"freshet.partial_cache", "off"}, {0}};
    for (size_t i = 0; i < array_count(faults); i++) {
        plant(faults[i]);
        assert_int_equal(differences("0", 3), 0);
        assert_int_equal(made_rows_scanned(f.engine, queries[0], settings), BATCHES * BATCH);
        plant(NULL);
    }
    assert_int_equal(made_rows_scanned(f.engine, queries[0], settings), BATCHES * BATCH);
}

/* With less memory there is one thread in the end, and rows are put aside. */
static void test_little_memory(void **state)
{
    (void)state;
    static const char *const sorted[] = {
        "SELECT id, sum(ratio), " MODE " FROM t GROUP BY 1 ORDER BY 1",
        "SELECT word, count(*), count(DISTINCT id) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT far, kind, avg(ratio), " DISC " FROM t GROUP BY 1, 2 ORDER BY 1, 2"};
    static const char *const memory[] = {"12 MB", "3 MB"};
    char *want = memory_alloc(SIZE), *got = memory_alloc(SIZE);
    for (size_t i = 0; i < array_count(sorted); i++)
        for (size_t m = 0; m < array_count(memory); m++) {
            run(sorted[i], "1", LARGE, want); /* it is known how many there are */
            run(sorted[i], "3", memory[m], got);
            run(sorted[i], "1", memory[m], want);
            assert_string_equal(got, want);
        }
    assert_int_equal(f.memory.used, 0);
    memory_free(want);
    memory_free(got);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"split.row_lost", "split.order_lost"};
    for (size_t i = 0; i < array_count(faults); i++) {
        uint32_t found = 0;
        plant(faults[i]);
        for (int turn = 0; turn < 100 && found == 0; turn++)
            found = differences("3", 2);
        plant(NULL);
        if (found == 0)
            fail_msg("not found: %s", faults[i]);
    }
}

/* --- beside others --- */

struct client {
    _Atomic uint32_t *left, *differences;
};

static void ask(void *context)
{
    struct client *client = context;
    char *got = memory_alloc(SIZE);
    for (size_t i = 0; i < 3; i++) {
        run(queries[i], "0", LARGE, got);
        *client->differences += strcmp(got, expected[i]) != 0;
    }
    memory_free(got);
    --*client->left;
}

static void test_under_load(void **state)
{
    (void)state;
    _Atomic uint32_t left = 2, different = 0;
    struct client client = {.left = &left, .differences = &different};
    expect();
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_submit(f.pool, WORKER_QUERY, ask, &client), OK);
    while (left > 0)
        thread_yield();
    assert_int_equal(different, 0);
}

/* Out of time at any moment: nothing is left behind. */
static void test_time_runs_out(void **state)
{
    (void)state;
    for (int64_t us = 500; us < 100000; us += us) {
        struct query_request request = {.text = slice_from_cstr(queries[4]),
                                        .format = RESULT_CSV,
                                        .timeout_us = us,
                                        .max_rows = -1};
        struct query_answer answer;
        if (query_run(f.engine, &request, &answer) != OK)
            assert_string_equal(answer.error.sqlstate, "57014");
        writer_deinit(&answer.body);
        assert_int_equal(f.memory.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),       cmocka_unit_test(test_has_helpers),
        cmocka_unit_test(test_helpers_in_vain),  cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_faults_are_found), cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_time_runs_out),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    for (size_t i = 0; i < array_count(expected); i++)
        memory_free(expected[i]);
    return failed;
}
