/* Progress lines while it runs, one table at the end, the same as JSON. The server's CPU, memory
 * and the log's sync times come from its own /metrics, read at the start and each second, so that
 * they cover exactly this run. */
#include "bench/loadgen/loadgen.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void total_gap(_Atomic int64_t *last_us, _Atomic uint64_t *gap_us)
{
    int64_t now_us = clock_monotonic_us();
    int64_t before_us = atomic_exchange_explicit(last_us, now_us, memory_order_relaxed);
    uint64_t gap = before_us > 0 && now_us > before_us ? (uint64_t)(now_us - before_us) : 0;
    uint64_t longest = atomic_load_explicit(gap_us, memory_order_relaxed);
    while (gap > longest && !atomic_compare_exchange_weak_explicit(
                                gap_us, &longest, gap, memory_order_relaxed, memory_order_relaxed))
        ;
}

static double ms(uint64_t us)
{
    return (double)us / 1000.0;
}

static double quantile_ms(const struct histogram *histogram, double q)
{
    return ms(histogram_quantile(histogram, q));
}

void report_begin(struct report *report, struct loadgen *loadgen)
{
    *report = (struct report){.loadgen = loadgen, .at_before_us = clock_monotonic_us()};
    size_t size;
    if (!loadgen->options.is_produce_only &&
        control_metrics(loadgen, &report->metrics_first, &size)) {
        struct slice page = slice_of(report->metrics_first, size);
        report->cpu_first = report->cpu_last = report->cpu_before =
            control_metric(page, "process_cpu_seconds_total");
    }
}

static void read_server(struct report *report, struct second_row *row, double elapsed_s)
{
    char *text;
    size_t size;
    if (report->metrics_first == NULL || !control_metrics(report->loadgen, &text, &size))
        return;
    struct slice page = slice_of(text, size);
    double cpu = control_metric(page, "process_cpu_seconds_total");
    row->server_cpu = cpu >= 0 && elapsed_s > 0 ? (cpu - report->cpu_before) / elapsed_s : 0;
    row->server_rss_mb = control_metric(page, "process_resident_memory_bytes") / 1e6;
    if (row->server_rss_mb > report->rss_mb_max)
        report->rss_mb_max = row->server_rss_mb;
    if (cpu >= 0)
        report->cpu_last = report->cpu_before = cpu;
    free(text);
}

void report_second(struct report *report)
{
    struct loadgen_totals *totals = &report->loadgen->totals;
    int64_t now_us = clock_monotonic_us();
    double elapsed_s = (double)(now_us - report->at_before_us) / 1e6;
    uint64_t sent = total_get(&totals->sent_rows), queries = total_get(&totals->queries);
    uint64_t stored = total_get(&totals->stored_rows) + total_get(&totals->rejected_rows) +
                      total_get(&totals->delivered_rows);
    /* Of the two ways in, the one that is used; HTTP where both are. */
    struct histogram *freshness = loadgen_kafka_share(&report->loadgen->options) == 1
                                      ? &totals->kafka_freshness_second_us
                                      : &totals->freshness_second_us;
    struct second_row row = {
        .sent_per_s = (double)(sent - report->sent_before) / elapsed_s,
        .stored_per_s = (double)(stored - report->stored_before) / elapsed_s,
        .queries_per_s = (double)(queries - report->queries_before) / elapsed_s,
        .ack_p50_ms = quantile_ms(&totals->ack_second_us, 0.5),
        .ack_p99_ms = quantile_ms(&totals->ack_second_us, 0.99),
        .freshness_p50_ms = quantile_ms(freshness, 0.5),
        .freshness_p99_ms = quantile_ms(freshness, 0.99),
        .query_p99_ms = quantile_ms(&totals->query_second_us, 0.99),
        .refused = total_get(&totals->refused),
        .backlog = total_get(&totals->backlog) + total_get(&totals->kafka_backlog),
    };
    histogram_reset(&totals->ack_second_us);
    histogram_reset(&totals->freshness_second_us);
    histogram_reset(&totals->kafka_freshness_second_us);
    histogram_reset(&totals->query_second_us);
    read_server(report, &row, elapsed_s);
    report->at_before_us = now_us;
    report->sent_before = sent;
    report->stored_before = stored;
    report->queries_before = queries;
    if (report->row_count == report->row_capacity) {
        report->row_capacity = report->row_capacity == 0 ? 64 : report->row_capacity * 2;
        report->rows = memory_realloc(report->rows, report->row_capacity * sizeof(*report->rows));
    }
    report->rows[report->row_count++] = row;
    if (report->loadgen->options.has_screen)
        screen_draw(report, false);
    if (report->loadgen->options.is_quiet || report->loadgen->options.has_screen)
        return;
    if (report->row_count % 20 == 1)
        printf("%5s %10s %10s %8s %8s %8s %8s %7s %8s %8s %6s\n", "s", "sent/s", "acked/s",
               "ack p50", "ack p99", "fresh50", "fresh99", "query/s", "query99", "refused",
               "cpu %");
    printf("%5zu %10.0f %10.0f %8.2f %8.2f %8.2f %8.2f %7.1f %8.1f %8" PRIu64 " %6.0f\n",
           report->row_count, row.sent_per_s, row.stored_per_s, row.ack_p50_ms, row.ack_p99_ms,
           row.freshness_p50_ms, row.freshness_p99_ms, row.queries_per_s, row.query_p99_ms,
           row.refused, row.server_cpu * 100);
    fflush(stdout);
}

