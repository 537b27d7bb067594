/* GROUP portion by portion against GROUP row by row, over sealed and mutable segments, with what
 * earlier queries left and without, before and after all that changes what rows there are. */
#include "query/query.h"

#include "tests/unit/planted.h"
#include "tests/unit/query/made_events.h"
#include "tests/unit/zones.h"

#define ROWS MADE_EVENTS_ROWS
#define NEWEST MADE_EVENTS_NEWEST
#define CHUNK_ROWS 40000 /* more than what is put together of small chunks */

static void insert(struct made_store *f, uint32_t first, uint32_t count)
{
    made_events_insert(f, MADE_EVENT_COLUMNS, made_event_cell, first, count);
}

static size_t partial_memory = 16 << 20, query_memory = 64 << 20;

static void setup(struct made_store *f)
{
    made_store_open(f, &(struct made_options){.engine = {.query_memory_limit = query_memory,
                                                         .partial_memory = partial_memory}});
    made_events_begin(f, MADE_EVENT_COLUMNS, made_event_cell);
    made_store_seal(f);
    made_events_end(f, MADE_EVENT_COLUMNS, made_event_cell);
}

static char answers[2][8 << 20];

static void run_with(struct made_store *f, const char *text, const char *cache, const char *zone,
                     char *out)
{
    const struct made_setting settings[] = {
        {"freshet.partial_cache", cache}, {"timezone", zone}, {0}};
    made_answer(f->engine, text, settings, out, sizeof(answers[0]));
}

static void run(struct made_store *f, const char *text, char *out)
{
    run_with(f, text, "on", "UTC", out);
}

/* @ stands for the table. A LIMIT between keeps rows from being grouped by portion. */
static void assert_as_row_by_row(struct made_store *f, const char *query)
{
    bool is_hop = strstr(query, "hop(@") != NULL;
    run(f, made_put(query, "t"), answers[0]);
    run(f,
        made_put(query, is_hop ? "(SELECT * FROM t LIMIT 100000000)"
                               : "(SELECT * FROM t LIMIT 100000000) AS t"),
        answers[1]);
    if (strcmp(answers[0], answers[1]) != 0)
        fail_msg("%s: %.300s, row by row %.300s", query, answers[0], answers[1]);
}

#define SINCE "timestamptz '1970-01-01 00:00:50.5+00'"
/* Groups come in order of first sight: no query has an ORDER BY. */
static const char *const queries[] = {
    "SELECT count(*), sum(n), avg(n), min(n), max(ts) FROM @",
    "SELECT count(*), sum(n), max(kind), min(word) FROM @ WHERE kind = 'nowhere'",
    "SELECT kind, count(*), sum(n), sum(price), max(word), any_value(kind) FROM @ GROUP BY 1",
    "SELECT date_trunc('second', ts), kind, count(n), avg(price) FROM @ GROUP BY 1, 2",
    "SELECT word, kind, n IS NULL, count(*), max(ts) FROM @ GROUP BY 1, 2, 3",
    "SELECT word, approx_count_distinct(n), approx_percentile(0.9, ratio) FROM @ GROUP BY 1",
    "SELECT approx_count_distinct(n), approx_percentile(0.5, ratio), bit_xor(n) FROM @",
    "SELECT n IS NULL, first(word, ts), last(price, ts), bool_or(kind = 'red') FROM @ GROUP BY 1",
    "SELECT kind, round(sum(ratio)::numeric, 2), round(stddev(ratio)::numeric, -6) FROM @ "
    "GROUP BY 1",
    "SELECT kind, count(*) FILTER (WHERE word < 'w2'), max(price) FROM @ WHERE ts >= " SINCE
    " AND n IS NOT NULL GROUP BY 1",
    "SELECT DISTINCT kind, word FROM @",
    "SELECT n, count(*), min(word) FROM @ GROUP BY 1", /* too many groups for portions */
    "SELECT ts, max(price) FROM @ WHERE ts > " SINCE " GROUP BY 1",
    "SELECT k, sum(c) FROM (SELECT upper(kind) AS k, n + 1 AS c FROM @ WHERE n < 1000) s "
    "WHERE c > -1000 GROUP BY 1",
    "SELECT kind, count(DISTINCT word), string_agg(kind, '') IS NULL FROM @ GROUP BY 1",
    "SELECT window_start, window_end, kind, count(*), sum(n), max(word), min(price) "
    "FROM hop(@, ts, '1 second', '3 seconds') WHERE ts >= " SINCE " GROUP BY 1, 2, 3",
    "SELECT window_end, count(*), max(ts) FROM hop(@, ts, '1 minute', '2 minutes') "
    "WHERE n IS NOT NULL GROUP BY 1",
    "SELECT window_start, word, max(n), count(price) FROM hop(@, ts, '1 ms', '5 ms') "
    "WHERE ts < to_timestamp(6) GROUP BY 1, 2", /* given up within a batch */
    "SELECT count(*), sum(n) FROM hop(@, ts, '1 day', '7 days')",
    "SELECT window_start, word, count(*), sum(n) FROM hop(@, ts, '10 s', '20 s') WHERE word < "
    "'w20' GROUP BY 1, 2",
};

