/* GROUP portion by portion against GROUP row by row, over sealed and mutable segments, with what
 * earlier queries left and without, before and after all that changes what rows there are. */
#include "query/query.h"

#include "storage/base/fault.h"
#include "storage/io/sim.h"
#include "tests/unit/query/made_table.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS 70000 /* two blocks */
#define NEWEST 3000
#define CHUNK_ROWS 40000 /* more than what is put together of small chunks */
#define COLUMNS 7
#define KIND 5

struct fixture {
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct query_engine *engine;
    struct budget memory;
    uint64_t position;
    uint32_t table_id;
};

static const struct made_column definitions[COLUMNS] = {
    {"ts", {.id = TYPE_TIMESTAMPTZ}, INDEX_OFF},
    {"n", {.id = TYPE_INT8}, INDEX_OFF}, /* half of them NULL in places */
    {"price", {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}, INDEX_OFF},
    {"ratio", {.id = TYPE_FLOAT8}, INDEX_OFF}, /* sums depend on the order */
    {"word", {.id = TYPE_TEXT}, INDEX_ON},     /* 300 values */
    {"kind", {.id = TYPE_TEXT}, INDEX_OFF},
    {"page", {.id = TYPE_TEXT}, INDEX_OFF}, /* ever more of them, NULL and '' among them */
};

static struct value make_cell(struct random_stream *chance, uint32_t column, uint32_t row,
                              struct arena *arena)
{
    (void)arena;
    struct value value = {.type = definitions[column].type};
    static const char *const words[] = {"red", "green", "blue"};
    static char names[300][8], pages[100000][16];
    uint32_t page;
    uint32_t name = (uint32_t)random_below(chance, 300);
    switch (column) {
    case 0:
        value.i = (int64_t)row * 1000 + (int64_t)random_below(chance, 3000);
        break;
    case 1:
        value.is_null = row > 40000 && random_below(chance, 2) == 0;
        value.i = (int64_t)random_next(chance) >> (row < 40000 ? 1 : 40);
        break;
    case 2:
        value.n = (struct numeric){.digits = random_below(chance, 5) == 0 ? row : 0, .scale = 2};
        value.n.kind = row > ROWS && row % 1000 == 0 ? NUMERIC_NAN : NUMERIC_FINITE;
        break;
    case 3:
        value.f =
            ((double)random_below(chance, 1000000) - 500000) / 7 + (row % 3000 == 0 ? 1e15 : 0);
        break;
    case 4:
        snprintf(names[name], sizeof(names[name]), "w%u", name);
        value.text = slice_from_cstr(names[name]);
        break;
    case 6:
        page = (uint32_t)random_below(chance, row / 16 + 2);
        value.is_null = page % 1000 == 999;
        snprintf(pages[row % 100000], sizeof(pages[0]), "/page/%u", page);
        value.text = slice_from_cstr(page % 1000 == 0 ? "" : pages[row % 100000]);
        break;
    default:
        value.text = slice_from_cstr(words[random_below(chance, 3)]);
        break;
    }
    return value;
}

static void insert(struct fixture *f, uint32_t table_id, uint32_t first, uint32_t count)
{
    made_table_insert(f->store, table_id, COLUMNS, make_cell, first, count, &f->position);
}

static size_t partial_memory = 16 << 20, query_memory = 64 << 20;

static void setup(struct fixture *f)
{
    struct error error;
    *f = (struct fixture){.memory = {.limit = 256 << 20, .name = "queries"}};
    f->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(f->sim, &f->io);
    struct store_options options = {
        .io = f->io, .directory = "data", .log_file_size = 4 << 20, .rows_memory_limit = 64 << 20};
    assert_int_equal(store_open(&options, &f->store, &error), OK);
    struct query_engine_options engine = {.store = f->store,
                                          .memory = &f->memory,
                                          .query_memory_limit = query_memory,
                                          .statement_timeout_us = 30000000,
                                          .max_rows = 1000000,
                                          .partial_memory = partial_memory};
    f->engine = query_engine_create(&engine);
    uint32_t id = f->table_id = made_table_create(f->store, definitions, COLUMNS, &f->position);
    for (uint32_t row = 0; row < ROWS; row += 10000)
        insert(f, id, row, 10000);
    assert_int_equal(store_checkpoint(f->store, &error), OK);
    insert(f, id, ROWS, NEWEST); /* one more segment, small */
    assert_int_equal(store_checkpoint(f->store, &error), OK);
    insert(f, id, ROWS + NEWEST, NEWEST); /* in memory */
}

