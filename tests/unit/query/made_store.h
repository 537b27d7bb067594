/* A store with an engine over it, and answers as CSV: what tests of whole queries stand on. Its
 * disk is a simulated one; with threads it is a directory under /tmp. */
#ifndef FRESHET_TESTS_UNIT_QUERY_MADE_STORE_H
#define FRESHET_TESTS_UNIT_QUERY_MADE_STORE_H

#include "query/query.h"
#include "storage/io/io.h"
#include "storage/io/sim.h"
#include "storage/io/temp.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct made_options {
    size_t memory_limit; /* of all queries, 0: 256 MB */
    uint32_t core_count; /* of the workers, 0: there are none */
    bool has_temp;       /* queries may put rows on the disk */
    /* Of these 0 is: 64 MB a query, a minute, 1 M rows. */
    struct query_engine_options engine;
};

struct made_store {
    struct made_options options;
    struct sim *sim; /* without threads */
    char path[64];   /* with threads */
    struct io *io;
    struct store *store;
    struct temp_space *temp;
    struct worker_pool *pool;
    struct query_engine *engine;
    struct budget memory; /* of all queries */
    uint64_t position;    /* of the last change */
    uint32_t table_id;    /* of the test's one table */
};

/* --- parts, for tests that stop and start them --- */

static inline void made_engine_start(struct made_store *made)
{
    struct query_engine_options engine = made->options.engine;
    if (made->options.core_count > 0)
        made->pool =
            worker_pool_create(&(struct worker_options){.core_count = made->options.core_count});
    engine.store = made->store;
    engine.memory = &made->memory;
    engine.temp = made->temp;
    engine.workers = made->pool;
    if (engine.query_memory_limit == 0)
        engine.query_memory_limit = 64 << 20;
    if (engine.statement_timeout_us == 0)
        engine.statement_timeout_us = 60000000;
    if (engine.max_rows == 0)
        engine.max_rows = 1000000;
    made->engine = query_engine_create(&engine);
}

static inline void made_engine_stop(struct made_store *made)
{
    if (made->pool != NULL)
        worker_pool_destroy(made->pool);
    made->pool = NULL;
    assert_int_equal(atomic_load(&made->memory.used), 0);
    query_engine_destroy(made->engine);
}

static inline void made_store_start(struct made_store *made)
{
    struct error error;
    bool is_threaded = made->options.core_count > 0;
    if (is_threaded)
        assert_int_equal(io_open("plain", made->path, &made->io, NULL), OK);
    else
        sim_open(made->sim, &made->io);
    struct store_options options = {.io = made->io,
                                    .directory = is_threaded ? "" : "data",
                                    .log_file_size = is_threaded ? 8 << 20 : 4 << 20,
                                    .rows_memory_limit = is_threaded ? 256 << 20 : 64 << 20,
                                    .is_threaded = is_threaded};
    if (store_open(&options, &made->store, &error) != OK)
        fail_msg("%s", error.text);
    struct temp_options temp = {.io = made->io, .limit_name = "spill_limit"};
    if (made->options.has_temp)
        assert_int_equal(temp_space_create(&temp, &made->temp, &error), OK);
    made_engine_start(made);
}

static inline void made_store_stop(struct made_store *made)
{
    made_engine_stop(made);
    if (made->temp != NULL)
        temp_space_destroy(made->temp); /* asserts that nothing is on the disk any more */
    store_close(made->store);
    made->io->ops->destroy(made->io);
}

/* --- the whole --- */

static inline void made_store_open(struct made_store *made, const struct made_options *options)
{
    size_t limit = options->memory_limit != 0 ? options->memory_limit : 256 << 20;
    *made = (struct made_store){.options = *options,
                                .path = "/tmp/freshet-made-XXXXXX",
                                .memory = {.limit = limit, .name = "queries"}};
    if (options->core_count > 0)
        assert_non_null(mkdtemp(made->path));
    else
        made->sim = sim_create(&(struct sim_options){.seed = 1});
    made_store_start(made);
}

static inline void made_store_close(struct made_store *made)
{
    made_store_stop(made);
    if (made->sim != NULL)
        sim_destroy(made->sim);
    else
        scratch_remove(made->path);
}

/* --- changes --- */

/* The schema becomes the commit's; NULL: the change has none. */
static inline void made_store_change(struct made_store *made, enum change_kind kind,
                                     struct schema *schema)
{
    struct error error;
    struct commit *commit = commit_create(made->store);
    commit_set_change(commit, kind, made->table_id, schema);
    assert_int_equal(store_commit(made->store, commit, &made->position, &error), OK);
}

/* Rows in memory become a segment. */
static inline void made_store_seal(struct made_store *made)
{
    struct error error;
    assert_int_equal(store_checkpoint(made->store, &error), OK);
}

/* --- answers --- */

struct made_setting {
    const char *name, *value;
};
#define MADE_SETTINGS_MAX 8u

/* The text with `what` for its @; good until the next call. */
static inline const char *made_put(const char *text, const char *what)
{
    static char out[2048];
    const char *at = strchr(text, '@');
    int size = snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, what, at + 1);
    assert_true(size < (int)sizeof(out));
    return out;
}

/* The caller deinits out->body, whatever is returned. `settings` end with a name that is NULL, or
 * are NULL. */
static inline enum err made_query(struct query_engine *engine, const char *text,
                                  const struct made_setting *settings, enum result_format format,
                                  struct query_answer *out)
{
    struct query_setting given[MADE_SETTINGS_MAX];
    size_t count = 0;
    for (; settings != NULL && settings[count].name != NULL; count++) {
        assert_true(count < MADE_SETTINGS_MAX);
        given[count] = (struct query_setting){slice_from_cstr(settings[count].name),
                                              slice_from_cstr(settings[count].value)};
    }
    struct query_request request = {.text = slice_from_cstr(text),
                                    .format = format,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .settings = given,
                                    .setting_count = count};
    return query_run(engine, &request, out);
}

/* An answer in CSV; the test fails where there is none. */
static inline void made_answer(struct query_engine *engine, const char *text,
                               const struct made_setting *settings, char *out, size_t out_size)
{
    struct query_answer answer;
    if (made_query(engine, text, settings, RESULT_CSV, &answer) != OK)
        fail_msg("%s: %s: %s", text, answer.error.sqlstate, answer.error.text);
    assert_true(answer.body.size < out_size);
    memcpy(out, answer.body.data, answer.body.size);
    out[answer.body.size] = 0;
    writer_deinit(&answer.body);
}

/* An answer in CSV, cut to the size, or "! " and the SQLSTATE. */
static inline void made_outcome(struct query_engine *engine, const char *text,
                                const struct made_setting *settings, char *out, size_t out_size)
{
    struct query_answer answer;
    if (made_query(engine, text, settings, RESULT_CSV, &answer) != OK)
        snprintf(out, out_size, "! %s", answer.error.sqlstate);
    else
        snprintf(out, out_size, "%.*s", (int)answer.body.size, (const char *)answer.body.data);
    writer_deinit(&answer.body);
}

/* How many rows a query read, by the statistics of its answer. */
static inline uint64_t made_rows_scanned(struct query_engine *engine, const char *text,
                                         const struct made_setting *settings)
{
    struct query_answer answer;
    assert_int_equal(made_query(engine, text, settings, RESULT_JSON, &answer), OK);
    writer_u8(&answer.body, 0);
    const char *at = strstr((const char *)answer.body.data, "\"rows_scanned\":");
    assert_non_null(at);
    uint64_t count = strtoull(strpbrk(at, "0123456789"), NULL, 10);
    writer_deinit(&answer.body);
    return count;
}

#endif
