/* A session: what it holds, and the statements that it was asked to prepare.
 *
 *   Parse ─▶ prepared ──Bind──▶ portal ──Execute──▶ rows
 *   PREPARE ─┘          EXECUTE ──┘   └─ DECLARE, FETCH
 *
 * Names of prepared statements and of portals are the same whether the protocol or SQL made them,
 * as in PostgreSQL. Both are lists: a client has a handful of each, and SESSION_…_MAX at most. */
#include "query/session/inside.h"

#include "query/func/catalog.h"
#include "query/sql/lexer.h"
#include "query/sql/sql.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define KEPT_FREE_SIZE ((size_t)1 << 20)
#define SHORT_COUNT_MIN 4
#define SHARED_PLAN_SIZE ((size_t)64 << 10) /* smaller ones are likely the plan cache's too */

struct query_session *query_session_create(const struct query_session_options *options)
{
    struct query_session *session = memory_alloc_zero(sizeof(*session));
    session->options = *options;
    char *texts = memory_alloc(options->user.size + options->client.size + 1);
    memcpy(texts, options->user.data, options->user.size);
    memcpy(texts + options->user.size, options->client.data, options->client.size);
    session->options.user = slice_of(texts, options->user.size);
    session->options.client = slice_of(texts + options->user.size, options->client.size);
    mutex_init(&session->mutex);
    arena_init(&session->waiting_arena);
    session->settings = run_default_settings(options->engine);
    session->settings.max_rows = 0; /* rows leave as they come: none is held */
    session->settings.backend_pid = options->backend_pid;
    session->initial = session->settings;
    session->budget = (struct budget){.parent = options->engine->options.memory,
                                      .limit = session->settings.query_memory_max,
                                      .name = "session"};
    return session;
}

void query_session_destroy(struct query_session *session)
{
    if (session == NULL)
        return;
    session_end_waiting(session);
    session_close_portals(session, false);
    transaction_end(session);
    session_close_all_prepared(session);
    arena_deinit(&session->waiting_arena);
    mutex_deinit(&session->mutex);
    memory_free((void *)(uintptr_t)session->options.user.data);
    memory_free(session);
}

void session_cancel(struct query_session *session)
{
    mutex_lock(&session->mutex);
    if (session->running != NULL)
        atomic_store_explicit(&session->running->entry.is_cancelled, true, memory_order_relaxed);
    if (session->waiting != NULL)
        atomic_store_explicit(&session->waiting->entry.is_cancelled, true, memory_order_relaxed);
    mutex_unlock(&session->mutex);
}

static bool has_ended(const struct query_entry *entry, int64_t due_us)
{
    return atomic_load_explicit(&entry->is_cancelled, memory_order_relaxed) ||
           (due_us != 0 && clock_monotonic_us() >= due_us);
}

bool session_is_over(struct query_session *session)
{
    mutex_lock(&session->mutex);
    const struct run *run = session->running;
    const struct query_waiting *waiting = session->waiting;
    bool is_over = (run != NULL && has_ended(&run->entry, run->deadline_us)) ||
                   (waiting != NULL && has_ended(&waiting->entry, waiting->due_us));
    mutex_unlock(&session->mutex);
    return is_over;
}

bool session_is_interrupted(struct query_session *session)
{
    return (session->options.is_gone != NULL &&
            atomic_load_explicit(session->options.is_gone, memory_order_relaxed)) ||
           session_is_over(session);
}

/* --- a statement that waits for others to end --- */

static void set_waiting(struct query_session *session, struct query_waiting *waiting)
{
    mutex_lock(&session->mutex);
    session->waiting = waiting;
    mutex_unlock(&session->mutex);
}

/* Whoever is nobody any more learns so when it runs. */
void session_wait(struct query_session *session, struct slice text)
{
    struct arena *arena = &session->waiting_arena;
    struct error error;
    struct query_request request = {
        .text = text,
        .user = session->options.user,
        .client = session->options.client,
        .backend_pid = session->options.backend_pid,
        .timeout_us = -1,
        .max_rows = -1,
    };
    if (session->waiting != NULL)
        return;
    arena_reset(arena);
    session->since_us = clock_monotonic_us();
    request.arrived_us = session->since_us;
    if (session_asker(session, arena, &request.asker, &error) != OK)
        return;
    bool is_shown = utf8_validate(text) == text.size && memchr(text.data, 0, text.size) == NULL;
    request.text = is_shown ? arena_copy(arena, text) : SLICE("");
    struct query_engine *engine = session->options.engine;
    set_waiting(session, run_wait(engine, &request, &session->settings, arena));
}