static void test_same_answers(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        assert_as_row_by_row(&f, queries[i]);
    made_store_close(&f);
}

/* --- kept --- */

#define SUMS                                                                                       \
    "count(*), sum(n), sum(ratio), avg(ratio), stddev(ratio), max(word), min(price), "             \
    "approx_percentile(0.9, ratio), approx_count_distinct(n)"
/* @: where the window begins, in seconds. */
static const char *const panels[] = {
    "SELECT " SUMS " FROM t WHERE ts >= to_timestamp(@)",
    "SELECT kind, " SUMS " FROM t WHERE ts >= to_timestamp(@) AND ts < to_timestamp(72) GROUP BY "
    "1",
    "SELECT word, sum(ratio), max(kind) FROM t WHERE ts > to_timestamp(@) AND n < 900000 GROUP BY "
    "1",
    "SELECT word, sum(ratio), max(kind) FROM t WHERE ts > to_timestamp(@) AND n < 800000 GROUP BY "
    "1",
    "SELECT date_trunc('day', ts), kind, avg(ratio), min(price) FROM t WHERE to_timestamp(@) <= ts "
    "GROUP BY 1, 2",
    "SELECT ts::date, extract(hour FROM ts), count(*) FROM t WHERE ts >= to_timestamp(@) "
    "GROUP BY 1, 2",
    "SELECT kind || '2', count(*) FILTER (WHERE word > 'w2' AND ts > to_timestamp(@)) FROM t GROUP "
    "BY 1",
    "SELECT k, stddev(ratio) FROM (SELECT kind AS k, * FROM t WHERE ts >= to_timestamp(@)) s GROUP "
    "BY 1",
    "SELECT kind, count(*), sum(ratio) FROM t WHERE ts >= to_timestamp(@) AND ts < "
    "to_timestamp(1000) GROUP BY 1",
    "SELECT kind, count(*), sum(ratio) FROM t WHERE ts >= to_timestamp(@) AND ts < "
    "to_timestamp(70) GROUP BY 1", /* the same, but for half of a portion */
    "SELECT age(ts) < interval '1 day', count(*) FROM t WHERE ts > to_timestamp(@) GROUP BY 1",
    "SELECT window_start, kind, sum(ratio), max(price) FROM hop(t, ts, '5 s', '10 s') "
    "WHERE ts >= to_timestamp(@) GROUP BY 1, 2",
    "SELECT window_start, kind, sum(ratio), max(price) FROM hop(t, ts, '5 s', '15 s') "
    "WHERE ts >= to_timestamp(@) GROUP BY 1, 2",
    "SELECT window_start::date, stddev(ratio), count(*) FROM hop(t, ts, '1 day', '2 days') "
    "WHERE ts >= to_timestamp(@) GROUP BY 1",
    "SELECT sum(ratio), count(*) FROM hop(t, ts, '5 s', '10 s') WHERE ts >= to_timestamp(@) AND "
    "window_start < to_timestamp(60)",
};
static const char *const zones[] = {"UTC", "Asia/Kathmandu"};
static const char *const windows[] = {"0", "0.5"};

static bool is_zoned(const char *query)
{
    return strstr(query, "date") != NULL;
}

/* Is the answer another one than without the cache, to the last digit, in one of so many times? */
static bool is_one_different(struct made_store *f, const char *query, const char *zone, int times)
{
    run_with(f, query, "off", zone, answers[0]);
    for (int time = 0; time < times; time++) {
        run_with(f, query, "on", zone, answers[1]);
        if (strcmp(answers[0], answers[1]) == 0)
            continue;
        if (!atomic_load(&fault_is_planted))
            print_message("%s: %.300s, not %.300s\n", query, answers[1], answers[0]);
        return true;
    }
    return false;
}

static bool is_different(struct made_store *f)
{
    for (size_t window = 0; window < array_count(windows); window++)
        for (size_t panel = 0; panel < array_count(panels); panel++)
            for (size_t zone = 0; zone < (is_zoned(panels[panel]) ? 2 : 1); zone++)
                if (is_one_different(f, made_put(panels[panel], windows[window]), zones[zone], 1))
                    return true;
    return false;
}

