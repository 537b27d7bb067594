/* The store's state in a checkpoint, as of a position: definitions of all tables, the rows of quiet
 * ones, and what the extension keeps. Bytes: storage/log/FORMAT.md, "Store state".
 *
 *   capture   the log thread, between two records: a copy of the catalog, the extension's bytes
 *   save      upkeep: definitions and rows encoded, the file written, the manifest edited; then log
 *             files that neither this checkpoint nor the one before it needs are recycled
 *   load      a start: tables with their sealed segments and carried rows; then the log is replayed
 *             from where the checkpoint needs it
 *
 * So acknowledgements wait only while the extension is saved. The log is needed from behind the
 * checkpoint's position, or from the first row of a table that is neither sealed nor carried. */
#include "storage/table/private.h"

#include "storage/base/fault.h"
#include "storage/base/metrics.h"
#include "storage/base/worker.h"
#include "storage/log/checkpoint.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STATE_FORMAT 2
#define FIRST_LOG_FILE "log-0000000000000001.flog"
#define PATH_SIZE 256

/* --- capture --- */

void capture_take(struct store *store, const struct catalog *catalog, uint64_t position,
                  struct capture *out)
{
    assert(out->catalog == NULL);
    const struct store_extension *extension = &store->options.extension;
    out->position = position - fault_is("store.checkpoint_position");
    out->catalog = catalog_change(catalog, CHANGE_NONE, 0, NULL, NULL);
    out->next_table_id = atomic_load_explicit(&store->next_table_id, memory_order_relaxed);
    if (extension->save != NULL)
        extension->save(extension->context, &out->extension);
    struct log_status status;
    log_status(store->log, &status);
    out->log_bytes = status.appended;
}

void capture_deinit(struct capture *capture)
{
    if (capture->catalog != NULL)
        catalog_unref(capture->catalog);
    writer_deinit(&capture->extension);
}

/* --- save --- */

static void encode(struct store *store, const struct capture *capture,
                   const struct carry_plan *plan, struct writer *out)
{
    const struct catalog *catalog = capture->catalog;
    writer_u32(out, STATE_FORMAT);
    writer_u64(out, capture->position);
    writer_u64(out, plan->needed_position);
    writer_u32(out, capture->next_table_id);
    writer_u32(out, catalog->table_count);
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct table_view *view = &catalog->tables[i];
        schema_write(view->schema, out);
        writer_u64(out, view->truncated_position);
        writer_u8(out, plan->is_carried[i]);
        if (plan->is_carried[i])
            carry_write(store, view, out);
    }
    bool has_extension = store->options.extension.save != NULL;
    writer_u8(out, has_extension);
    if (has_extension)
        writer_slice(out, writer_as_slice(&capture->extension));
}

/* What neither of the two checkpoints needs. */
static void recycle(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    uint64_t position = upkeep->needed_position[0];
    for (size_t i = 1; i < MANIFEST_CHECKPOINT_COUNT; i++) {
        if (upkeep->needed_position[i] < position)
            position = upkeep->needed_position[i];
    }
    if (fault_is("log.recycle_early"))
        position = store_position(store);
    if (position > upkeep->recycled_position)
        upkeep->recycled_position = position;
    log_recycle(store->log, position);
}

static bool has_segments(const struct manifest *manifest, uint32_t table_id)
{
    size_t count;
    const struct sealed_info *all = manifest_segments(manifest, &count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].table_id == table_id)
            return true;
    }
    return false;
}

/* Sealed positions of tables that were dropped before the checkpoint: no replay meets them again.
 */
static enum err forget_tables(struct store *store, const struct capture *capture,
                              struct error *error)
{
    size_t count;
    const struct manifest_sealed *sealed = manifest_sealed_positions(store->manifest, &count);
    uint32_t *forget = memory_alloc((count + 1) * sizeof(*forget));
    struct manifest_edit edit = {.forget = forget};
    for (size_t i = 0; i < count; i++) {
        if (sealed[i].position <= capture->position &&
            catalog_find_id(capture->catalog, sealed[i].table_id) < 0 &&
            !has_segments(store->manifest, sealed[i].table_id))
            forget[edit.forget_count++] = sealed[i].table_id;
    }
    enum err err = edit.forget_count != 0 ? manifest_append(store->manifest, &edit, error) : OK;
    memory_free(forget);
    return err;
}

enum err store_save(struct store *store, const struct capture *capture, struct error *error)
{
    struct upkeep *upkeep = &store->upkeep;
    struct carry_plan plan;
    struct writer payload;
    carry_plan_make(store, capture->catalog, capture->position, &plan);
    writer_init(&payload);
    encode(store, capture, &plan, &payload);
    struct manifest_checkpoint checkpoint = {
        .position = capture->position,
        .first_log_file = log_first_file_after(store->log, plan.needed_position)};
    worker_block_begin();
    enum err err = checkpoint_write(store->manifest, &checkpoint, writer_as_slice(&payload), error);
    worker_block_end();
    if (err == OK) {
        memmove(&upkeep->needed_position[1], &upkeep->needed_position[0],
                (MANIFEST_CHECKPOINT_COUNT - 1) * sizeof(upkeep->needed_position[0]));
        upkeep->needed_position[0] = plan.needed_position;
        upkeep->checkpoint_position = capture->position;
        upkeep->checkpoint_log_bytes = capture->log_bytes;
        metric_add(&metrics.checkpoints, 1);
        upkeep->work = UPKEEP_RECYCLING;
        recycle(store);
        err = forget_tables(store, capture, error);
    }
    writer_deinit(&payload);
    carry_plan_deinit(&plan);
    return err;
}

