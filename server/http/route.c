/* Routes. Adding an endpoint is a file in api/, a line in api/api.h and a line here. */
#include "server/http/route.h"

#include "server/access/attempts.h"
#include "server/api/api.h"
#include "server/app.h"
#include "server/http/guard.h"
#include "server/http/target.h"
#include "storage/base/fault.h"

#include <assert.h>

#define READ (HTTP_GET | HTTP_HEAD)
#define SHORT_BODY_MAX ((size_t)128 << 10)
#define KEPT_BODY_MAX ((size_t)272 << 10) /* decoded in a quarter of a millisecond */

const struct route routes[] = {
    {"/v1/ingest/*", HTTP_POST, ROUTE_DECODE, NEEDS_ALL, false, api_ingest,
     "rows in: NDJSON, JSON or CSV"},
    {"/v1/sql", HTTP_POST | HTTP_GET, ROUTE_QUERY, NEEDS_READING, false, api_sql,
     "SQL: text or JSON in, json, ndjson or csv out"},
    {"/v1/sql/*", HTTP_DELETE, ROUTE_INLINE, NEEDS_READING, false, api_sql_cancel,
     "cancels the query of that id"},
    {"/v1/endpoints/*", HTTP_GET, ROUTE_QUERY, NEEDS_READING, false, api_endpoint,
     "a published view, its parameters by name"},
    {"/healthz", READ, ROUTE_INLINE, NEEDS_NOTHING, true, api_healthz,
     "200 while the process serves"},
    {"/readyz", READ, ROUTE_DECODE, NEEDS_NOTHING, false, api_readyz,
     "200 once the log is replayed; ?fresh=5s names sources that lag"},
    {"/metrics", READ, ROUTE_DECODE, NEEDS_NOTHING, false, api_metrics, "Prometheus text format"},
    {"/", READ, ROUTE_INLINE, NEEDS_NOTHING, false, api_index, "this page"},
    {"/v1/live", READ, ROUTE_INLINE, NEEDS_NOTHING, false, NULL, "live queries"},
    {"/write", HTTP_POST, ROUTE_INLINE, NEEDS_NOTHING, false, NULL, "line protocol"},
    {"/api/v2/write", HTTP_POST, ROUTE_INLINE, NEEDS_NOTHING, false, NULL, "line protocol"},
};
const size_t route_count = array_count(routes);

static bool path_matches(const char *pattern, struct slice path, struct slice *argument)
{
    struct slice fixed = slice_from_cstr(pattern);
    if (fixed.data[fixed.size - 1] != '*') {
        return slice_equal(fixed, path);
    }
    fixed.size--;
    if (!slice_starts_with(path, fixed)) {
        return false;
    }
    *argument = slice_of(path.data + fixed.size, path.size - fixed.size);
    return argument->size > 0 && memchr(argument->data, '/', argument->size) == NULL;
}

enum route_match route_find(struct slice path, enum http_method method, const struct route **out,
                            unsigned *allowed, struct slice *argument)
{
    *allowed = 0;
    for (size_t i = 0; i < route_count; i++) {
        if (!path_matches(routes[i].path, path, argument)) {
            continue;
        }
        *allowed |= routes[i].methods;
        if ((routes[i].methods & method) != 0) {
            *out = &routes[i];
            return ROUTE_FOUND;
        }
    }
    return *allowed == 0 ? ROUTE_UNKNOWN : ROUTE_WRONG_METHOD;
}

void route_print_methods(unsigned methods, struct writer *out)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {
        {HTTP_GET, "GET"}, {HTTP_HEAD, "HEAD"}, {HTTP_POST, "POST"}, {HTTP_DELETE, "DELETE"}};
    bool is_first = true;
    for (size_t i = 0; i < array_count(names); i++) {
        if ((methods & names[i].method) != 0) {
            writer_printf(out, "%s%s", is_first ? "" : ", ", names[i].name);
            is_first = false;
        }
    }
}

struct job {
    struct exchange *exchange;
    void (*handle)(struct exchange *exchange);
};

/* Of a query that no worker has yet. */
static bool is_over(void *context)
{
    const struct job *job = context;
    const struct exchange *exchange = job->exchange;
    return atomic_load_explicit(&exchange->is_cancelled, memory_order_relaxed) ||
           (exchange->waiting != NULL && query_waiting_is_over(exchange->waiting));
}

