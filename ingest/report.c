/* What ingest says about itself: how complete an answer is, and the families of /metrics. */
#include "ingest/internal.h"
#include "ingest/kafka/feed.h"

#include "storage/base/clock.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define VISIBLE_TIMEOUT_US (100 * INT64_C(1000))
/* Sources of a table that have samples of their own; the rest are summed. */
#define METRIC_SOURCES_MAX 64
/* Tables with more sources are listed by their heap's top only. */
#define FULL_SCAN_MAX 4096

/* --- completeness --- */

/* Keeps the list sorted by watermark, the lowest first; what does not fit falls off. */
static void offer_source(const struct ingest *ingest, struct completeness *out, struct slice table,
                         const struct source *source, struct arena *arena)
{
    size_t at = out->source_count;
    while (at > 0 && out->sources[at - 1].watermark_us > source->watermark_us)
        at--;
    if (at == COMPLETENESS_SOURCES_MAX)
        return;
    size_t end = out->source_count < COMPLETENESS_SOURCES_MAX ? out->source_count++
                                                              : COMPLETENESS_SOURCES_MAX - 1;
    memmove(&out->sources[at + 1], &out->sources[at], (end - at) * sizeof(out->sources[0]));
    out->sources[at] = (struct completeness_source){
        .table = arena_copy(arena, table),
        .source = arena_copy(arena, source_name(source)),
        .watermark_us = source->watermark_us,
        .lag_rows = feed_lag(ingest, source),
    };
}

/* Live sources; idle ones hold nothing back and are listed where there is room (`idle`). */
static void offer_sources(const struct ingest *ingest, struct completeness *out,
                          const struct table_state *table, bool idle, struct arena *arena)
{
    const struct sources *sources = &table->sources;
    if (sources->count > FULL_SCAN_MAX) {
        /* The lowest k of a heap are within its first 2^k - 1; a few levels of it are near enough
         * to the furthest behind. */
        for (uint32_t i = 0; !idle && i < sources->heap_count && i < FULL_SCAN_MAX; i++)
            offer_source(ingest, out, table->name, &sources->list[sources->heap[i]], arena);
        return;
    }
    for (uint32_t i = 0; i < sources->count; i++)
        if (sources->list[i].is_idle == idle)
            offer_source(ingest, out, table->name, &sources->list[i], arena);
}

void ingest_completeness(struct ingest *ingest, const uint32_t *table_ids, size_t count,
                         struct arena *arena, struct completeness *out)
{
    *out = (struct completeness){.complete_through_us = NO_TIME};
    struct completeness idle = {0};
    bool has_none = false;
    mutex_lock(&ingest->lock);
    uint64_t position = ingest->applied_position;
    for (size_t i = 0; i < count; i++) {
        const struct table_state *table = ingest_find_table(ingest, table_ids[i]);
        if (table == NULL)
            continue;
        int64_t through = table->sources.complete_through_us;
        has_none |= through == NO_TIME && table->sources.count > 0;
        if (through != NO_TIME &&
            (out->complete_through_us == NO_TIME || through < out->complete_through_us))
            out->complete_through_us = through;
        out->sources_total += table->sources.count;
        out->late_rows += table->sources.late_rows;
        out->dead_rows += table->dead_rows;
        offer_sources(ingest, out, table, false, arena);
        offer_sources(ingest, &idle, table, true, arena);
    }
    mutex_unlock(&ingest->lock);
    /* Over several tables the least; one that has event times nowhere says nothing. */
    if (has_none && count == 1)
        out->complete_through_us = NO_TIME;
    for (size_t i = 0; i < idle.source_count && out->source_count < COMPLETENESS_SOURCES_MAX; i++)
        out->sources[out->source_count++] = idle.sources[i];
    /* State runs ahead of visibility by a moment: a snapshot taken after this must hold what was
     * promised. */
    struct error error;
    if (ingest->store != NULL &&
        store_wait(ingest->store, position, VISIBLE_TIMEOUT_US, &error) != OK)
        out->complete_through_us = NO_TIME; /* no promise then */
}

/* --- metrics --- */

