/* A portal: a statement with its values, run piece by piece.
 *
 *   NEW ──portal_start──▶ PLANNED ──portal_run──▶ OPEN ──▶ DONE; an error ──▶ FAILED
 *                                                  │  ▲
 *                                                  └──┘ so many rows, then suspended
 *
 * What is DONE gives no more rows. What has FAILED says so for ever: a cursor WITH HOLD, or one
 * before a savepoint, is still there then, and that it had no more rows would be a wrong answer.
 *
 * What is suspended keeps its plan's nodes, its snapshot and the batch that it stands in; its
 * memory stays charged. It ends with its transaction, unless it was declared WITH HOLD: that one
 * goes on over its snapshot, rows are not copied for it. A suspended portal runs on whatever thread
 * the next job has. */
#include "query/session/inside.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <assert.h>
#include <stdio.h>

#define SHORT_RUN_US 150
#define SHORT_COUNT_MAX 4096

/* --- the list --- */

static void portal_destroy(struct portal *portal)
{
    static const struct error none;
    if (portal->is_stopped) /* it could still be cancelled */
        session_set_running(portal->session, NULL);
    if (portal->run != NULL) {
        run_end(portal->run, OK, &none);
        memory_free(portal->run);
    }
    if (portal->statement != NULL)
        statement_unref(portal->statement);
    statement_unref(portal->before);
    prepared_unref(portal->prepared);
    session_let_go(portal->session, portal->kept_size);
    arena_deinit(&portal->arena);
    memory_free(portal);
}