/* The q-quantile of what a Prometheus histogram gained between two pages, by interpolation inside
 * its bucket; seconds. */
static double histogram_gain_quantile(struct slice first, struct slice last, const char *name,
                                      double q, uint64_t *count)
{
    char prefix[128], sample[192];
    double bounds[128], gains[128];
    size_t found = 0;
    int prefix_size = snprintf(prefix, sizeof(prefix), "%s_bucket{le=\"", name);
    for (const char *p = last.data; found < 128 && (p = strstr(p, prefix)) != NULL;
         p += prefix_size) {
        const char *end = strchr(p, ' ');
        if (end == NULL || (size_t)(end - p) >= sizeof(sample))
            break;
        memcpy(sample, p, (size_t)(end - p));
        sample[end - p] = '\0';
        double before = control_metric(first, sample);
        bounds[found] = strtod(p + prefix_size, NULL);
        gains[found++] = strtod(end + 1, NULL) - (before > 0 ? before : 0);
    }
    *count = found > 0 ? (uint64_t)gains[found - 1] : 0;
    for (size_t index = 0; index < found; index++) {
        double below = index > 0 ? gains[index - 1] : 0, low = index > 0 ? bounds[index - 1] : 0;
        if (gains[index] < q * gains[found - 1] || gains[index] == below)
            continue;
        if (index == found - 1)
            return low; /* past the last bound */
        return low +
               (bounds[index] - low) * (q * gains[found - 1] - below) / (gains[index] - below);
    }
    return 0;
}

static void read_log_syncs(struct report *report)
{
    char *text;
    size_t size;
    if (report->metrics_first == NULL || !control_metrics(report->loadgen, &text, &size))
        return;
    struct slice first = slice_from_cstr(report->metrics_first), last = slice_of(text, size);
    double cpu = control_metric(last, "process_cpu_seconds_total");
    if (cpu >= 0)
        report->cpu_last = cpu;
    report->sync_p50_ms = 1000 * histogram_gain_quantile(first, last, "freshet_log_sync_seconds",
                                                         0.5, &report->log_syncs);
    report->sync_p99_ms = 1000 * histogram_gain_quantile(first, last, "freshet_log_sync_seconds",
                                                         0.99, &report->log_syncs);
    free(text);
}

static void print_latency(const char *label, const struct histogram *histogram)
{
    printf("  %-22s p50 %8.2f   p95 %8.2f   p99 %8.2f   max %8.2f ms   (%" PRIu64 ")\n", label,
           quantile_ms(histogram, 0.5), quantile_ms(histogram, 0.95), quantile_ms(histogram, 0.99),
           ms(histogram_max(histogram)), histogram_count(histogram));
}

static void print_kafka(const struct report *report)
{
    const struct loadgen_totals *totals = &report->loadgen->totals;
    printf("  through Kafka          %12" PRIu64 "   delivered %" PRIu64 ", refused %" PRIu64
           ", received by the server %" PRIu64 "\n",
           total_get(&totals->produced_rows), total_get(&totals->delivered_rows),
           total_get(&totals->undelivered_rows), total_get(&totals->consumed_rows));
    print_latency("delivery to the broker", &totals->delivery_us);
    if (report->loadgen->options.is_produce_only)
        return;
    print_latency("produce to visible", &totals->kafka_freshness_us);
    printf("  lag at the end         %12" PRIu64 "   back to 0 after %.2f s\n",
           total_get(&totals->lag_at_stop), (double)total_get(&totals->drain_us) / 1e6);
}

