/* What runs beside the load: marker rows that another connection asks for, dashboard panels, and
 * control statements.
 *
 * Freshness is measured as a user would feel it: a marker row is posted on one connection, and from
 * that moment another connection asks for it again and again, without `at_least`, until it is
 * there. */
#include "bench/loadgen/loadgen.h"
#include "server/client/http_client.h"
#include "storage/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_TIMEOUT_US INT64_C(30000000)

static bool post_sql(struct http_client *client, const char *sql, const struct http_reply **reply,
                     struct error *error)
{
    struct http_call call = {.method = "POST",
                             .target = SLICE("/v1/sql"),
                             .headers = SLICE("Content-Type: text/plain\r\n"),
                             .body = slice_from_cstr(sql)};
    return http_client_call(client, &call, reply, error) == OK;
}

bool control_sql_or(const struct loadgen *loadgen, const char *sql, const char *sqlstate, char *out,
                    size_t size)
{
    struct http_client *client = http_client_create(loadgen->options.address, 60000000);
    const struct http_reply *reply;
    struct error error;
    bool is_good = post_sql(client, sql, &reply, &error);
    if (!is_good) {
        fprintf(stderr, "freshet-bench: %s\n", error.text);
    } else {
        size_t length = reply->body.size < size - 1 ? reply->body.size : size - 1;
        memcpy(out, reply->body.data, length);
        out[length] = '\0';
        is_good = reply->status == 200 || (sqlstate != NULL && strstr(out, sqlstate) != NULL);
        if (!is_good)
            fprintf(stderr, "freshet-bench: %s\n  HTTP %d: %s\n", sql, reply->status, out);
    }
    http_client_destroy(client);
    return is_good;
}

bool control_sql(const struct loadgen *loadgen, const char *sql, char *out, size_t size)
{
    return control_sql_or(loadgen, sql, NULL, out, size);
}

int64_t control_number(const struct loadgen *loadgen, const char *sql)
{
    char answer[4096];
    if (!control_sql(loadgen, sql, answer, sizeof(answer)))
        return -1;
    const char *rows = strstr(answer, "\"rows\":[[");
    char *end;
    if (rows == NULL)
        return -1;
    int64_t number = strtoll(rows + 9, &end, 10);
    return end > rows + 9 && *end == ']' ? number : -1;
}

bool control_metrics(const struct loadgen *loadgen, char **page, size_t *size)
{
    struct http_client *client = http_client_create(loadgen->options.address, 5000000);
    struct http_call call = {.method = "GET", .target = SLICE("/metrics"), .is_repeatable = true};
    const struct http_reply *reply;
    struct error error;
    bool is_good = http_client_call(client, &call, &reply, &error) == OK && reply->status == 200;
    if (is_good) {
        *size = reply->body.size;
        *page = malloc(*size + 1);
        if (*page == NULL)
            abort();
        memcpy(*page, reply->body.data, *size);
        (*page)[*size] = '\0';
    }
    http_client_destroy(client);
    return is_good;
}

double control_metric(struct slice page, const char *sample)
{
    size_t length = strlen(sample);
    const char *line = page.data, *end = page.data + page.size;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (next == NULL)
            next = end;
        if ((size_t)(next - line) > length && memcmp(line, sample, length) == 0 &&
            line[length] == ' ')
            return strtod(line + length + 1, NULL);
        line = next + 1;
    }
    return -1;
}

void freshness_post_run(void *context)
{
    struct loadgen *loadgen = context;
    struct marker *marker = &loadgen->http_marker;
    struct http_client *client = http_client_create(loadgen->options.address, 30000000);
    uint64_t number = 0;
    while (!atomic_load(&loadgen->is_stopping)) {
        char body[128];
        const struct http_reply *reply;
        struct error error;
        clock_sleep_us(loadgen->options.freshness_ms * INT64_C(1000));
        if (atomic_load(&marker->seen) < number)
            continue; /* the last one is still being asked for */
        number++;
        if (number == 1)
            atomic_store(&marker->run, (uint64_t)clock_wall_us());
        int size = snprintf(body, sizeof(body), "{\"at\":%" PRIu64 ",\"id\":%" PRIu64 "}\n",
                            (uint64_t)clock_wall_us(), atomic_load(&marker->run) + number);
        struct http_call call = {.method = "POST",
                                 .target = SLICE("/v1/ingest/freshet_bench_markers"),
                                 .headers = SLICE("Content-Type: application/x-ndjson\r\n"),
                                 .body = slice_of(body, (size_t)size)};
        atomic_store(&marker->sent_us, clock_monotonic_us());
        atomic_store(&marker->number, number);
        if (http_client_call(client, &call, &reply, &error) != OK || reply->status != 200) {
            total_add(&loadgen->totals.refused, 1);
            atomic_store(&marker->seen, number); /* never stored: not a marker */
        }
    }
    http_client_destroy(client);
}

static bool is_visible(struct http_client *client, const char *sql)
{
    const struct http_reply *reply;
    struct error error;
    if (!post_sql(client, sql, &reply, &error) || reply->status != 200)
        return false;
    struct slice body = writer_as_slice(&reply->body);
    return memmem(body.data, body.size, "\"rows\":[[1]]", 12) != NULL;
}

