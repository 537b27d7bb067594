/* Health, readiness, metrics, and the page at '/'. */
#include "server/api/api.h"

#include "server/app.h"
#include "server/http/route.h"
#include "server/http/target.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/metrics.h"

#include <stdio.h>
#include <unistd.h>

void api_healthz(struct exchange *exchange)
{
    exchange_answer_text(exchange, 200, "text/plain; charset=utf-8", SLICE("ok\n"));
}

/* The sources whose newest row is older than `fresh_us`, by the system table of the sources. */
static void answer_freshness(struct exchange *exchange, int64_t fresh_us)
{
    struct app *app = exchange->context;
    struct writer text;
    writer_init(&text);
    writer_printf(
        &text,
        "SELECT table_name, source, last_row_at FROM freshet.sources WHERE last_row_at IS NULL OR "
        "last_row_at < now() - interval '%lld microseconds' ORDER BY last_row_at LIMIT 16",
        (long long)fresh_us);
    struct query_request request = {
        .text = writer_as_slice(&text),
        .timeout_us = 2000000,
        .max_rows = -1,
        .is_read_only = true,
        .client = SLICE("readyz"),
        .format = RESULT_JSON,
    };
    struct query_answer answer = {0};
    writer_init(&answer.body);
    enum err result = query_run(app->engine, &request, &answer);
    writer_deinit(&text);
    if (result != OK) {
        exchange_answer_error(exchange, 503, &answer.error, NULL);
    } else if (answer.row_count == 0) {
        exchange_answer_text(exchange, 200, "text/plain; charset=utf-8", SLICE("ready\n"));
    } else {
        struct json_value *root;
        struct error error;
        struct writer names;
        writer_init(&names);
        if (json_parse(writer_as_slice(&answer.body), &exchange->arena, 64, &root, &error) == OK) {
            const struct json_value *rows = json_get(root, "rows");
            for (const struct json_value *row = rows == NULL ? NULL : rows->child; row != NULL;
                 row = row->next) {
                writer_printf(&names, "%s%.*s/%.*s", names.size == 0 ? "" : ", ",
                              SLICE_ARGS(row->child->text), SLICE_ARGS(row->child->next->text));
            }
        }
        exchange_answer_problem(exchange, 503, "57P03", "not fresh: %.*s", (int)names.size,
                                (const char *)names.data);
        writer_deinit(&names);
    }
    writer_deinit(&answer.body);
}

/* The figures name tables: they are for those who may see them all. */
static bool may_see_figures(struct exchange *exchange)
{
    if (!asker_is_restricted(exchange->asker)) {
        return true;
    }
    exchange_answer_problem(exchange, 403, "42501", "figures of all tables are for readers");
    return false;
}

void api_readyz(struct exchange *exchange)
{
    struct app *app = exchange->context;
    struct slice rest = exchange->query;
    struct target_parameter parameter;
    struct error error;
    int64_t fresh_us = -1;
    enum err result;
    while ((result = target_next_parameter(&rest, &exchange->arena, &parameter, &error)) == OK) {
        if (slice_equal(parameter.name, SLICE("fresh")) &&
            !config_parse_duration(parameter.value, &fresh_us)) {
            exchange_answer_problem(exchange, 400, "22023", "fresh is a duration like 5s");
            return;
        }
    }
    if (app_state(app) != APP_READY) {
        exchange_answer_problem(exchange, 503, "57P03",
                                app_state(app) == APP_STOPPING ? "stopping" : "replaying the log");
        return;
    }
    struct store_status status;
    store_status(app->store, &status);
    if (status.is_failed) {
        exchange_answer_error(exchange, 503, &status.failure, NULL);
    } else if (fresh_us >= 0) {
        if (may_see_figures(exchange)) {
            answer_freshness(exchange, fresh_us);
        }
    } else {
        exchange_answer_text(exchange, 200, "text/plain; charset=utf-8", SLICE("ready\n"));
    }
}

/* ---- metrics ---- */

