/* The system tables that query itself can tell: freshet.tables, columns, segments, queries. Each is
 * a list of columns and a function that adds one row after another; all read the query's own
 * snapshot, so they agree with each other and with the tables joined to them. */
#include "query/engine.h"

#include "storage/base/clock.h"

#include <assert.h>

#define TEXT                                                                                       \
    {                                                                                              \
        .id = TYPE_TEXT                                                                            \
    }
#define BIGINT                                                                                     \
    {                                                                                              \
        .id = TYPE_INT8                                                                            \
    }
#define INTEGER                                                                                    \
    {                                                                                              \
        .id = TYPE_INT4                                                                            \
    }
#define BOOLEAN                                                                                    \
    {                                                                                              \
        .id = TYPE_BOOL                                                                            \
    }
#define TIME                                                                                       \
    {                                                                                              \
        .id = TYPE_TIMESTAMPTZ                                                                     \
    }
#define JSONB                                                                                      \
    {                                                                                              \
        .id = TYPE_JSONB                                                                           \
    }
#define DOUBLE                                                                                     \
    {                                                                                              \
        .id = TYPE_FLOAT8                                                                          \
    }

/* A time, or NULL where there is none. */
static void add_time(struct provider_scan *scan, size_t index, int64_t us, bool is_known)
{
    if (is_known)
        provider_int(scan, index, us);
    else
        provider_null(scan, index);
}

static void add_text_or_null(struct provider_scan *scan, size_t index, struct slice text)
{
    if (text.size != 0)
        provider_text(scan, index, text);
    else
        provider_null(scan, index);
}

static void add_type(struct provider_scan *scan, size_t index, struct type type)
{
    struct writer text;
    writer_init(&text);
    type_print(type, &text);
    provider_text(scan, index, writer_as_slice(&text));
    writer_deinit(&text);
}

/* --- tables --- */

static const struct provider_column tables_columns[] = {
    {"table_name", TEXT},      {"rows", BIGINT},     {"mutable_rows", BIGINT}, {"bytes", BIGINT},
    {"mutable_bytes", BIGINT}, {"segments", BIGINT}, {"min_time", TIME},       {"max_time", TIME},
    {"time_column", TEXT},     {"options", JSONB},   {"created_at", TIME},
};

static enum err tables_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)error;
    for (size_t i = 0; i < snapshot_table_count(scan->snapshot); i++) {
        const struct table_view *view = snapshot_table(scan->snapshot, i);
        const struct schema *schema = table_view_schema(view);
        struct table_statistics statistics;
        table_view_statistics(view, &statistics);
        bool has_times = statistics.min_time_us <= statistics.max_time_us;
        provider_text(scan, 0, schema->name);
        provider_int(scan, 1, (int64_t)statistics.rows);
        provider_int(scan, 2, (int64_t)statistics.mutable_rows);
        provider_int(scan, 3, (int64_t)statistics.bytes);
        provider_int(scan, 4, (int64_t)statistics.mutable_bytes);
        provider_int(scan, 5, (int64_t)statistics.segment_count);
        add_time(scan, 6, statistics.min_time_us, has_times);
        add_time(scan, 7, statistics.max_time_us, has_times);
        if (schema->time_column >= 0)
            provider_text(scan, 8, schema->columns[schema->time_column].name);
        else
            provider_null(scan, 8);
        provider_text(scan, 9, schema->options.text.size != 0 ? schema->options.text : SLICE("{}"));
        provider_int(scan, 10, schema->created_at_us);
    }
    return OK;
}

/* --- columns --- */

static const struct provider_column columns_columns[] = {
    {"table_name", TEXT}, {"column_name", TEXT}, {"ordinal", INTEGER},
    {"type", TEXT},       {"nullable", BOOLEAN}, {"default_text", TEXT},
    {"bytes", BIGINT},    {"raw_bytes", BIGINT}, {"encodings", TEXT},
};

static enum err columns_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)error;
    for (size_t i = 0; i < snapshot_table_count(scan->snapshot); i++) {
        const struct table_view *view = snapshot_table(scan->snapshot, i);
        const struct schema *schema = table_view_schema(view);
        for (uint32_t c = 0; c < schema->column_count; c++) {
            const struct column_definition *column = &schema->columns[c];
            uint64_t bytes = 0, raw_bytes = 0;
            char encodings[128] = "";
            table_view_column_statistics(view, c, &bytes, &raw_bytes, encodings, sizeof(encodings));
            provider_text(scan, 0, schema->name);
            provider_text(scan, 1, column->name);
            provider_int(scan, 2, c + 1);
            add_type(scan, 3, column->type);
            provider_bool(scan, 4, !column->is_not_null);
            add_text_or_null(scan, 5, column->default_text);
            provider_int(scan, 6, (int64_t)bytes);
            provider_int(scan, 7, (int64_t)raw_bytes);
            provider_cstr(scan, 8, encodings);
        }
    }
    return OK;
}

/* --- segments --- */

static const struct provider_column segments_columns[] = {
    {"table_name", TEXT},      {"segment_id", TEXT}, {"state", TEXT},    {"rows", BIGINT},
    {"bytes", BIGINT},         {"min_time", TIME},   {"max_time", TIME}, {"first_position", BIGINT},
    {"last_position", BIGINT}, {"created_at", TIME},
};

