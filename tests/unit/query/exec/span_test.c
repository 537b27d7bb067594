/* Groups of several threads: the same bytes as of one, whatever groups, aggregates and memory, and
 * when helpers fail or find no memory; and queries made at random. */
#include "storage/base/clock.h"
#include "tests/unit/query/made_threads.h"

#define BATCH 27000
#define SEALED 8 /* batches */
#define BATCHES 11
#define CORES 3

static const struct made_column columns[] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, 0},
    {"page", {.id = TYPE_TEXT}, 0},
    {"n", {.id = TYPE_INT8}, 0},
    {"far", {.id = TYPE_INT8}, 0},
    {"kind", {.id = TYPE_INT4}, 0},
    {"ratio", {.id = TYPE_FLOAT8}, 0},
    {"name", {.id = TYPE_TEXT}, 0},
    {"price", {.id = TYPE_NUMERIC, .precision = 12, .scale = 2}, 0},
};

/* Texts few and many, integers close together and far apart, doubles of all kinds, NULLs. */
static struct value cell(struct random_stream *chance, uint32_t column, uint32_t row,
                         struct arena *arena)
{
    uint64_t any = random_next(chance);
    struct value value = {.type = columns[column].type,
                          .is_null = column != 0 && column != 4 && any % 53 == 0};
    static const double doubles[] = {0.0, -0.0, 1e300, -1e300, 0.1};
    any /= 64;
    switch (column) {
    case 0:
        value.i = (int64_t)row * 1000 + (any % 5000 == 0 ? -9000000 : 0);
        break;
    case 1:
        value.text = slice_from_cstr(
            arena_printf(arena, "/page/%u", (unsigned)(any % 20 * (any / 32 % 100))));
        break;
    case 2:
        value.i = (int64_t)(any % 3000);
        break;
    case 3:
        value.i = (int64_t)((any % 1500) * 0x9E3779B97F4A7C15U);
        break;
    case 4:
        value.i = (int64_t)(any % 13);
        break;
    case 5:
        value.f = any % 40 < 5 ? doubles[any % 40] : (double)(any % 1000003) / 7;
        break;
    case 6:
        value.text = slice_from_cstr(
            arena_printf(arena, "name %u of %u", (unsigned)(any % 900), (unsigned)row % 3));
        break;
    default:
        value.n = (struct numeric){.digits = (int64_t)(any % 700), .scale = 2};
        break;
    }
    return value;
}

/* Groups in the order of their first rows: there is no ORDER BY where memory is large. */
static const char *const queries[] = {
    "SELECT page, count(*), sum(n), min(far), max(name), avg(price) FROM t GROUP BY 1",
    "SELECT page, count(*) AS c FROM t GROUP BY 1 ORDER BY c DESC, 1 LIMIT 10",
    "SELECT n, count(*) FILTER (WHERE kind > 4), max(ratio), min(ratio) FROM t GROUP BY 1",
    "SELECT far, kind, count(page), bool_and(n > 10) FROM t WHERE kind < 9 GROUP BY 1, 2",
    "SELECT page, name, count(*) FROM t WHERE kind = 3 GROUP BY 1, 2",
    "SELECT price, count(*) FROM t GROUP BY 1",
    "SELECT count(DISTINCT n), count(DISTINCT far), count(DISTINCT name), count(*) FROM t",
    "SELECT sum(DISTINCT n), max(DISTINCT name), count(DISTINCT ratio) FROM t WHERE kind <> 2",
    "SELECT kind, count(DISTINCT n), count(DISTINCT page), sum(DISTINCT price) FROM t GROUP BY 1",
    "SELECT page, count(DISTINCT kind), count(DISTINCT name) FROM t GROUP BY 1",
    "SELECT date_trunc('minute', ts), percentile_cont(0.9) WITHIN GROUP (ORDER BY ratio), count(*) "
    "FROM t GROUP BY 1",
    "SELECT page, percentile_cont(ARRAY[0, 0.5]) WITHIN GROUP (ORDER BY ratio) FROM t GROUP BY 1",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM t",
    "SELECT window_start, count(*), sum(price) FROM hop(t, ts, interval '1 s', interval '3 s') "
    "GROUP BY 1",
    "SELECT window_start, page, count(*) FROM hop(t, ts, interval '1 minute', interval '2 "
    "minutes') "
    "GROUP BY 1, 2",
    "SELECT n, sum(1000 / (far - 5)) FROM t WHERE ts > to_timestamp(100) GROUP BY 1",
    "SELECT name, sum(1 / (kind - 12)) FROM t GROUP BY 1", /* 22012 */
    "SELECT kind, count(DISTINCT 1 / (n - 2900)) FROM t GROUP BY 1",
    "SELECT ts, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 9", /* all are groups */
    "SELECT page, sum(ratio), stddev(n) FROM t GROUP BY 1", /* one thread: sums of doubles */
    "SELECT c, count(*) FROM (SELECT n, count(*) AS c FROM t GROUP BY 1) AS x GROUP BY 1",
    "SELECT page, min(DISTINCT ratio), max(DISTINCT ratio) FROM t WHERE ratio = 0 GROUP BY 1",
    "SELECT kind, min(DISTINCT CASE WHEN n % 2 = 0 THEN 1.0 ELSE 1.00 END) FROM t GROUP BY 1",
    "SELECT page, max(DISTINCT CASE WHEN n % 2 = 0 THEN interval '1 month' ELSE '30 days' END), "
    "sum(DISTINCT CASE WHEN far % 2 = 0 THEN 1.0 ELSE 1.00 END) FROM t GROUP BY 1",
};

