/* System tables of ingest: sources, producers, dead_letters, ledger, drift, watermarks.
 *
 * Scans hold the lock in steps of some thousand rows, so that a million producers or a gigabyte of
 * dead letters never keep the log thread waiting; what changes between two steps may be seen or
 * not, as in any look at live counters. */
#include "ingest/internal.h"
#include "ingest/kafka/feed.h"

#include "storage/base/clock.h"

#define STEP_ROWS 2000

#define COLUMN(name_text, type_name)                                                               \
    {                                                                                              \
        .name = name_text, .type = {.id = type_name }                                              \
    }

static const struct provider_column source_columns[] = {
    COLUMN("table_name", TYPE_TEXT),
    COLUMN("source", TYPE_TEXT),
    COLUMN("kind", TYPE_TEXT),
    COLUMN("topic", TYPE_TEXT),
    COLUMN("partition", TYPE_INT4),
    COLUMN("stored_offset", TYPE_INT8),
    COLUMN("end_offset", TYPE_INT8),
    COLUMN("lag_rows", TYPE_INT8),
    COLUMN("lag_ms", TYPE_INT8),
    COLUMN("watermark", TYPE_TIMESTAMPTZ),
    COLUMN("state", TYPE_TEXT),
    COLUMN("last_error", TYPE_TEXT),
    COLUMN("last_row_at", TYPE_TIMESTAMPTZ),
};
static const struct provider_column producer_columns[] = {
    COLUMN("table_name", TYPE_TEXT),    COLUMN("producer", TYPE_TEXT),
    COLUMN("last_sequence", TYPE_INT8), COLUMN("position", TYPE_INT8),
    COLUMN("at", TYPE_TIMESTAMPTZ),
};
static const struct provider_column dead_letter_columns[] = {
    COLUMN("id", TYPE_INT8),          COLUMN("at", TYPE_TIMESTAMPTZ),
    COLUMN("table_name", TYPE_TEXT),  COLUMN("source", TYPE_TEXT),
    COLUMN("position", TYPE_INT8),    COLUMN("row", TYPE_INT8),
    COLUMN("column_name", TYPE_TEXT), COLUMN("sqlstate", TYPE_TEXT),
    COLUMN("reason", TYPE_TEXT),      COLUMN("raw", TYPE_BYTEA),
    COLUMN("state", TYPE_TEXT),       COLUMN("origin", TYPE_JSONB),
};
static const struct provider_column ledger_columns[] = {
    COLUMN("minute", TYPE_TIMESTAMPTZ), COLUMN("table_name", TYPE_TEXT),
    COLUMN("source", TYPE_TEXT),        COLUMN("received", TYPE_INT8),
    COLUMN("stored", TYPE_INT8),        COLUMN("duplicate", TYPE_INT8),
    COLUMN("filtered", TYPE_INT8),      COLUMN("sampled_out", TYPE_INT8),
    COLUMN("late_diverted", TYPE_INT8), COLUMN("late_dropped", TYPE_INT8),
    COLUMN("dead", TYPE_INT8),
};
static const struct provider_column drift_columns[] = {
    COLUMN("table_name", TYPE_TEXT),
    COLUMN("source", TYPE_TEXT),
    COLUMN("path", TYPE_TEXT),
    COLUMN("kind", TYPE_TEXT),
    COLUMN("first_at", TYPE_TIMESTAMPTZ),
    COLUMN("last_at", TYPE_TIMESTAMPTZ),
    COLUMN("count", TYPE_INT8),
    COLUMN("example", TYPE_TEXT),
};
static const struct provider_column watermark_columns[] = {
    COLUMN("table_name", TYPE_TEXT),
    COLUMN("source", TYPE_TEXT),
    COLUMN("watermark", TYPE_TIMESTAMPTZ),
    COLUMN("max_time", TYPE_TIMESTAMPTZ),
    COLUMN("idle", TYPE_BOOL),
};

static void add_time(struct provider_scan *scan, size_t index, int64_t time_us)
{
    if (time_us == NO_TIME)
        provider_null(scan, index);
    else
        provider_int(scan, index, time_us);
}

static void add_text_or_null(struct provider_scan *scan, size_t index, struct slice text)
{
    if (text.size == 0)
        provider_null(scan, index);
    else
        provider_text(scan, index, text);
}

/* --- one row of each --- */

static void scan_source(const struct ingest *ingest, const struct table_state *table,
                        uint32_t place, int64_t now_us, struct provider_scan *scan)
{
    const struct source *source = &table->sources.list[place];
    bool is_idle = source_is_idle(source, now_us, ingest->options.source_idle_us);
    if (source->kind == SOURCE_KAFKA) {
        feed_scan_source(ingest, table->name, source, now_us, scan);
        return;
    }
    provider_text(scan, 0, table->name);
    provider_text(scan, 1, source_name(source));
    provider_cstr(scan, 2,
                  source->kind == SOURCE_SQL    ? "sql"
                  : source->kind == SOURCE_COPY ? "copy"
                                                : "http");
    for (size_t i = 3; i <= 8; i++)
        provider_null(scan, i);
    add_time(scan, 9, source->watermark_us);
    provider_cstr(scan, 10, is_idle ? "idle" : "live");
    provider_null(scan, 11);
    add_time(scan, 12, source->last_row_at_us);
}