static void teardown(struct fixture *f)
{
    query_engine_destroy(f->engine);
    store_close(f->store);
    f->io->ops->destroy(f->io);
    sim_destroy(f->sim);
}

static enum err load_zone(const char *name, uint8_t **data, size_t *size)
{
    char path[256];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return ERR_NOT_FOUND;
    *data = malloc(1 << 20);
    *size = fread(*data, 1, 1 << 20, file);
    fclose(file);
    return OK;
}

static void run_with(struct fixture *f, const char *text, const char *cache, const char *zone,
                     char *out, size_t out_size)
{
    const struct query_setting settings[] = {
        {.name = SLICE("freshet.partial_cache"), .value = slice_from_cstr(cache)},
        {.name = SLICE("timezone"), .value = slice_from_cstr(zone)}};
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = RESULT_CSV,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .settings = settings,
                                    .setting_count = array_count(settings)};
    struct query_answer answer;
    if (query_run(f->engine, &request, &answer) != OK)
        fail_msg("%s: %s: %s", text, answer.error.sqlstate, answer.error.text);
    assert_true(answer.body.size < out_size);
    memcpy(out, answer.body.data, answer.body.size);
    out[answer.body.size] = 0;
    writer_deinit(&answer.body);
}

static void run(struct fixture *f, const char *text, char *out, size_t out_size)
{
    run_with(f, text, "on", "UTC", out, out_size);
}

static char answers[2][8 << 20];

/* @ stands for the table. */
static const char *put_table(const char *query, const char *table)
{
    static char text[2048];
    const char *at = strchr(query, '@');
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - query), query, table, at + 1);
    return text;
}

/* A LIMIT between keeps rows from being grouped by portion. */
static void assert_as_row_by_row(struct fixture *f, const char *query)
{
    run(f, put_table(query, "t"), answers[0], sizeof(answers[0]));
    run(f, put_table(query, "(SELECT * FROM t LIMIT 100000000) AS t"), answers[1],
        sizeof(answers[1]));
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
};

static void test_same_answers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < array_count(queries); i++)
        assert_as_row_by_row(&f, queries[i]);
    teardown(&f);
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
    "SELECT age(ts) < interval '1 day', count(*) FROM t WHERE ts > to_timestamp(@) GROUP BY 1",
};
static const char *const zones[] = {"UTC", "Asia/Kathmandu"};
static const char *const windows[] = {"0", "0.5"};

static bool is_zoned(const char *query)
{
    return strstr(query, "date") != NULL;
}

/* Is some answer another one than without the cache, to the last digit? */
static bool is_different(struct fixture *f)
{
    for (size_t window = 0; window < array_count(windows); window++)
        for (size_t panel = 0; panel < array_count(panels); panel++)
            for (size_t zone = 0; zone < (is_zoned(panels[panel]) ? 2 : 1); zone++) {
                const char *query = put_table(panels[panel], windows[window]);
                run_with(f, query, "off", zones[zone], answers[0], sizeof(answers[0]));
                run_with(f, query, "on", zones[zone], answers[1], sizeof(answers[1]));
                if (strcmp(answers[0], answers[1]) != 0) {
                    if (!atomic_load(&fault_is_planted))
                        print_message("%s: %.300s, not %.300s\n", query, answers[1], answers[0]);
                    return true;
                }
            }
    return false;
}

static void change(struct fixture *f, enum change_kind kind, struct schema *schema)
{
    struct error error;
    struct commit *commit = commit_create(f->store);
    commit_set_change(commit, kind, f->table_id, schema);
    assert_int_equal(store_commit(f->store, commit, &f->position, &error), OK);
}

