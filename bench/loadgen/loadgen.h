/* The load generator's shared nouns: what was asked for, and what was seen. */
#ifndef FRESHET_BENCH_LOADGEN_LOADGEN_H
#define FRESHET_BENCH_LOADGEN_LOADGEN_H

#include "storage/base/error.h"
#include "storage/base/histogram.h"
#include "storage/base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define PANEL_COUNT_MAX 16
#define SECONDS_MAX 86400

struct event_generator;

enum profile { PROFILE_DASHBOARD, PROFILE_FRAUD };

struct loadgen_options {
    const char *address; /* host:port */
    const char *table;
    double rate; /* events per second; 0: as fast as it goes */
    int seconds;
    uint64_t events; /* stop after so many; 0: by time */
    int connections;
    size_t batch_bytes;
    size_t line_size;
    double share_out_of_order, share_late, share_duplicate,
        share_malformed; /* of rows; duplicate: of batches */
    int query_connections;
    int query_pause_ms;
    enum profile profile;
    const char *profile_text; /* as given; NULL: the first */
    int pulse_ms;             /* of the query loop whose longest silence is reported; 0: none */
    int freshness_ms;         /* between marker rows; 0: none */
    uint64_t seed;
    int64_t start_us; /* of printed events; 0: now */
    bool is_create, is_quiet, is_print_only, has_screen;
    const char *json_file, *svg_file;
    const char *kafka; /* HOST:PORT of a broker; NULL: HTTP alone */
    const char *topic, *subscription;
    int partitions;
    double kafka_share;   /* of the rate and the events; the rest goes over HTTP */
    bool is_produce_only; /* fill the topic, ask no server */
};

/* Shared by all threads; every member is written with relaxed atomics. */
struct loadgen_totals {
    _Atomic uint64_t sent_rows, sent_bytes,
        sent_batches; /* handed to the server for the first time */
    _Atomic uint64_t stored_rows, rejected_rows, acked_batches;
    _Atomic uint64_t duplicate_rows; /* sent a second time */
    _Atomic uint64_t malformed_rows, late_rows, out_of_order_rows;
    _Atomic uint64_t refused; /* 429, 503, 507 answers */
    _Atomic uint64_t failed;  /* any other answer, broken connections */
    _Atomic uint64_t backlog; /* batches due and waiting for a free connection */
    _Atomic uint64_t queries, query_failures;
    _Atomic uint64_t markers, markers_lost;
    _Atomic uint64_t produced_rows;    /* handed to the Kafka producer, in sent_rows too */
    _Atomic uint64_t delivered_rows;   /* that the broker acknowledged */
    _Atomic uint64_t undelivered_rows; /* that it refused for good */
    _Atomic uint64_t consumed_rows; /* that the server's ledger says it received from the topic */
    _Atomic uint64_t lag_at_stop;   /* delivered and not yet received when the last was delivered */
    _Atomic uint64_t drain_us;      /* from that moment until all was received */
    _Atomic uint64_t kafka_backlog; /* events due and not yet produced */
    struct histogram ack_us, ack_second_us;
    struct histogram freshness_us, freshness_second_us;
    struct histogram delivery_us; /* from when it was due until the broker's acknowledgement */
    struct histogram kafka_freshness_us, kafka_freshness_second_us;
    struct histogram query_us, query_second_us;
    struct histogram panel_us[PANEL_COUNT_MAX];
    _Atomic uint64_t refreshers; /* that have started */
    /* The longest time without an acknowledgement, and without an answer of the pulse. */
    _Atomic int64_t ack_last_us, query_last_us;
    _Atomic uint64_t ack_gap_us, query_gap_us;
};

/* The marker row under way: one at a time, sent by one thread and asked for by another. */
struct marker {
    _Atomic uint64_t number; /* 0: none yet; stored after the rest */
    _Atomic int64_t sent_us; /* monotonic */
    _Atomic int64_t event_us;
    _Atomic uint64_t seen; /* last number that was found */
    _Atomic uint64_t run;  /* tells this run's markers from those of earlier runs */
};

struct loadgen {
    struct loadgen_options options;
    struct loadgen_totals totals;
    struct marker http_marker, kafka_marker;
    int64_t start_us; /* monotonic */
    _Atomic bool is_stopping;
};