static void print_table(const struct report *report)
{
    const struct loadgen_totals *totals = &report->loadgen->totals;
    double cpu_s = report->cpu_last - report->cpu_first, seconds = report->elapsed_s;
    uint64_t acked = total_get(&totals->stored_rows) + total_get(&totals->rejected_rows) +
                     total_get(&totals->consumed_rows);
    printf("\n  events sent            %12" PRIu64 "   %10.0f /s   %7.1f MB/s\n",
           total_get(&totals->sent_rows), (double)total_get(&totals->sent_rows) / seconds,
           (double)total_get(&totals->sent_bytes) / seconds / 1e6);
    printf("  acknowledged           %12" PRIu64 "   %10.0f /s   stored %" PRIu64
           ", dead letters %" PRIu64 "\n",
           acked, (double)acked / seconds, total_get(&totals->stored_rows),
           total_get(&totals->rejected_rows));
    printf("  sent on purpose        malformed %" PRIu64 ", late %" PRIu64 ", out of order %" PRIu64
           ", again %" PRIu64 "\n",
           total_get(&totals->malformed_rows), total_get(&totals->late_rows),
           total_get(&totals->out_of_order_rows), total_get(&totals->duplicate_rows));
    printf("  refused                %12" PRIu64 "   failed %" PRIu64 "   still due %" PRIu64 "\n",
           total_get(&totals->refused), total_get(&totals->failed), total_get(&totals->backlog));
    if (loadgen_kafka_share(&report->loadgen->options) < 1) {
        print_latency("acknowledgement", &totals->ack_us);
        print_latency("freshness", &totals->freshness_us);
    }
    if (report->loadgen->options.kafka != NULL)
        print_kafka(report);
    if (report->log_syncs > 0)
        printf("  %-22s p50 %8.2f                  p99 %8.2f ms                     (%" PRIu64
               ")\n",
               "log write and sync", report->sync_p50_ms, report->sync_p99_ms, report->log_syncs);
    print_latency("queries", &totals->query_us);
    for (size_t index = 0; index < panel_count(report->loadgen); index++)
        if (histogram_count(&totals->panel_us[index]) > 0)
            print_latency(panel_name(report->loadgen, index), &totals->panel_us[index]);
    printf("  longest silence        acknowledgements %8.2f ms   queries %8.2f ms (asked every %d "
           "ms)\n",
           ms(total_get(&totals->ack_gap_us)), ms(total_get(&totals->query_gap_us)),
           report->loadgen->options.pulse_ms);
    if (cpu_s > 0)
        printf("  server CPU             %12.2f s   %6.1f %% of a core   %10.0f events per "
               "CPU-second\n",
               cpu_s, 100 * cpu_s / seconds, (double)acked / cpu_s);
    printf("  server memory          %12.0f MB at most\n  generator CPU          %12.2f s   %6.1f "
           "%% of a core\n",
           report->rss_mb_max, report->generator_cpu_s, 100 * report->generator_cpu_s / seconds);
    if (total_get(&totals->query_failures) + total_get(&totals->markers_lost) > 0)
        printf("  queries failed         %12" PRIu64 "   markers never seen %" PRIu64 "\n",
               total_get(&totals->query_failures), total_get(&totals->markers_lost));
}

static void json_latency(FILE *file, const char *name, const struct histogram *histogram)
{
    fprintf(file,
            "  \"%s_ms\": {\"count\": %" PRIu64
            ", \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f},\n",
            name, histogram_count(histogram), quantile_ms(histogram, 0.5),
            quantile_ms(histogram, 0.95), quantile_ms(histogram, 0.99),
            ms(histogram_max(histogram)));
}

