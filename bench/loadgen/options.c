/* The command line: one table of options, from which the help is printed. */
#include "bench/loadgen/loadgen.h"

#include "bench/loadgen/event.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_RATE = 256,
    OPTION_SECONDS,
    OPTION_EVENTS,
    OPTION_CONNECTIONS,
    OPTION_BATCH,
    OPTION_LINE,
    OPTION_TABLE,
    OPTION_OUT_OF_ORDER,
    OPTION_LATE,
    OPTION_DUPLICATE,
    OPTION_MALFORMED,
    OPTION_QUERIES,
    OPTION_PAUSE,
    OPTION_PROFILE,
    OPTION_PULSE,
    OPTION_SCREEN,
    OPTION_FRESHNESS,
    OPTION_SEED,
    OPTION_START,
    OPTION_JSON,
    OPTION_SVG,
    OPTION_NO_CREATE,
    OPTION_QUIET,
    OPTION_PRINT,
    OPTION_HTTP,
    OPTION_KAFKA,
    OPTION_TOPIC,
    OPTION_SUBSCRIPTION,
    OPTION_PARTITIONS,
    OPTION_KAFKA_SHARE,
    OPTION_PRODUCE_ONLY,
    OPTION_HELP
};

static const struct {
    const char *name, *argument, *help;
    int code;
} table[] = {
    {"http", "HOST:PORT", "the server (127.0.0.1:8080)", OPTION_HTTP},
    {"table", "NAME", "the table (events); made if missing", OPTION_TABLE},
    {"rate", "N", "events per second, open loop; 0: as fast as it goes (83000)", OPTION_RATE},
    {"seconds", "N", "how long (60)", OPTION_SECONDS},
    {"events", "N", "stop after so many events (0: by time)", OPTION_EVENTS},
    {"connections", "N", "ingest connections, each a producer of its own (8)", OPTION_CONNECTIONS},
    {"batch", "BYTES", "size of a request's body; k and m are understood (64k)", OPTION_BATCH},
    {"line", "BYTES", "size of an event, 640 to 1024 with its newline (1024)", OPTION_LINE},
    {"out-of-order", "SHARE", "of events up to 2 s behind (0.05)", OPTION_OUT_OF_ORDER},
    {"late", "SHARE", "of events 1 to 10 minutes behind (0.001)", OPTION_LATE},
    {"duplicate", "SHARE", "of batches sent a second time, as a retry (0.002)", OPTION_DUPLICATE},
    {"malformed", "SHARE", "of events that are broken (0.0005)", OPTION_MALFORMED},
    {"queries", "N", "connections that run dashboard panels beside the load (2)", OPTION_QUERIES},
    {"query-pause", "MS", "between two panels of a connection (1000)", OPTION_PAUSE},
    {"profile", "NAME",
     "of the panels: dashboard, or fraud, which all refresh at each pause (dashboard)",
     OPTION_PROFILE},
    {"pulse", "MS", "between small queries whose longest silence is reported; 0: none (0)",
     OPTION_PULSE},
    {"screen", NULL, "one screen a second instead of progress lines", OPTION_SCREEN},
    {"freshness", "MS", "between marker rows that another connection asks for; 0: none (100)",
     OPTION_FRESHNESS},
    {"seed", "N", "of everything random (1)", OPTION_SEED},
    {"start", "EPOCH", "with --print: event time of the first event, seconds since 1970 (now)",
     OPTION_START},
    {"json", "FILE", "write the report as JSON", OPTION_JSON},
    {"svg", "FILE", "write rates and percentiles over time as SVG", OPTION_SVG},
    {"kafka", "HOST:PORT", "produce to this broker too, for a subscription of the server",
     OPTION_KAFKA},
    {"kafka-share", "SHARE", "of the events that go through Kafka, the rest over HTTP (1)",
     OPTION_KAFKA_SHARE},
    {"topic", "NAME", "the topic (the table's name); made if missing", OPTION_TOPIC},
    {"partitions", "N", "of a topic that is made (6)", OPTION_PARTITIONS},
    {"subscription", "NAME", "made if missing (the table's name)", OPTION_SUBSCRIPTION},
    {"produce-only", NULL, "fill the topic and ask no server", OPTION_PRODUCE_ONLY},
    {"no-create", NULL, "do not make table, topic and subscription", OPTION_NO_CREATE},
    {"quiet", NULL, "no progress lines", OPTION_QUIET},
    {"print", NULL, "write the events to standard output instead of sending them", OPTION_PRINT},
    {"help", NULL, "this text", OPTION_HELP},
};