/* Resident bytes, from the kernel's page count. */
static double resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        int got = fscanf(file, "%llu %llu", &size, &resident);
        resident = got == 2 ? resident : 0;
        fclose(file);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void print_memory(struct app *app, struct writer *out)
{
    struct store_status status;
    store_status(app->store, &status);
    size_t queries = atomic_load_explicit(&app->query_memory.used, memory_order_relaxed);
    metrics_print_family(out, "freshet_memory_bytes", "gauge", "Memory by part of the budget.");
    metrics_print_sample(out, "freshet_memory_bytes", "part=\"rows\"",
                         (double)status.rows_memory_used);
    metrics_print_sample(out, "freshet_memory_bytes", "part=\"queries\"", (double)queries);
    metrics_print_sample(out, "freshet_memory_bytes", "part=\"upkeep\"",
                         (double)status.upkeep_memory_used);
    metrics_print_family(out, "freshet_memory_limit_bytes", "gauge",
                         "Limit of each part of the budget.");
    metrics_print_sample(out, "freshet_memory_limit_bytes", "part=\"rows\"",
                         (double)status.rows_memory_limit);
    metrics_print_sample(out, "freshet_memory_limit_bytes", "part=\"queries\"",
                         (double)app->query_memory.limit);
    if (app->temp != NULL) {
        struct temp_figures temp;
        temp_space_figures(app->temp, &temp);
        metrics_print_figure(out, "freshet_spill_bytes", "gauge",
                             "Bytes that queries have on disk now.", (double)temp.used);
        metrics_print_figure(out, "freshet_spill_limit_bytes", "gauge",
                             "Bytes that queries may have on disk.", (double)temp.limit);
        metrics_print_figure(out, "freshet_spilled_bytes_total", "counter",
                             "Bytes that queries have written to disk.", (double)temp.written);
    }
    metrics_print_figure(out, "freshet_log_size_bytes", "gauge", "Bytes of the log's files.",
                         (double)status.log_bytes);
    metrics_print_figure(out, "freshet_log_files", "gauge", "Files of the log.",
                         (double)status.log_files);
    metrics_print_figure(out, "freshet_store_failed", "gauge",
                         "1 while the store takes no commits.", status.is_failed ? 1 : 0);
    metrics_print_figure(out, "freshet_position", "gauge", "Visible position of the log.",
                         (double)status.position);
}

static void print_segments(struct app *app, struct writer *out)
{
    struct store_figures figures;
    store_figures(app->store, &figures);
    metrics_print_figure(out, "freshet_sealed_segments", "gauge", "Sealed segments.",
                         (double)figures.sealed_segments);
    metrics_print_figure(out, "freshet_sealed_rows", "gauge", "Rows in sealed segments.",
                         (double)figures.sealed_rows);
    metrics_print_figure(out, "freshet_sealed_bytes", "gauge",
                         "Bytes of the files of sealed segments.", (double)figures.sealed_bytes);
    metrics_print_figure(out, "freshet_waiting_segments", "gauge",
                         "Segments closed and not yet sealed.", (double)figures.waiting_segments);
    metrics_print_figure(out, "freshet_waiting_rows", "gauge",
                         "Rows of segments closed and not yet sealed.",
                         (double)figures.waiting_rows);
    metrics_print_figure(out, "freshet_cache_bytes", "gauge",
                         "Pages of sealed segments kept in memory.", (double)figures.cache_used);
    metrics_print_figure(out, "freshet_cache_limit_bytes", "gauge", "Limit of the page cache.",
                         (double)figures.cache_limit);
    metrics_print_figure(out, "freshet_cache_hits_total", "counter", "Pages found in the cache.",
                         (double)figures.cache_hits);
    metrics_print_figure(out, "freshet_cache_misses_total", "counter", "Pages read from disk.",
                         (double)figures.cache_misses);
    metrics_print_figure(out, "freshet_cache_evictions_total", "counter",
                         "Pages given up for others.", (double)figures.cache_evictions);
    metrics_print_figure(out, "freshet_cache_read_bytes_total", "counter",
                         "Bytes of pages read from disk.", (double)figures.cache_bytes_read);
}