void report_write_json(const struct report *report, FILE *file)
{
    const struct loadgen_totals *totals = &report->loadgen->totals;
    const struct {
        const char *name;
        const _Atomic uint64_t *value;
    } counters[] = {{"sent_rows", &totals->sent_rows},
                    {"sent_bytes", &totals->sent_bytes},
                    {"sent_batches", &totals->sent_batches},
                    {"stored_rows", &totals->stored_rows},
                    {"rejected_rows", &totals->rejected_rows},
                    {"duplicate_rows", &totals->duplicate_rows},
                    {"malformed_rows", &totals->malformed_rows},
                    {"late_rows", &totals->late_rows},
                    {"out_of_order_rows", &totals->out_of_order_rows},
                    {"refused", &totals->refused},
                    {"failed", &totals->failed},
                    {"queries", &totals->queries},
                    {"query_failures", &totals->query_failures},
                    {"markers", &totals->markers},
                    {"markers_lost", &totals->markers_lost},
                    {"produced_rows", &totals->produced_rows},
                    {"delivered_rows", &totals->delivered_rows},
                    {"undelivered_rows", &totals->undelivered_rows},
                    {"consumed_rows", &totals->consumed_rows},
                    {"lag_at_stop", &totals->lag_at_stop},
                    {"drain_us", &totals->drain_us}};
    fprintf(file, "{\n");
    for (size_t index = 0; index < array_count(counters); index++)
        fprintf(file, "  \"%s\": %" PRIu64 ",\n", counters[index].name,
                total_get(counters[index].value));
    json_latency(file, "ack", &totals->ack_us);
    json_latency(file, "freshness", &totals->freshness_us);
    json_latency(file, "query", &totals->query_us);
    json_latency(file, "delivery", &totals->delivery_us);
    json_latency(file, "kafka_freshness", &totals->kafka_freshness_us);
    fprintf(file, "  \"ack_gap_ms\": %.3f,\n  \"query_gap_ms\": %.3f,\n",
            ms(total_get(&totals->ack_gap_us)), ms(total_get(&totals->query_gap_us)));
    fprintf(file, "  \"log_sync_ms\": {\"count\": %" PRIu64 ", \"p50\": %.3f, \"p99\": %.3f},\n",
            report->log_syncs, report->sync_p50_ms, report->sync_p99_ms);
    fprintf(file,
            "  \"elapsed_s\": %.3f,\n  \"server_cpu_s\": %.3f,\n  \"server_rss_mb_max\": %.1f,\n  "
            "\"generator_cpu_s\": %.3f,\n",
            report->elapsed_s, report->cpu_last - report->cpu_first, report->rss_mb_max,
            report->generator_cpu_s);
    fprintf(file, "  \"seconds\": [");
    for (size_t index = 0; index < report->row_count; index++) {
        const struct second_row *row = &report->rows[index];
        fprintf(file,
                "%s\n    {\"sent_per_s\": %.0f, \"acked_per_s\": %.0f, \"ack_p50_ms\": %.3f, "
                "\"ack_p99_ms\": %.3f, "
                "\"freshness_p99_ms\": %.3f, \"queries_per_s\": %.1f, \"query_p99_ms\": %.3f, "
                "\"server_cpu\": %.3f, \"server_rss_mb\": %.1f, "
                "\"refused\": %" PRIu64 "}",
                index > 0 ? "," : "", row->sent_per_s, row->stored_per_s, row->ack_p50_ms,
                row->ack_p99_ms, row->freshness_p99_ms, row->queries_per_s, row->query_p99_ms,
                row->server_cpu, row->server_rss_mb, row->refused);
    }
    fprintf(file, "\n  ]\n}\n");
}

static void write_file(const struct report *report, const char *name,
                       void (*write)(const struct report *, FILE *))
{
    if (name == NULL)
        return;
    FILE *file = fopen(name, "w");
    if (file == NULL) {
        fprintf(stderr, "freshet-bench: cannot write %s\n", name);
        return;
    }
    write(report, file);
    fclose(file);
}

void report_end(struct report *report)
{
    report->elapsed_s = (double)(clock_monotonic_us() - report->loadgen->start_us) / 1e6;
    report->generator_cpu_s = (double)clock_process_cpu_us() / 1e6;
    read_log_syncs(report);
    if (report->loadgen->options.has_screen)
        screen_draw(report, true);
    print_table(report);
    write_file(report, report->loadgen->options.json_file, report_write_json);
    write_file(report, report->loadgen->options.svg_file, report_write_svg);
    free(report->metrics_first);
    memory_free(report->rows);
}