static void add_segment(struct provider_scan *scan, const struct schema *schema,
                        const struct segment_statistics *segment)
{
    bool has_times = segment->min_time_us <= segment->max_time_us;
    provider_text(scan, 0, schema->name);
    provider_cstr(scan, 1, arena_printf(scan->arena, "%s", segment->id));
    provider_cstr(scan, 2, segment->is_sealed ? "sealed" : "mutable");
    provider_int(scan, 3, (int64_t)segment->rows);
    provider_int(scan, 4, (int64_t)segment->bytes);
    add_time(scan, 5, segment->min_time_us, has_times);
    add_time(scan, 6, segment->max_time_us, has_times);
    provider_int(scan, 7, (int64_t)segment->first_position);
    provider_int(scan, 8, (int64_t)segment->last_position);
    provider_int(scan, 9, segment->created_at_us);
}

static enum err segments_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)context;
    (void)error;
    for (size_t i = 0; i < snapshot_table_count(scan->snapshot); i++) {
        const struct table_view *view = snapshot_table(scan->snapshot, i);
        for (size_t s = 0; s < table_view_segment_count(view); s++) {
            struct segment_statistics segment;
            table_view_segment(view, s, &segment);
            add_segment(scan, table_view_schema(view), &segment);
        }
    }
    return OK;
}

/* --- queries --- */

static const struct provider_column queries_columns[] = {
    {"query_id", TEXT},     {"user_name", TEXT},       {"client", TEXT},
    {"query", TEXT},        {"state", TEXT},           {"started_at", TIME},
    {"elapsed_ms", DOUBLE}, {"rows_scanned", BIGINT},  {"memory_bytes", BIGINT},
    {"cpu_ms", DOUBLE},     {"spilled_bytes", BIGINT}, {"queued_ms", DOUBLE},
    {"yielded_ms", DOUBLE},
};

/* In line for its turn until now. */
static int64_t waited_us(const struct worker_waits *waits)
{
    int64_t waited = atomic_load_explicit(&waits->waited_us, memory_order_relaxed);
    int64_t since_us = atomic_load_explicit(&waits->since_us, memory_order_relaxed);
    return since_us == 0 ? waited : waited + clock_monotonic_us() - since_us;
}

static void add_query(void *context, const struct query_entry *entry)
{
    struct provider_scan *scan = context;
    if (!query_entry_is_seen(entry, scan->asker))
        return;
    bool is_hidden = atomic_load_explicit(&entry->has_unseen, memory_order_relaxed) &&
                     !asker_is_admin(scan->asker);
    uint64_t rows_scanned =
        entry->exec == NULL || is_hidden
            ? 0
            : atomic_load_explicit(&entry->exec->statistics.rows_scanned, memory_order_relaxed);
    uint64_t spilled =
        entry->exec == NULL
            ? 0
            : atomic_load_explicit(&entry->exec->statistics.spilled_bytes, memory_order_relaxed);
    size_t used = atomic_load_explicit(&entry->budget.used, memory_order_relaxed);
    provider_cstr(scan, 0, entry->query_id);
    add_text_or_null(scan, 1, entry->user);
    add_text_or_null(scan, 2, entry->client);
    provider_text(scan, 3, entry->text);
    provider_cstr(scan, 4, atomic_load(&entry->state));
    provider_int(scan, 5, entry->started_at_us);
    provider_float(scan, 6, (double)(clock_monotonic_us() - entry->started_us) / 1e3);
    provider_int(scan, 7, (int64_t)rows_scanned);
    provider_int(scan, 8, (int64_t)used);
    int64_t cpu_us = entry->cpu_used_us;
    if (entry->cpu_clock != 0)
        cpu_us += clock_cpu_of_thread_us(entry->cpu_clock) - entry->cpu_begin_us;
    if (entry->exec != NULL)
        cpu_us +=
            atomic_load_explicit(&entry->exec->statistics.helpers_cpu_us, memory_order_relaxed);
    provider_float(scan, 9, (double)cpu_us / 1e3);
    provider_int(scan, 10, (int64_t)spilled);
    int64_t queued_us = entry->queued_us;
    if (entry->queued_since_us != 0)
        queued_us += clock_monotonic_us() - entry->queued_since_us;
    provider_float(scan, 11, (double)queued_us / 1e3);
    provider_float(scan, 12, (double)waited_us(&entry->waits) / 1e3);
}

static enum err queries_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    struct query_engine *engine = context;
    registry_visit(&engine->registry, add_query, scan);
    return OK;
}

void system_register(struct query_engine *engine)
{
    const struct table_provider own[] = {
        {"freshet", "tables", array_count(tables_columns), tables_columns, engine, tables_scan, 0,
         SIGHT_SEEN},
        {"freshet", "columns", array_count(columns_columns), columns_columns, engine, columns_scan,
         0, SIGHT_SEEN},
        {"freshet", "segments", array_count(segments_columns), segments_columns, engine,
         segments_scan, 0, SIGHT_SEEN},
        {"freshet", "queries", array_count(queries_columns), queries_columns, engine, queries_scan,
         0, SIGHT_CHOSEN},
    };
    static_assert(array_count(own) == array_count(engine->own), "one slot a table");
    for (size_t i = 0; i < array_count(own); i++) {
        engine->own[i] = own[i];
        query_engine_register(engine, &engine->own[i]);
    }
    for (size_t i = 0; i < SYSTEM_FIGURES_COUNT; i++)
        query_engine_register(engine, &system_figures[i]);
}