static void print_process(void *context, struct writer *out)
{
    struct app *app = context;
    char label[128];
    snprintf(label, sizeof(label), "version=\"%s\"", FRESHET_VERSION);
    metrics_print_family(out, "freshet_build_info", "gauge", "1, with the version as a label.");
    metrics_print_sample(out, "freshet_build_info", label, 1);
    metrics_print_figure(out, "freshet_ready", "gauge", "1 once the log is replayed.",
                         app_state(app) == APP_READY ? 1 : 0);
    metrics_print_figure(out, "freshet_uptime_seconds", "gauge", "Seconds since the start.",
                         (double)(clock_monotonic_us() - app->begin_us) / 1e6);
    metrics_print_figure(out, "process_cpu_seconds_total", "counter", "CPU time of the process.",
                         (double)clock_process_cpu_us() / 1e6);
    metrics_print_figure(out, "process_resident_memory_bytes", "gauge",
                         "Resident memory of the process.", resident_bytes());
    metrics_print_figure(out, "freshet_disk_free_bytes", "gauge",
                         "Free bytes of the data directory's disk.",
                         (double)atomic_load_explicit(&app->disk_free_bytes, memory_order_relaxed));
    metrics_print_figure(
        out, "freshet_disk_size_bytes", "gauge", "Size of the data directory's disk.",
        (double)atomic_load_explicit(&app->disk_total_bytes, memory_order_relaxed));
    metrics_print_figure(out, "freshet_disk_low", "gauge",
                         "1 while ingest is refused because the disk is nearly full.",
                         atomic_load_explicit(&app->is_disk_low, memory_order_relaxed) ? 1 : 0);
    if (app_state(app) == APP_STARTING || app_state(app) == APP_RECOVERING) {
        return;
    }
    snprintf(label, sizeof(label), "backend=\"%.60s\"", app->io->name);
    metrics_print_family(out, "freshet_io_backend", "gauge",
                         "1, with the way files are written as a label.");
    metrics_print_sample(out, "freshet_io_backend", label, 1);
    print_memory(app, out);
    print_segments(app, out);
}

static void print_ingest(void *context, struct writer *out)
{
    struct app *app = context;
    if (app_state(app) != APP_STARTING && app_state(app) != APP_RECOVERING) {
        ingest_metrics(app->ingest, out);
    }
}

static void print_queries(void *context, struct writer *out)
{
    struct app *app = context;
    if (app_state(app) != APP_STARTING) {
        query_engine_metrics(app->engine, out);
    }
}

void api_register_metrics(struct app *app)
{
    metrics_register(print_process, app);
    metrics_register(http_server_metrics, app->http);
    metrics_register(print_ingest, app);
    metrics_register(print_queries, app);
}

void api_metrics(struct exchange *exchange)
{
    if (!may_see_figures(exchange)) {
        return;
    }
    metrics_print(&exchange->content);
    exchange->status = 200;
    exchange->content_type = SLICE("text/plain; version=0.0.4; charset=utf-8");
    exchange_answer(exchange);
}

void api_index(struct exchange *exchange)
{
    struct writer *out = &exchange->content;
    writer_printf(out, "Freshet %s\n\nWhat is here:\n\n", FRESHET_VERSION);
    for (size_t i = 0; i < route_count; i++) {
        struct writer methods;
        writer_init(&methods);
        route_print_methods(routes[i].methods, &methods);
        writer_printf(out, "  %-24s %-26.*s %s%s\n", routes[i].path, (int)methods.size,
                      (const char *)methods.data, routes[i].doc,
                      routes[i].handle == NULL ? " (not there yet)" : "");
        writer_deinit(&methods);
    }
    writer_cstr(out, "\nTry:\n\n  curl --data-binary 'SHOW TABLES' http://HOST/v1/sql\n");
    exchange->status = 200;
    exchange->content_type = SLICE("text/plain; charset=utf-8");
    exchange_answer(exchange);
}