static void print_help(FILE *file)
{
    fprintf(file, "usage: freshet-bench [options]\n\nSends events to a Freshet server and measures "
                  "what it does.\n\n");
    for (size_t index = 0; index < array_count(table); index++)
        fprintf(file, "  --%-13s %-9s %s\n", table[index].name,
                table[index].argument != NULL ? table[index].argument : "", table[index].help);
}

/* A number with an optional k or m, from low to high. */
static bool parse_number(const char *name, const char *text, double low, double high, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (*end == 'k' || *end == 'K')
        value *= 1024, end++;
    else if (*end == 'm' || *end == 'M')
        value *= 1024 * 1024, end++;
    if (end == text || *end != '\0' || !(value >= low && value <= high)) {
        fprintf(stderr, "freshet-bench: --%s wants a number from %g to %g, not \"%s\"\n", name, low,
                high, text);
        return false;
    }
    *out = value;
    return true;
}

static bool take_text(int code, const char *text, struct loadgen_options *out)
{
    switch (code) {
    case OPTION_HTTP:
        out->address = text;
        return true;
    case OPTION_TABLE:
        out->table = text;
        return true;
    case OPTION_PROFILE:
        out->profile_text = text;
        return true;
    case OPTION_JSON:
        out->json_file = text;
        return true;
    case OPTION_SVG:
        out->svg_file = text;
        return true;
    case OPTION_NO_CREATE:
        out->is_create = false;
        return true;
    case OPTION_SCREEN:
        out->has_screen = true;
        return true;
    case OPTION_QUIET:
        out->is_quiet = true;
        return true;
    case OPTION_PRINT:
        out->is_print_only = true;
        return true;
    case OPTION_KAFKA:
        out->kafka = text;
        return true;
    case OPTION_TOPIC:
        out->topic = text;
        return true;
    case OPTION_SUBSCRIPTION:
        out->subscription = text;
        return true;
    case OPTION_PRODUCE_ONLY:
        out->is_produce_only = true;
        return true;
    default:
        return false;
    }
}

static bool take_share(int code, const char *name, const char *text, struct loadgen_options *out,
                       bool *is_share)
{
    double *share = code == OPTION_OUT_OF_ORDER  ? &out->share_out_of_order
                    : code == OPTION_LATE        ? &out->share_late
                    : code == OPTION_DUPLICATE   ? &out->share_duplicate
                    : code == OPTION_MALFORMED   ? &out->share_malformed
                    : code == OPTION_KAFKA_SHARE ? &out->kafka_share
                                                 : NULL;
    *is_share = share != NULL;
    return share == NULL || parse_number(name, text, 0, 1, share);
}