/* What goes over HTTP, and what over Kafka. */
static inline double loadgen_kafka_share(const struct loadgen_options *options)
{
    return options->kafka != NULL ? options->kafka_share : 0;
}
static inline double loadgen_http_rate(const struct loadgen_options *options)
{
    return options->rate * (1 - loadgen_kafka_share(options));
}
static inline uint64_t loadgen_http_events(const struct loadgen_options *options)
{
    return (uint64_t)((double)options->events * (1 - loadgen_kafka_share(options)));
}

/* What it was before. */
static inline uint64_t total_add(_Atomic uint64_t *counter, uint64_t amount)
{
    return atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}
static inline uint64_t total_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* An answer came: the longest silence so far. */
void total_gap(_Atomic int64_t *last_us, _Atomic uint64_t *gap_us);

/* Fills options from the command line; false after printing what is wrong (or the help). */
bool options_parse(int argument_count, char **arguments, struct loadgen_options *out,
                   int *exit_code);

/* Sends until the time or count is over or is_stopping; on its own thread (context: struct
 * loadgen). */
void load_run(void *context);
/* Event time of one row: now, sometimes a little behind, rarely far; counts the latter two. */
int64_t load_event_time(struct event_generator *generator, const struct loadgen_options *options,
                        int64_t now_us, uint64_t *out_of_order, uint64_t *late);
/* Makes the topic (if it is missing), and the subscription (ditto); false: printed what is wrong.
 */
bool kafka_prepare_topic(const struct loadgen *loadgen);
bool kafka_subscribe(const struct loadgen *loadgen);
/* Produces until the time or count is over or is_stopping, then waits until the server has received
 * it all; on its own thread (context: struct loadgen). */
void kafka_run(void *context);
/* Posts marker rows, and asks for them on another connection. Those that go through Kafka are
 * produced by kafka_run. */
void freshness_post_run(void *context);
void freshness_ask_run(void *context);
void kafka_freshness_ask_run(void *context);
/* One panel after the other on one connection. */
void queries_run(void *context);
/* Its share of all panels at once each pause, as dashboards refresh. */
void refresh_run(void *context);
/* One small query again and again: how long there was no answer. */
void pulse_run(void *context);
/* The panels of the profile. */
bool profile_find(const char *name, enum profile *out);
const char *profile_name(enum profile profile);
size_t panel_count(const struct loadgen *loadgen);
const char *panel_name(const struct loadgen *loadgen, size_t index);
void panel_sql(const struct loadgen *loadgen, size_t index, char *out, size_t size);

/* One statement; the reply's body into `out` (size bytes, NUL-terminated). False: printed what is
 * wrong. */
bool control_sql(const struct loadgen *loadgen, const char *sql, char *out, size_t size);
/* The same for a statement that may fail with `sqlstate`, which is then true too. */
bool control_sql_or(const struct loadgen *loadgen, const char *sql, const char *sqlstate, char *out,
                    size_t size);
/* The only value of a query with one row of one number; -1: it has none, or failed. */
int64_t control_number(const struct loadgen *loadgen, const char *sql);
/* A number from /metrics (labels included in `sample`), -1 if it is not there. */
double control_metric(struct slice page, const char *sample);
bool control_metrics(const struct loadgen *loadgen, char **page, size_t *size);

struct second_row { /* one line of the progress, kept for JSON and SVG */
    double sent_per_s, stored_per_s, queries_per_s, server_cpu, server_rss_mb;
    double ack_p50_ms, ack_p99_ms, freshness_p50_ms, freshness_p99_ms, query_p99_ms;
    uint64_t refused, backlog;
};

struct report {
    struct loadgen *loadgen;
    struct second_row *rows;
    size_t row_count, row_capacity;
    double cpu_first, cpu_last, generator_cpu_s, elapsed_s;
    double rss_mb_max;
    double sync_p50_ms, sync_p99_ms; /* the log's, of this run */
    uint64_t log_syncs;
    char *metrics_first;
    /* private */
    uint64_t sent_before, stored_before, queries_before;
    double cpu_before;
    int64_t at_before_us;
};

void report_begin(struct report *report, struct loadgen *loadgen);
/* Once a second: one progress line. */
void report_second(struct report *report);
/* The table on standard output, JSON and SVG where asked for. */
void report_end(struct report *report);
/* One screen of what matters; where there is no terminal only at the end. */
void screen_draw(const struct report *report, bool is_end);
void report_write_svg(const struct report *report, FILE *file);
void report_write_json(const struct report *report, FILE *file);

#endif