void route_cancelled(void *context)
{
    struct app *app = context;
    worker_end_waiting(app->workers);
}

static void run_job(void *context)
{
    struct job *job = context;
    job->handle(job->exchange);
}

static void answer_busy(struct exchange *exchange)
{
    exchange_answer_problem(exchange, 503, "53300", "too many queries are under way; try again");
}

/* So few rows, and not what a few compressed bytes may become. */
static bool is_small(const struct exchange *exchange, void (*handle)(struct exchange *exchange),
                     size_t size_max)
{
    return handle == api_ingest && exchange->body.size <= size_max &&
           exchange_request_header(exchange, "content-encoding").size == 0;
}

static struct job *make_job(struct exchange *exchange, void (*handle)(struct exchange *exchange))
{
    struct job *job = arena_alloc(&exchange->arena, sizeof(*job));
    *job = (struct job){exchange, handle};
    return job;
}

/* It waits for others to end: from here on it shows, can be cancelled, and its time may end. */
static enum err submit_waiting(struct exchange *exchange, struct job *job)
{
    struct app *app = exchange->context;
    struct worker_query query = {.run = run_job, .is_over = is_over, .context = job};
    if (job->handle == api_sql) {
        api_sql_wait(exchange);
    } else {
        api_endpoint_wait(exchange);
    }
    if (exchange->waiting != NULL && !fault_is("route.time_begins_late")) {
        query.due_us = query_waiting_due_us(exchange->waiting);
    }
    enum err err = worker_submit_query(app->workers, &query);
    if (err != OK && exchange->waiting != NULL) {
        query_waiting_end(exchange->waiting);
    }
    return err;
}

static void read_and_wait(void *context)
{
    struct job *job = context;
    struct exchange *exchange = job->exchange;
    if (submit_waiting(exchange, job) != OK) {
        answer_busy(exchange);
    }
}

static enum err submit_query(struct exchange *exchange, struct job *job)
{
    struct app *app = exchange->context;
    enum err err = worker_submit_query(
        app->workers, &(struct worker_query){
                          .run = run_job, .is_over = is_over, .context = job, .is_at_once = true});
    if (err != ERR_BUSY) {
        return err;
    }
    /* What has to be read is read on the reactor only if it is little. */
    return exchange->body.size <= SHORT_BODY_MAX
               ? submit_waiting(exchange, job)
               : worker_submit(app->workers, WORKER_DECODE, read_and_wait, job);
}

static void submit(struct exchange *exchange, enum route_place place,
                   void (*handle)(struct exchange *exchange))
{
    struct app *app = exchange->context;
    struct job *job = make_job(exchange, handle);
    enum err err;
    if (place == ROUTE_QUERY) {
        err = submit_query(exchange, job);
    } else if (is_small(exchange, handle, SHORT_BODY_MAX)) {
        err = worker_submit_short(app->workers, run_job, job);
    } else {
        err = worker_submit(app->workers, WORKER_DECODE, run_job, job);
    }
    if (err != OK) {
        answer_busy(exchange);
    }
}

static void ingest_later(struct exchange *exchange, bool is_here)
{
    if (!is_here || !api_ingest_at_once(exchange)) {
        submit(exchange, ROUTE_DECODE, api_ingest);
    }
}

/* On the transport's thread. A few rows are decoded by it, unless a worker is awake. */
static void submit_or_keep(struct exchange *exchange, enum route_place place,
                           void (*handle)(struct exchange *exchange))
{
    struct app *app = exchange->context;
    if (is_small(exchange, handle, SHORT_BODY_MAX) &&
        worker_submit_awake(app->workers, run_job, make_job(exchange, handle)) == OK) {
        return;
    }
    if (!is_small(exchange, handle, KEPT_BODY_MAX) || !exchange_later(exchange, ingest_later)) {
        submit(exchange, place, handle);
    }
}

static void answer_wrong_method(struct exchange *exchange, unsigned allowed)
{
    struct writer text;
    writer_init(&text);
    route_print_methods(allowed, &text);
    exchange_add_header(exchange, "allow", "%.*s", (int)text.size, (const char *)text.data);
    writer_deinit(&text);
    exchange_answer_problem(exchange, 405, "0A000", "the path does not take this method");
}