static void sample(struct writer *out, struct writer *labels, const char *name, struct slice table,
                   struct slice source, const char *fate, double value)
{
    writer_reset(labels);
    metrics_label(labels, "table", table);
    if (source.data != NULL) {
        metrics_label(labels, "source", source);
    }
    if (fate != NULL) {
        metrics_label(labels, "fate", slice_from_cstr(fate));
    }
    writer_u8(labels, 0);
    metrics_print_sample(out, name, (const char *)labels->data, value);
}

static void print_rows(const struct table_state *table, struct writer *out, struct writer *labels)
{
    uint64_t other[FATE_COUNT] = {0};
    for (uint32_t i = 0; i < table->sources.count; i++) {
        const struct source *source = &table->sources.list[i];
        for (size_t f = 0; f < FATE_COUNT; f++) {
            if (i < METRIC_SOURCES_MAX)
                sample(out, labels, "freshet_rows_total", table->name, source_name(source),
                       fate_names[f], (double)source->counts[f]);
            else
                other[f] += source->counts[f];
        }
    }
    for (size_t f = 0; f < FATE_COUNT && table->sources.count > METRIC_SOURCES_MAX; f++)
        sample(out, labels, "freshet_rows_total", table->name, SLICE("(other sources)"),
               fate_names[f], (double)other[f]);
}

struct family {
    const char *name, *type, *help;
    bool (*value)(const struct table_state *table, int64_t now_us, double *out);
};

static bool watermark_age(const struct table_state *table, int64_t now_us, double *out)
{
    if (table->sources.complete_through_us == NO_TIME)
        return false;
    *out = (double)(now_us - table->sources.complete_through_us) / 1e6;
    return true;
}

static bool late_rows(const struct table_state *table, int64_t now_us, double *out)
{
    (void)now_us;
    *out = (double)table->sources.late_rows;
    return true;
}

static bool drift_count(const struct table_state *table, int64_t now_us, double *out)
{
    (void)now_us;
    *out = 0;
    for (uint32_t i = 0; i < table->drift.count; i++)
        *out += (double)table->drift.list[i].count;
    return true;
}

static bool source_count(const struct table_state *table, int64_t now_us, double *out)
{
    (void)now_us;
    *out = table->sources.count;
    return true;
}

static const struct family families[] = {
    {"freshet_watermark_age_seconds", "gauge",
     "Server clock less the event time through which a table is complete.", watermark_age},
    {"freshet_late_rows_total", "counter", "Rows at or before what had been promised complete.",
     late_rows},
    {"freshet_drift_total", "counter", "Fields and values that did not fit the table.",
     drift_count},
    {"freshet_sources", "gauge", "Sources known of a table.", source_count},
};

/* A dropped table may have come again under its name: only the living are printed, each name once.
 */
void ingest_metrics(struct ingest *ingest, struct writer *out)
{
    int64_t now_us = clock_wall_us();
    struct writer labels;
    writer_init(&labels);
    mutex_lock(&ingest->lock);
    metrics_print_family(out, "freshet_rows_total", "counter",
                         "Rows by what became of them, per table and source.");
    for (uint32_t i = 0; i < ingest->table_count; i++)
        if (!ingest->tables[i]->is_dropped)
            print_rows(ingest->tables[i], out, &labels);
    for (size_t f = 0; f < array_count(families); f++) {
        metrics_print_family(out, families[f].name, families[f].type, families[f].help);
        for (uint32_t i = 0; i < ingest->table_count; i++) {
            double value;
            if (!ingest->tables[i]->is_dropped &&
                families[f].value(ingest->tables[i], now_us, &value))
                sample(out, &labels, families[f].name, ingest->tables[i]->name, (struct slice){0},
                       NULL, value);
        }
    }
    metrics_print_figure(out, "freshet_dead_letters", "gauge", "Dead letters kept.",
                         (double)ingest->dead.count);
    metrics_print_figure(out, "freshet_dead_letter_bytes", "gauge",
                         "Bytes of the dead letters kept.", (double)ingest->dead.bytes);
    metrics_print_figure(out, "freshet_dead_letters_dropped_total", "counter",
                         "Dead letters that went because of their age or the limit of bytes.",
                         (double)ingest->dead.dropped);
    feed_metrics(ingest, now_us, out);
    mutex_unlock(&ingest->lock);
    writer_deinit(&labels);
}
