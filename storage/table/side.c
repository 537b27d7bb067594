/* Side files: bytes that a folder to the right keeps with the store and could make again.
 *
 *   sides/<name>   magic, checksum of all behind it, size, the bytes
 *
 * They are written whole or not at all, and nothing of the store's own stands on them: a missing or
 * damaged one is told to whoever asks for it, never at a start. Nobody but their owner knows when
 * one is of no more use, so it lists and removes them. */
#include "storage/table/private.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DIRECTORY "sides"
#define MAGIC UINT64_C(0x3130656469737246) /* "Frside01" */
#define HEAD_SIZE ((size_t)24)
#define PATH_SIZE 320

static void path_of(const struct store *store, const char *name, char *out)
{
    const char *directory = store->options.directory;
    int length = snprintf(out, PATH_SIZE, "%s%s" DIRECTORY "%s%s", directory,
                          directory[0] == 0 ? "" : "/", name[0] == 0 ? "" : "/", name);
    assert(length > 0 && length < PATH_SIZE);
}

/* With the mutex held. */
static enum err open_io(struct store *store, struct error *error)
{
    return store->side_io != NULL ? OK
                                  : io_clone_roaming(store->options.io, &store->side_io, error);
}

static enum err make_directory(struct store *store, struct error *error)
{
    char path[PATH_SIZE];
    if (store->has_side_directory)
        return OK;
    path_of(store, "", path);
    enum err err = store->side_io->ops->mkdir(store->side_io, path, error);
    if (err == OK)
        err = store->side_io->ops->sync_directory(store->side_io, store->options.directory, error);
    store->has_side_directory = err == OK;
    return err;
}

enum err store_side_write(struct store *store, const char *name, struct slice bytes,
                          struct error *error)
{
    struct writer file;
    char path[PATH_SIZE];
    path_of(store, name, path);
    writer_init(&file);
    writer_u64(&file, MAGIC);
    writer_u64(&file, hash64_seed(bytes.data, bytes.size, bytes.size));
    writer_u64(&file, bytes.size);
    writer_slice(&file, bytes);
    mutex_lock(&store->side_mutex);
    enum err err = open_io(store, error);
    if (err == OK)
        err = make_directory(store, error);
    if (err == OK)
        err = io_replace_file(store->side_io, path, writer_as_slice(&file), error);
    mutex_unlock(&store->side_mutex);
    writer_deinit(&file);
    return err;
}

static bool is_whole(struct slice file)
{
    struct reader reader = reader_of(file);
    uint64_t magic = reader_u64(&reader), checksum = reader_u64(&reader);
    uint64_t size = reader_u64(&reader);
    return !reader.failed && magic == MAGIC && size == reader_left(&reader) &&
           (checksum == hash64_seed(file.data + HEAD_SIZE, (size_t)size, size) ||
            fault_is("side.checksum_ignored"));
}

enum err store_side_read(struct store *store, const char *name, struct arena *arena,
                         struct slice *out, struct error *error)
{
    char path[PATH_SIZE];
    struct slice file = {0};
    path_of(store, name, path);
    mutex_lock(&store->side_mutex);
    enum err err = open_io(store, error);
    if (err == OK)
        err = io_read_file(store->side_io, path, arena, &file, error);
    mutex_unlock(&store->side_mutex);
    if (err != OK)
        return err;
    if (!is_whole(file))
        return error_set(error, ERR_CORRUPT, NULL, "the file %s is damaged", path);
    *out = slice_of(file.data + HEAD_SIZE, file.size - HEAD_SIZE);
    return OK;
}

enum err store_side_list(struct store *store, void (*each)(void *context, const char *name),
                         void *context, struct error *error)
{
    char path[PATH_SIZE];
    path_of(store, "", path);
    mutex_lock(&store->side_mutex);
    enum err err = open_io(store, error);
    if (err == OK)
        err = store->side_io->ops->list(store->side_io, path, each, context, error);
    mutex_unlock(&store->side_mutex);
    return err == ERR_NOT_FOUND ? OK : err; /* none was ever written */
}

void store_side_remove(struct store *store, const char *name)
{
    char path[PATH_SIZE];
    struct error ignored; /* it is listed again */
    path_of(store, name, path);
    mutex_lock(&store->side_mutex);
    if (open_io(store, &ignored) == OK)
        (void)store->side_io->ops->unlink(store->side_io, path, &ignored);
    mutex_unlock(&store->side_mutex);
}