static bool take_number(int code, const char *name, const char *text, struct loadgen_options *out)
{
    bool is_share, is_good;
    double value = 0;
    if (!take_share(code, name, text, out, &is_share))
        return false;
    if (is_share)
        return true;
    switch (code) {
    case OPTION_RATE:
        return parse_number(name, text, 0, 1e9, &out->rate);
    case OPTION_SECONDS:
        is_good = parse_number(name, text, 1, SECONDS_MAX, &value);
        out->seconds = (int)value;
        return is_good;
    case OPTION_EVENTS:
        is_good = parse_number(name, text, 0, 1e12, &value);
        out->events = (uint64_t)value;
        return is_good;
    case OPTION_CONNECTIONS:
        is_good = parse_number(name, text, 1, 1000, &value);
        out->connections = (int)value;
        return is_good;
    case OPTION_BATCH:
        is_good = parse_number(name, text, EVENT_LINE_MAX, 256 << 20, &value);
        out->batch_bytes = (size_t)value;
        return is_good;
    case OPTION_LINE:
        is_good = parse_number(name, text, 640, EVENT_LINE_MAX, &value);
        out->line_size = (size_t)value;
        return is_good;
    case OPTION_QUERIES:
        is_good = parse_number(name, text, 0, 256, &value);
        out->query_connections = (int)value;
        return is_good;
    case OPTION_PULSE:
        is_good = parse_number(name, text, 0, 1e6, &value);
        out->pulse_ms = (int)value;
        return is_good;
    case OPTION_PAUSE:
        is_good = parse_number(name, text, 0, 1e6, &value);
        out->query_pause_ms = (int)value;
        return is_good;
    case OPTION_PARTITIONS:
        is_good = parse_number(name, text, 1, 1000, &value);
        out->partitions = (int)value;
        return is_good;
    case OPTION_FRESHNESS:
        is_good = parse_number(name, text, 0, 1e6, &value);
        out->freshness_ms = (int)value;
        return is_good;
    case OPTION_START:
        is_good = parse_number(name, text, 0, 4e9, &value);
        out->start_us = (int64_t)(value * 1e6);
        return is_good;
    default:
        is_good = parse_number(name, text, 0, 1e15, &value);
        out->seed = (uint64_t)value;
        return is_good;
    }
}

bool options_parse(int argument_count, char **arguments, struct loadgen_options *out,
                   int *exit_code)
{
    struct option options[array_count(table) + 1] = {{0}};
    *out = (struct loadgen_options){.address = "127.0.0.1:8080",
                                    .table = "events",
                                    .rate = 83000,
                                    .seconds = 60,
                                    .connections = 8,
                                    .batch_bytes = 64 << 10,
                                    .line_size = EVENT_LINE_MAX,
                                    .share_out_of_order = 0.05,
                                    .share_late = 0.001,
                                    .share_duplicate = 0.002,
                                    .share_malformed = 0.0005,
                                    .query_connections = 2,
                                    .query_pause_ms = 1000,
                                    .freshness_ms = 100,
                                    .seed = 1,
                                    .partitions = 6,
                                    .kafka_share = 1,
                                    .is_create = true};
    for (size_t index = 0; index < array_count(table); index++)
        options[index] = (struct option){
            .name = table[index].name,
            .has_arg = table[index].argument != NULL ? required_argument : no_argument,
            .val = table[index].code};
    *exit_code = 2;
    for (;;) {
        int index = 0;
        int code = getopt_long(argument_count, arguments, "", options, &index);
        if (code == -1)
            break;
        if (code == OPTION_HELP) {
            print_help(stdout);
            *exit_code = 0;
            return false;
        }
        if (code == '?' ||
            (!take_text(code, optarg, out) && !take_number(code, options[index].name, optarg, out)))
            return false;
    }
    if (out->topic == NULL)
        out->topic = out->table;
    if (out->subscription == NULL)
        out->subscription = out->table;
    if (out->is_produce_only && out->kafka == NULL) {
        fprintf(stderr, "freshet-bench: --produce-only wants --kafka\n");
        return false;
    }
    if (out->profile_text != NULL && !profile_find(out->profile_text, &out->profile)) {
        fprintf(stderr, "freshet-bench: no profile is called \"%s\"\n", out->profile_text);
        return false;
    }
    if (optind < argument_count) {
        fprintf(stderr, "freshet-bench: unexpected argument %s\n", arguments[optind]);
        return false;
    }
    return true;
}
