/* From a request to a plan and a snapshot that belong together.
 *
 *   known to the session ─┐
 *   in the plan cache ────┼─▶ values bound ─▶ completeness ─▶ snapshot ─▶ still current? ─▶ run
 *   planned now ──────────┘   └─ constants of another plan,      no: planned anew, a few times
 *                                where the plan wants them
 *
 * Completeness is asked for before the snapshot is taken, so it never claims more than the snapshot
 * holds; which tables to ask about is known from the plan, and a plan is checked against the
 * snapshot it runs over: DDL in between means planning again. A transaction brings its snapshot:
 * plans are made and checked against that one. */
#include "query/run.h"

#include "query/lifted.h"
#include "query/sql/shape.h"
#include "query/sql/sql.h"
#include "storage/base/metrics.h"

#define PLAN_TRIES 8
#define PLAN_FREE_SIZE ((size_t)1 << 20) /* of a plan, not charged to the query */

/* Planning gives way and ends as running does, and what a large plan takes is charged. */
static enum err look_while_planning(void *context, size_t bytes, struct error *error)
{
    struct run *run = context;
    enum err err = run_check_time(run, error);
    size_t charged = bytes > PLAN_FREE_SIZE ? bytes - PLAN_FREE_SIZE : 0;
    if (err != OK || charged <= run->plan_charged)
        return err;
    err = budget_charge(&run->entry.budget, charged - run->plan_charged, error);
    if (err == OK)
        run->plan_charged = charged;
    return err;
}

static struct slice show_setting(void *context, struct slice name, bool *is_known)
{
    struct run *run = context;
    return setting_show(&run->settings, name, &run->arena, is_known);
}

static uint64_t current_views(const struct query_engine *engine)
{
    const struct query_engine_options *options = &engine->options;
    return options->view_version == NULL ? 0 : options->view_version(options->context);
}

static bool is_current(const struct run *run, const struct statement *statement)
{
    return plan_is_current(statement, run->snapshot) &&
           (!statement->has_views || statement->view_version == current_views(run->engine));
}

static struct plan_key plan_key(struct run *run)
{
    const struct query_request *request = run->request;
    struct slice mark = rights_mark(request->asker, &run->arena);
    char *types = arena_alloc(&run->arena, request->type_count + 1 + mark.size);
    for (size_t i = 0; i < request->type_count; i++)
        types[i] = (char)request->types[i].id;
    size_t size = request->type_count;
    if (mark.size > 0) {
        types[size++] = (char)0xff; /* no type's */
        memcpy(types + size, mark.data, mark.size);
        size += mark.size;
    }
    return (struct plan_key){.text = request->text,
                             .zone = slice_from_cstr(timezone_name(run->settings.zone)),
                             .types = slice_of(types, size)};
}

/* With values they are constants of the plan, which is then of this run only. */
static enum err make_plan(struct run *run, const struct value *values, struct statement **out,
                          struct error *error)
{
    struct query_engine *engine = run->engine;
    uint64_t view_version = current_views(engine); /* before the first definition is read */
    struct snapshot *whole = run_snapshot(run);
    struct snapshot *snapshot = run_seen(run, whole);
    struct sql_context context = {
        .snapshot = snapshot,
        .whole = whole,
        .asker = run->request->asker,
        .providers = engine->providers,
        .provider_count = engine->provider_count,
        .zone = run->settings.zone,
        .setting = show_setting,
        .setting_context = run,
        .find_view = engine->options.find_view,
        .view_context = engine->options.context,
        .look = look_while_planning,
        .look_context = run,
        .is_unoptimized = !run->settings.is_optimizer_on,
        .shape = values == NULL && run->settings.plan_cache == PLAN_CACHE_ON ? &run->shape : NULL,
        .parameter_types = run->request->types,
        .parameter_type_count = run->request->type_count,
        .parameter_values = values,
        .parameter_value_count = values == NULL ? 0 : run->statement->parameter_count,
        .numbered_value_count = values == NULL ? 0 : run->statement->numbered_count,
        .has_session = run->request->has_session,
    };
    enum err err = sql_prepare(run->request->text, &context, out, error);
    snapshot_close(snapshot);
    snapshot_close(whole);
    if (err != OK)
        return err;
    (*out)->view_version = view_version;
    return OK;
}

/* From the cache: by its text, then by its shape if its literals are fine as values. */
static struct statement *find_kept(struct run *run, const struct plan_key *key)
{
    struct plan_cache *cache = run->engine->cache;
    run->lifted = NULL;
    struct statement *statement = plan_cache_find(cache, key);
    if (statement != NULL)
        metric_add(&metrics.plan_text_hits, 1);
    if (statement != NULL || run->settings.plan_cache != PLAN_CACHE_ON)
        return statement;
    shape_make(key->text, &run->arena, &run->shape);
    statement = plan_cache_find_shape(cache, key, &run->shape);
    if (statement == NULL)
        return NULL;
    run->lifted = arena_alloc_array(&run->arena, statement->lifted.count, sizeof(*run->lifted));
    if (lifted_read(&statement->lifted, &run->shape, run->settings.zone, &run->arena,
                    run->lifted)) {
        metric_add(&metrics.plan_shape_hits, 1);
        return statement;
    }
    statement_unref(statement);
    run->lifted = NULL;
    return NULL;
}