static struct made_threads f = {
    .answer_size = (size_t)8 << 20,
    .memory = "200 MB",
    .queries = queries,
    .query_count = array_count(queries),
};

static int setup(void **state)
{
    (void)state;
    made_threads_open(&f,
                      &(struct made_options){
                          .memory_limit = 512 << 20,
                          .core_count = CORES,
                          .engine = {.query_memory_limit = 256 << 20, .partial_memory = 16 << 20}},
                      &(struct made_threads_rows){.columns = columns,
                                                  .column_count = array_count(columns),
                                                  .cell = cell,
                                                  .batch = BATCH,
                                                  .batches = BATCHES,
                                                  .sealed = SEALED});
    made_threads_expect(&f);
    assert_string_equal(f.expected[16], "! 22012");
    assert_string_equal(f.expected[17], "! 22012");
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

/* How many differ, of so many turns. */
static uint32_t differences(int turns)
{
    static const char *const threads[] = {"2", "3", "0"};
    char *got = memory_alloc(f.answer_size);
    uint32_t count = 0;
    for (int turn = 0; turn < turns; turn++)
        for (size_t i = 0; i < array_count(queries); i++)
            count += made_threads_differs(&f, i, threads[turn % 3], got);
    memory_free(got);
    assert_int_equal(f.store.memory.used, 0);
    return count;
}

static void test_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(differences(3), 0);
}

static void test_has_helpers(void **state)
{
    (void)state;
    static const char *const asked[] = {
        "EXPLAIN ANALYZE SELECT name, count(*) FROM t GROUP BY 1",
        "EXPLAIN ANALYZE SELECT count(DISTINCT n) FROM t",
        "EXPLAIN ANALYZE SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY ratio) FROM t",
        ("EXPLAIN ANALYZE SELECT window_start, sum(n) "
         "FROM hop(t, ts, interval '1 s', interval '2 s') GROUP BY 1")};
    char *got = memory_alloc(f.answer_size);
    for (size_t i = 0; i < array_count(asked); i++) {
        made_threads_helped(&f, asked[i], got);
        run(asked[i], "1", f.memory, got);
        assert_null(strstr(got, " threads="));
    }
    memory_free(got);
}

static uint64_t rows_scanned(const char *text)
{
    const struct made_setting settings[] = {{"freshet.partial_cache", "off"}, {0}};
    return made_rows_scanned(f.store.engine, text, settings);
}

/* By EXPLAIN, of the group and of its scan. */
static bool are_rows_told_once(void)
{
    char *got = memory_alloc(f.answer_size), group[64], scan[64];
    snprintf(group, sizeof(group), " of %d ", BATCHES * BATCH);
    snprintf(scan, sizeof(scan), "  (rows=%d ", BATCHES * BATCH);
    run("EXPLAIN ANALYZE SELECT count(DISTINCT far) FROM t", "3", f.memory, got);
    bool are = strstr(got, group) != NULL && strstr(got, scan) != NULL;
    memory_free(got);
    return are;
}

/* Helpers that find no memory, groups that there is no room to add, and the query's thread that has
 * to be alone in the middle: all is read again, and counted once. */
static void test_helpers_in_vain(void **state)
{
    (void)state;
    static const char *const faults[] = {"span.no_memory", "span.no_room", "span.leave"};
    for (size_t i = 0; i < array_count(faults); i++) {
        made_threads_plant(&f, faults[i]);
        assert_int_equal(differences(1), 0);
        assert_int_equal(rows_scanned("SELECT count(DISTINCT far) FROM t"), BATCHES * BATCH);
        assert_true(are_rows_told_once());
        made_threads_plant(&f, NULL);
    }
    for (int turn = 0; turn < 5; turn++)
        assert_int_equal(rows_scanned("SELECT name, count(*) AS c FROM t GROUP BY 1 ORDER BY c, 1 "
                                      "LIMIT 3"),
                         BATCHES * BATCH);
}