void session_end_waiting(struct query_session *session)
{
    struct query_waiting *waiting = session->waiting;
    session->since_us = 0;
    if (waiting == NULL)
        return;
    set_waiting(session, NULL);
    query_waiting_end(waiting);
}

bool session_is_waiting(struct query_session *session)
{
    mutex_lock(&session->mutex);
    bool is_waiting = session->waiting != NULL;
    mutex_unlock(&session->mutex);
    return is_waiting;
}

int64_t session_due_us(struct query_session *session)
{
    mutex_lock(&session->mutex);
    int64_t due_us = session->waiting != NULL ? session->waiting->due_us : 0;
    mutex_unlock(&session->mutex);
    return due_us;
}

/* Until the run can be cancelled itself, `waiting` is looked at by who cancels. */
void session_take_waiting(const struct query_session *session, struct query_request *request)
{
    request->waiting = session->waiting;
    request->arrived_us = fault_is("session.time_begins_late") ? 0 : session->since_us;
}

void session_set_running(struct query_session *session, struct run *run)
{
    struct query_waiting *waiting = run != NULL ? session->waiting : NULL;
    mutex_lock(&session->mutex);
    session->running = run;
    if (waiting != NULL && has_ended(&waiting->entry, 0))
        atomic_store_explicit(&run->entry.is_cancelled, true, memory_order_relaxed);
    session->waiting = waiting != NULL ? NULL : session->waiting;
    mutex_unlock(&session->mutex);
    if (waiting != NULL && waiting != run->request->waiting) /* it was begun before */
        query_waiting_end(waiting);
}

enum err session_set_initial(struct query_session *session, struct slice name, struct slice value,
                             struct error *error)
{
    enum err err = setting_set(&session->settings, name, value, error);
    session->settings.is_read_only = session->settings.is_read_only_default;
    session->initial = session->settings;
    return err;
}

struct slice session_show(struct query_session *session, struct slice name, struct arena *arena)
{
    bool is_known;
    return setting_show(&session->settings, name, arena, &is_known);
}

const struct settings *session_settings(const struct query_session *session)
{
    return &session->settings;
}

char session_state(const struct query_session *session)
{
    const struct transaction *transaction = session->transaction;
    return transaction == NULL ? 'I' : transaction->has_failed ? 'E' : 'T';
}

void session_set_failed(struct query_session *session)
{
    if (session->transaction != NULL)
        session->transaction->has_failed = true;
}

void session_sync(struct query_session *session)
{
    if (session->transaction == NULL)
        session_close_portals(session, true);
}