static void scan_watermark(const struct ingest *ingest, const struct table_state *table,
                           uint32_t place, int64_t now_us, struct provider_scan *scan)
{
    const struct source *source = &table->sources.list[place];
    provider_text(scan, 0, table->name);
    provider_text(scan, 1, source_name(source));
    add_time(scan, 2, source->watermark_us);
    add_time(scan, 3, source->max_time_us);
    provider_bool(scan, 4, source_is_idle(source, now_us, ingest->options.source_idle_us));
}

static void scan_producer(const struct ingest *ingest, const struct table_state *table,
                          uint32_t place, int64_t now_us, struct provider_scan *scan)
{
    (void)ingest;
    (void)now_us;
    const struct producer *producer = &table->producers.list[place];
    provider_text(scan, 0, table->name);
    provider_text(scan, 1, slice_of(producer->name, producer->name_size));
    provider_int(scan, 2, (int64_t)producer->sequence);
    provider_int(scan, 3, (int64_t)producer->answer.position);
    provider_int(scan, 4, producer->answer.at_us);
}

static void scan_ledger(const struct ingest *ingest, const struct table_state *table,
                        uint32_t place, int64_t now_us, struct provider_scan *scan)
{
    (void)ingest;
    (void)now_us;
    const struct ledger_entry *entry = ledger_get(&table->ledger, place);
    provider_int(scan, 0, entry->minute_us);
    provider_text(scan, 1, table->name);
    provider_text(scan, 2, source_name(&table->sources.list[entry->source]));
    for (size_t i = 0; i < FATE_COUNT; i++)
        provider_int(scan, 3 + i, (int64_t)entry->counts[i]);
}

static void scan_drift(const struct ingest *ingest, const struct table_state *table, uint32_t place,
                       int64_t now_us, struct provider_scan *scan)
{
    (void)ingest;
    (void)now_us;
    const struct drift_entry *entry = &table->drift.list[place];
    bool is_total = entry->kind == DRIFT_TOTAL;
    provider_text(scan, 0, table->name);
    if (is_total)
        provider_null(scan, 1);
    else
        provider_text(scan, 1, source_name(&table->sources.list[entry->source]));
    add_text_or_null(scan, 2, slice_of(entry->texts, entry->path_size));
    provider_cstr(scan, 3, drift_names[entry->kind]);
    provider_int(scan, 4, entry->first_us);
    provider_int(scan, 5, entry->last_us);
    provider_int(scan, 6, (int64_t)entry->count);
    add_text_or_null(scan, 7, slice_of(entry->texts + entry->path_size, entry->example_size));
}

/* --- all rows of all tables --- */

struct relation {
    const char *name;
    const struct provider_column *columns;
    size_t column_count;
    uint32_t (*count)(const struct table_state *table);
    void (*scan)(const struct ingest *ingest, const struct table_state *table, uint32_t place,
                 int64_t now_us, struct provider_scan *scan);
    bool with_dropped;
};

static uint32_t count_sources(const struct table_state *table)
{
    return table->sources.count;
}

static uint32_t count_producers(const struct table_state *table)
{
    return table->producers.count;
}

static uint32_t count_ledger(const struct table_state *table)
{
    return table->ledger.count;
}

static uint32_t count_drift(const struct table_state *table)
{
    return table->drift.count;
}