/* A request's route, found anew where a worker goes on with it. */
struct way {
    enum route_match match;
    const struct route *route;
    unsigned allowed;
    struct slice argument;
};

static struct way find_way(const struct exchange *exchange)
{
    struct way way = {0};
    way.match =
        route_find(exchange->path, exchange->method, &way.route, &way.allowed, &way.argument);
    return way;
}

static bool is_too_early(struct app *app, enum route_need need)
{
    enum app_state state = app_state(app);
    return need == NEEDS_READING
               ? app_is_unreadable(app)
               : need == NEEDS_ALL && (state == APP_STARTING || state == APP_RECOVERING);
}

/* Answers what has no handler to go to. False: it has. */
static bool answer_without_handler(struct exchange *exchange, const struct way *way)
{
    struct app *app = exchange->context;
    struct error error;
    if (way->match == ROUTE_UNKNOWN) {
        exchange_answer_problem(exchange, 404, "42704",
                                "there is nothing at this path; GET / lists what there is");
    } else if (way->match == ROUTE_WRONG_METHOD) {
        answer_wrong_method(exchange, way->allowed);
    } else if (way->route->handle == NULL) {
        exchange_answer_problem(exchange, 501, "0A000",
                                "%s: not there yet, it comes with a later version",
                                way->route->doc);
    } else if (way->argument.data != NULL && target_decode(way->argument, false, &exchange->arena,
                                                           &exchange->argument, &error) != OK) {
        exchange_answer_error(exchange, 400, &error, NULL);
    } else if (is_too_early(app, way->route->need)) {
        exchange_answer_problem(exchange, 503, "57P03",
                                "the server is starting: the log is being replayed");
    } else if (way->route->need != NEEDS_NOTHING && app_state(app) == APP_STOPPING) {
        exchange->is_closing = true;
        exchange_answer_problem(exchange, 503, "57P03", "the server is stopping");
    } else {
        return false;
    }
    return true;
}

static enum guard check_guard(struct exchange *exchange, bool is_quick)
{
    const struct app *app = exchange->context;
    return guard_check(exchange, &(struct guard_options){
                                     .access = app->access,
                                     .is_tls_required = app->config->ssl_required,
                                     .is_quick = is_quick,
                                 });
}

/* In the entrance: the password is checked, then it goes on by another job. */
static void log_in(struct exchange *exchange)
{
    if (atomic_load_explicit(&exchange->is_cancelled, memory_order_relaxed)) {
        exchange_answer_problem(exchange, 503, "57014", "the client has gone");
        return;
    }
    struct way way = find_way(exchange);
    if (check_guard(exchange, false) == GUARD_PASS && !answer_without_handler(exchange, &way)) {
        submit(exchange, way.route->place, way.route->handle);
    }
}

static void enter(struct exchange *exchange)
{
    struct app *app = exchange->context;
    struct entrant *entrant = arena_alloc(&exchange->arena, sizeof(*entrant));
    char text[64];
    struct slice address = attempts_address(exchange_client(exchange), text);
    *entrant = (struct entrant){
        .exchange = exchange, .client = arena_copy(&exchange->arena, address), .run = log_in};
    if (!entrance_submit(&app->entrance, entrant)) {
        answer_busy(exchange);
    }
}

void route_dispatch(struct exchange *exchange)
{
    struct way way = find_way(exchange);
    enum route_place place = way.match == ROUTE_FOUND ? way.route->place : ROUTE_DECODE;
    enum guard guard =
        way.match == ROUTE_FOUND && way.route->is_open ? GUARD_PASS : check_guard(exchange, true);
    if (guard == GUARD_ANSWERED ||
        (guard == GUARD_PASS && answer_without_handler(exchange, &way))) {
        return;
    }
    if (place == ROUTE_QUERY) {
        exchange_watch(exchange);
    }
    if (guard == GUARD_LATER) {
        enter(exchange);
    } else if (place == ROUTE_INLINE) {
        way.route->handle(exchange);
    } else {
        submit_or_keep(exchange, place, way.route->handle);
    }
}
