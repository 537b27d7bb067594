/* Copy-forward: the rows of quiet tables, carried in the checkpoint.
 *
 * A table into which little comes would else hold back the log for as long as its rows wait to be
 * sealed, or make a tiny segment at every checkpoint. So a table with few unsealed rows (under
 * carry_rows, 8 MiB; carry_bytes over all) has them written into the checkpoint, segment by
 * segment, as commit records have theirs. At load a segment is left out if the table has been
 * sealed behind its last record since; borders of segments are kept, so one is sealed as a whole or
 * not at all.
 *
 *   u32 group count, u32 0, then per unsealed segment
 *     u64 first position, u64 last position, u32 1 if it was open, u32 block count
 *     blocks: rows as in a commit record, at multiples of 8 */
#include "storage/table/private.h"

#include "storage/base/fault.h"

#include <assert.h>

#define CARRY_BYTES_MAX ((size_t)8 << 20) /* in memory, of a table */

/* --- which --- */

struct unsealed {
    uint64_t rows;
    size_t bytes;
    uint64_t first_position; /* 0: none */
};

static struct unsealed unsealed_of(const struct table_view *view)
{
    struct unsealed unsealed = {.rows = view->published.rows,
                                .first_position = view->published.first_position};
    if (view->published.rows != 0)
        unsealed.bytes = segment_bytes(view->segment);
    /* Frozen ones stand at the end. */
    for (uint32_t i = view->closed != NULL ? view->closed->count : 0; i > 0; i--) {
        const struct segment_entry *entry = &view->closed->entries[i - 1];
        if (entry->segment == NULL)
            break;
        unsealed.rows += entry->published.rows;
        unsealed.bytes += segment_bytes(entry->segment);
        unsealed.first_position = entry->published.first_position;
    }
    return unsealed;
}

static bool store_is_quiet(const struct store *store, const struct table_view *view)
{
    struct unsealed unsealed = unsealed_of(view);
    return unsealed.rows < store->options.carry_rows && unsealed.bytes <= CARRY_BYTES_MAX;
}

bool carry_fits(const struct store *store, const struct table_view *view, size_t *total)
{
    struct unsealed unsealed = unsealed_of(view);
    if (!store_is_quiet(store, view) || *total + unsealed.bytes > store->options.carry_bytes)
        return false;
    *total += unsealed.bytes;
    return true;
}

void carry_plan_make(const struct store *store, const struct catalog *catalog, uint64_t position,
                     struct carry_plan *out)
{
    size_t total = 0;
    *out = (struct carry_plan){.needed_position = position};
    out->is_carried = memory_alloc_zero(catalog->table_count + 1);
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        struct unsealed unsealed = unsealed_of(&catalog->tables[i]);
        out->is_carried[i] = carry_fits(store, &catalog->tables[i], &total);
        /* Carried before, and grown since: the log does not have its first rows any more. */
        if (!out->is_carried[i] && unsealed.first_position != 0 &&
            unsealed.first_position <= store->upkeep.recycled_position) {
            out->is_carried[i] = true;
            total += unsealed.bytes;
        }
        if (!out->is_carried[i] && unsealed.first_position != 0 &&
            unsealed.first_position <= out->needed_position)
            out->needed_position = unsealed.first_position - 1;
    }
}

void carry_plan_deinit(struct carry_plan *plan)
{
    memory_free(plan->is_carried);
}

/* --- writing --- */

static void pad(struct writer *out)
{
    while (out->size % 8 != 0)
        writer_u8(out, 0);
}

/* All rows of a view over one mutable segment; nothing of it can fail. */
static uint32_t write_blocks(struct store *store, const struct table_view *view, struct writer *out)
{
    const struct schema *schema = view->schema;
    uint32_t count = 0;
    uint32_t *indexes = memory_alloc(schema->column_count * sizeof(*indexes));
    uint32_t *ids = memory_alloc(schema->column_count * sizeof(*ids));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        indexes[i] = i;
        ids[i] = schema->columns[i].id;
    }
    struct cursor *cursor = cursor_open(view, indexes, schema->column_count, NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        bool has;
        enum err err = cursor_seek(cursor, morsel, &has, NULL);
        while (err == OK && has) {
            struct batch batch;
            err = cursor_next(cursor, &batch, &has, NULL);
            if (err == OK && has) {
                stored_write(schema, ids, &batch, out);
                count++;
            }
        }
        assert(err == OK);
        (void)upkeep_pause(store);
    }
    cursor_close(cursor);
    memory_free(indexes);
    memory_free(ids);
    return count;
}