/* The column of that name is another one from now on, with a value for the rows there are. */
static void replace_column(struct fixture *f, const char *value)
{
    struct snapshot *snapshot = snapshot_open(f->store);
    struct schema *schema = schema_copy(table_view_schema(snapshot_find_id(snapshot, f->table_id)));
    snapshot_close(snapshot);
    struct column_definition *kind = &schema->columns[KIND];
    schema->version++;
    kind->id = schema->next_column_id++;
    kind->missing = (struct value){.type = kind->type, .text = slice_from_cstr(value)};
    change(f, CHANGE_ALTER, schema);
}

static void insert_rows(struct fixture *f, uint32_t first, uint32_t count)
{
    for (uint32_t row = 0; row < count; row += 10000)
        insert(f, f->table_id, first + row, 10000);
}

static void refill(struct fixture *f, uint32_t first)
{
    struct error error;
    insert_rows(f, first, ROWS);
    assert_int_equal(store_checkpoint(f->store, &error), OK);
}

static bool is_ever_different(void)
{
    struct fixture f;
    setup(&f);
    bool is = false;
    for (int step = 0; !is && step < 7; step++) {
        if (step == 1) {
            insert(&f, f.table_id, 500, 3000); /* late */
            replace_column(&f, "violet");
        } else if (step == 2) {
            change(&f, CHANGE_TRUNCATE, NULL);
            refill(&f, 7);
        } else if (step == 3) {
            change(&f, CHANGE_DROP, NULL);
            f.table_id = made_table_create(f.store, definitions, COLUMNS, &f.position);
            refill(&f, 11);
        } else if (step == 4) {
            insert_rows(&f, 13, CHUNK_ROWS); /* full chunks, and one that is not */
        } else if (step == 5) {
            insert(&f, f.table_id, 17, NEWEST);
        } else if (step == 6) {
            struct error error;
            assert_int_equal(store_checkpoint(f.store, &error), OK);
        }
        is = is_different(&f);
    }
    teardown(&f);
    return is;
}

static void test_kept_answers(void **state)
{
    (void)state;
    assert_false(is_ever_different());
}

/* A chunk in memory that is full is kept, the one that takes rows is not. */
static void test_chunks_are_kept(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    static const char *const query = "EXPLAIN ANALYZE SELECT kind, sum(ratio) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    insert_rows(&f, 5, CHUNK_ROWS);
    run(&f, put_table(query, "0"), answers[0], sizeof(answers[0]));
    assert_non_null(strstr(answers[0], " partials=0 of 4 kept"));
    insert(&f, f.table_id, 5, NEWEST);
    run(&f, put_table(query, "0"), answers[0], sizeof(answers[0]));
    assert_non_null(strstr(answers[0], " partials=3 of 4 kept"));
    teardown(&f);
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
};

static bool is_many_different(struct fixture *f)
{
    for (size_t panel = 0; panel < array_count(many); panel++) {
        const char *query = put_table(many[panel], "0.5");
        run_with(f, query, "off", "UTC", answers[0], sizeof(answers[0]));
        for (int time = 0; time < 4; time++) {
            run_with(f, query, "on", "UTC", answers[1], sizeof(answers[1]));
            if (strcmp(answers[0], answers[1]) == 0)
                continue;
            if (!atomic_load(&fault_is_planted))
                print_message("%s: %.300s, not %.300s\n", query, answers[1], answers[0]);
            return true;
        }
    }
    return false;
}

static void add_segments(struct fixture *f, uint32_t first)
{
    struct error error;
    for (uint32_t i = 0; i < 4; i++) {
        insert(f, f->table_id, first + i, NEWEST);
        assert_int_equal(store_checkpoint(f->store, &error), OK);
    }
}

static bool is_many_ever_different(void)
{
    struct fixture f;
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    bool is = is_many_different(&f);
    for (int step = 0; !is && step < 4; step++) {
        if (step == 0) {
            add_segments(&f, 500); /* late */
        } else if (step == 1) {
            insert_rows(&f, 13, CHUNK_ROWS);
        } else if (step == 2) {
            insert(&f, f.table_id, 17, NEWEST);
        } else {
            change(&f, CHANGE_TRUNCATE, NULL);
            refill(&f, 7);
            add_segments(&f, 2500);
            add_segments(&f, 900);
            add_segments(&f, 1700);
        }
        is = is_many_different(&f);
    }
    teardown(&f);
    return is;
}

