/* The store's state in a checkpoint: definitions of all tables and what the extension keeps, as of
 * a position.
 *
 * Rows are not in it: they lie in the log until there are sealed segments. So a start loads this
 * and replays the whole log for rows, but definitions and extension state only from behind the
 * position. Bytes: storage/log/FORMAT.md, "Store state".
 *
 * Checkpoints are rare, and written by the log thread or by whoever closes the store. A ring
 * belongs to one thread, so each writing opens an io and the manifest for itself. */
#include "storage/table/private.h"

#include "storage/base/fault.h"
#include "storage/log/checkpoint.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STATE_FORMAT 1
#define PATH_SIZE 256

static void encode(struct store *store, const struct catalog *catalog, uint64_t position,
                   struct writer *out)
{
    writer_u32(out, STATE_FORMAT);
    writer_u64(out, position);
    writer_u32(out, atomic_load_explicit(&store->next_table_id, memory_order_relaxed));
    writer_u32(out, catalog->table_count);
    for (uint32_t i = 0; i < catalog->table_count; i++)
        schema_write(catalog->tables[i].schema, out);
    const struct store_extension *extension = &store->options.extension;
    writer_u8(out, extension->save != NULL);
    if (extension->save != NULL)
        extension->save(extension->context, out);
}

enum err store_save(struct store *store, const struct catalog *catalog, uint64_t position,
                    struct error *error)
{
    struct io *io;
    enum err err = io_clone(store->options.io, &io, error);
    if (err != OK)
        return err;
    struct manifest *manifest;
    err = manifest_open(io, store->options.directory, &manifest, error);
    if (err == OK) {
        struct writer payload;
        writer_init(&payload);
        if (fault_is("store.checkpoint_position"))
            position--;
        encode(store, catalog, position, &payload);
        err = checkpoint_write(manifest, position, writer_as_slice(&payload), error);
        writer_deinit(&payload);
        manifest_close(manifest);
    }
    io->ops->destroy(io);
    if (err == OK)
        store->checkpoint_position = position;
    return err;
}

static enum err decode_tables(struct store *store, struct reader *reader, struct error *error)
{
    uint32_t table_count = reader_u32(reader);
    for (uint32_t i = 0; i < table_count; i++) {
        struct schema *schema;
        enum err err = schema_read(reader, &schema, error);
        if (err != OK)
            return err;
        if (catalog_find_id(store->catalog, schema->table_id) >= 0) {
            schema_unref(schema);
            return error_set(error, ERR_CORRUPT, NULL, "a checkpoint has a table twice");
        }
        struct segment *segment = segment_create(store->pool);
        struct catalog *next =
            catalog_change(store->catalog, CHANGE_CREATE, schema->table_id, schema, segment);
        catalog_unref(store->catalog);
        store->catalog = next;
        schema_unref(schema);
        segment_unref(segment);
    }
    return OK;
}

static enum err decode(struct store *store, uint64_t position, struct slice payload,
                       struct error *error)
{
    struct reader reader = reader_of(payload);
    uint32_t format = reader_u32(&reader);
    uint64_t own_position = reader_u64(&reader);
    uint32_t next_table_id = reader_u32(&reader);
    if (reader.failed || format != STATE_FORMAT || own_position != position)
        return error_set(error, ERR_CORRUPT, NULL,
                         "a checkpoint has the format %u, which is not known", format);
    atomic_store_explicit(&store->next_table_id, next_table_id, memory_order_relaxed);
    enum err err = decode_tables(store, &reader, error);
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

enum err store_load(struct store *store, struct error *error)
{
    struct manifest *manifest;
    enum err err = manifest_open(store->options.io, store->options.directory, &manifest, error);
    if (err != OK)
        return err;
    struct arena arena;
    arena_init(&arena);
    uint64_t position;
    struct slice payload;
    struct error reason = {0};
    err = checkpoint_read(manifest, &arena, &position, &payload, &reason);
    manifest_close(manifest);
    if (err == OK)
        err = decode(store, position, payload, &reason);
    if (err == OK) {
        store->checkpoint_position = position;
        applier_reset(&store->applier, store->catalog);
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

enum err store_forget_checkpoints(struct store *store, struct error *error)
{
    struct io *io = store->options.io;
    struct removal removal = {.store = store, .error = error};
    enum err err = io->ops->list(io, store->options.directory, remove_one, &removal, error);
    if (err == OK)
        err = removal.result;
    return err == OK ? io->ops->sync_directory(io, store->options.directory, error) : err;
}
