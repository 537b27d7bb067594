/* The front door: text in, result bytes out.
 *
 *   run_begin ─ run_plan ─ run_open … run_next ─▶ format ─▶ run_end
 *
 * Nothing is answered before all of it is certain: the result is built whole, within its own limit
 * and the query's memory, and an error leaves no part of it. */
#include "query/exec/lexicon.h"
#include "query/exec/partial_cache.h"
#include "query/format/format.h"
#include "query/run.h"
#include "storage/base/clock.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <stdio.h>

#define PLANS_MAX 512
#define RESULT_SIZE_MAX ((size_t)256 << 20)
#define END_SIZE_MAX ((size_t)1 << 20) /* what stands behind the rows */
#define MAX_ROWS_DEFAULT 1000000

/* One call of query_run(). */
struct reply {
    struct run run;
    struct query_answer *answer;
    struct format_writer writer;
    size_t body_charged;
};

/* --- engine --- */

struct query_engine *query_engine_create(const struct query_engine_options *options)
{
    struct query_engine *engine = memory_alloc_zero(sizeof(*engine));
    engine->options = *options;
    if (engine->options.max_rows == 0)
        engine->options.max_rows = MAX_ROWS_DEFAULT;
    engine->cache = plan_cache_create(PLANS_MAX);
    if (options->partial_memory > 0)
        engine->partials = partial_cache_create(options->partial_memory);
    registry_init(&engine->registry);
    arena_init(&engine->catalog_arena);
    system_register(engine);
    catalog_register(engine);
    engine->rollups = rollups_create(engine);
    return engine;
}

void query_engine_destroy(struct query_engine *engine)
{
    if (engine == NULL)
        return;
    rollups_destroy(engine->rollups);
    plan_cache_destroy(engine->cache);
    partial_cache_destroy(engine->partials);
    arena_deinit(&engine->catalog_arena);
    registry_deinit(&engine->registry);
    memory_free(engine);
}

void query_engine_upkeep(struct query_engine *engine)
{
    rollups_upkeep(engine->rollups);
}

void query_engine_finish_upkeep(struct query_engine *engine)
{
    rollups_finish(engine->rollups);
}

void query_engine_stop_upkeep(struct query_engine *engine)
{
    rollups_stop(engine->rollups);
}

void query_engine_register(struct query_engine *engine, const struct table_provider *provider)
{
    assert(engine->provider_count < PROVIDERS_MAX);
    engine->providers[engine->provider_count++] = provider;
}

enum err query_cancel(struct query_engine *engine, struct slice query_id, const struct asker *asker,
                      struct error *error)
{
    if (registry_cancel(&engine->registry, query_id, asker)) {
        if (engine->options.workers != NULL)
            worker_end_waiting(engine->options.workers);
        return OK;
    }
    return error_set(error, ERR_NOT_FOUND, "42704", "no query with query_id \"%.*s\" is running",
                     SLICE_ARGS(query_id));
}

static void print_partials(struct query_engine *engine, struct writer *out)
{
    struct partial_cache_status status = {0};
    if (engine->partials != NULL)
        partial_cache_status(engine->partials, &status);
    metrics_print_figure(out, "freshet_partials_bytes", "gauge",
                         "Partial results kept for later queries.", (double)status.used);
    metrics_print_figure(out, "freshet_partials_limit_bytes", "gauge", "Limit of partial results.",
                         (double)status.limit);
    metrics_print_figure(out, "freshet_partials_hits_total", "counter",
                         "Partial results found again.", (double)status.hits);
    metrics_print_figure(out, "freshet_partials_misses_total", "counter",
                         "Partial results looked for and made anew.", (double)status.misses);
    metrics_print_figure(out, "freshet_partials_evictions_total", "counter",
                         "Partial results given up for others.", (double)status.evictions);
}

static void print_turns(struct worker_pool *workers, struct writer *out)
{
    struct worker_status status;
    worker_pool_status(workers, &status);
    metrics_print_figure(out, "freshet_queries_queued", "gauge",
                         "Queries that wait for one of queries_max to end.",
                         (double)status.queued[WORKER_QUERY]);
    metrics_print_figure(out, "freshet_workers_in_line", "gauge",
                         "Jobs that have begun, or have a thread, and wait for their turn.",
                         (double)status.in_line);
    metrics_print_figure(out, "freshet_turns_total", "counter",
                         "Turns of queries and upkeep that had stood in line.",
                         (double)status.turns);
    metrics_print_figure(out, "freshet_turns_for_age_total", "counter",
                         "Of these, turns of who came first before who had used least.",
                         (double)status.turns_for_age);
}

void query_engine_metrics(struct query_engine *engine, struct writer *out)
{
    static const char *const names[OUTCOME_COUNT] = {"ok", "error", "cancelled", "timeout",
                                                     "limit"};
    metrics_print_family(out, "freshet_queries_total", "counter", "Queries by outcome.");
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        char label[40];
        snprintf(label, sizeof(label), "outcome=\"%s\"", names[i]);
        metrics_print_sample(
            out, "freshet_queries_total", label,
            (double)atomic_load_explicit(&engine->outcomes[i], memory_order_relaxed));
    }
    print_partials(engine, out);
    if (engine->options.workers != NULL)
        print_turns(engine->options.workers, out);
    metrics_print_figure(out, "freshet_lexicon_bytes", "gauge",
                         "Texts of dictionaries that are numbered for all queries.",
                         (double)lexicon_size());
    rollups_metrics(engine->rollups, out);
}

/* --- rows to bytes --- */