static void write_group(struct store *store, const struct schema *schema, struct segment *segment,
                        const struct published *published, bool is_open, struct writer *out)
{
    const struct table_view view = {.schema = schema, .segment = segment, .published = *published};
    writer_u64(out, published->first_position);
    writer_u64(out, published->last_position);
    writer_u32(out, is_open);
    size_t count_offset = out->size;
    writer_u32(out, 0);
    writer_patch_u32(out, count_offset, write_blocks(store, &view, out));
}

void carry_write(struct store *store, const struct table_view *view, struct writer *out)
{
    uint32_t count = view->closed != NULL ? view->closed->count : 0;
    uint32_t begin = count;
    while (begin > 0 && view->closed->entries[begin - 1].segment != NULL)
        begin--;
    pad(out);
    writer_u32(out, count - begin + (view->published.rows != 0));
    writer_u32(out, 0);
    for (uint32_t i = begin; i < count; i++) {
        const struct segment_entry *entry = &view->closed->entries[i];
        write_group(store, view->schema, entry->segment, &entry->published, false, out);
    }
    if (view->published.rows != 0)
        write_group(store, view->schema, view->segment, &view->published, true, out);
}

/* --- reading --- */

struct group {
    struct published published;
    bool is_open;
    uint32_t block_count;
};

/* Into a segment, or nowhere if `segment` is NULL. */
static enum err read_blocks(struct reader *reader, const struct schema *schema,
                            const struct group *group, struct segment *segment)
{
    struct arena arena;
    arena_init(&arena);
    enum err err = OK;
    for (uint32_t i = 0; i < group->block_count && err == OK; i++) {
        struct stored_rows rows;
        arena_reset(&arena);
        err = stored_read(reader, &arena, &rows);
        if (err == OK && rows.table_id != schema->table_id)
            err = ERR_CORRUPT;
        if (err == OK && segment != NULL)
            segment_append(segment, schema, &rows);
    }
    arena_deinit(&arena);
    return err;
}

static void close_group(struct table_view *view, const struct group *group, struct segment *segment)
{
    uint32_t count = view->closed != NULL ? view->closed->count : 0;
    struct segment_entry *entries = memory_alloc((count + 1) * sizeof(*entries));
    for (uint32_t i = 0; i < count; i++)
        entries[i] = view->closed->entries[i];
    entries[count] = (struct segment_entry){.segment = segment, .published = group->published};
    struct segment_list *list = segment_list_create(entries, count + 1);
    segment_list_unref(view->closed);
    view->closed = list;
    memory_free(entries);
}

static enum err read_group(struct store *store, struct reader *reader, struct table_view *view,
                           struct error *error)
{
    struct group group = {.published = {.first_position = reader_u64(reader)}};
    group.published.last_position = reader_u64(reader);
    group.is_open = reader_u32(reader) != 0;
    group.block_count = reader_u32(reader);
    uint64_t sealed = manifest_sealed_position(store->manifest, view->schema->table_id);
    if (fault_is("store.carry_twice"))
        sealed = 0;
    bool is_sealed = sealed >= group.published.last_position;
    if (reader->failed || (!is_sealed && sealed >= group.published.first_position))
        return error_set(error, ERR_CORRUPT, NULL,
                         "a checkpoint carries rows of table %u, positions %llu to %llu, of which "
                         "those up to %llu are sealed",
                         view->schema->table_id, (unsigned long long)group.published.first_position,
                         (unsigned long long)group.published.last_position,
                         (unsigned long long)sealed);
    struct segment *segment = is_sealed ? NULL : segment_create(store->pool);
    enum err err = read_blocks(reader, view->schema, &group, segment);
    if (err != OK)
        (void)error_set(error, ERR_CORRUPT, NULL, "a checkpoint carries rows that make no sense");
    if (segment == NULL)
        return err;
    group.published.rows = segment_rows(segment);
    group.published.chunk_count = segment_chunk_count(segment);
    if (err == OK && group.is_open) {
        struct segment *empty = view->segment;
        view->segment = segment_ref(segment);
        view->published = group.published;
        segment_unref(empty);
    } else if (err == OK && group.published.rows != 0) {
        close_group(view, &group, segment);
    }
    segment_unref(segment);
    return err;
}

enum err carry_read(struct store *store, struct reader *reader, struct table_view *view,
                    struct error *error)
{
    while (reader->offset % 8 != 0 && !reader->failed)
        (void)reader_u8(reader);
    uint32_t count = reader_u32(reader);
    (void)reader_u32(reader);
    enum err err = OK;
    for (uint32_t i = 0; i < count && err == OK; i++)
        err = read_group(store, reader, view, error);
    return err;
}
