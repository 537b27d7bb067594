/* Drift: fields that no column takes, values of another type, NULL where none may be.
 *
 * A sender that makes up field names must not make the table's memory, so new paths past the limit
 * fall into one total. */
#include "ingest/state/drift.h"

#include "storage/base/hash.h"

#include <assert.h>

void drift_deinit(struct drift *drift)
{
    for (uint32_t i = 0; i < drift->count; i++)
        memory_free(drift->list[i].texts);
    memory_free(drift->list);
    index_deinit(&drift->index);
    *drift = (struct drift){0};
}

static uint64_t entry_hash(uint32_t source, enum drift_kind kind, struct slice path)
{
    return hash_mix(hash64(path.data, path.size) + source * 31u + (uint64_t)kind);
}

static struct drift_entry *find(const struct drift *drift, uint32_t source, enum drift_kind kind,
                                struct slice path)
{
    uint32_t place;
    struct index_cursor cursor = index_begin(&drift->index, entry_hash(source, kind, path));
    while (index_next(&drift->index, &cursor, &place)) {
        struct drift_entry *entry = &drift->list[place];
        if (entry->source == source && entry->kind == kind &&
            slice_equal(slice_of(entry->texts, entry->path_size), path))
            return entry;
    }
    return NULL;
}

static struct drift_entry *add(struct drift *drift, uint32_t source, enum drift_kind kind,
                               struct slice path, struct slice example)
{
    if (drift->count == drift->capacity) {
        drift->capacity = drift->capacity == 0 ? 8 : drift->capacity * 2;
        drift->list = memory_realloc(drift->list, drift->capacity * sizeof(*drift->list));
    }
    struct drift_entry *entry = &drift->list[drift->count];
    *entry = (struct drift_entry){.source = source,
                                  .kind = kind,
                                  .texts = memory_alloc(path.size + example.size),
                                  .path_size = (uint32_t)path.size,
                                  .example_size = (uint32_t)example.size};
    if (path.size > 0)
        memcpy(entry->texts, path.data, path.size);
    if (example.size > 0)
        memcpy(entry->texts + path.size, example.data, example.size);
    index_add(&drift->index, entry_hash(source, kind, path), drift->count++);
    return entry;
}

void drift_apply(struct drift *drift, uint32_t source, const struct section_drift *change,
                 int64_t at_us, uint32_t paths_max)
{
    struct drift_entry *entry =
        change->kind == DRIFT_TOTAL ? NULL : find(drift, source, change->kind, change->path);
    if (entry == NULL && (change->kind == DRIFT_TOTAL || drift->count >= paths_max)) {
        entry = find(drift, 0, DRIFT_TOTAL, (struct slice){0});
        if (entry == NULL)
            entry = add(drift, 0, DRIFT_TOTAL, (struct slice){0}, (struct slice){0});
    }
    if (entry == NULL)
        entry = add(drift, source, change->kind, change->path, change->example);
    if (entry->count == 0)
        entry->first_us = at_us;
    entry->last_us = at_us;
    entry->count += change->count;
}

void drift_write(const struct drift *drift, struct writer *out)
{
    writer_u32(out, drift->count);
    for (uint32_t i = 0; i < drift->count; i++) {
        const struct drift_entry *entry = &drift->list[i];
        writer_u32(out, entry->source);
        writer_u8(out, (uint8_t)entry->kind);
        writer_text(out, slice_of(entry->texts, entry->path_size));
        writer_text(out, slice_of(entry->texts + entry->path_size, entry->example_size));
        writer_i64(out, entry->first_us);
        writer_i64(out, entry->last_us);
        writer_u64(out, entry->count);
    }
}

bool drift_read(struct drift *drift, struct reader *reader)
{
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        uint32_t source = reader_u32(reader);
        uint8_t kind = reader_u8(reader);
        struct slice path = reader_text(reader);
        struct slice example = reader_text(reader);
        if (reader->failed || kind == 0 || kind >= DRIFT_KIND_COUNT)
            return false;
        struct drift_entry *entry = add(drift, source, (enum drift_kind)kind, path, example);
        entry->first_us = reader_i64(reader);
        entry->last_us = reader_i64(reader);
        entry->count = reader_u64(reader);
    }
    return !reader->failed;
}
