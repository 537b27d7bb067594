/* A run: what happens between a request and the first row, and after the last.
 *
 *   settings ─ register ─ wait for at_least ─ plan and snapshot ─ open … end
 *
 * How a plan and its snapshot come together is in run_plan.c, what commands do in run_command.c.
 *
 * Each run has a budget of its own below the budget of all; whatever is still charged to it at the
 * end is released in one place, run_end(). */
#include "query/run.h"

#include "query/audit.h"

#include "query/func/func.h"
#include "query/sql/shape.h"
#include "query/sql/sql.h"
#include "storage/base/clock.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/random.h"

#include <assert.h>

#define WAIT_PIECE_US 50000 /* for a position, between two looks at who asked */

/* --- before the plan --- */

struct settings run_default_settings(const struct query_engine *engine)
{
    const struct query_engine_options *options = &engine->options;
    return (struct settings){
        .zone = timezone_utc,
        .statement_timeout_us = options->statement_timeout_us,
        .max_rows = (int64_t)options->max_rows,
        .query_memory = options->query_memory_limit,
        .query_memory_max = options->query_memory_limit,
        .is_partial_cache_on = true,
        .is_rollups_on = true,
        .is_bitmaps_on = true,
        .is_spill_on = true,
        .is_optimizer_on = true,
    };
}

/* What the request says itself, over what holds else. */
static enum err adopt_settings(struct settings *settings, const struct query_request *request,
                               struct error *error)
{
    for (size_t i = 0; i < request->setting_count; i++) {
        const struct query_setting *setting = &request->settings[i];
        enum err err = setting_set(settings, setting->name, setting->value, error);
        if (err != OK)
            return err;
    }
    if (request->max_rows >= 0)
        settings->max_rows = request->max_rows;
    if (request->timeout_us >= 0)
        settings->statement_timeout_us = request->timeout_us;
    return OK;
}

static enum err init_settings(struct run *run, const struct settings *base, struct error *error)
{
    run->settings = base != NULL ? *base : run_default_settings(run->engine);
    return adopt_settings(&run->settings, run->request, error);
}

/* When the time of a statement is over that began then; 0: never. */
static int64_t due_us(const struct settings *settings, int64_t from_us)
{
    bool is_limited = settings->statement_timeout_us > 0;
    return is_limited ? from_us + settings->statement_timeout_us : 0;
}

