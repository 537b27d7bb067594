/* The applier.
 *
 * A record is applied while the group that carries it is being written, so that when the sync
 * returns only counters are left to set. Between the two the newest tables exist here and nowhere
 * else: later records of the same group (rows for a table that was just created) find them here. A
 * failed write takes everything back with applier_reset: the catalog is what was published, its
 * counts say which rows stay.
 *
 * A segment is closed at the border of two records: before the first rows that come once it is
 * full, or at a record that upkeep has put into the log for that. The closed one waits in the
 * catalog with its final counts; the rows go to a new one. */
#include "storage/table/apply.h"

#include "storage/base/fault.h"
#include "storage/segment/footer.h"
#include "storage/log/manifest.h"

#include <assert.h>

void applier_init(struct applier *applier, struct pool *pool)
{
    *applier = (struct applier){.pool = pool, .seal_rows = UINT64_MAX, .seal_bytes = SIZE_MAX};
}

static void clear(struct applier *applier)
{
    for (uint32_t i = 0; i < applier->table_count; i++) {
        schema_unref(applier->tables[i].schema);
        segment_unref(applier->tables[i].segment);
    }
    applier->table_count = 0;
}

void applier_deinit(struct applier *applier)
{
    clear(applier);
    memory_free(applier->tables);
}

/* Where the id is, or would go. */
static uint32_t lower_bound(const struct applier *applier, uint32_t table_id)
{
    uint32_t first = 0, last = applier->table_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (applier->tables[middle].table_id < table_id)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static struct applied_table *find(struct applier *applier, uint32_t table_id)
{
    uint32_t index = lower_bound(applier, table_id);
    if (index < applier->table_count && applier->tables[index].table_id == table_id)
        return &applier->tables[index];
    return NULL;
}

/* Takes over both references. */
static struct applied_table *insert(struct applier *applier, const struct schema *schema,
                                    struct segment *segment)
{
    if (applier->table_count == applier->table_capacity) {
        applier->table_capacity = applier->table_capacity == 0 ? 16 : applier->table_capacity * 2;
        applier->tables =
            memory_realloc(applier->tables, applier->table_capacity * sizeof(*applier->tables));
    }
    uint32_t index = lower_bound(applier, schema->table_id);
    memmove(&applier->tables[index + 1], &applier->tables[index],
            (applier->table_count - index) * sizeof(*applier->tables));
    applier->tables[index] =
        (struct applied_table){.table_id = schema->table_id, .schema = schema, .segment = segment};
    applier->table_count++;
    if (schema->table_id > applier->table_id_max)
        applier->table_id_max = schema->table_id;
    return &applier->tables[index];
}

static void erase(struct applier *applier, struct applied_table *table)
{
    uint32_t index = (uint32_t)(table - applier->tables);
    schema_unref(table->schema);
    segment_unref(table->segment);
    memmove(table, table + 1, (applier->table_count - index - 1) * sizeof(*table));
    applier->table_count--;
}

void applier_reset(struct applier *applier, const struct catalog *catalog)
{
    clear(applier);
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct table_view *view = &catalog->tables[i];
        segment_rollback(view->segment, view->published.rows, view->published.chunk_count);
        insert(applier, schema_ref(view->schema), segment_ref(view->segment))->published =
            view->published;
    }
}

void applier_set_floor(struct applier *applier, uint32_t table_id, uint64_t position)
{
    struct applied_table *table = find(applier, table_id);
    assert(table != NULL);
    if (position > table->floor_position)
        table->floor_position = position;
}

/* --- applying --- */

static enum err apply_change(struct applier *applier, const struct record *record,
                             struct effect *out, struct error *error)
{
    struct applied_table *table = find(applier, record->change_table_id);
    bool is_create = record->change == CHANGE_CREATE;
    if (is_create == (table != NULL))
        return error_set(error, ERR_CORRUPT, NULL, "record %llu changes table %u, which %s",
                         (unsigned long long)out->position, record->change_table_id,
                         is_create ? "is there already" : "is not there");
    struct schema *schema = NULL;
    if (is_create || record->change == CHANGE_ALTER) {
        struct reader reader = reader_of(record->change_schema);
        enum err err = schema_read(&reader, &schema, error);
        if (err != OK)
            return err;
        if (schema->table_id != record->change_table_id || reader_left(&reader) != 0) {
            schema_unref(schema);
            return error_set(error, ERR_CORRUPT, NULL,
                             "record %llu has the definition of another table",
                             (unsigned long long)out->position);
        }
        out->schema = schema_ref(schema);
    }
    out->change = record->change;
    out->change_table_id = record->change_table_id;
    if (is_create) {
        out->segment = segment_create(applier->pool);
        table = insert(applier, schema, segment_ref(out->segment));
        if (applier->manifest != NULL)
            table->floor_position = manifest_sealed_position(applier->manifest, schema->table_id);
    } else if (record->change == CHANGE_ALTER) {
        schema_unref(table->schema);
        table->schema = schema;
    } else if (record->change == CHANGE_DROP) {
        erase(applier, table);
    } else {
        segment_unref(table->segment);
        table->segment = segment_create(applier->pool);
        table->published = (struct published){0};
        out->segment = segment_ref(table->segment);
    }
    return OK;
}