void session_notice(struct query_session *session, const char *severity, const char *sqlstate,
                    const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (session->options.notice == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    session->options.notice(session->options.context, severity, sqlstate, text);
}

enum err session_asker(struct query_session *session, struct arena *arena, const struct asker **out,
                       struct error *error)
{
    const struct query_session_options *options = &session->options;
    *out = NULL;
    return options->asker == NULL ? OK : options->asker(options->context, arena, out, error);
}

/* Known by its first word: what cannot be bound any more must still be refused so, and not for the
 * tables that it names. */
enum err session_check_failed(const struct query_session *session, struct slice text,
                              struct error *error)
{
    static const char *const words[] = {"commit", "end", "rollback", "abort"};
    if (session_state(session) != 'E')
        return OK;
    struct lexer lexer = {.text = text};
    enum lexer_token token = lexer_next(&lexer);
    for (size_t i = 0; i < array_count(words); i++)
        if (lexer_is_word(&lexer, token, words[i]))
            return OK;
    if (token == LEXER_END)
        return OK;
    return error_set(
        error, ERR_INPUT, "25P02",
        "current transaction is aborted, commands ignored until end of transaction block");
}

/* --- what is kept --- */

static size_t charged(size_t kept_size)
{
    return kept_size > KEPT_FREE_SIZE ? kept_size - KEPT_FREE_SIZE : 0;
}

enum err session_keep(struct query_session *session, size_t size, struct error *error)
{
    size_t more = charged(session->kept_size + size) - charged(session->kept_size);
    enum err err = more == 0 ? OK : budget_charge(&session->budget, more, error);
    session->kept_size += err == OK ? size : 0;
    return err;
}

void session_let_go(struct query_session *session, size_t size)
{
    assert(size <= session->kept_size);
    size_t less = charged(session->kept_size) - charged(session->kept_size - size);
    if (less > 0)
        budget_release(&session->budget, less);
    session->kept_size -= size;
}

/* --- short statements --- */

void session_begin_short(struct query_session *session, int64_t deadline_us)
{
    assert(deadline_us > 0);
    session->short_until_us = deadline_us;
    session->is_put_off = false;
}

void session_end_short(struct query_session *session)
{
    session->short_until_us = 0;
    session->is_put_off = false;
    if (session->has_warm)
        session_pause_warm(session);
}

enum err session_put_off(struct query_session *session, struct error *error)
{
    session->is_put_off = session->short_until_us != 0;
    return error_set(error, ERR_TIMEOUT, "57014", "canceling statement: it is put off");
}

bool session_is_put_off(const struct query_session *session)
{
    return session->is_put_off;
}

/* --- prepared statements --- */

void prepared_unref(struct prepared *prepared)
{
    if (prepared == NULL || --prepared->references > 0)
        return;
    if (prepared->statement != NULL)
        statement_unref(prepared->statement);
    session_let_go(prepared->session, prepared->kept_size);
    arena_deinit(&prepared->arena);
    memory_free(prepared);
}

static struct prepared **find_prepared(struct query_session *session, struct slice name)
{
    struct prepared **link = &session->prepared;
    while (*link != NULL && !slice_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

bool session_is_short(struct query_session *session, struct slice name)
{
    const struct prepared *prepared = *find_prepared(session, name);
    return prepared != NULL && prepared->statement != NULL &&
           prepared->statement->kind == STATEMENT_SELECT && prepared->statement->copy == NULL &&
           prepared->short_count >= prepared->short_count_min;
}

void session_close_prepared(struct query_session *session, struct slice name)
{
    struct prepared **link = find_prepared(session, name);
    struct prepared *prepared = *link;
    if (prepared == NULL)
        return;
    *link = prepared->next;
    session->prepared_count--;
    prepared_unref(prepared);
}

void session_close_all_prepared(struct query_session *session)
{
    while (session->prepared != NULL)
        session_close_prepared(session, session->prepared->name);
}

enum err session_find_prepared(struct query_session *session, struct slice name,
                               struct prepared **out, struct error *error)
{
    *out = *find_prepared(session, name);
    if (*out != NULL)
        return OK;
    if (name.size == 0)
        return error_set(error, ERR_NOT_FOUND, "26000",
                         "unnamed prepared statement does not exist");
    return error_set(error, ERR_NOT_FOUND, "26000", "prepared statement \"%.*s\" does not exist",
                     SLICE_ARGS(name));
}

/* Types that were given stay as they were told, the others are those that were found. */
static void list_types(const struct prepared *prepared, struct arena *arena,
                       struct prepared_entry *out)
{
    const struct statement *statement = prepared->statement;
    out->type_count = statement == NULL ? 0 : statement->numbered_count;
    struct value *oids = arena_alloc_array(arena, out->type_count, sizeof(*oids));
    for (size_t i = 0; i < out->type_count; i++) {
        uint32_t given = i < prepared->type_count ? prepared->oids[i] : 0;
        enum type_id found = (enum type_id)statement->parameters[i].type.id;
        oids[i] = (struct value){.type = type_of(TYPE_INT8),
                                 .i = given != 0 ? given : catalog_type_oid(found)};
    }
    out->type_oids = oids;
}

size_t session_list_prepared(void *context, struct arena *arena, struct prepared_entry **out)
{
    const struct query_session *session = context;
    size_t count = 0;
    *out = arena_alloc_array(arena, session->prepared_count, sizeof(**out));
    for (const struct prepared *at = session->prepared; at != NULL; at = at->next) {
        if (at->name.size == 0)
            continue;
        struct prepared_entry *entry = &(*out)[count++];
        *entry = (struct prepared_entry){
            .name = arena_copy(arena, at->name),
            .text = arena_copy(arena, sql_masked(slice_trim(at->text), arena)),
            .prepared_at_us = at->prepared_at_us,
            .is_from_sql = at->is_from_sql,
        };
        list_types(at, arena, entry);
    }
    return count;
}

static bool holds_nothing(struct slice text)
{
    struct lexer lexer = {.text = text};
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;)
        if (token != LEXER_SYMBOL || lexer.token.data[0] != ';')
            return false;
    return true;
}

static enum err plan_prepared(struct query_session *session, struct prepared *prepared,
                              struct error *error)
{
    const struct transaction *transaction = session->transaction;
    struct query_request request = {
        .text = prepared->text,
        .asker = prepared->asker,
        .user = session->options.user,
        .client = session->options.client,
        .timeout_us = -1,
        .max_rows = -1,
        .is_cancelled = session->options.is_gone,
        .has_session = true,
        .backend_pid = session->options.backend_pid,
        .snapshot = transaction == NULL ? NULL : transaction->snapshot,
        .type_count = prepared->type_count,
        .types = prepared->types,
    };
    struct run *run = memory_alloc(sizeof(*run));
    session_take_waiting(session, &request);
    enum err err = run_begin(run, session->options.engine, &request, &session->settings, error);
    session_set_running(session, run);
    if (err == OK && !fault_is("session.prepared_though_cancelled"))
        err = run_check_time(run, error);
    if (err == OK)
        err = run_prepare(run, &prepared->statement, error);
    session_set_running(session, NULL);
    run_end(run, err, error);
    memory_free(run);
    prepared->zone = session->settings.zone;
    return err;
}

static enum err keep_prepared(struct prepared *prepared, size_t size, struct error *error)
{
    enum err err = session_keep(prepared->session, size, error);
    prepared->kept_size += err == OK ? size : 0;
    return err;
}

static void copy_types(struct prepared *prepared, const struct prepare_options *options)
{
    size_t count = options->type_count;
    prepared->type_count = count;
    prepared->types = arena_alloc_array(&prepared->arena, count, sizeof(*prepared->types));
    prepared->oids = arena_alloc_zero(&prepared->arena, (count + 1) * sizeof(*prepared->oids));
    if (count > 0)
        memcpy(prepared->types, options->types, count * sizeof(*prepared->types));
    if (count > 0 && options->oids != NULL)
        memcpy(prepared->oids, options->oids, count * sizeof(*prepared->oids));
}

enum err session_prepare(struct query_session *session, const struct prepare_options *options,
                         struct prepared **out, struct error *error)
{
    enum err err = session_check_failed(session, options->text, error);
    if (err != OK)
        return err;
    if (options->name.size == 0)
        session_close_prepared(session, options->name);
    else if (*find_prepared(session, options->name) != NULL)
        return error_set(error, ERR_EXISTS, "42P05", "prepared statement \"%.*s\" already exists",
                         SLICE_ARGS(options->name));
    if (session->prepared_count >= SESSION_PREPARED_MAX)
        return error_set(error, ERR_LIMIT, "54000", "a session has at most %d prepared statements",
                         SESSION_PREPARED_MAX);
    struct prepared *prepared = memory_alloc_zero(sizeof(*prepared));
    arena_init(&prepared->arena);
    prepared->session = session;
    prepared->references = 1;
    prepared->prepared_at_us = clock_wall_us();
    prepared->short_count_min = SHORT_COUNT_MIN;
    prepared->name = arena_copy(&prepared->arena, options->name);
    prepared->text = arena_copy(&prepared->arena, options->text);
    copy_types(prepared, options);
    prepared->is_empty = holds_nothing(prepared->text);
    err = session_asker(session, &prepared->arena, &prepared->asker, error);
    if (err == OK)
        err = keep_prepared(prepared, prepared->arena.total, error);
    if (err == OK && !prepared->is_empty)
        err = plan_prepared(session, prepared, error);
    if (err == OK && !prepared->is_empty && prepared->statement->arena.total > SHARED_PLAN_SIZE)
        err = keep_prepared(prepared, prepared->statement->arena.total, error);
    if (err != OK) {
        prepared_unref(prepared);
        return err;
    }
    prepared->next = session->prepared;
    session->prepared = prepared;
    session->prepared_count++;
    *out = prepared;
    return OK;
}
