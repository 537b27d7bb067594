/* Queries whose answers several threads give as one does, to the last byte: what tests of groups
 * shared by threads stand on. One table, sealed and in memory; each query's answer by one thread,
 * made once; faults, queries side by side and queries that run out of time. */
#ifndef FRESHET_TESTS_UNIT_QUERY_MADE_THREADS_H
#define FRESHET_TESTS_UNIT_QUERY_MADE_THREADS_H

#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "tests/unit/query/made_store.h"
#include "tests/unit/query/made_table.h"

#define MADE_THREADS_QUERIES_MAX 64

struct made_threads {
    struct made_store store;
    size_t answer_size; /* at most */
    const char *memory; /* of a query, enough for each */
    const char *const *queries;
    size_t query_count;
    char *expected[MADE_THREADS_QUERIES_MAX]; /* by one thread; NULL: not asked for yet */
};

struct made_threads_rows {
    const struct made_column *columns;
    size_t column_count;
    made_cell *cell;
    uint32_t batch, batches, sealed; /* rows; batches; so many of these, in two segments */
};

static inline void made_threads_open(struct made_threads *made, const struct made_options *options,
                                     const struct made_threads_rows *rows)
{
    struct made_store *store = &made->store;
    assert_true(made->query_count <= MADE_THREADS_QUERIES_MAX);
    made_store_open(store, options);
    store->table_id =
        made_table_create(store->store, rows->columns, rows->column_count, &store->position);
    for (uint32_t i = 0; i < rows->batches; i++) {
        made_table_insert(store->store, store->table_id, (uint32_t)rows->column_count, rows->cell,
                          i * rows->batch, rows->batch, &store->position);
        if (i + 1 == rows->sealed || i + 1 == rows->sealed / 2)
            made_store_seal(store);
    }
}

static inline void made_threads_close(struct made_threads *made)
{
    made_store_close(&made->store);
    for (size_t i = 0; i < made->query_count; i++)
        memory_free(made->expected[i]);
}

/* CSV, or "!" and the error's class. */
static inline void made_threads_run(struct made_threads *made, const char *text,
                                    const char *threads, const char *memory, char *out)
{
    const struct made_setting settings[] = {{"freshet.partial_cache", "off"},
                                            {"freshet.query_memory", memory},
                                            {"freshet.threads", threads},
                                            {0}};
    made_outcome(made->store.engine, text, settings, out, made->answer_size);
}

static inline void made_threads_expect(struct made_threads *made)
{
    if (made->expected[0] != NULL)
        return;
    for (size_t i = 0; i < made->query_count; i++) {
        made->expected[i] = memory_alloc(made->answer_size);
        made_threads_run(made, made->queries[i], "1", made->memory, made->expected[i]);
    }
}

/* Whether query i's answer is another one; `got` is room for it. */
static inline bool made_threads_differs(struct made_threads *made, size_t i, const char *threads,
                                        char *got)
{
    made_threads_run(made, made->queries[i], threads, made->memory, got);
    return strcmp(got, made->expected[i]) != 0;
}

/* The engine is made anew before a fault is planted: helpers that came late are gone then. */
static inline void made_threads_plant(struct made_threads *made, const char *fault) /* NULL: none */
{
    made_engine_stop(&made->store);
    if (fault != NULL)
        fault_plant(fault);
    else
        fault_clear();
    made_engine_start(&made->store);
}

/* Fails for a fault with which `differences` finds none in 100 turns. */
static inline void made_threads_find(struct made_threads *made, const char *const *faults,
                                     size_t count, uint32_t (*differences)(void))
{
    for (size_t i = 0; i < count; i++) {
        uint32_t found = 0;
        made_threads_plant(made, faults[i]);
        for (int turn = 0; turn < 100 && found == 0; turn++)
            found = differences();
        made_threads_plant(made, NULL);
        if (found == 0)
            fail_msg("not found: %s", faults[i]);
    }
}

/* EXPLAIN ANALYZE of it into `got`, which says that helpers came. Whether one comes in time is up
 * to the machine: on a busy one it takes some tries. */
static inline void made_threads_helped(struct made_threads *made, const char *text, char *got)
{
    const char *helped = NULL;
    for (int turn = 0; turn < 1000 && helped == NULL; turn++) {
        made_threads_run(made, text, "3", made->memory, got);
        helped = strstr(got, " threads=");
    }
    assert_non_null(helped);
    assert_non_null(strstr(got, " skipped=0"));
}

/* --- beside others --- */

struct made_threads_client {
    struct made_threads *made;
    size_t query_count;
    _Atomic uint32_t left, differences;
};

static inline void made_threads_ask(void *context)
{
    struct made_threads_client *client = context;
    char *got = memory_alloc(client->made->answer_size);
    for (size_t i = 0; i < client->query_count; i++)
        client->differences += made_threads_differs(client->made, i, "0", got);
    memory_free(got);
    --client->left;
}

/* So many clients at once, each asking the first queries. */
static inline void made_threads_together(struct made_threads *made, uint32_t clients,
                                         size_t query_count)
{
    struct made_threads_client client = {
        .made = made, .query_count = query_count, .left = clients};
    made_threads_expect(made);
    for (uint32_t i = 0; i < clients; i++)
        assert_int_equal(worker_submit(made->store.pool, WORKER_QUERY, made_threads_ask, &client),
                         OK);
    while (client.left > 0)
        thread_yield();
    assert_int_equal(client.differences, 0);
}

/* Out of time after so long: nothing is left behind. */
static inline void made_threads_run_out(struct made_threads *made, const char *text, int64_t us)
{
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = RESULT_CSV,
                                    .timeout_us = us,
                                    .max_rows = -1};
    struct query_answer answer;
    if (query_run(made->store.engine, &request, &answer) != OK)
        assert_string_equal(answer.error.sqlstate, "57014");
    writer_deinit(&answer.body);
    assert_int_equal(made->store.memory.used, 0);
}

#endif
