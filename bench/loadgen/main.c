/* freshet-bench: starts the sender and the probes, prints a line a second, stops them and prints
 * the table. */
#include "bench/loadgen/event.h"
#include "bench/loadgen/loadgen.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/thread.h"

#include <signal.h>
#include <stdlib.h>

static struct loadgen *running; /* for the signal handler only */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&running->is_stopping, true);
}

static bool prepare_tables(const struct loadgen *loadgen)
{
    char sql[2048], answer[1024];
    if (loadgen->options.is_create) {
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE IF NOT EXISTS %s %s WITH (time = 'ts', lateness = '10 s')",
                 loadgen->options.table, event_table_columns());
        if (!control_sql(loadgen, sql, answer, sizeof(answer)))
            return false;
    }
    if (loadgen->options.kafka != NULL && loadgen->options.is_create && !kafka_subscribe(loadgen))
        return false;
    if (loadgen->options.freshness_ms == 0 || loadgen_kafka_share(&loadgen->options) == 1)
        return true;
    return control_sql(
        loadgen,
        "CREATE TABLE IF NOT EXISTS freshet_bench_markers (at timestamptz NOT NULL, id bigint)",
        answer, sizeof(answer));
}

static void print_events(const struct loadgen_options *options)
{
    struct event_generator *generator = event_generator_create(options->seed, options->line_size);
    struct random_stream *random = event_generator_random(generator);
    double step_us = options->rate > 0 ? 1e6 / options->rate : 10;
    int64_t start_us = options->start_us > 0 ? options->start_us : clock_wall_us();
    char line[EVENT_LINE_MAX];
    uint64_t count = options->events > 0 ? options->events : 1000;
    for (uint64_t index = 0; index < count; index++) {
        bool is_bad = random_unit(random) < options->share_malformed;
        int64_t ts_us = start_us + (int64_t)((double)index * step_us);
        if (random_unit(random) < options->share_out_of_order)
            ts_us -= (int64_t)random_below(random, 2000000);
        if (options->start_us > 0)
            ts_us -= ts_us % 1000; /* whole milliseconds, which every store compared here keeps */
        size_t size = is_bad ? event_write_malformed(generator, ts_us, line)
                             : event_write(generator, ts_us, line);
        fwrite(line, 1, size, stdout);
    }
    event_generator_destroy(generator);
}

static struct thread *start(struct loadgen *loadgen, const char *name, void (*run)(void *))
{
    return thread_start(&(struct thread_options){.name = name, .run = run, .context = loadgen});
}

struct finisher {
    struct thread *loads[2];
    size_t load_count;
    _Atomic bool is_done;
};

static void wait_for_load(void *context)
{
    struct finisher *finisher = context;
    for (size_t index = 0; index < finisher->load_count; index++)
        thread_join(finisher->loads[index]);
    atomic_store(&finisher->is_done, true);
}

static size_t start_probes(struct loadgen *loadgen, struct thread **probes)
{
    const struct loadgen_options *options = &loadgen->options;
    size_t count = 0;
    if (options->is_produce_only)
        return 0;
    if (options->freshness_ms > 0 && loadgen_kafka_share(options) < 1) {
        probes[count++] = start(loadgen, "marker", freshness_post_run);
        probes[count++] = start(loadgen, "ask", freshness_ask_run);
    }
    if (options->freshness_ms > 0 && loadgen_kafka_share(options) > 0)
        probes[count++] = start(loadgen, "ask-kafka", kafka_freshness_ask_run);
    for (int index = 0; index < options->query_connections; index++)
        probes[count++] = start(loadgen, "panel",
                                options->profile == PROFILE_DASHBOARD ? queries_run : refresh_run);
    if (options->pulse_ms > 0)
        probes[count++] = start(loadgen, "pulse", pulse_run);
    return count;
}

static void run_all(struct loadgen *loadgen)
{
    struct thread *probes[264];
    struct report report;
    struct finisher finisher = {.load_count = 0};
    double kafka_share = loadgen_kafka_share(&loadgen->options);
    loadgen->start_us = clock_monotonic_us();
    report_begin(&report, loadgen);
    if (kafka_share < 1)
        finisher.loads[finisher.load_count++] = start(loadgen, "load", load_run);
    if (kafka_share > 0)
        finisher.loads[finisher.load_count++] = start(loadgen, "kafka", kafka_run);
    struct thread *waiter = thread_start(
        &(struct thread_options){.name = "wait", .run = wait_for_load, .context = &finisher});
    size_t probe_count = start_probes(loadgen, probes);
    int64_t next_us = clock_monotonic_us() + 1000000;
    while (!atomic_load(&finisher.is_done)) {
        clock_sleep_us(20000);
        if (clock_monotonic_us() >= next_us) {
            report_second(&report);
            next_us += 1000000;
        }
    }
    thread_join(waiter);
    atomic_store(&loadgen->is_stopping, true);
    for (size_t index = 0; index < probe_count; index++)
        thread_join(probes[index]);
    report_end(&report);
}

int main(int argument_count, char **arguments)
{
    int exit_code;
    struct loadgen *loadgen = memory_alloc_zero(sizeof(*loadgen));
    if (!options_parse(argument_count, arguments, &loadgen->options, &exit_code)) {
        memory_free(loadgen);
        return exit_code;
    }
    running = loadgen;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    exit_code = 0;
    if (loadgen->options.is_print_only)
        print_events(&loadgen->options);
    else if ((loadgen->options.kafka != NULL && loadgen->options.is_create &&
              !kafka_prepare_topic(loadgen)) ||
             (!loadgen->options.is_produce_only && !prepare_tables(loadgen)))
        exit_code = 1;
    else {
        run_all(loadgen);
        exit_code = total_get(&loadgen->totals.failed) > 0 ||
                            total_get(&loadgen->totals.undelivered_rows) > 0
                        ? 1
                        : 0;
    }
    memory_free(loadgen);
    return exit_code;
}