static void print_hex(uint64_t value, char *out)
{
    for (int i = 15; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
}

static enum err choose_id(struct query_entry *entry, struct slice id, struct error *error)
{
    char *out = entry->query_id;
    if (id.size == 0) {
        print_hex(random_u64(), out);
        print_hex(random_u64(), out + 16);
        out[32] = 0;
        return OK;
    }
    bool is_valid = id.size < sizeof(entry->query_id);
    for (size_t i = 0; is_valid && i < id.size; i++) {
        char c = id.data[i];
        is_valid = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '-' || c == '_';
    }
    if (!is_valid)
        return error_set(error, ERR_INPUT, "22023",
                         "query_id must be 1 to %zu letters, digits, hyphens or underscores",
                         sizeof(entry->query_id) - 1);
    memcpy(out, id.data, id.size);
    return OK;
}

static enum err check_text(struct slice text, struct error *error)
{
    if (utf8_validate(text) != text.size)
        return error_set(error, ERR_INPUT, "22021", "invalid byte sequence for encoding \"UTF8\"");
    if (memchr(text.data, 0, text.size) != NULL)
        return error_set(error, ERR_INPUT, "22021",
                         "invalid byte sequence for encoding \"UTF8\": 0x00");
    return OK;
}

static bool is_client_gone(const struct run *run)
{
    return run->request->is_cancelled != NULL &&
           atomic_load_explicit(run->request->is_cancelled, memory_order_relaxed);
}

static bool is_past_deadline(const struct run *run)
{
    return run->deadline_us != 0 && clock_monotonic_us() >= run->deadline_us;
}

/* For the worker pool: what is over need not wait for its turn. */
static bool is_over(void *context)
{
    const struct run *run = context;
    return is_client_gone(run) ||
           atomic_load_explicit(&run->entry.is_cancelled, memory_order_relaxed) ||
           is_past_deadline(run);
}

enum err run_check_time(struct run *run, struct error *error)
{
    const struct eval_context context = {.is_cancelled = &run->entry.is_cancelled,
                                         .is_client_gone = run->request->is_cancelled,
                                         .deadline_us = run->deadline_us};
    return context_look(&context, error);
}

static bool is_recovering(const struct query_engine *engine)
{
    const struct query_engine_options *options = &engine->options;
    return options->is_recovering != NULL && options->is_recovering(options->context);
}

static bool is_name_unknown(const struct error *error)
{
    static const char *const states[] = {"42P01", "42703", "42704"};
    bool is = false;
    for (size_t i = 0; i < array_count(states); i++)
        is |= strcmp(error->sqlstate, states[i]) == 0;
    return is;
}

/* What is not there may be among what is still to be replayed: not the caller's mistake yet. */
static enum err blame_recovery(struct error *error)
{
    struct error cause = *error;
    enum err err = error_set(error, ERR_BUSY, "57P03",
                             "%.300s, and the log is still being replayed", cause.text);
    error_hint(error, "Try again when the server is ready.");
    return err;
}

/* Waits in pieces: who cancels or hangs up is not kept waiting, and keeps nobody else out. A store
 * without threads waits for nothing: it is asked once. */
static enum err wait_watching(struct run *run, int64_t left_us, struct error *error)
{
    struct store *store = run->engine->options.store;
    int64_t end_us = clock_monotonic_us() + left_us, now_us;
    enum err err;
    do {
        int64_t begin_us = clock_monotonic_us(), piece_us = end_us - begin_us;
        piece_us = piece_us < WAIT_PIECE_US ? piece_us : WAIT_PIECE_US;
        err = store_wait(store, run->request->at_least, piece_us > 0 ? piece_us : 0, error);
        now_us = clock_monotonic_us();
        if (now_us - begin_us < piece_us)
            break;
    } while (err == ERR_TIMEOUT && now_us < end_us && !is_over(run));
    return err;
}

/* Read your own writes: the snapshot must hold the position the caller names. */
static enum err wait_for_position(struct run *run, struct error *error)
{
    struct store *store = run->engine->options.store;
    if (run->request->at_least == 0 || store_position(store) >= run->request->at_least)
        return OK;
    atomic_store(&run->entry.state, "waiting");
    int64_t left_us =
        run->deadline_us == 0 ? INT64_C(3600) * 1000000 : run->deadline_us - clock_monotonic_us();
    worker_block_begin();
    enum err err = wait_watching(run, left_us > 0 ? left_us : 0, error);
    worker_block_end();
    if (err == ERR_TIMEOUT && !is_past_deadline(run) && is_over(run))
        return run_check_time(run, error);
    if (err == ERR_TIMEOUT)
        return error_set(
            error, ERR_TIMEOUT, "57014",
            "canceling statement due to statement timeout while waiting for position %llu",
            (unsigned long long)run->request->at_least);
    return err;
}

/* --- running --- */

static struct slice evaluate_setting(void *context, struct slice name, struct arena *arena,
                                     bool *is_known)
{
    return setting_show(context, name, arena, is_known);
}

static void set_exec(struct run *run, const struct exec *exec)
{
    if (run->is_registered)
        registry_set_exec(&run->engine->registry, &run->entry, exec);
    else
        run->entry.exec = exec;
}

static void exec_begin(struct run *run)
{
    struct exec *exec = &run->exec;
    run->seen = run_seen(run, run->snapshot);
    exec_init(exec, run->statement, run->snapshot, &run->entry.budget);
    exec->eval.snapshot = run->seen;
    exec->asker = run->request->asker;
    exec->eval.zone = run->settings.zone;
    exec->eval.setting = evaluate_setting;
    exec->eval.setting_context = &run->settings;
    exec->eval.find_view = run_find_seen_view;
    exec->eval.view_context = run;
    exec->eval.asker = run->request->asker;
    exec->eval.list_roles = run_list_roles;
    exec->eval.roles_context = run;
    exec->eval.list_prepared = run->request->list_prepared;
    exec->eval.prepared_context = run->request->prepared_context;
    exec->eval.bound = run->bound;
    exec->eval.bound_named = (uint32_t)run->statement->numbered_count;
    exec->eval.bound_lifted = (uint32_t)run->statement->parameter_count;
    exec->eval.now_us = run->entry.started_at_us;
    exec->eval.is_cancelled = &run->entry.is_cancelled;
    exec->eval.is_client_gone = run->request->is_cancelled;
    exec->eval.deadline_us = run->deadline_us;
    exec->is_cancelled = &run->entry.is_cancelled;
    exec->is_client_gone = run->request->is_cancelled;
    exec->deadline_us = run->deadline_us;
    exec->temp = run->settings.is_spill_on ? run->engine->options.temp : NULL;
    exec->partials = run->settings.is_partial_cache_on ? run->engine->partials : NULL;
    run->rollups = run->settings.is_rollups_on
                       ? rollups_current(run->engine->rollups, !run->request->is_short)
                       : NULL;
    exec->rollups = run->rollups;
    exec->workers = run->engine->options.workers;
    exec->thread_max = run->settings.threads;
    exec->is_without_bitmaps = !run->settings.is_bitmaps_on;
    atomic_store(&run->entry.state, "running");
    set_exec(run, exec);
}

static void exec_finish(struct run *run)
{
    set_exec(run, NULL);
    exec_deinit(&run->exec);
    rollup_set_unref(run->rollups);
}

/* --- all of it --- */

static void count_outcome(struct run *run, enum err result, const struct error *error)
{
    enum query_outcome outcome = OUTCOME_ERROR;
    if (result == OK)
        outcome = OUTCOME_OK;
    else if (result == ERR_CANCELLED)
        outcome = OUTCOME_CANCELLED;
    else if (result == ERR_TIMEOUT)
        outcome = OUTCOME_TIMEOUT;
    else if (memcmp(error->sqlstate, "53200", 5) == 0 || memcmp(error->sqlstate, "54", 2) == 0)
        outcome = OUTCOME_LIMIT;
    atomic_fetch_add_explicit(&run->engine->outcomes[outcome], 1, memory_order_relaxed);
    if (result == OK)
        metric_add(&metrics.query_ok, 1);
    latency_record(LATENCY_QUERY, clock_monotonic_us() - run->entry.started_us);
    if (run->request->is_short)
        return;
    latency_record(LATENCY_QUEUED, run->entry.queued_us);
    latency_record(LATENCY_YIELDED,
                   atomic_load_explicit(&run->entry.waits.waited_us, memory_order_relaxed));
}

void run_set_deadline(struct run *run, int64_t deadline_us)
{
    run->deadline_us = run->exec.deadline_us = run->exec.eval.deadline_us = deadline_us;
}

static void begin_time(struct run *run, int64_t from_us)
{
    run_set_deadline(run, due_us(&run->settings, from_us));
    worker_watch(is_over, run);
}

static void fill_entry(struct query_entry *entry, const struct query_request *request,
                       struct arena *arena)
{
    entry->user = request->user;
    entry->user_id = request->asker == NULL ? 0 : request->asker->id;
    entry->client = request->client;
    entry->backend_pid = request->backend_pid;
    entry->text = sql_masked(request->text, arena);
    entry->started_at_us = clock_wall_us();
    entry->started_us = request->arrived_us != 0 ? request->arrived_us : clock_monotonic_us();
}

/* --- before a worker has begun with it --- */

struct query_waiting *query_wait(struct query_engine *engine, const struct query_request *request,
                                 struct arena *arena)
{
    return run_wait(engine, request, NULL, arena);
}

struct query_waiting *run_wait(struct query_engine *engine, const struct query_request *request,
                               const struct settings *base, struct arena *arena)
{
    struct query_waiting *waiting = arena_alloc_zero(arena, sizeof(*waiting));
    struct query_entry *entry = &waiting->entry;
    struct settings settings = base != NULL ? *base : run_default_settings(engine);
    struct error error;
    if (check_text(request->text, &error) != OK ||
        choose_id(entry, request->query_id, &error) != OK ||
        adopt_settings(&settings, request, &error) != OK)
        return NULL;
    waiting->engine = engine;
    fill_entry(entry, request, arena);
    waiting->due_us = due_us(&settings, entry->started_us);
    entry->application_name = base != NULL ? base->application_name : "";
    entry->queued_since_us = entry->started_us;
    atomic_store(&entry->state, "queued");
    bool is_chosen = request->query_id.size > 0;
    return registry_add(&engine->registry, entry, is_chosen, &error) == OK ? waiting : NULL;
}

void query_waiting_end(struct query_waiting *waiting)
{
    registry_remove(&waiting->engine->registry, &waiting->entry);
}

int64_t query_waiting_due_us(const struct query_waiting *waiting)
{
    return waiting->due_us;
}

bool query_waiting_is_over(const struct query_waiting *waiting)
{
    return atomic_load_explicit(&waiting->entry.is_cancelled, memory_order_relaxed);
}

static enum err enlist(struct run *run, struct error *error)
{
    const struct query_request *request = run->request;
    struct query_registry *registry = &run->engine->registry;
    if (request->waiting != NULL) {
        struct query_entry *waiting = &request->waiting->entry;
        memcpy(run->entry.query_id, waiting->query_id, sizeof(waiting->query_id));
        registry_replace(registry, waiting, &run->entry);
        run->is_registered = true;
        return OK;
    }
    enum err err = choose_id(&run->entry, request->query_id, error);
    if (err == OK)
        err = registry_add(registry, &run->entry, request->query_id.size > 0, error);
    run->is_registered = err == OK;
    return err;
}

enum err run_begin(struct run *run, struct query_engine *engine,
                   const struct query_request *request, const struct settings *base,
                   struct error *error)
{
    *run = (struct run){.engine = engine, .request = request};
    arena_init(&run->arena);
    fill_entry(&run->entry, request, &run->arena);
    if (!request->is_short) { /* each is a call of the kernel */
        run->entry.cpu_clock = clock_thread_handle();
        run->entry.cpu_begin_us = clock_thread_cpu_us();
        run->entry.queued_us = worker_queued_us();
        worker_tell_waits(&run->entry.waits);
    }
    atomic_store(&run->entry.state, "planning");
    run->entry.application_name = run->settings.application_name;
    enum err err = init_settings(run, base, error);
    run->entry.budget = (struct budget){
        .parent = engine->options.memory, .limit = run->settings.query_memory, .name = "query"};
    if (err == OK && !request->is_short)
        err = enlist(run, error);
    else if (request->waiting != NULL)
        query_waiting_end(request->waiting);
    if (err == OK)
        begin_time(run, run->entry.started_us);
    return err;
}

/* SET and the like are the session's own business. */
static bool is_own(const struct run *run)
{
    const struct statement *statement = run->statement;
    return statement->kind == STATEMENT_COMMAND &&
           (statement->command->kind == COMMAND_SET || statement->command->kind == COMMAND_SESSION);
}

/* A syntax error quotes what it stumbled over, which may be a password. */
static enum err hide_password(const struct run *run, enum err err, struct error *error)
{
    bool is_masked = run->entry.text.data != run->request->text.data;
    if (is_masked && strcmp(error->sqlstate, "42601") == 0)
        return error_set(error, err, "42601", "syntax error in a statement about a role");
    return err;
}

enum err run_prepare(struct run *run, struct statement **out, struct error *error)
{
    enum err err = check_text(run->request->text, error);
    if (err == OK)
        err = run_find_statement(run, error);
    if (err != OK)
        return hide_password(run, err, error);
    *out = run->statement;
    return OK;
}

static bool may_run_read_only(const struct run *run)
{
    return run->statement->is_read_only || (run->request->has_session && is_own(run));
}

enum err run_plan(struct run *run, struct error *error)
{
    enum err err = check_text(run->request->text, error);
    if (err == OK)
        err = run_check_time(run, error);
    if (err == OK)
        err = wait_for_position(run, error);
    run->is_recovering = is_recovering(run->engine);
    if (err == OK) {
        err = run_find_plan(run, error);
        if (err != OK && run->is_recovering && is_name_unknown(error))
            err = blame_recovery(error);
    }
    if (err != OK)
        return hide_password(run, err, error);
    exec_begin(run);
    run->is_planned = true;
    if (run->request->is_read_only && !may_run_read_only(run))
        return error_set(error, ERR_UNSUPPORTED, "25006",
                         "cannot execute %s in a read-only transaction",
                         run->statement->command_tag);
    return run_check_rights(run, error);
}

/* Places in the text that the plan was made from become places in this one. */
static enum err place_error(const struct run *run, enum err err, struct error *error)
{
    const struct lifted_list *lifted = &run->statement->lifted;
    if (err != OK && lifted->has_shape && run->shape.count == lifted->shape.count)
        error->text_position = shape_place(&lifted->shape, &run->shape, error->text_position);
    return err;
}

enum err run_open(struct run *run, struct error *error)
{
    assert(run->node == NULL);
    enum err err = exec_open(&run->exec, run->statement->plan, &run->node, error);
    return place_error(run, err, error);
}

enum err run_next(struct run *run, struct batch *out, struct error *error)
{
    return place_error(run, exec_next(run->node, out, error), error);
}

size_t run_columns(const struct statement *statement, struct plan_column *line,
                   const struct plan_column **out)
{
    *line = (struct plan_column){.name = SLICE("QUERY PLAN"),
                                 .type = type_of(statement->is_json ? TYPE_JSON : TYPE_TEXT)};
    *out = line;
    if (statement->kind == STATEMENT_EXPLAIN)
        return 1;
    size_t count = statement->kind == STATEMENT_SELECT ? statement->plan->column_count
                                                       : statement->command->returning_count;
    if (count > 0)
        *out = statement->plan->columns + statement->plan->column_count - count;
    return count;
}

/* EXPLAIN ANALYZE: runs the plan, throws its rows away. */
static enum err run_discarding(struct run *run, struct error *error)
{
    struct batch batch;
    run->exec.is_timed = true;
    enum err err = run_open(run, error);
    while (err == OK && (err = run_next(run, &batch, error)) == OK && batch.row_count != 0)
        continue;
    exec_close(run->node);
    run->node = NULL;
    return err;
}

static enum err give_line(struct run *run, const struct query_sink *sink, struct slice line,
                          struct error *error)
{
    struct plan_column shape;
    const struct plan_column *columns;
    run_columns(run->statement, &shape, &columns);
    struct column column = {.type = shape.type, .form = COLUMN_CONSTANT, .values = &line};
    struct batch batch = {.row_count = 1, .column_count = 1, .columns = &column};
    return sink->rows(sink->context, &batch, error);
}

static void print_plan(struct run *run, struct writer *out)
{
    const struct statement *statement = run->statement;
    double elapsed_ms = (double)(clock_monotonic_us() - run->entry.started_us) / 1e3;
    const struct plan_actual *actual = statement->is_analyze ? run->exec.actual : NULL;
    if (statement->is_json) {
        plan_explain_json(statement, actual, elapsed_ms, out);
        return;
    }
    if (actual == NULL)
        rollup_describe(&run->exec, statement->plan);
    plan_explain(statement, run->exec.actual, out);
    if (out->size != 0 && out->data[out->size - 1] != '\n')
        writer_u8(out, '\n');
    if (actual != NULL)
        writer_printf(out, "Execution Time: %.3f ms\n", elapsed_ms);
}

enum err run_explain(struct run *run, const struct query_sink *sink, struct error *error)
{
    struct writer lines;
    enum err err = run->statement->is_analyze ? run_discarding(run, error) : OK;
    if (err != OK)
        return err;
    writer_init(&lines);
    print_plan(run, &lines);
    const char *text = (const char *)lines.data;
    for (size_t at = 0; err == OK && at < lines.size;) {
        const char *end = memchr(text + at, '\n', lines.size - at);
        size_t size = end == NULL ? lines.size - at : (size_t)(end - text) - at;
        err = give_line(run, sink, slice_of(text + at, size), error);
        at += size + 1;
    }
    writer_deinit(&lines);
    return err;
}

void run_pause(struct run *run)
{
    worker_watch(NULL, NULL);
    worker_tell_waits(NULL);
    atomic_store(&run->entry.state, "suspended");
    if (!run->is_registered) {
        struct error error;
        run->entry.cpu_used_us = clock_monotonic_us() - run->entry.started_us;
        enum err err = enlist(run, &error);
        assert(err == OK); /* its id is nobody else's */
        return;
    }
    registry_set_clock(&run->engine->registry, &run->entry, 0, 0);
}

void run_resume(struct run *run)
{
    atomic_store(&run->entry.state, "running");
    worker_tell_waits(&run->entry.waits);
    registry_set_clock(&run->engine->registry, &run->entry, clock_thread_handle(),
                       clock_thread_cpu_us());
    begin_time(run, clock_monotonic_us());
}

int64_t run_cpu_us(const struct run *run)
{
    const struct query_entry *entry = &run->entry;
    int64_t helpers_us =
        atomic_load_explicit(&run->exec.statistics.helpers_cpu_us, memory_order_relaxed);
    return entry->cpu_used_us + helpers_us +
           (entry->cpu_clock == 0 ? 0 : clock_thread_cpu_us() - entry->cpu_begin_us);
}

void run_end(struct run *run, enum err result, const struct error *error)
{
    exec_close(run->node);
    if (run->is_planned) {
        exec_finish(run);
        snapshot_close(run->seen);
        snapshot_close(run->snapshot);
        statement_unref(run->statement);
    }
    worker_watch(NULL, NULL);
    worker_tell_waits(NULL);
    if (run->is_registered)
        registry_remove(&run->engine->registry, &run->entry);
    if (!run->is_put_off)
        count_outcome(run, result, error);
    if (result != OK && memcmp(error->sqlstate, "42501", 5) == 0)
        audit_refusal(&run->engine->refusals, run->request->asker, run->request->client,
                      error->text);
    size_t used = atomic_load_explicit(&run->entry.budget.used, memory_order_relaxed);
    if (used != 0)
        budget_release(&run->entry.budget, used);
    arena_deinit(&run->arena);
}