/* Asks for the marker with that number until it is there, or given up. */
static void ask(struct loadgen *loadgen, struct marker *marker, struct http_client *client,
                uint64_t number, bool is_kafka)
{
    struct loadgen_totals *totals = &loadgen->totals;
    int64_t sent_us = atomic_load(&marker->sent_us);
    uint64_t id = atomic_load(&marker->run) + number;
    char sql[256];
    if (is_kafka) /* among the events: by their time, so that only the newest rows are looked at */
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM %s WHERE ts >= to_timestamp(%.6f) AND user_id = -%" PRIu64,
                 loadgen->options.table, (double)atomic_load(&marker->event_us) / 1e6 - 0.001, id);
    else
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM freshet_bench_markers WHERE id = %" PRIu64,
                 id);
    while (!is_visible(client, sql)) {
        int64_t age_us = clock_monotonic_us() - sent_us;
        if (age_us > MARKER_TIMEOUT_US || atomic_load(&marker->seen) >= number ||
            atomic_load(&loadgen->is_stopping))
            break;
        clock_sleep_us(age_us / 64); /* asking must not become the load: at most 2 % too late */
    }
    uint64_t age_us = (uint64_t)(clock_monotonic_us() - sent_us);
    if (age_us > MARKER_TIMEOUT_US)
        total_add(&totals->markers_lost, 1);
    if (atomic_load(&marker->seen) < number && !atomic_load(&loadgen->is_stopping)) {
        total_add(&totals->markers, 1);
        histogram_record(is_kafka ? &totals->kafka_freshness_us : &totals->freshness_us, age_us);
        histogram_record(
            is_kafka ? &totals->kafka_freshness_second_us : &totals->freshness_second_us, age_us);
    }
    atomic_store(&marker->seen, number);
}

static void ask_all(struct loadgen *loadgen, struct marker *marker, bool is_kafka)
{
    struct http_client *client = http_client_create(loadgen->options.address, 30000000);
    while (!atomic_load(&loadgen->is_stopping)) {
        uint64_t number = atomic_load(&marker->number);
        if (number == atomic_load(&marker->seen))
            clock_sleep_us(100);
        else
            ask(loadgen, marker, client, number, is_kafka);
    }
    http_client_destroy(client);
}

void freshness_ask_run(void *context)
{
    struct loadgen *loadgen = context;
    ask_all(loadgen, &loadgen->http_marker, false);
}

void kafka_freshness_ask_run(void *context)
{
    struct loadgen *loadgen = context;
    ask_all(loadgen, &loadgen->kafka_marker, true);
}

static void run_panel(struct loadgen *loadgen, struct http_client *client, size_t panel)
{
    struct loadgen_totals *totals = &loadgen->totals;
    char sql[1024];
    const struct http_reply *reply;
    struct error error;
    panel_sql(loadgen, panel, sql, sizeof(sql));
    int64_t begin_us = clock_monotonic_us();
    if (!post_sql(client, sql, &reply, &error) || reply->status != 200) {
        total_add(&totals->query_failures, 1);
        return;
    }
    uint64_t took_us = (uint64_t)(clock_monotonic_us() - begin_us);
    histogram_record(&totals->query_us, took_us);
    histogram_record(&totals->query_second_us, took_us);
    histogram_record(&totals->panel_us[panel], took_us);
    total_add(&totals->queries, 1);
}

static void pause_until(const struct loadgen *loadgen, int64_t until_us)
{
    int64_t left_us;
    while ((left_us = until_us - clock_monotonic_us()) > 0 && !atomic_load(&loadgen->is_stopping))
        clock_sleep_us(left_us < 10000 ? left_us : 10000);
}

void queries_run(void *context)
{
    struct loadgen *loadgen = context;
    struct http_client *client = http_client_create(loadgen->options.address, 60000000);
    for (size_t turn = 0; !atomic_load(&loadgen->is_stopping); turn++) {
        run_panel(loadgen, client, turn % panel_count(loadgen));
        pause_until(loadgen,
                    clock_monotonic_us() + loadgen->options.query_pause_ms * INT64_C(1000));
    }
    http_client_destroy(client);
}

void refresh_run(void *context)
{
    struct loadgen *loadgen = context;
    struct http_client *client = http_client_create(loadgen->options.address, 60000000);
    size_t own = (size_t)total_add(&loadgen->totals.refreshers, 1);
    int64_t next_us = clock_monotonic_us();
    while (!atomic_load(&loadgen->is_stopping)) {
        for (size_t panel = own; panel < panel_count(loadgen);
             panel += (size_t)loadgen->options.query_connections)
            run_panel(loadgen, client, panel);
        next_us += loadgen->options.query_pause_ms * INT64_C(1000);
        if (next_us < clock_monotonic_us())
            next_us = clock_monotonic_us(); /* behind: no rounds are made up for */
        pause_until(loadgen, next_us);
    }
    http_client_destroy(client);
}

void pulse_run(void *context)
{
    struct loadgen *loadgen = context;
    struct loadgen_totals *totals = &loadgen->totals;
    struct http_client *client = http_client_create(loadgen->options.address, 60000000);
    char sql[256];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE ts > now() - interval '1 second'",
             loadgen->options.table);
    while (!atomic_load(&loadgen->is_stopping)) {
        const struct http_reply *reply;
        struct error error;
        if (post_sql(client, sql, &reply, &error) && reply->status == 200)
            total_gap(&totals->query_last_us, &totals->query_gap_us);
        else
            total_add(&totals->query_failures, 1);
        pause_until(loadgen, clock_monotonic_us() + loadgen->options.pulse_ms * INT64_C(1000));
    }
    http_client_destroy(client);
}