static void test_many_groups(void **state)
{
    (void)state;
    struct fixture f;
    assert_false(is_many_ever_different());
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    static const char *const query = "EXPLAIN ANALYZE SELECT n % 700, count(*) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    static const char *const kept[] = {"", "=0 of 6 kept", "=6 of 6 kept", "=6 of 6 kept"};
    for (size_t time = 0; time < array_count(kept); time++) {
        run(&f, put_table(query, "0"), answers[0], sizeof(answers[0]));
        if (strstr(answers[0], kept[time]) == NULL)
            fail_msg("time %zu: %s", time, answers[0]);
    }
    teardown(&f);

    /* Nothing is made that there is no room to keep. */
    partial_memory = 1 << 20;
    setup(&f);
    add_segments(&f, ROWS + 2 * NEWEST);
    for (size_t time = 0; time < array_count(kept); time++) {
        run(&f, put_table(query, "0"), answers[0], sizeof(answers[0]));
        assert_null(strstr(answers[0], " of 6 kept"));
    }
    teardown(&f);
    partial_memory = 16 << 20;
}

/* Texts of some partial results are copied, since there is no memory to hold more of them; and
 * nothing stays charged. */
static void test_little_memory(void **state)
{
    (void)state;
    struct fixture f;
    for (query_memory = 16 << 20; query_memory >= 4 << 20; query_memory /= 2) {
        setup(&f);
        add_segments(&f, ROWS + 2 * NEWEST);
        const char *query = put_table(many[3], "0");
        for (int time = 0; time < 6; time++) {
            if (time == 4)
                add_segments(&f, 1500);
            run_with(&f, query, "off", "UTC", answers[0], sizeof(answers[0]));
            run_with(&f, query, "on", "UTC", answers[1], sizeof(answers[1]));
            assert_string_equal(answers[0], answers[1]);
            assert_int_equal(atomic_load(&f.memory.used), 0);
        }
        teardown(&f);
    }
    query_memory = 64 << 20;
}

/* A slid window reads what is new and where it begins, nothing between. */
static void test_little_is_read(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    static const char *const query = "EXPLAIN ANALYZE SELECT kind, sum(ratio) FROM t "
                                     "WHERE ts >= to_timestamp(@) GROUP BY 1";
    run(&f, put_table(query, "0"), answers[0], sizeof(answers[0]));
    assert_non_null(strstr(answers[0], " partials=0 of 3 kept"));
    run(&f, put_table(query, "1.5"), answers[0], sizeof(answers[0]));
    assert_non_null(strstr(answers[0], " partials=1 of 3 kept"));
    run_with(&f, put_table(query, "0"), "off", "UTC", answers[0], sizeof(answers[0]));
    assert_non_null(strstr(answers[0], " partials=0 of 3 kept"));
    teardown(&f);
}

#ifndef FRESHET_CHECK /* the sensitivity is shown once, by the release build */
static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"partial.stale_after_truncate",
                                         "partial.bounds_ignored",
                                         "partial.combine_order",
                                         "partial.zone_ignored",
                                         "partial.columns_ignored",
                                         "partial.values_ignored",
                                         "view.open_chunk"};
    static const char *const many_faults[] = {"partial.run_twice",    "partial.run_of_any",
                                              "partial.many_doubles", "partial.copied_states",
                                              "partial.rows_left",    "keys.noted"};
    for (size_t i = 0; i < array_count(many_faults); i++) {
        fault_plant(many_faults[i]);
        bool is_found = is_many_ever_different();
        fault_clear();
        if (!is_found)
            fail_msg("%s is not found", many_faults[i]);
    }
    for (size_t i = 0; i < array_count(faults); i++) {
        fault_plant(faults[i]);
        bool is_found = is_ever_different();
        fault_clear();
        if (!is_found)
            fail_msg("%s is not found", faults[i]);
    }
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),     cmocka_unit_test(test_little_is_read),
        cmocka_unit_test(test_chunks_are_kept),  cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_little_memory),    cmocka_unit_test(test_kept_answers),
#ifndef FRESHET_CHECK
        cmocka_unit_test(test_faults_are_found),
#endif
    };
    timezone_set_loader(load_zone);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