/* With less memory there is one thread from some row on, and rows are put aside. */
static void test_little_memory(void **state)
{
    (void)state;
    static const char *const sorted[] = {
        "SELECT name, count(*), max(n) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT kind, count(DISTINCT name), count(DISTINCT n) FROM t GROUP BY 1 ORDER BY 1",
        ("SELECT page, percentile_cont(0.9) WITHIN GROUP (ORDER BY ratio) FROM t "
         "GROUP BY 1 ORDER BY 1"),
        "SELECT count(DISTINCT name), count(DISTINCT far) FROM t"};
    static const char *const memory[] = {"32 MB", "12 MB", "6 MB", "3 MB", "1500 kB"};
    char *want = memory_alloc(f.answer_size), *got = memory_alloc(f.answer_size);
    for (size_t i = 0; i < array_count(sorted); i++)
        for (size_t m = 0; m < array_count(memory); m++) {
            run(sorted[i], "1", memory[m], want);
            for (int turn = 0; turn < 2; turn++) {
                run(sorted[i], "3", memory[m], got);
                assert_string_equal(got, want);
            }
        }
    assert_int_equal(f.store.memory.used, 0);
    memory_free(want);
    memory_free(got);
}

/* --- queries at random --- */

static const char *pick(struct random_stream *chance, const char *const *list, size_t count)
{
    return list[random_below(chance, count)];
}

static void make_query(struct random_stream *chance, char *out, size_t size)
{
    static const char *const keys[] = {"page",  "n",     "far",   "kind",     "name",
                                       "price", "n / 7", "ratio", "n % 1000", "ts"};
    static const char *const calls[] = {"count(*)",
                                        "count(name)",
                                        "count(DISTINCT n)",
                                        "count(DISTINCT page)",
                                        "count(DISTINCT far) FILTER (WHERE kind < 5)",
                                        "sum(DISTINCT kind)",
                                        "sum(n)",
                                        "avg(price)",
                                        "max(name)",
                                        "min(ratio)",
                                        "percentile_cont(0.3) WITHIN GROUP (ORDER BY ratio)",
                                        "sum(ratio)"};
    static const char *const where[] = {"",
                                        "WHERE kind < 7",
                                        "WHERE n > 1500",
                                        "WHERE page > '/page/5'",
                                        "WHERE ts > to_timestamp(200)",
                                        "WHERE ratio < 1000"};
    size_t key_count = random_below(chance, 3), call_count = 1 + random_below(chance, 3);
    int at = snprintf(out, size, "SELECT ");
    for (size_t i = 0; i < key_count; i++)
        at += snprintf(out + at, size - (size_t)at, "%s, ", pick(chance, keys, array_count(keys)));
    for (size_t i = 0; i < call_count; i++)
        at += snprintf(out + at, size - (size_t)at, "%s%s", i == 0 ? "" : ", ",
                       pick(chance, calls, array_count(calls)));
    at += snprintf(out + at, size - (size_t)at, " FROM t %s",
                   pick(chance, where, array_count(where)));
    for (size_t i = 0; i < key_count; i++)
        at += snprintf(out + at, size - (size_t)at, "%s%zu", i == 0 ? " GROUP BY " : ", ", i + 1);
}

static void test_random(void **state)
{
    (void)state;
    const char *given = getenv("FRESHET_SPAN_QUERIES");
    long count = given != NULL ? strtol(given, NULL, 10) : 16;
    char *want = memory_alloc(f.answer_size), *got = memory_alloc(f.answer_size), text[1024];
    struct random_stream chance;
    random_stream_init(&chance, given != NULL ? (uint64_t)clock_monotonic_us() : 7);
    for (long i = 0; i < count; i++) {
        make_query(&chance, text, sizeof(text));
        run(text, "1", f.memory, want);
        run(text, i % 2 == 0 ? "2" : "3", f.memory, got);
        if (strcmp(got, want) != 0)
            fail_msg("differs: %s", text);
    }
    memory_free(want);
    memory_free(got);
}

/* --- planted faults --- */

static uint32_t differences_of_a_turn(void)
{
    return differences(1);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"span.rows_twice", "span.values_lost", "span.seen_again",
                                         "span.null_text", "span.other_result"};
    made_threads_find(&f, faults, array_count(faults), differences_of_a_turn);
}

static void test_under_load(void **state)
{
    (void)state;
    made_threads_together(&f, 3, array_count(queries));
}

static void test_time_runs_out(void **state)
{
    (void)state;
    for (int64_t us = 500; us < 60000; us += us / 4)
        made_threads_run_out(&f, queries[9], us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),      cmocka_unit_test(test_has_helpers),
        cmocka_unit_test(test_helpers_in_vain), cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_random),          cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_under_load),      cmocka_unit_test(test_time_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