static void insert_rows(struct made_store *f, uint32_t first, uint32_t count)
{
    for (uint32_t row = 0; row < count; row += 10000)
        insert(f, first + row, 10000);
}

static void refill(struct made_store *f, uint32_t first)
{
    insert_rows(f, first, ROWS);
    made_store_seal(f);
}

static bool is_ever_different(void *context)
{
    (void)context;
    struct made_store f;
    setup(&f);
    bool is = false;
    for (int step = 0; !is && step < 7; step++) {
        if (step == 1) {
            insert(&f, 500, 3000); /* late */
            made_column_replace(&f, MADE_KIND, "violet");
        } else if (step == 2) {
            made_store_change(&f, CHANGE_TRUNCATE, NULL);
            refill(&f, 7);
        } else if (step == 3) {
            made_store_change(&f, CHANGE_DROP, NULL);
            f.table_id =
                made_table_create(f.store, made_event_columns, MADE_EVENT_COLUMNS, &f.position);
            refill(&f, 11);
        } else if (step == 4) {
            insert_rows(&f, 13, CHUNK_ROWS); /* full chunks, and one that is not */
        } else if (step == 5) {
            insert(&f, 17, NEWEST);
        } else if (step == 6) {
            made_store_seal(&f);
        }
        is = is_different(&f);
    }
    made_store_close(&f);
    return is;
}

static void test_kept_answers(void **state)
{
    (void)state;
    assert_false(is_ever_different(NULL));
}