/* --- load --- */

static enum err decode_table(struct store *store, struct reader *reader, uint32_t format,
                             uint64_t position, struct error *error)
{
    struct schema *schema;
    enum err err = schema_read(reader, &schema, error);
    if (err != OK)
        return err;
    uint32_t table_id = schema->table_id;
    if (catalog_find_id(store->catalog, table_id) >= 0) {
        schema_unref(schema);
        return error_set(error, ERR_CORRUPT, NULL, "a checkpoint has a table twice");
    }
    struct segment *segment = segment_create(store->pool);
    struct catalog *next = catalog_change(store->catalog, CHANGE_CREATE, table_id, schema, segment);
    catalog_unref(store->catalog);
    store->catalog = next;
    schema_unref(schema);
    segment_unref(segment);
    struct table_view *view = &next->tables[catalog_find_id(next, table_id)];
    bool is_carried = false;
    if (format > 1) {
        view->truncated_position = reader_u64(reader);
        is_carried = reader_u8(reader) != 0;
    }
    store_attach(store, next, table_id);
    if (is_carried)
        err = carry_read(store, reader, view, error);
    uint64_t sealed = manifest_sealed_position(store->manifest, table_id);
    view->replay_position = is_carried && position > sealed ? position : sealed;
    return err;
}

static enum err decode(struct store *store, uint64_t position, struct slice payload,
                       struct error *error)
{
    struct reader reader = reader_of(payload);
    uint32_t format = reader_u32(&reader);
    uint64_t own_position = reader_u64(&reader);
    if (reader.failed || format == 0 || format > STATE_FORMAT || own_position != position)
        return error_set(error, ERR_CORRUPT, NULL,
                         "a checkpoint has the format %u, which is not known", format);
    store->upkeep.needed_position[0] = format > 1 ? reader_u64(&reader) : 0;
    store->upkeep.recycled_position = store->upkeep.needed_position[0];
    uint32_t next_table_id = reader_u32(&reader);
    atomic_store_explicit(&store->next_table_id, next_table_id, memory_order_relaxed);
    uint32_t table_count = reader_u32(&reader);
    enum err err = OK;
    for (uint32_t i = 0; i < table_count && err == OK; i++)
        err = decode_table(store, &reader, format, position, error);
    if (err != OK)
        return err;
    const struct store_extension *extension = &store->options.extension;
    bool has_extension = reader_u8(&reader) != 0;
    if (has_extension && extension->load != NULL)
        err = extension->load(extension->context, &reader, error);
    if (err == OK && reader.failed)
        err = error_set(error, ERR_CORRUPT, NULL, "a checkpoint ends early");
    return err;
}

/* The applier begins with the checkpoint's tables, and leaves out what they have. */
static void begin_replay(struct store *store, uint64_t position)
{
    struct applier *applier = &store->applier;
    struct manifest_checkpoint newest = {.position = position};
    (void)manifest_checkpoint(store->manifest, 0, &newest);
    store->checkpoint_position = applier->checkpoint_position = position;
    applier->border_position = newest.position > position ? newest.position : position;
    store->upkeep.checkpoint_position = position;
    atomic_store_explicit(&store->position, position, memory_order_release);
    applier_reset(applier, store->catalog);
    for (uint32_t i = 0; i < store->catalog->table_count; i++) {
        const struct table_view *view = &store->catalog->tables[i];
        applier_set_floor(applier, view->schema->table_id, view->replay_position);
    }
}

enum err store_load(struct store *store, uint64_t *first_log_file, struct error *error)
{
    struct arena arena;
    arena_init(&arena);
    struct manifest_checkpoint checkpoint;
    struct slice payload;
    struct error reason = {0};
    *first_log_file = 0;
    enum err err = checkpoint_read(store->manifest, &arena, &checkpoint, &payload, &reason);
    if (err == OK) {
        *first_log_file = checkpoint.first_log_file;
        err = decode(store, checkpoint.position, payload, &reason);
    }
    if (err == OK) {
        begin_replay(store, checkpoint.position);
    } else if (err == ERR_NOT_FOUND) {
        err = OK;
    } else if (error != NULL) {
        *error = reason;
    }
    arena_deinit(&arena);
    return err;
}

/* --- recovery to a point in time --- */

struct removal {
    struct store *store;
    enum err result;
    struct error *error;
};

static void remove_one(void *context, const char *name)
{
    struct removal *removal = context;
    const struct store_options *options = &removal->store->options;
    bool is_ours = strncmp(name, "manifest", 8) == 0 || strncmp(name, "checkpoint-", 11) == 0;
    if (!is_ours || removal->result != OK)
        return;
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s%s%s", options->directory,
                          options->directory[0] == 0 ? "" : "/", name);
    assert(length > 0 && length < PATH_SIZE);
    removal->result = options->io->ops->unlink(options->io, path, removal->error);
}

static void look_for_first_file(void *context, const char *name)
{
    *(bool *)context |= strcmp(name, FIRST_LOG_FILE) == 0;
}

enum err store_forget_checkpoints(struct store *store, struct error *error)
{
    struct io *io = store->options.io;
    bool is_log_whole = false;
    enum err listed =
        io->ops->list(io, store->options.directory, look_for_first_file, &is_log_whole, error);
    if (listed != OK || !is_log_whole)
        return listed;
    struct removal removal = {.store = store, .error = error};
    enum err err = io->ops->list(io, store->options.directory, remove_one, &removal, error);
    if (err == OK)
        err = removal.result;
    return err == OK ? io->ops->sync_directory(io, store->options.directory, error) : err;
}
