/* freshet.latency and freshet.metrics: the process's figures as rows.
 *
 * Every metric is known in one place, the page of /metrics, which collectors of all folders write.
 * So freshet.metrics reads that page: a sample is `name{key="value",…} number`, with \\, \" and \n
 * escaped in values, and lines that begin with # are for scrapers. */
#include "query/engine.h"

#include "query/func/json.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/number.h"

#include <math.h>

/* clang-format off */
static const struct provider_column latency_columns[] = {
    {"stage", {.id = TYPE_TEXT}},    {"source", {.id = TYPE_TEXT}},
    {"count", {.id = TYPE_INT8}},    {"p50_ms", {.id = TYPE_FLOAT8}},
    {"p95_ms", {.id = TYPE_FLOAT8}}, {"p99_ms", {.id = TYPE_FLOAT8}},
    {"max_ms", {.id = TYPE_FLOAT8}},
};

static const struct provider_column metrics_columns[] = {
    {"name", {.id = TYPE_TEXT}},
    {"labels", {.id = TYPE_JSONB}},
    {"value", {.id = TYPE_FLOAT8}},
};
/* clang-format on */

static void add_ms(struct provider_scan *scan, size_t index, uint64_t count, uint64_t us)
{
    if (count == 0)
        provider_null(scan, index);
    else
        provider_float(scan, index, (double)us / 1e3);
}

static enum err latency_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)error;
    int64_t now_us = clock_monotonic_us();
    for (int i = 0; i < LATENCY_COUNT; i++) {
        struct latency_figures figures;
        latency_read((enum latency)i, now_us, &figures);
        provider_cstr(scan, 0, figures.stage);
        if (figures.source[0] == '\0')
            provider_null(scan, 1);
        else
            provider_cstr(scan, 1, figures.source);
        provider_int(scan, 2, (int64_t)figures.count);
        add_ms(scan, 3, figures.count, figures.p50_us);
        add_ms(scan, 4, figures.count, figures.p95_us);
        add_ms(scan, 5, figures.count, figures.p99_us);
        add_ms(scan, 6, figures.count, figures.max_us);
    }
    return OK;
}

/* The value of a label behind its opening quote, unescaped into `out`; *at behind the closing one.
 */
static void read_value(struct slice line, size_t *at, struct writer *out)
{
    writer_reset(out);
    for (; *at < line.size && line.data[*at] != '"'; ++*at) {
        char c = line.data[*at];
        if (c == '\\' && *at + 1 < line.size) {
            c = line.data[++*at];
            c = c == 'n' ? '\n' : c;
        }
        writer_u8(out, (uint8_t)c);
    }
    *at += *at < line.size;
}

/* `key="value",…}` as a JSON object; *at behind the brace. */
static void read_labels(struct slice line, size_t *at, struct writer *value, struct writer *json)
{
    for (bool is_first = true; *at < line.size && line.data[*at] != '}'; is_first = false) {
        size_t begin = *at;
        while (*at < line.size && line.data[*at] != '=')
            ++*at;
        writer_cstr(json, is_first ? "" : ", ");
        json_write_string(json, slice_of(line.data + begin, *at - begin));
        *at += 2; /* =" */
        read_value(line, at, value);
        writer_cstr(json, ": ");
        json_write_string(json, writer_as_slice(value));
        *at += *at < line.size && line.data[*at] == ',';
    }
    *at += *at < line.size;
}

static double read_number(struct slice text)
{
    double value = 0;
    struct error error;
    text = slice_trim(text);
    if (slice_equal(text, SLICE("+Inf")))
        return INFINITY;
    if (slice_equal(text, SLICE("-Inf")))
        return -INFINITY;
    return float8_parse(text, &value, &error) == OK ? value : NAN;
}

static void add_sample(struct provider_scan *scan, struct slice line, struct writer *value,
                       struct writer *json)
{
    size_t at = 0;
    while (at < line.size && line.data[at] != '{' && line.data[at] != ' ')
        at++;
    provider_text(scan, 0, slice_of(line.data, at));
    writer_reset(json);
    writer_u8(json, '{');
    if (at < line.size && line.data[at] == '{') {
        at++;
        read_labels(line, &at, value, json);
    }
    writer_u8(json, '}');
    struct slice labels = SLICE("{}");
    struct error error;
    if (jsonb_normalize(writer_as_slice(json), scan->arena, &labels, &error) != OK)
        labels = SLICE("{}"); /* a collector wrote what is no UTF-8 */
    provider_text(scan, 1, labels);
    provider_float(scan, 2, read_number(slice_of(line.data + at, line.size - at)));
}

static enum err metrics_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)error;
    struct writer page, value, json;
    writer_init(&page);
    writer_init(&value);
    writer_init(&json);
    metrics_print(&page);
    const char *data = (const char *)page.data;
    for (size_t begin = 0; begin < page.size;) {
        const char *end = memchr(data + begin, '\n', page.size - begin);
        size_t size = end == NULL ? page.size - begin : (size_t)(end - data) - begin;
        if (size > 0 && data[begin] != '#')
            add_sample(scan, slice_of(data + begin, size), &value, &json);
        begin += size + 1;
    }
    writer_deinit(&json);
    writer_deinit(&value);
    writer_deinit(&page);
    return OK;
}

const struct table_provider system_figures[SYSTEM_FIGURES_COUNT] = {
    {"freshet", "latency", array_count(latency_columns), latency_columns, NULL, latency_scan, 0,
     SIGHT_SEEN},
    {"freshet", "metrics", array_count(metrics_columns), metrics_columns, NULL, metrics_scan, 0,
     SIGHT_SEEN},
};