static struct portal **find_portal(struct query_session *session, struct slice name)
{
    struct portal **link = &session->portals;
    while (*link != NULL && !slice_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

enum err session_find_portal(struct query_session *session, struct slice name, struct portal **out,
                             struct error *error)
{
    *out = *find_portal(session, name);
    if (*out != NULL)
        return OK;
    return error_set(error, ERR_NOT_FOUND, "34000", "portal \"%.*s\" does not exist",
                     SLICE_ARGS(name));
}

static void remove_portal(struct query_session *session, struct portal **link)
{
    struct portal *portal = *link;
    *link = portal->next;
    session->portal_count--;
    portal_destroy(portal);
}

void session_close_portal(struct query_session *session, struct slice name)
{
    struct portal **link = find_portal(session, name);
    if (*link != NULL)
        remove_portal(session, link);
}

void session_close_portals(struct query_session *session, bool keeps_held)
{
    struct portal **link = &session->portals;
    while (*link != NULL) {
        if (keeps_held && (*link)->is_hold)
            link = &(*link)->next;
        else
            remove_portal(session, link);
    }
}

/* --- opening --- */

/* What has been allocated in its arena since it was asked before. */
static enum err keep_portal(struct portal *portal, struct error *error)
{
    size_t more = portal->arena.total - portal->kept_size;
    enum err err = session_keep(portal->session, more, error);
    portal->kept_size += err == OK ? more : 0;
    return err;
}

static void copy_parameters(struct portal *portal, const struct portal_options *options)
{
    size_t count = options->parameter_count;
    struct query_parameter *copies = arena_alloc_array(&portal->arena, count, sizeof(*copies));
    for (size_t i = 0; i < count; i++) {
        copies[i] = options->parameters[i];
        copies[i].text = arena_copy(&portal->arena, copies[i].text);
        if (copies[i].kind == PARAMETER_VALUE && !copies[i].value.is_null &&
            type_physical(copies[i].value.type.id) == PHYSICAL_TEXT)
            copies[i].value.text = arena_copy(&portal->arena, copies[i].value.text);
    }
    portal->request.parameters = copies;
    portal->request.parameter_count = count;
}

static void fill_request(struct portal *portal)
{
    const struct query_session_options *options = &portal->session->options;
    struct query_request *request = &portal->request;
    request->user = options->user;
    request->client = options->client;
    request->timeout_us = -1;
    request->max_rows = -1;
    request->is_cancelled = options->is_gone;
    request->has_session = true;
    request->backend_pid = options->backend_pid;
    request->list_prepared = session_list_prepared;
    request->prepared_context = portal->session;
}

enum err portal_open(struct query_session *session, const struct portal_options *options,
                     struct portal **out, struct error *error)
{
    const struct prepared *prepared = options->prepared;
    struct slice text = prepared != NULL ? prepared->text : options->text;
    enum err err = session_check_failed(session, text, error);
    if (err != OK)
        return err;
    if (options->name.size == 0)
        session_close_portal(session, options->name);
    else if (*find_portal(session, options->name) != NULL)
        return error_set(error, ERR_EXISTS, "42P03", "cursor \"%.*s\" already exists",
                         SLICE_ARGS(options->name));
    if (session->portal_count >= SESSION_PORTALS_MAX)
        return error_set(error, ERR_LIMIT, "54000", "a session has at most %d open portals",
                         SESSION_PORTALS_MAX);
    struct portal *portal = memory_alloc_zero(sizeof(*portal));
    portal->session = session;
    arena_init(&portal->arena);
    portal->name = arena_copy(&portal->arena, options->name);
    portal->format_count = options->format_count;
    portal->formats = arena_alloc_array(&portal->arena, options->format_count, sizeof(int16_t));
    if (options->format_count > 0)
        memcpy(portal->formats, options->formats, options->format_count * sizeof(int16_t));
    copy_parameters(portal, options);
    fill_request(portal);
    if (prepared != NULL) {
        portal->prepared = (struct prepared *)(uintptr_t)prepared;
        portal->prepared->references++;
        portal->is_empty = prepared->is_empty;
        portal->request.types = prepared->types;
        portal->request.type_count = prepared->type_count;
    }
    portal->request.text = prepared != NULL ? prepared->text : arena_copy(&portal->arena, text);
    err = keep_portal(portal, error);
    if (err != OK) {
        portal_destroy(portal);
        return err;
    }
    portal->next = session->portals;
    session->portals = portal;
    session->portal_count++;
    *out = portal;
    return OK;
}

const struct statement *portal_statement(const struct portal *portal)
{
    return portal->statement;
}

int16_t portal_format(const struct portal *portal, size_t index)
{
    if (portal->format_count == 1)
        return portal->formats[0];
    return index < portal->format_count ? portal->formats[index] : 0;
}

struct slice portal_text(const struct portal *portal)
{
    return portal->request.text;
}

size_t portal_format_count(const struct portal *portal)
{
    return portal->format_count;
}

bool portal_is_empty(const struct portal *portal)
{
    return portal->is_empty;
}

bool portal_is_outdated(const struct portal *portal)
{
    return portal->is_outdated;
}

/* --- planning --- */

/* A transaction's first look at tables is what all others see too. */
static void keep_snapshot(struct query_session *session, const struct run *run)
{
    struct transaction *transaction = session->transaction;
    if (transaction != NULL && transaction->snapshot == NULL &&
        run->statement->kind == STATEMENT_SELECT)
        transaction->snapshot = snapshot_ref(run->snapshot);
}

/* What is short is over before somebody could cancel it. */
static void enter_run(struct portal *portal)
{
    if (!portal->request.is_short)
        session_set_running(portal->session, portal->run);
}

static void leave_run(struct portal *portal)
{
    if (!portal->request.is_short)
        session_set_running(portal->session, NULL);
}

/* No later than the loop's thread has time. */
static void hurry(struct portal *portal)
{
    int64_t until_us = portal->session->short_until_us;
    portal->deadline_us = portal->run->deadline_us;
    if (until_us != 0 && (portal->deadline_us == 0 || until_us < portal->deadline_us))
        run_set_deadline(portal->run, until_us);
}

/* Between two stays in jobs, unless the next message may go on with it right away. */
static void pause_run(struct portal *portal)
{
    struct query_session *session = portal->session;
    leave_run(portal);
    portal->is_warm = session->short_until_us != 0;
    if (!portal->is_warm)
        run_pause(portal->run);
    session->has_warm = session->has_warm || portal->is_warm;
}

/* What has waited for others to end may have no more time. */
static enum err resume_run(struct portal *portal, struct error *error)
{
    bool was_warm = portal->is_warm;
    portal->is_warm = false;
    if (was_warm)
        return OK;
    portal->request.is_short = false;
    run_resume(portal->run);
    int64_t since_us = portal->session->since_us;
    int64_t timeout_us = portal->run->settings.statement_timeout_us;
    if (since_us != 0 && timeout_us > 0 && !fault_is("session.time_begins_late"))
        run_set_deadline(portal->run, since_us + timeout_us);
    portal->session->since_us = 0;
    hurry(portal);
    enter_run(portal);
    return since_us == 0 ? OK : run_check_time(portal->run, error);
}

void session_pause_warm(struct query_session *session)
{
    for (struct portal *portal = session->portals; portal != NULL; portal = portal->next) {
        if (!portal->is_warm)
            continue;
        portal->is_warm = portal->request.is_short = false;
        run_pause(portal->run);
    }
    session->has_warm = false;
}

/* Short enough for the loop's thread, next time. Only what a prepared statement has done tells. */
static void note_time(struct portal *portal)
{
    struct prepared *prepared = portal->prepared;
    if (prepared == NULL)
        return;
    int64_t taken_us = clock_monotonic_us() - portal->started_us;
    if (portal->request.is_short) { /* it has not been put off: no reason to think worse of it */
        prepared->short_count = taken_us < 2 * SHORT_RUN_US ? prepared->short_count : 0;
        return;
    }
    /* By the clock on the wall it may have waited for its turn only. */
    if (taken_us < SHORT_RUN_US || run_cpu_us(portal->run) < SHORT_RUN_US) {
        prepared->short_count += prepared->short_count < SHORT_COUNT_MAX;
        return;
    }
    prepared->short_count = 0;
    if (prepared->short_count_min < SHORT_COUNT_MAX)
        prepared->short_count_min *= 2;
}

/* Its time was the loop's, and is over, but its own is not. */
static bool must_be_put_off(const struct portal *portal, enum err err)
{
    const struct query_session *session = portal->session;
    return err == ERR_TIMEOUT && session->short_until_us != 0 &&
           (session->is_put_off || clock_monotonic_us() >= session->short_until_us) &&
           (portal->deadline_us == 0 || clock_monotonic_us() < portal->deadline_us);
}

/* As if it had not been started. */
static void put_off(struct portal *portal)
{
    statement_unref(portal->statement);
    portal->statement = NULL;
    portal->state = PORTAL_NEW;
    portal->batch = (struct batch){0};
    portal->batch_row = portal->row_count = 0;
    portal->session->is_put_off = true;
}

static void drop_run(struct portal *portal, bool is_put_off, enum err err,
                     const struct error *error)
{
    leave_run(portal);
    portal->is_warm = false;
    portal->run->is_put_off = is_put_off;
    run_end(portal->run, err, error);
    memory_free(portal->run);
    portal->run = NULL;
}

/* A run that failed is over: it holds nothing any more. */
static enum err end_run(struct portal *portal, enum err err, const struct error *error)
{
    bool is_put_off = must_be_put_off(portal, err);
    if (!is_put_off)
        note_time(portal);
    drop_run(portal, is_put_off, err, error);
    portal->state = err == OK ? PORTAL_DONE : PORTAL_FAILED;
    if (is_put_off)
        put_off(portal);
    return err;
}

/* Who has described the statement must get rows that look so. */
static enum err check_columns(struct portal *portal, const struct statement *known,
                              struct error *error)
{
    const struct statement *now = portal->run->statement;
    struct plan_column known_line, line;
    const struct plan_column *known_columns, *columns;
    if (known == NULL || known == now)
        return OK;
    size_t count = run_columns(now, &line, &columns);
    bool is_same = count == run_columns(known, &known_line, &known_columns);
    for (size_t i = 0; i < count && is_same; i++)
        is_same = columns[i].type.id == known_columns[i].type.id &&
                  columns[i].type.alias == known_columns[i].type.alias;
    portal->is_outdated = !is_same;
    return is_same ? OK
                   : error_set(error, ERR_UNSUPPORTED, "0A000",
                               "cached plan must not change result type");
}

enum err portal_start(struct portal *portal, struct error *error)
{
    struct query_session *session = portal->session;
    struct transaction *transaction = session->transaction;
    const struct prepared *prepared = portal->prepared;
    enum err err = session_check_failed(session, portal->request.text, error);
    if (err == OK && portal->state == PORTAL_FAILED)
        err = error_set(error, ERR_INPUT, "55000", "portal \"%.*s\" cannot be run",
                        SLICE_ARGS(portal->name));
    if (err != OK || portal->state != PORTAL_NEW || portal->is_empty)
        return err;
    err = session_asker(session, &portal->arena, &portal->request.asker, error);
    if (err == OK)
        err = keep_portal(portal, error);
    if (err != OK)
        return err;
    bool is_same = prepared != NULL && prepared->zone == session->settings.zone &&
                   session->settings.is_optimizer_on &&
                   asker_is_like(prepared->asker, portal->request.asker);
    portal->request.statement = is_same ? prepared->statement : NULL;
    portal->request.snapshot = transaction == NULL ? NULL : transaction->snapshot;
    if (transaction == NULL)
        session->settings.is_read_only = session->settings.is_read_only_default;
    portal->request.is_read_only = session->settings.is_read_only;
    portal->request.is_short = session->short_until_us != 0;
    session_take_waiting(session, &portal->request);
    assert(!portal->request.is_short || portal->request.waiting == NULL);
    portal->run = memory_alloc(sizeof(*portal->run));
    portal->started_us = clock_monotonic_us();
    err = run_begin(portal->run, session->options.engine, &portal->request, &session->settings,
                    error);
    hurry(portal);
    enter_run(portal);
    portal->request.waiting = NULL;
    if (err == OK)
        err = run_plan(portal->run, error);
    if (err == OK)
        err = transaction_check_reads(session, portal->run->statement, error);
    if (err == OK)
        err = check_columns(portal, prepared == NULL ? NULL : prepared->statement, error);
    if (err != OK)
        return end_run(portal, err, error);
    keep_snapshot(session, portal->run);
    portal->statement = statement_ref(portal->run->statement);
    portal->state = PORTAL_PLANNED;
    pause_run(portal);
    return OK;
}

/* --- rows --- */

struct counting_sink {
    const struct portal_sink *sink;
    uint64_t count;
};

static enum err count_rows(void *context, const struct batch *batch, struct error *error)
{
    struct counting_sink *counting = context;
    size_t count = batch->row_count;
    counting->count += count;
    return counting->sink->rows(counting->sink->context, batch, 0, &count, false, error);
}

static enum err explain(struct portal *portal, const struct portal_sink *sink,
                        struct portal_outcome *out, struct error *error)
{
    struct counting_sink counting = {.sink = sink};
    const struct query_sink each = {.context = &counting, .rows = count_rows};
    enum err err = run_explain(portal->run, &each, error);
    snprintf(out->tag, sizeof(out->tag), "EXPLAIN");
    out->row_count = counting.count;
    return err;
}

static enum err check_count(const struct portal *portal, struct error *error)
{
    int64_t max_rows = portal->session->settings.max_rows;
    if (max_rows == 0 || portal->row_count <= (uint64_t)max_rows)
        return OK;
    enum err err = error_set(error, ERR_LIMIT, "54000", "the result has more than %lld rows",
                             (long long)max_rows);
    error_hint(error, "Add a LIMIT, or raise freshet.max_rows.");
    return err;
}

/* Up to max_rows (0: all) from where it stands; *is_end when there are no more, as far as it was
 * asked: after max_rows it is not, and what comes then may raise. Stops where the sink does. */
static enum err pull(struct portal *portal, uint64_t max_rows, const struct portal_sink *sink,
                     uint64_t *given, bool *is_end, struct error *error)
{
    enum err err = portal->state == PORTAL_OPEN ? OK : run_open(portal->run, error);
    if (err != OK)
        return err;
    portal->state = PORTAL_OPEN;
    *given = portal->stopped_count;
    *is_end = portal->is_stopped = false;
    for (;;) {
        if (max_rows != 0 && *given == max_rows) /* whether there are more is not asked */
            return OK;
        if (portal->batch_row == portal->batch.row_count) {
            portal->batch_row = 0;
            err = run_next(portal->run, &portal->batch, error);
            *is_end = err == OK && portal->batch.row_count == 0;
            if (err != OK || *is_end)
                return err;
        }
        size_t count = portal->batch.row_count - portal->batch_row;
        if (max_rows != 0 && count > max_rows - *given)
            count = (size_t)(max_rows - *given);
        portal->row_count += count;
        err = check_count(portal, error);
        size_t taken = count;
        if (err == OK)
            err = sink->rows(sink->context, &portal->batch, portal->batch_row, &taken,
                             sink->may_stop, error);
        if (err != OK)
            return err;
        portal->row_count -= count - taken;
        portal->batch_row += taken;
        *given += taken;
        portal->is_stopped = taken < count;
        if (portal->is_stopped)
            return OK;
    }
}

/* Something was changed at once (DDL): in a transaction the client is told so, and what it reads
 * next sees it. */
static void session_changed(struct query_session *session, const char *command_tag)
{
    if (session->transaction == NULL)
        return;
    session_notice(session, "WARNING", "01000",
                   "%s takes effect at once and is not undone by ROLLBACK", command_tag);
    if (session->transaction->snapshot != NULL) /* the next read sees the change */
        snapshot_close(session->transaction->snapshot);
    session->transaction->snapshot = NULL;
}

static enum err command(struct portal *portal, const struct portal_sink *sink,
                        struct portal_outcome *out, struct error *error)
{
    struct counting_sink counting = {.sink = sink};
    const struct query_sink returning = {.context = &counting, .rows = count_rows};
    struct run *run = portal->run;
    struct query_session *session = portal->session;
    const struct statement *statement = run->statement;
    bool is_insert = statement->command->kind == COMMAND_INSERT;
    struct command_answer answer = {0};
    enum err err = OK;
    run->returning = &returning;
    if (is_insert && session->transaction != NULL)
        err = transaction_keep_rows(session, run, &answer.row_count, error);
    else
        err = run_command(run, &answer, error);
    run->returning = NULL;
    if (err != OK)
        return err;
    out->row_count = answer.row_count;
    if (is_insert)
        snprintf(out->tag, sizeof(out->tag), "INSERT 0 %llu", (unsigned long long)answer.row_count);
    else if (statement->command->is_as)
        snprintf(out->tag, sizeof(out->tag), "SELECT %llu", (unsigned long long)answer.row_count);
    else
        snprintf(out->tag, sizeof(out->tag), "%s", statement->command_tag);
    if (is_insert)
        return OK;
    session_changed(session, statement->command_tag);
    transaction_forget(session, statement->command);
    return OK;
}

/* "SELECT 7": what each small query ends with, so without the machinery of formats. */
static void print_tag(struct portal_outcome *out, const char *command)
{
    char digits[20];
    size_t count = 0, size = strlen(command);
    uint64_t left = out->row_count;
    do
        digits[count++] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    assert(size + count + 2 <= sizeof(out->tag));
    memcpy(out->tag, command, size);
    out->tag[size++] = ' ';
    while (count > 0)
        out->tag[size++] = digits[--count];
    out->tag[size] = 0;
}

static enum err run_planned(struct portal *portal, uint64_t max_rows,
                            const struct portal_sink *sink, struct portal_outcome *out,
                            bool *is_over, struct error *error)
{
    const struct statement *statement = portal->run->statement;
    *is_over = true;
    if (statement->kind == STATEMENT_EXPLAIN)
        return explain(portal, sink, out, error);
    if (statement->kind == STATEMENT_COMMAND)
        return command(portal, sink, out, error);
    enum err err = pull(portal, max_rows, sink, &out->row_count, is_over, error);
    out->is_stopped = err == OK && portal->is_stopped;
    out->is_suspended = err == OK && !*is_over && !out->is_stopped;
    out->deadline_us = portal->deadline_us;
    portal->stopped_count = out->is_stopped ? out->row_count : 0;
    bool is_show = strcmp(statement->command_tag, "SHOW") == 0;
    if (is_show)
        snprintf(out->tag, sizeof(out->tag), "SHOW");
    else
        print_tag(out, statement->command_tag);
    return err;
}

/* What it does may end portals, this one too: it is over before. */
static enum err run_own(struct portal *portal, const struct portal_sink *sink,
                        struct portal_outcome *out, struct error *error)
{
    struct query_session *session = portal->session;
    struct statement *statement = statement_ref(portal->run->statement);
    (void)end_run(portal, OK, error);
    struct portal_sink whole = *sink; /* the portal that it is about is another */
    whole.may_stop = false;
    enum err err = session_run_own(session, statement, &whole, out, error);
    statement_unref(statement);
    return err;
}

/* Planned anew, for the rights of now; once, as what it was before is kept for who described it. */
static enum err start_anew(struct portal *portal, struct error *error)
{
    if (portal->before != NULL)
        return end_run(portal,
                       error_set(error, ERR_INPUT, "42501",
                                 "rights have changed since the statement was bound"),
                       error);
    portal->before = portal->statement;
    drop_run(portal, true, OK, error);
    portal->statement = NULL;
    portal->state = PORTAL_NEW;
    enum err err = portal_start(portal, error);
    if (err == OK && (err = check_columns(portal, portal->before, error)) != OK)
        err = end_run(portal, err, error);
    return err;
}

enum err portal_check_asker(struct portal *portal, struct error *error)
{
    const struct asker *now;
    struct arena arena; /* a cursor may ask any number of times */
    if (portal->state != PORTAL_PLANNED && portal->state != PORTAL_OPEN)
        return OK;
    arena_init(&arena);
    enum err err = session_asker(portal->session, &arena, &now, error);
    bool is_like = err == OK && asker_is_like(now, portal->request.asker);
    if (err == OK && portal->state == PORTAL_OPEN && !asker_has_kept(now, portal->request.asker))
        err = error_set(error, ERR_INPUT, "42501",
                        "rights have been taken since the portal gave its first rows");
    arena_deinit(&arena);
    if (err != OK)
        return end_run(portal, err, error);
    return is_like || portal->state == PORTAL_OPEN ? OK : start_anew(portal, error);
}

/* Its sink has room again: its time has run on meanwhile. */
static enum err go_on(struct portal *portal, struct error *error)
{
    int64_t deadline_us = portal->deadline_us;
    run_resume(portal->run);
    portal->deadline_us = deadline_us;
    run_set_deadline(portal->run, deadline_us);
    return run_check_time(portal->run, error);
}

enum err portal_check_done(const struct portal *portal, struct error *error)
{
    const struct statement *statement = portal->statement;
    if (portal->state != PORTAL_DONE ||
        (statement->kind == STATEMENT_SELECT && statement->copy == NULL))
        return OK;
    return error_set(error, ERR_INPUT, "55000", "portal \"%.*s\" cannot be run",
                     SLICE_ARGS(portal->name));
}

void portal_end(struct portal *portal)
{
    static const struct error none;
    assert(portal->state == PORTAL_PLANNED);
    (void)!end_run(portal, OK, &none);
}

enum err portal_run(struct portal *portal, uint64_t max_rows, const struct portal_sink *sink,
                    struct portal_outcome *out, struct error *error)
{
    bool was_new = portal->state == PORTAL_NEW; /* then who asks has just been asked */
    *out = (struct portal_outcome){0};
    assert(!portal->is_empty);
    enum err err = portal_start(portal, error);
    if (err != OK)
        return err;
    err = portal_check_done(portal, error);
    if (err != OK)
        return err;
    if (portal->state == PORTAL_DONE) { /* as PostgreSQL: no more rows */
        snprintf(out->tag, sizeof(out->tag), "SELECT 0");
        return OK;
    }
    err = was_new ? OK : portal_check_asker(portal, error);
    if (err != OK)
        return err;
    err = portal->is_stopped ? go_on(portal, error) : resume_run(portal, error);
    if (err != OK)
        return end_run(portal, err, error);
    if (session_is_own(portal->run->statement))
        return run_own(portal, sink, out, error);
    bool is_over = true;
    err = run_planned(portal, max_rows, sink, out, &is_over, error);
    if (err != OK || is_over)
        return end_run(portal, err, error);
    if (out->is_stopped)
        run_pause(portal->run); /* it can be cancelled meanwhile */
    else
        pause_run(portal);
    return OK;
}