#define RELATION(relation_name, prefix, count_function, scan_function, dropped)                    \
    {                                                                                              \
        .name = relation_name, .columns = prefix##_columns,                                        \
        .column_count = array_count(prefix##_columns), .count = count_function,                    \
        .scan = scan_function, .with_dropped = dropped                                             \
    }
static const struct relation relations[] = {
    RELATION("sources", source, count_sources, scan_source, false),
    RELATION("producers", producer, count_producers, scan_producer, false),
    RELATION("ledger", ledger, count_ledger, scan_ledger, true),
    RELATION("drift", drift, count_drift, scan_drift, false),
    RELATION("watermarks", watermark, count_sources, scan_watermark, false),
};

/* Rows of one table from *place on, one step; false when there are no more. */
static bool scan_step(struct ingest *ingest, const struct relation *relation, uint32_t table_place,
                      uint32_t *place, int64_t now_us, struct provider_scan *scan)
{
    mutex_lock(&ingest->lock);
    const struct table_state *table = ingest->tables[table_place];
    uint32_t count = table->is_dropped && !relation->with_dropped ? 0 : relation->count(table);
    uint32_t end = count - *place > STEP_ROWS && count > *place ? *place + STEP_ROWS : count;
    for (; *place < end; (*place)++)
        relation->scan(ingest, table, *place, now_us, scan);
    bool has_more = *place < count;
    mutex_unlock(&ingest->lock);
    return has_more;
}

static enum err scan_relation(struct ingest *ingest, const struct relation *relation,
                              struct provider_scan *scan)
{
    int64_t now_us = clock_wall_us();
    mutex_lock(&ingest->lock);
    uint32_t table_count = ingest->table_count;
    mutex_unlock(&ingest->lock);
    for (uint32_t i = 0; i < table_count; i++) {
        uint32_t place = 0;
        while (scan_step(ingest, relation, i, &place, now_us, scan))
            continue;
    }
    if (relation->scan == scan_source)
        feed_scan_unread(ingest, now_us, scan);
    return OK;
}

/* A provider's context is the ingest; which relation it is, its place in ingest->providers says. */
#define RELATION_SCAN(index)                                                                       \
    static enum err relation_scan_##index(void *context, struct provider_scan *scan,               \
                                          struct error *error)                                     \
    {                                                                                              \
        (void)error;                                                                               \
        return scan_relation(context, &relations[index], scan);                                    \
    }
RELATION_SCAN(0)
RELATION_SCAN(1)
RELATION_SCAN(2)
RELATION_SCAN(3)
RELATION_SCAN(4)

static void scan_dead_letter(const struct dead_letter *letter, struct provider_scan *scan)
{
    provider_int(scan, 0, (int64_t)letter->id);
    provider_int(scan, 1, letter->at_us);
    provider_text(scan, 2, letter->table);
    provider_text(scan, 3, letter->source);
    provider_int(scan, 4, (int64_t)letter->position);
    provider_int(scan, 5, (int64_t)letter->row);
    add_text_or_null(scan, 6, letter->column);
    provider_cstr(scan, 7, letter->sqlstate);
    provider_text(scan, 8, letter->reason);
    provider_text(scan, 9, letter->raw);
    provider_cstr(scan, 10, "new");
    add_text_or_null(scan, 11, letter->origin);
}

/* By id, so that letters that go in between are not seen twice and none is missed. */
static enum err scan_dead_letters(void *context, struct provider_scan *scan, struct error *error)
{
    struct ingest *ingest = context;
    uint64_t next_id = 0;
    enum err err = OK;
    for (bool has_more = true; has_more && err == OK;) {
        size_t bytes = 0;
        mutex_lock(&ingest->lock);
        const struct dead_letters *dead = &ingest->dead;
        size_t index = 0;
        if (dead->count > 0 && next_id > dead_letters_get(dead, 0)->id)
            index = (size_t)(next_id - dead_letters_get(dead, 0)->id); /* ids are without gaps */
        size_t end = dead->count - (index < dead->count ? index : dead->count) > STEP_ROWS
                         ? index + STEP_ROWS
                         : dead->count;
        for (; index < end && bytes < ((size_t)8 << 20); index++) {
            const struct dead_letter *letter = dead_letters_get(dead, index);
            scan_dead_letter(letter, scan);
            bytes += letter->size;
            next_id = letter->id + 1;
        }
        has_more = index < dead->count;
        mutex_unlock(&ingest->lock);
        if (scan->budget != NULL)
            err = budget_charge(scan->budget, bytes, error);
        if (scan->budget != NULL && err == OK)
            budget_release(scan->budget, bytes); /* the engine charges what it keeps */
    }
    return err;
}

void ingest_init_providers(struct ingest *ingest)
{
    static enum err (*const scans[])(void *, struct provider_scan *, struct error *) = {
        relation_scan_0, relation_scan_1, relation_scan_2, relation_scan_3, relation_scan_4};
    size_t count = 0;
    for (; count < array_count(relations); count++)
        ingest->providers[count] = (struct table_provider){
            .schema_name = "freshet",
            .name = relations[count].name,
            .column_count = relations[count].column_count,
            .columns = relations[count].columns,
            .context = ingest,
            .scan = scans[count],
        };
    ingest->providers[count++] = (struct table_provider){
        .schema_name = "freshet",
        .name = "dead_letters",
        .column_count = array_count(dead_letter_columns),
        .columns = dead_letter_columns,
        .context = ingest,
        .scan = scan_dead_letters,
        .sight = SIGHT_READABLE, /* they are what would have been rows */
    };
    feed_init_provider(ingest, &ingest->providers[count++]);
    views_init_provider(ingest, &ingest->providers[count++]);
    for (size_t i = 0; i < count; i++)
        ingest->provider_list[i] = &ingest->providers[i];
}

const struct table_provider *const *ingest_providers(struct ingest *ingest, size_t *count)
{
    *count = array_count(ingest->provider_list);
    return ingest->provider_list;
}
