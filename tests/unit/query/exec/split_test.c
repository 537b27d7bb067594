/* Groups of which each thread has half: the same bytes as of one thread, in the same order,
 * whatever keys and aggregates, when helpers fail, go or find no memory. */
#include "tests/unit/query/made_threads.h"

#include <math.h>

#define BATCH 27000
#define SEALED 6 /* batches */
#define BATCHES 8
#define CORES 3

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

static struct made_threads f = {
    .answer_size = (size_t)32 << 20,
    .memory = "400 MB",
    .queries = queries,
    .query_count = array_count(queries),
};

static int setup(void **state)
{
    (void)state;
    made_threads_open(&f,
                      &(struct made_options){
                          .memory_limit = 1024 << 20,
                          .core_count = CORES,
                          .has_temp = true,
                          .engine = {.query_memory_limit = 512 << 20, .partial_memory = 16 << 20}},
                      &(struct made_threads_rows){.columns = columns,
                                                  .column_count = array_count(columns),
                                                  .cell = cell,
                                                  .batch = BATCH,
                                                  .batches = BATCHES,
                                                  .sealed = SEALED});
    made_threads_expect(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        assert_true(i == 10 || f.expected[i][0] != '!');
    assert_string_equal(f.expected[10], "! 22012");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    made_threads_close(&f);
    return 0;
}

static void run(const char *text, const char *threads, const char *memory, char *out)
{
    made_threads_run(&f, text, threads, memory, out);
}

/* How many of the first `query_count` differ. How many groups there are is known from a run before.
 */
static uint32_t differences(const char *threads, size_t query_count)
{
    char *got = memory_alloc(f.answer_size);
    uint32_t count = 0;
    for (size_t i = 0; i < query_count; i++) {
        run(queries[i], "1", f.memory, got);
        assert_string_equal(got, f.expected[i]);
        count += made_threads_differs(&f, i, threads, got);
    }
    memory_free(got);
    assert_int_equal(f.store.memory.used, 0);
    return count;
}

static void test_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(differences("2", array_count(queries)), 0);
}

/* What two have read is counted once. */
static void test_has_helpers(void **state)
{
    (void)state;
    static const char *const asked[] = {
        "EXPLAIN ANALYZE SELECT id, sum(ratio), " MODE " FROM t GROUP BY 1",
        "EXPLAIN ANALYZE SELECT word, approx_count_distinct(id) FROM t GROUP BY 1",
        ("EXPLAIN ANALYZE SELECT ts, sum(id), avg(price), sum(kind), max(far), min(far) FROM t "
         "GROUP BY 1")};
    char *got = memory_alloc(f.answer_size), rows[64];
    snprintf(rows, sizeof(rows), "  (rows=%d ", BATCHES * BATCH); /* the scan's */
    for (size_t i = 0; i < array_count(asked); i++) {
        run(asked[i], "1", f.memory, got);
        assert_null(strstr(got, " threads="));
        made_threads_helped(&f, asked[i], got);
        assert_true(i != 0 || strstr(got, rows) != NULL); /* others try portions first */
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
        made_threads_plant(&f, faults[i]);
        assert_int_equal(differences("0", 3), 0);
        assert_int_equal(made_rows_scanned(f.store.engine, queries[0], settings), BATCHES * BATCH);
        made_threads_plant(&f, NULL);
    }
    assert_int_equal(made_rows_scanned(f.store.engine, queries[0], settings), BATCHES * BATCH);
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
    char *want = memory_alloc(f.answer_size), *got = memory_alloc(f.answer_size);
    for (size_t i = 0; i < array_count(sorted); i++)
        for (size_t m = 0; m < array_count(memory); m++) {
            run(sorted[i], "1", f.memory, want); /* it is known how many there are */
            run(sorted[i], "3", memory[m], got);
            run(sorted[i], "1", memory[m], want);
            assert_string_equal(got, want);
        }
    assert_int_equal(f.store.memory.used, 0);
    memory_free(want);
    memory_free(got);
}

/* A plan that has never run: how many groups there are is guessed from the first rows. */
static void run_first(const char *text, const char *threads, const char *memory, char *out)
{
    const struct made_setting settings[] = {{"freshet.partial_cache", "off"},
                                            {"freshet.plan_cache", "off"},
                                            {"freshet.query_memory", memory},
                                            {"freshet.threads", threads},
                                            {0}};
    made_outcome(f.store.engine, text, settings, out, f.answer_size);
}

static uint32_t first_differences(const char *threads, size_t query_count)
{
    char *got = memory_alloc(f.answer_size);
    uint32_t count = 0;
    for (size_t i = 0; i < query_count; i++) {
        run_first(queries[i], threads, f.memory, got);
        count += strcmp(got, f.expected[i]) != 0;
    }
    memory_free(got);
    assert_int_equal(f.store.memory.used, 0);
    return count;
}