/* Up to the checkpoint its definitions hold. A TRUNCATE there takes what replay has brought so far,
 * unless rows from behind it are known from elsewhere: then replay has brought none. */
static bool counts(struct applier *applier, const struct record *record, uint64_t position)
{
    if (record->change == CHANGE_NONE)
        return false;
    if (position > applier->checkpoint_position)
        return true;
    if (fault_is("store.truncate_forgotten") || record->change != CHANGE_TRUNCATE)
        return false;
    const struct applied_table *table = find(applier, record->change_table_id);
    return table != NULL && position > table->floor_position;
}

static void rotate(struct applier *applier, struct applied_table *table, struct effect *out)
{
    out->rotations[out->rotation_count++] =
        (struct effect_rotation){.table_id = table->table_id,
                                 .closed = table->segment,
                                 .published = table->published,
                                 .opened = segment_create(applier->pool)};
    table->segment = segment_ref(out->rotations[out->rotation_count - 1].opened);
    table->published = (struct published){0};
}

/* Not in the middle of a record, and not where the checkpoint knows of no border: unless one
 * segment would get more rows than a file may have. */
#define REPLAYED_ROWS_MAX (SEALED_ROWS_MAX / 2)
static bool is_full(const struct applier *applier, const struct applied_table *table,
                    uint64_t position)
{
    if (table->published.rows == 0 || table->published.last_position == position)
        return false;
    if (position <= applier->border_position)
        return table->published.rows >= REPLAYED_ROWS_MAX;
    return table->published.rows >= applier->seal_rows ||
           segment_bytes(table->segment) >= applier->seal_bytes;
}

static void rotate_wished(struct applier *applier, const struct rotation_wish *wish,
                          struct effect *out)
{
    for (uint32_t i = 0; wish->is_all && i < applier->table_count; i++) {
        if (applier->tables[i].published.rows != 0)
            rotate(applier, &applier->tables[i], out);
    }
    for (uint32_t i = 0; i < wish->table_count; i++) {
        struct applied_table *table = find(applier, wish->table_ids[i]);
        if (table != NULL && table->published.rows != 0)
            rotate(applier, table, out);
    }
}

static void append_rows(struct applier *applier, uint32_t index, struct effect *out)
{
    const struct stored_rows *rows = &out->record->rows[index];
    struct effect_part *part = &out->parts[index];
    part->table_id = rows->table_id;
    part->index = -1;
    struct applied_table *table = find(applier, part->table_id);
    if (table == NULL)
        return;
    part->schema = schema_ref(table->schema);
    if (out->position <= table->floor_position)
        return;
    if (is_full(applier, table, out->position))
        rotate(applier, table, out);
    segment_append(table->segment, table->schema, rows);
    struct published *published = &table->published;
    published->rows = segment_rows(table->segment);
    published->chunk_count = segment_chunk_count(table->segment);
    published->last_position = out->position;
    if (published->first_position == 0)
        published->first_position = out->position;
    part->segment = segment_ref(table->segment);
    part->published = *published;
}

enum err applier_apply(struct applier *applier, uint64_t position, const struct record *record,
                       const struct rotation_wish *wish, struct arena *arena, struct effect *out,
                       struct error *error)
{
    *out = (struct effect){.position = position, .record = record};
    if (record->change_table_id > applier->table_id_max)
        applier->table_id_max = record->change_table_id;
    if (counts(applier, record, position)) {
        enum err err = apply_change(applier, record, out, error);
        if (err != OK) {
            *out = (struct effect){0};
            return err;
        }
    }
    size_t rotations_max = record->rows_count;
    if (wish != NULL)
        rotations_max += wish->is_all ? applier->table_count : wish->table_count;
    out->parts = arena_alloc_zero(arena, record->rows_count * sizeof(*out->parts));
    out->rotations = arena_alloc_zero(arena, rotations_max * sizeof(*out->rotations));
    if (wish != NULL)
        rotate_wished(applier, wish, out);
    for (uint32_t i = 0; i < record->rows_count; i++)
        append_rows(applier, i, out);
    return OK;
}