static enum err charge_body(struct reply *reply, struct error *error)
{
    struct writer *body = &reply->answer->body;
    if (body->failed)
        return error_set(error, ERR_LIMIT, "54000", "the result is larger than %zu MiB",
                         RESULT_SIZE_MAX >> 20);
    if (body->capacity <= reply->body_charged)
        return OK;
    enum err err =
        budget_charge(&reply->run.entry.budget, body->capacity - reply->body_charged, error);
    if (err == OK)
        reply->body_charged = body->capacity;
    return err;
}

static enum err write_rows(void *context, const struct batch *batch, struct error *error)
{
    struct reply *reply = context;
    int64_t max_rows = reply->run.settings.max_rows;
    if (reply->writer.row_count + batch->row_count > (uint64_t)max_rows) {
        enum err err = error_set(error, ERR_LIMIT, "54000", "the result has more than %lld rows",
                                 (long long)max_rows);
        error_hint(error, "Add a LIMIT, or raise max_rows.");
        return err;
    }
    format_rows(&reply->writer, batch);
    return charge_body(reply, error);
}

static enum err write_end(struct reply *reply, uint64_t position, struct error *error)
{
    struct run *run = &reply->run;
    bool is_hidden = atomic_load_explicit(&run->entry.has_unseen, memory_order_relaxed);
    struct format_end end = {
        .position = position,
        .is_recovering = run->is_recovering,
        .completeness = &run->completeness,
        .elapsed_ms = (double)(clock_monotonic_us() - run->entry.started_us) / 1e3,
        .rows_scanned = is_hidden ? 0 : run->exec.statistics.rows_scanned,
        .segments = is_hidden ? 0 : run->exec.statistics.segments,
        .segments_skipped = is_hidden ? 0 : run->exec.statistics.segments_skipped,
        .spilled_bytes = run->exec.statistics.spilled_bytes,
    };
    format_end(&reply->writer, &end);
    reply->answer->row_count = reply->writer.row_count;
    return charge_body(reply, error);
}

/* *line: where columns may lie that the statement does not have. */
static void begin_rows(struct reply *reply, struct plan_column *line)
{
    struct run *run = &reply->run;
    const struct plan_column *columns;
    size_t count = run_columns(run->statement, line, &columns);
    reply->writer = (struct format_writer){
        .format = reply->answer->format,
        .out = &reply->answer->body,
        .command = run->statement->command_tag,
        .columns = columns,
        .column_count = count,
        .copy = run->statement->copy,
    };
    format_begin(&reply->writer);
}

static enum err answer_rows(struct reply *reply, struct error *error)
{
    struct run *run = &reply->run;
    const struct query_sink sink = {.context = reply, .rows = write_rows};
    struct plan_column line;
    begin_rows(reply, &line);
    enum err err = run->statement->kind == STATEMENT_EXPLAIN ? run_explain(run, &sink, error)
                                                             : run_open(run, error);
    struct batch batch;
    if (run->statement->kind == STATEMENT_SELECT)
        while (err == OK && (err = run_next(run, &batch, error)) == OK && batch.row_count != 0)
            err = write_rows(reply, &batch, error);
    return err == OK ? write_end(reply, snapshot_position(run->snapshot), error) : err;
}

/* --- commands --- */

/* SET and RESET end with the request: they are checked, and that is all. */
static enum err check_set(struct run *run, struct error *error)
{
    struct settings copy = run->settings;
    return setting_run(&copy, NULL, run->statement->command, error);
}

/* INSERT … RETURNING: rows, and the position that they have. */
static enum err answer_returning(struct reply *reply, struct error *error)
{
    const struct query_sink sink = {.context = reply, .rows = write_rows};
    struct command_answer done = {0};
    struct plan_column line;
    begin_rows(reply, &line);
    reply->run.returning = &sink;
    reply->answer->body.limit = RESULT_SIZE_MAX - END_SIZE_MAX;
    enum err err = run_command(&reply->run, &done, error);
    reply->run.returning = NULL;
    reply->answer->body.limit = RESULT_SIZE_MAX;
    if (err != OK)
        return err;
    /* The rows are stored: what the end of the answer takes is nobody's error any more. */
    struct error ignored;
    (void)write_end(reply, done.position, &ignored);
    return OK;
}

static enum err answer_statement(struct reply *reply, struct error *error)
{
    struct run *run = &reply->run;
    struct query_answer *answer = reply->answer;
    const struct statement *statement = run->statement;
    if (statement->kind != STATEMENT_COMMAND) {
        if (statement->copy != NULL) {
            answer->format = RESULT_COPY;
            answer->content_type = copy_content_type(statement->copy);
        }
        return answer_rows(reply, error);
    }
    if (statement->command->returning_count > 0)
        return answer_returning(reply, error);
    struct command_answer done = {0};
    enum err err = statement->command->kind == COMMAND_SET ? check_set(run, error)
                                                           : run_command(run, &done, error);
    if (err != OK)
        return err;
    answer->format = RESULT_JSON;
    answer->row_count = done.row_count;
    format_command(statement->command_tag, &done, &answer->body);
    return OK;
}

/* --- all of it --- */

enum err query_run(struct query_engine *engine, const struct query_request *request,
                   struct query_answer *answer)
{
    struct reply *reply = memory_alloc_zero(sizeof(*reply));
    struct error *error = &answer->error;
    *answer = (struct query_answer){.format = request->format};
    writer_init(&answer->body);
    answer->body.limit = RESULT_SIZE_MAX;
    reply->answer = answer;
    enum err err = run_begin(&reply->run, engine, request, NULL, error);
    if (err == OK) {
        memcpy(answer->query_id, reply->run.entry.query_id, sizeof(answer->query_id));
        err = run_plan(&reply->run, error);
    }
    if (err == OK)
        err = answer_statement(reply, error);
    answer->result = err;
    run_end(&reply->run, err, error);
    if (err != OK)
        writer_reset(&answer->body);
    memory_free(reply);
    return err;
}