static void test_first_run(void **state)
{
    (void)state;
    assert_int_equal(first_differences("1", array_count(queries)), 0);
    assert_int_equal(first_differences("2", array_count(queries)), 0);
}

/* About as many keys as there are: of 216,000 times, of 20,000 integers at random. */
static void test_first_run_has_room(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        unsigned long long least, most;
    } cases[] = {
        {"ts", BATCHES * BATCH / 2, BATCHES * BATCH * 2}, {"id", 8000, 60000}, {"kind", 0, 0}};
    char *got = memory_alloc(f.answer_size), text[128];
    for (size_t i = 0; i < array_count(cases); i++) {
        unsigned long long expected = 0, moved;
        snprintf(text, sizeof(text), "EXPLAIN ANALYZE SELECT %s, stddev(ratio) FROM t GROUP BY 1",
                 cases[i].key);
        run_first(text, "1", f.memory, got);
        const char *at = strstr(got, "(keys expected=");
        if (at != NULL)
            assert_int_equal(sscanf(at, "(keys expected=%llu moved=%llu)", &expected, &moved), 2);
        assert_in_range(expected, cases[i].least, cases[i].most);
    }
    memory_free(got);
}

/* Two threads of which the helper goes, or has no memory: what the sample had is counted once. */
static bool is_counted_once(char *got)
{
    static const char text[] = "EXPLAIN ANALYZE SELECT id, sum(ratio), " MODE " FROM t GROUP BY 1";
    char group[64], scan[64];
    const char *helped = NULL;
    snprintf(group, sizeof(group), " of %d ", BATCHES * BATCH);
    snprintf(scan, sizeof(scan), "  (rows=%d ", BATCHES * BATCH);
    for (int turn = 0; turn < 1000 && helped == NULL; turn++) {
        run_first(text, "3", f.memory, got);
        helped = strstr(got, " threads=");
        if (strstr(got, group) == NULL || strstr(got, scan) == NULL)
            return false;
    }
    assert_non_null(helped);
    return true;
}

static void test_first_run_is_counted_once(void **state)
{
    (void)state;
    static const char *const faults[] = {"split.helper_goes", "split.no_memory"};
    char *got = memory_alloc(f.answer_size);
    assert_true(is_counted_once(got));
    for (size_t i = 0; i < array_count(faults); i++) {
        made_threads_plant(&f, faults[i]);
        assert_true(is_counted_once(got));
        assert_int_equal(first_differences("3", 3), 0);
    }
    made_threads_plant(&f, "split.sample_counted");
    assert_false(is_counted_once(got));
    made_threads_plant(&f, NULL);
    memory_free(got);
}

static void test_first_run_in_little_memory(void **state)
{
    (void)state;
    static const char sorted[] = "SELECT id, sum(ratio), " MODE " FROM t GROUP BY 1 ORDER BY 1";
    static const char *const memory[] = {"40 MB", "12 MB", "3 MB"};
    char *want = memory_alloc(f.answer_size), *got = memory_alloc(f.answer_size);
    run_first(sorted, "1", f.memory, want);
    for (size_t i = 0; i < array_count(memory); i++) {
        run_first(sorted, "1", memory[i], got);
        assert_string_equal(got, want);
        run_first(sorted, "3", memory[i], got);
        assert_string_equal(got, want);
    }
    assert_int_equal(f.store.memory.used, 0);
    memory_free(want);
    memory_free(got);
}

static uint32_t first_differences_of_two(void)
{
    return first_differences("1", 2);
}

static void test_faults_of_first_runs_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"group.sample_twice"};
    made_threads_find(&f, faults, array_count(faults), first_differences_of_two);
}

static uint32_t differences_of_two(void)
{
    return differences("3", 2);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"split.row_lost", "split.order_lost"};
    made_threads_find(&f, faults, array_count(faults), differences_of_two);
}

static void test_under_load(void **state)
{
    (void)state;
    made_threads_together(&f, 2, 3);
}

static void test_time_runs_out(void **state)
{
    (void)state;
    for (int64_t us = 500; us < 100000; us += us)
        made_threads_run_out(&f, queries[4], us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_has_helpers),
        cmocka_unit_test(test_helpers_in_vain),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_time_runs_out),
        cmocka_unit_test(test_first_run),
        cmocka_unit_test(test_first_run_has_room),
        cmocka_unit_test(test_first_run_is_counted_once),
        cmocka_unit_test(test_first_run_in_little_memory),
        cmocka_unit_test(test_faults_of_first_runs_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