void effect_deinit(struct effect *effect)
{
    if (effect->record == NULL)
        return;
    for (uint32_t i = 0; i < effect->record->rows_count; i++) {
        schema_unref(effect->parts[i].schema);
        if (effect->parts[i].segment != NULL)
            segment_unref(effect->parts[i].segment);
    }
    for (uint32_t i = 0; i < effect->rotation_count; i++) {
        segment_unref(effect->rotations[i].closed);
        segment_unref(effect->rotations[i].opened);
    }
    schema_unref(effect->schema);
    if (effect->segment != NULL)
        segment_unref(effect->segment);
    effect->record = NULL;
}

/* --- publishing --- */

/* The event times of a part. Extensions read no other cells, so no other column is widened on the
 * log thread. */
static const struct column *event_times(const struct stored_rows *stored,
                                        const struct schema *schema, struct arena *arena)
{
    if (schema == NULL || schema->time_column < 0)
        return NULL;
    uint32_t id = schema->columns[schema->time_column].id;
    for (uint32_t i = 0; i < stored->column_count; i++) {
        if (stored->columns[i].column_id != id)
            continue;
        struct column *times = arena_alloc(arena, sizeof(*times));
        *times = stored_to_column(&stored->columns[i], stored->row_count, arena);
        return times;
    }
    return NULL;
}

struct record_view effect_view(const struct effect *effect, struct arena *arena)
{
    const struct record *record = effect->record;
    struct record_rows *rows = arena_alloc_zero(arena, record->rows_count * sizeof(*rows));
    for (uint32_t i = 0; i < record->rows_count; i++) {
        const struct stored_rows *stored = &record->rows[i];
        rows[i] =
            (struct record_rows){.table_id = stored->table_id,
                                 .schema = effect->parts[i].schema,
                                 .row_count = stored->row_count,
                                 .times = event_times(stored, effect->parts[i].schema, arena)};
    }
    return (struct record_view){
        .position = effect->position,
        .at_us = record->at_us,
        .rows_count = record->rows_count,
        .rows = rows,
        .section_count = record->section_count,
        .sections = record->sections,
        .change = effect->change,
        .change_table_id = effect->change_table_id,
        .change_name = effect->schema == NULL ? SLICE("") : effect->schema->name,
    };
}

struct catalog *effect_change(const struct effect *effect, struct catalog *catalog)
{
    if (effect->change != CHANGE_NONE) {
        struct catalog *next = catalog_change(catalog, effect->change, effect->change_table_id,
                                              effect->schema, effect->segment);
        int32_t index = catalog_find_id(next, effect->change_table_id);
        if (effect->change == CHANGE_TRUNCATE && index >= 0)
            next->tables[index].truncated_position = effect->position;
        catalog_unref(catalog);
        catalog = next;
    }
    for (uint32_t i = 0; i < effect->rotation_count; i++) {
        const struct effect_rotation *rotation = &effect->rotations[i];
        int32_t index = catalog_find_id(catalog, rotation->table_id);
        assert(index >= 0 && catalog->tables[index].segment == rotation->closed);
        struct segment_entry entry = {.segment = rotation->closed,
                                      .published = rotation->published,
                                      .closed_at_us = effect->record->at_us};
        struct catalog *next = catalog_rotate(catalog, (uint32_t)index, &entry, rotation->opened);
        catalog_unref(catalog);
        catalog = next;
    }
    return catalog;
}

void effect_locate(const struct effect *effect, const struct catalog *catalog)
{
    for (uint32_t i = 0; i < effect->record->rows_count; i++) {
        struct effect_part *part = &effect->parts[i];
        part->index = catalog_find_id(catalog, part->table_id);
        /* Dropped or truncated by a later record of the same group. */
        if (part->index >= 0 && catalog->tables[part->index].segment != part->segment)
            part->index = -1;
    }
}

void effect_publish(const struct effect *effect, struct catalog *catalog)
{
    for (uint32_t i = 0; i < effect->record->rows_count; i++) {
        const struct effect_part *part = &effect->parts[i];
        if (part->index < 0)
            continue;
        catalog->tables[part->index].published = part->published;
    }
}