enum err run_find_statement(struct run *run, struct error *error)
{
    struct query_engine *engine = run->engine;
    struct statement *known = run->request->statement;
    bool is_kept = run->settings.is_optimizer_on && run->settings.plan_cache != PLAN_CACHE_OFF;
    if (known != NULL && !run->is_known_stale) {
        run->statement = statement_ref(known);
        return OK;
    }
    struct plan_key key = plan_key(run);
    run->statement = is_kept ? find_kept(run, &key) : NULL;
    if (run->statement != NULL)
        return OK;
    metric_add(&metrics.plan_misses, 1);
    struct statement *statement;
    enum err err = make_plan(run, NULL, &statement, error);
    if (err == OK && statement->is_cacheable && is_kept)
        plan_cache_add(engine->cache, &key, statement);
    if (err == OK)
        run->statement = statement;
    return err;
}

/* Values of the text's own literals, behind those of parameters. */
static enum err bind_literals(struct run *run, struct error *error)
{
    const struct statement *statement = run->statement;
    struct value *values = run->bound + statement->parameter_count;
    if (statement->lifted.count == 0)
        return OK;
    if (run->lifted != NULL) { /* read when the plan was found */
        memcpy(values, run->lifted, statement->lifted.count * sizeof(*values));
        return OK;
    }
    if (run->shape.text.data == NULL)
        shape_make(run->request->text, &run->arena, &run->shape);
    if (lifted_fits(&statement->lifted, &run->shape) &&
        lifted_read(&statement->lifted, &run->shape, run->settings.zone, &run->arena, values))
        return OK;
    return error_set(error, ERR_CORRUPT, "XX000", "the plan is not one of this statement");
}

/* Values for the parameters; where the plan wants constants, another plan with them in it. */
static enum err bind_parameters(struct run *run, struct error *error)
{
    const struct query_request *request = run->request;
    struct text_context context = {.zone = run->settings.zone, .now_us = run->entry.started_at_us};
    enum err err = parameters_bind(run->statement, request->parameters, request->parameter_count,
                                   &context, &run->entry.budget, &run->arena, &run->bound, error);
    if (err == OK)
        err = bind_literals(run, error);
    if (err != OK || !run->statement->needs_values)
        return err;
    struct statement *statement;
    err = make_plan(run, run->bound, &statement, error);
    if (err != OK)
        return err;
    run->typed = run->statement;
    run->statement = statement;
    return OK;
}

static void ask_completeness(struct run *run)
{
    const struct query_engine_options *options = &run->engine->options;
    const struct statement *statement = run->statement;
    run->completeness = (struct completeness){.complete_through_us = INT64_MIN};
    if (statement->table_count == 0)
        return;
    uint32_t *ids = arena_alloc_array(&run->arena, statement->table_count, sizeof(*ids));
    size_t count = rights_list_seen(run->request->asker, statement, ids);
    bool is_whole = count == statement->table_count;
    atomic_store_explicit(&run->entry.has_unseen, !is_whole, memory_order_relaxed);
    if (options->completeness == NULL || count == 0 || run->request->has_session)
        return;
    options->completeness(options->context, ids, count, &run->arena, &run->completeness);
    if (!is_whole) /* no promise for all of it */
        run->completeness.complete_through_us = INT64_MIN;
}

enum err run_find_plan(struct run *run, struct error *error)
{
    atomic_store(&run->entry.state, "planning");
    for (int i = 0; i < PLAN_TRIES; i++) {
        enum err err = run_find_statement(run, error);
        if (err == OK && (err = bind_parameters(run, error)) != OK)
            statement_unref(run->statement);
        if (err != OK)
            return err;
        ask_completeness(run);
        run->snapshot = run_snapshot(run);
        bool is_right =
            is_current(run, run->statement) && (run->typed == NULL || is_current(run, run->typed));
        if (!is_right)
            plan_cache_remove(run->engine->cache, run->typed != NULL ? run->typed : run->statement);
        statement_unref(run->typed);
        run->typed = NULL;
        if (is_right)
            return OK;
        snapshot_close(run->snapshot);
        run->snapshot = NULL;
        run->is_known_stale = true;
        statement_unref(run->statement);
        run->statement = NULL;
    }
    return error_set(error, ERR_BUSY, "40001",
                     "the tables changed while the query was planned; try again");
}
