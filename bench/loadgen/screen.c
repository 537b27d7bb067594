/* The numbers that matter on one screen, drawn anew each second: what comes in, how soon it can be
 * asked for, what it costs, what the store holds, what each panel takes, and whether the ledger
 * adds up. Where standard output is no terminal the screen is printed once, at the end. */
#include "bench/loadgen/loadgen.h"

#include "storage/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBERS_MAX 8

static double quantile_ms(const struct histogram *histogram, double q)
{
    return (double)histogram_quantile(histogram, q) / 1000.0;
}

/* The numbers of the only row of an answer; how many there were. NULL counts as 0. */
static size_t row_numbers(const char *answer, double *out)
{
    size_t count = 0;
    const char *p = strstr(answer, "\"rows\":[[");
    if (p == NULL)
        return 0;
    for (p += strlen("\"rows\":[["); count < NUMBERS_MAX; p++) {
        char *end;
        out[count] = strtod(p, &end);
        p = end;
        if (strncmp(p, "null", 4) == 0)
            p += 4;
        count++;
        if (*p != ',')
            break;
    }
    return count;
}

static size_t ask_numbers(const struct loadgen *loadgen, const char *sql, double *out)
{
    char answer[4096];
    memset(out, 0, NUMBERS_MAX * sizeof(*out));
    return control_sql(loadgen, sql, answer, sizeof(answer)) ? row_numbers(answer, out) : 0;
}

static void print_store(const struct loadgen *loadgen)
{
    char sql[512], *page;
    double numbers[NUMBERS_MAX];
    size_t size;
    snprintf(sql, sizeof(sql),
             "SELECT coalesce(sum(rows) FILTER (WHERE state = 'sealed'), 0), count(*) FILTER "
             "(WHERE state = 'sealed'), coalesce(sum(bytes) FILTER (WHERE state = 'sealed'), 0), "
             "coalesce(sum(rows) FILTER (WHERE state <> 'sealed'), 0) FROM freshet.segments "
             "WHERE table_name = '%s'",
             loadgen->options.table);
    if (ask_numbers(loadgen, sql, numbers) == 4)
        printf("  rows      sealed %12.0f in %.0f segments, %.0f MB   in memory %12.0f\n",
               numbers[0], numbers[1], numbers[2] / 1e6, numbers[3]);
    if (control_metrics(loadgen, &page, &size)) {
        struct slice text = slice_of(page, size);
        printf("  log       %.0f files, %.0f MB\n", control_metric(text, "freshet_log_files"),
               control_metric(text, "freshet_log_size_bytes") / 1e6);
        free(page);
    }
}

/* The newest rows' count comes with the answer's own word on how complete it is. */
static void print_completeness(const struct loadgen *loadgen)
{
    char sql[256], answer[8192], through[64] = "not known";
    double dead = 0, late = 0;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE ts > now() - interval '1 second'",
             loadgen->options.table);
    if (!control_sql(loadgen, sql, answer, sizeof(answer)))
        return;
    const char *found = strstr(answer, "\"complete_through\":\"");
    if (found != NULL)
        sscanf(found, "\"complete_through\":\"%63[^\"]", through);
    if ((found = strstr(answer, "\"dead_rows\":")) != NULL)
        dead = strtod(found + strlen("\"dead_rows\":"), NULL);
    if ((found = strstr(answer, "\"late_rows\":")) != NULL)
        late = strtod(found + strlen("\"late_rows\":"), NULL);
    printf("  complete  through %s   late %.0f   dead letters %.0f\n", through, late, dead);
}

static void print_ledger(const struct loadgen *loadgen)
{
    char sql[512];
    double numbers[NUMBERS_MAX];
    snprintf(sql, sizeof(sql),
             "SELECT sum(received), sum(stored), sum(duplicate), sum(dead), sum(filtered + "
             "sampled_out + late_diverted + late_dropped) FROM freshet.ledger "
             "WHERE table_name = '%s'",
             loadgen->options.table);
    if (ask_numbers(loadgen, sql, numbers) != 5)
        return;
    double rest = numbers[0] - numbers[1] - numbers[2] - numbers[3] - numbers[4];
    printf(
        "  ledger    received %.0f = stored %.0f + duplicate %.0f + dead %.0f + other %.0f   %s\n",
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
        rest == 0 ? "adds up" : "DOES NOT ADD UP");
}

static void print_rates(const struct report *report)
{
    const struct loadgen *loadgen = report->loadgen;
    const struct loadgen_totals *totals = &loadgen->totals;
    const struct second_row *row = &report->rows[report->row_count - 1];
    double seconds = (double)(clock_monotonic_us() - loadgen->start_us) / 1e6;
    printf("  Freshet, profile %s, second %zu\n\n", profile_name(loadgen->options.profile),
           report->row_count);
    printf("  events    %10.0f /s now   %10.0f /s so far   refused %" PRIu64 "   waiting %" PRIu64
           "\n",
           row->stored_per_s,
           (double)(total_get(&totals->stored_rows) + total_get(&totals->rejected_rows)) / seconds,
           row->refused, row->backlog);
    printf("  answered  p50 %7.2f   p99 %7.2f ms now   p50 %7.2f   p99 %7.2f so far   longest "
           "silence %.0f ms\n",
           row->ack_p50_ms, row->ack_p99_ms, quantile_ms(&totals->ack_us, 0.5),
           quantile_ms(&totals->ack_us, 0.99), (double)total_get(&totals->ack_gap_us) / 1000);
    printf("  visible   p50 %7.2f   p99 %7.2f ms now   p50 %7.2f   p99 %7.2f so far\n",
           row->freshness_p50_ms, row->freshness_p99_ms, quantile_ms(&totals->freshness_us, 0.5),
           quantile_ms(&totals->freshness_us, 0.99));
    printf("  cost      CPU %5.1f %% of a core now   %5.1f %% so far   memory %.0f MB, at most "
           "%.0f\n",
           row->server_cpu * 100, 100 * (report->cpu_last - report->cpu_first) / seconds,
           row->server_rss_mb, report->rss_mb_max);
}

void screen_draw(const struct report *report, bool is_end)
{
    const struct loadgen *loadgen = report->loadgen;
    bool is_terminal = isatty(STDOUT_FILENO) != 0;
    if (report->row_count == 0 || (!is_terminal && !is_end))
        return;
    if (is_terminal)
        printf("\033[H\033[J");
    print_rates(report);
    print_store(loadgen);
    print_completeness(loadgen);
    print_ledger(loadgen);
    printf("\n  %-28s %8s %8s %8s %7s\n", "panel, ms", "p50", "p99", "max", "asked");
    for (size_t index = 0; index < panel_count(loadgen); index++) {
        const struct histogram *histogram = &loadgen->totals.panel_us[index];
        printf("  %-28s %8.1f %8.1f %8.1f %7" PRIu64 "\n", panel_name(loadgen, index),
               quantile_ms(histogram, 0.5), quantile_ms(histogram, 0.99),
               (double)histogram_max(histogram) / 1000, histogram_count(histogram));
    }
    fflush(stdout);
}