/* A chunk in memory that is full is kept, the one that takes rows is not. */
static void test_chunks_are_kept(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    static const char *const query = "EXPLAIN ANALYZE SELECT kind, sum(ratio) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    insert_rows(&f, 5, CHUNK_ROWS);
    run(&f, made_put(query, "0"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=0 of 5 kept"));
    insert(&f, 5, NEWEST);
    run(&f, made_put(query, "0"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=4 of 5 kept"));
    made_store_close(&f);
}

/* Rows that come in steps of all sizes to chunks that are not full: what is kept of those, and
 * where pieces are given up. @: the table, and where the window begins. */
static const char *const piece_queries[] = {
    "SELECT kind, count(*), sum(n), max(word), min(price) FROM @ WHERE ts >= to_timestamp(90) "
    "GROUP BY 1",
    "SELECT count(*), sum(n), max(ts), approx_count_distinct(n) FROM @ WHERE ts >= "
    "to_timestamp(90)",
    "SELECT CASE WHEN ts < to_timestamp(125) THEN 0 ELSE n END, count(*), sum(n) FROM @ "
    "WHERE ts >= to_timestamp(90) GROUP BY 1",
    "SELECT window_start, kind, count(*), sum(n) FROM hop(@, ts, '5 s', '10 s') "
    "WHERE ts >= to_timestamp(90) GROUP BY 1, 2",
};
static const char *const piece_panels[] = {
    "SELECT " SUMS " FROM t WHERE ts >= to_timestamp(@)",
    "SELECT kind, " SUMS " FROM t WHERE ts >= to_timestamp(@) AND n < 900000 GROUP BY 1",
    ("SELECT CASE WHEN ts < to_timestamp(125) THEN 0 ELSE n END, sum(ratio), max(word) FROM t "
     "WHERE ts >= to_timestamp(@) GROUP BY 1"),
};
static const char *const piece_windows[] = {"90", "101", "0"};

static bool are_pieces_different(struct made_store *f)
{
    for (size_t panel = 0; panel < array_count(piece_panels); panel++)
        for (size_t window = 0; window < array_count(piece_windows); window++)
            if (is_one_different(f, made_put(piece_panels[panel], piece_windows[window]), "UTC", 1))
                return true;
    return false;
}

static bool are_pieces_ever_different(void *context)
{
    (void)context;
    static const uint32_t steps[] = {1,    63,   64,    65,   1983, 2048, 2049, 4095, 4096,
                                     8191, 8192, 10000, 5000, 1,    2047, 9000, 100};
    struct made_store f;
    uint32_t row = 100000;
    bool is = false;
    setup(&f);
    for (size_t step = 0; !is && step < array_count(steps); step++) {
        insert(&f, row, steps[step]);
        row += steps[step];
        for (size_t i = 0; !atomic_load(&fault_is_planted) && i < array_count(piece_queries); i++)
            assert_as_row_by_row(&f, piece_queries[i]);
        is = are_pieces_different(&f);
        if (step != 10)
            continue;
        made_store_change(&f, CHANGE_TRUNCATE, NULL);
        refill(&f, 7);
        row = 100000;
    }
    made_store_close(&f);
    return is;
}

static void test_pieces(void **state)
{
    (void)state;
    struct made_store f;
    assert_false(are_pieces_ever_different(NULL));
    static const char *const query = "EXPLAIN ANALYZE SELECT kind, sum(ratio) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    static const struct {
        uint32_t rows; /* that come before */
        const char *kept;
    } times[] = {{54000, "=0 of 7 kept"}, /* two segments, 32,256 rows in chunks, pieces */
                 {0, "=6 of 7 kept"},
                 {3000, "=6 of 7 kept"},
                 {6000, "=3 of 5 kept"}, /* the chunk is full */
                 {0, "=4 of 5 kept"}};
    setup(&f);
    for (size_t i = 0; i < array_count(times); i++) {
        if (times[i].rows != 0)
            insert(&f, 100000, times[i].rows);
        run(&f, made_put(query, "0"), answers[0]);
        if (strstr(answers[0], times[i].kept) == NULL)
            fail_msg("time %zu: %s", i, answers[0]);
    }
    made_store_close(&f);
}

/* Many groups: a share of rows that only pays for who asks again. */
static const char *const many[] = {
    "SELECT n % 700, count(*), sum(n), max(word), min(price) FROM t WHERE ts >= to_timestamp(@) "
    "GROUP BY 1",
    "SELECT word, n % 7, bool_or(kind = 'red'), avg(price) FROM t WHERE ts >= to_timestamp(@) "
    "GROUP BY 1, 2",
    "SELECT n % 700, sum(ratio), stddev(ratio) FROM t WHERE ts >= to_timestamp(@) GROUP BY 1",
    "SELECT page, count(*), sum(n) FROM t WHERE ts >= to_timestamp(@) GROUP BY 1",
    "SELECT page, sum(n) FROM t WHERE ts >= to_timestamp(@) AND kind <> 'red' GROUP BY 1 "
    "ORDER BY 2 DESC, 1 LIMIT 20",
    "SELECT kind, page, max(word), count(n) FROM t WHERE ts >= to_timestamp(@) GROUP BY 1, 2",
    "SELECT n, count(*) FROM t WHERE ts >= to_timestamp(@) GROUP BY 1", /* too many even so */
    "SELECT window_start, word, count(*), sum(n) FROM hop(t, ts, '2 s', '6 s') "
    "WHERE ts >= to_timestamp(@) GROUP BY 1, 2",
    "SELECT window_start, n, count(*) FROM hop(t, ts, '1 s', '2 s') "
    "WHERE ts >= to_timestamp(@) AND ts < to_timestamp(20) GROUP BY 1, 2",
};

static bool is_many_different(struct made_store *f)
{
    for (size_t panel = 0; panel < array_count(many); panel++)
        if (is_one_different(f, made_put(many[panel], "0.5"), "UTC", 4))
            return true;
    return false;
}

static void add_segments(struct made_store *f, uint32_t first)
{
    for (uint32_t i = 0; i < 4; i++) {
        insert(f, first + i, NEWEST);
        made_store_seal(f);
    }
}

static bool is_many_ever_different(void *context)
{
    (void)context;
    struct made_store f;
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    bool is = is_many_different(&f);
    for (int step = 0; !is && step < 4; step++) {
        if (step == 0) {
            add_segments(&f, 500); /* late */
        } else if (step == 1) {
            insert_rows(&f, 13, CHUNK_ROWS);
        } else if (step == 2) {
            insert(&f, 17, NEWEST);
        } else {
            made_store_change(&f, CHANGE_TRUNCATE, NULL);
            refill(&f, 7);
            add_segments(&f, 2500);
            add_segments(&f, 900);
            add_segments(&f, 1700);
        }
        is = is_many_different(&f);
    }
    made_store_close(&f);
    return is;
}

static void test_many_groups(void **state)
{
    (void)state;
    struct made_store f;
    assert_false(is_many_ever_different(NULL));
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    static const char *const query = "EXPLAIN ANALYZE SELECT n % 700, count(*) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    static const char *const kept[] = {"", "=0 of 6 kept", "=6 of 6 kept", "=6 of 6 kept"};
    for (size_t time = 0; time < array_count(kept); time++) {
        run(&f, made_put(query, "0"), answers[0]);
        if (strstr(answers[0], kept[time]) == NULL)
            fail_msg("time %zu: %s", time, answers[0]);
    }
    made_store_close(&f);

    /* Nothing is made that there is no room to keep. */
    partial_memory = 1 << 20;
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    for (size_t time = 0; time < array_count(kept); time++) {
        run(&f, made_put(query, "0"), answers[0]);
        assert_null(strstr(answers[0], " of 6 kept"));
    }
    made_store_close(&f);
    partial_memory = 16 << 20;
}

/* Texts of some partial results are copied, since there is no memory to hold more of them; and
 * nothing stays charged. */
static void test_little_memory(void **state)
{
    (void)state;
    struct made_store f;
    for (query_memory = 16 << 20; query_memory >= 4 << 20; query_memory /= 2) {
        setup(&f);
        add_segments(&f, ROWS + 2 * NEWEST);
        const char *query = made_put(many[3], "0");
        for (int time = 0; time < 6; time++) {
            if (time == 4)
                add_segments(&f, 1500);
            run_with(&f, query, "off", "UTC", answers[0]);
            run_with(&f, query, "on", "UTC", answers[1]);
            assert_string_equal(answers[0], answers[1]);
            assert_int_equal(atomic_load(&f.memory.used), 0);
        }
        made_store_close(&f);
    }
    query_memory = 64 << 20;
}

/* A slid window reads what is new and where it begins, nothing between. */
static void test_little_is_read(void **state)
{
    (void)state;
    struct made_store f;
    setup(&f);
    static const char *const query = "EXPLAIN ANALYZE SELECT kind, sum(ratio) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    run(&f, made_put(query, "0"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=0 of 3 kept"));
    run(&f, made_put(query, "1.5"), answers[0]); /* the second block is kept by itself */
    assert_non_null(strstr(answers[0], " partials=1 of 4 kept"));
    run(&f, made_put(query, "2.5"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=2 of 4 kept"));
    run_with(&f, made_put(query, "0"), "off", "UTC", answers[0]);
    assert_non_null(strstr(answers[0], " partials=0 of 3 kept"));
    static const char *const hop = "EXPLAIN ANALYZE SELECT window_start, sum(ratio) FROM hop(t, "
                                   "ts, '5 s', '10 s') WHERE ts >= to_timestamp(@) GROUP BY 1";
    run(&f, made_put(hop, "0"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=0 of 3 kept"));
    run(&f, made_put(hop, "1.5"), answers[0]);
    assert_non_null(strstr(answers[0], " partials=1 of 4 kept"));
    made_store_close(&f);
}

/* Rows of a portion that is given up are read again, and told once. */
static bool are_rows_told_once(void)
{
    struct made_store f;
    char want[64];
    setup(&f);
    run(&f, "SELECT count(*) FROM t", answers[0]);
    const char *count = strpbrk(answers[0], "0123456789");
    assert_non_null(count);
    snprintf(want, sizeof(want), "(rows=%ld ", strtol(count, NULL, 10));
    run(&f, "EXPLAIN ANALYZE SELECT n, count(*), min(word) FROM t GROUP BY 1", answers[0]);
    const char *scan = strstr(answers[0], "Scan on t");
    assert_non_null(scan);
    bool are = strstr(scan, want) != NULL;
    made_store_close(&f);
    return are;
}

static void test_rows_are_told_once(void **state)
{
    (void)state;
    assert_true(are_rows_told_once());
    fault_plant("partial.counted_twice");
    bool are = are_rows_told_once();
    fault_clear();
    assert_false(are);
}

#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */
static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {
        "partial.stale_after_truncate", "partial.bounds_ignored",  "partial.combine_order",
        "partial.zone_ignored",         "partial.columns_ignored", "partial.values_ignored",
        "partial.hop_size_ignored",     "partial.half_as_whole",   "view.open_chunk"};
    static const char *const many_faults[] = {
        "partial.run_twice", "partial.run_of_any", "partial.many_doubles", "partial.copied_states",
        "partial.rows_left", "keys.noted",         "hop.keeps_rows"};
    static const char *const piece_faults[] = {"partial.open_piece"};
    planted_are_seen(faults, array_count(faults), is_ever_different, NULL);
    planted_are_seen(many_faults, array_count(many_faults), is_many_ever_different, NULL);
    planted_are_seen(piece_faults, array_count(piece_faults), are_pieces_ever_different, NULL);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),     cmocka_unit_test(test_little_is_read),
        cmocka_unit_test(test_chunks_are_kept),  cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_little_memory),    cmocka_unit_test(test_kept_answers),
        cmocka_unit_test(test_pieces),           cmocka_unit_test(test_rows_are_told_once),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_faults_are_found),
#endif
    };
    timezone_set_loader(zones_load);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
