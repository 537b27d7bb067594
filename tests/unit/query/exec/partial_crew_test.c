/* One query on several threads: the same bytes as on one, beside others that want the threads too,
 * and when it is cancelled, fails or runs out of memory. */
#include "query/query.h"
#include "tests/unit/scratch.h"

#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "storage/io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define BATCH 50000
#define SEALED 9 /* batches */
#define BATCHES 11
#define COLUMNS 4
#define CORES 3

struct fixture {
    char path[64];
    struct io *io;
    struct store *store;
    struct worker_pool *pool;
    struct query_engine *engine;
    struct budget memory;
    uint32_t table_id;
};

static const struct {
    const char *name;
    struct type type;
} definitions[COLUMNS] = {{"ts", {.id = TYPE_TIMESTAMPTZ}},
                          {"n", {.id = TYPE_INT8}},
                          {"ratio", {.id = TYPE_FLOAT8}},
                          {"kind", {.id = TYPE_INT4}}};

static void create_table(struct fixture *f)
{
    struct schema *schema = schema_create();
    struct error error;
    uint64_t position;
    f->table_id = schema->table_id = store_next_table_id(f->store);
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, COLUMNS * sizeof(*schema->columns));
    for (uint32_t i = 0; i < COLUMNS; i++)
        schema->columns[i] =
            (struct column_definition){.id = i + 1,
                                       .name = slice_from_cstr(definitions[i].name),
                                       .type = definitions[i].type,
                                       .is_not_null = i == 0,
                                       .missing = {.type = definitions[i].type, .is_null = true}};
    schema->next_column_id = COLUMNS + 1;
    schema->time_column = 0;
    schema->options.rest_column = schema->options.whole_column = -1;
    struct commit *commit = commit_create(f->store);
    commit_set_change(commit, CHANGE_CREATE, f->table_id, schema);
    assert_int_equal(store_commit(f->store, commit, &position, &error), OK);
}

static void insert(struct fixture *f, int64_t first)
{
    static int64_t times[BATCH], numbers[BATCH], kinds[BATCH];
    static double ratios[BATCH];
    const void *values[] = {times, numbers, ratios, kinds};
    const uint32_t ids[] = {1, 2, 3, 4};
    struct column columns[COLUMNS];
    struct error error;
    uint64_t position;
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
    assert_int_equal(store_commit(f->store, commit, &position, &error), OK);
}

static void setup(struct fixture *f)
{
    struct error error;
    *f = (struct fixture){.path = "/tmp/freshet-crew-XXXXXX",
                          .memory = {.limit = 256 << 20, .name = "queries"}};
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(io_open("plain", f->path, &f->io, NULL), OK);
    struct store_options options = {.io = f->io,
                                    .directory = "",
                                    .log_file_size = 8 << 20,
                                    .rows_memory_limit = 256 << 20,
                                    .is_threaded = true};
    assert_int_equal(store_open(&options, &f->store, &error), OK);
    f->pool = worker_pool_create(&(struct worker_options){.core_count = CORES});
    struct query_engine_options engine = {.store = f->store,
                                          .memory = &f->memory,
                                          .query_memory_limit = 64 << 20,
                                          .statement_timeout_us = 60000000,
                                          .partial_memory = 16 << 20,
                                          .workers = f->pool};
    f->engine = query_engine_create(&engine);
    create_table(f);
    for (int64_t i = 0; i < BATCHES; i++) {
        insert(f, i * BATCH);
        if (i + 1 == SEALED)
            assert_int_equal(store_checkpoint(f->store, &error), OK);
    }
}

static void teardown(struct fixture *f)
{
    worker_pool_destroy(f->pool);
    query_engine_destroy(f->engine);
    store_close(f->store);
    f->io->ops->destroy(f->io);
    scratch_remove(f->path);
}

/* CSV, or "!" and the error's class. */
static void run(struct fixture *f, const char *text, const char *threads, const char *cache,
                char *out, size_t out_size)
{
    const struct query_setting settings[] = {
        {.name = SLICE("freshet.partial_cache"), .value = slice_from_cstr(cache)},
        {.name = SLICE("freshet.threads"), .value = slice_from_cstr(threads)}};
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = RESULT_CSV,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .settings = settings,
                                    .setting_count = array_count(settings)};
    struct query_answer answer;
    if (query_run(f->engine, &request, &answer) != OK)
        snprintf(out, out_size, "! %s", answer.error.sqlstate);
    else
        snprintf(out, out_size, "%.*s", (int)answer.body.size, (const char *)answer.body.data);
    writer_deinit(&answer.body);
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

static void expect(struct fixture *f)
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
    struct fixture f;
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
    teardown(&f);
    forget();
    memory_free(got);
}

/* What is made ahead of its turn and finds no memory is made again. */
static void test_no_memory_ahead(void **state)
{
    (void)state;
    struct fixture f;
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
    teardown(&f);
    forget();
    memory_free(got);
}

struct client {
    struct fixture *f;
    _Atomic uint32_t *left, *differences;
};

/* --- what is counted --- */

/* The figure of an answer's statistics; on one thread or more, given up portions or not. */
static uint64_t rows_scanned(struct fixture *f, const char *text, const char *threads)
{
    const struct query_setting settings[] = {
        {.name = SLICE("freshet.partial_cache"), .value = SLICE("off")},
        {.name = SLICE("freshet.threads"), .value = slice_from_cstr(threads)}};
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = RESULT_JSON,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .settings = settings,
                                    .setting_count = array_count(settings)};
    struct query_answer answer;
    assert_int_equal(query_run(f->engine, &request, &answer), OK);
    writer_u8(&answer.body, 0);
    const char *at = strstr((const char *)answer.body.data, "\"rows_scanned\":");
    assert_non_null(at);
    uint64_t count = strtoull(strpbrk(at, "0123456789"), NULL, 10);
    writer_deinit(&answer.body);
    return count;
}

static void test_rows_count_once(void **state)
{
    (void)state;
    struct fixture f;
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
    teardown(&f);
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
    struct fixture f;
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
    teardown(&f);
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
    struct fixture f;
    _Atomic uint32_t left = 6, differences = 0;
    setup(&f);
    expect(&f);
    struct client client = {.f = &f, .left = &left, .differences = &differences};
    for (int i = 0; i < 6; i++)
        assert_int_equal(worker_submit(f.pool, WORKER_QUERY, ask, &client), OK);
    while (left > 0)
        thread_yield();
    assert_int_equal(differences, 0);
    teardown(&f);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),      cmocka_unit_test(test_no_memory_ahead),
        cmocka_unit_test(test_rows_count_once), cmocka_unit_test(test_cpu_of_helpers),
        cmocka_unit_test(test_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
