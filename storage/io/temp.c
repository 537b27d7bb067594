/* Temporary files of queries: see temp.h.
 *
 *   space ── limit, low mark, bytes in use ── any number of files
 *   file  ── blocks of one size, a list of places that are free again
 *   block ── checksum u64 · identity u64 · the caller's bytes
 *
 * Nothing here is ever synced: what a crash leaves is of no use to anybody. A file is unlinked as
 * soon as it is open, so that an error, a cancelled query or kill -9 leaves nothing; a name that
 * stayed because the process died in between is removed at the next start.
 *
 * Ingest comes first. Files are read and written by plain calls of the query's own thread, past
 * the page cache: no request of the log waits behind them in a ring, no dirty pages pile up in
 * front of its syncs, and the pages of sealed segments stay where they are. While a call waits for
 * the disk the worker's permit is another's. Of the disk, files leave a quarter more than the mark
 * below which ingest stops; that is looked at every 16 MiB that any of them grows by.
 *
 * Why a checksum for what lives for seconds: a block of wrong bytes would be a wrong answer, and
 * nothing above could notice. XXH3 takes a hundredth of the time of the transfer. The identity
 * (which stream, which block of it) tells a block in the wrong place from the right one. */
#include "storage/io/temp.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/logger.h"
#include "storage/base/worker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "spill"
#define NAME_SIZE 48
#define LIMIT_SHARE 10                  /* of the disk */
#define LOOK_BYTES ((uint64_t)16 << 20) /* between two looks at the disk */

struct temp_space {
    struct io *io;
    const char *limit_name;
    uint64_t limit, low_mark;
    _Atomic uint64_t used, written, file_count, unlooked; /* relaxed: counters */
};

struct temp_file {
    struct temp_space *space;
    struct io *io;
    struct io_file *file;
    size_t block_size;
    uint32_t block_count;
    uint32_t *free_blocks;
    uint32_t free_count, free_capacity;
};

struct temp_header {
    uint64_t checksum, identity;
};
static_assert(sizeof(struct temp_header) == TEMP_HEADER_SIZE, "the caller's bytes follow");

/* --- the space --- */

static void remove_left_over(void *context, const char *name)
{
    struct temp_space *space = context;
    char path[NAME_SIZE + sizeof(FOLDER)];
    struct error error;
    if (name[0] == '.' || strlen(name) >= NAME_SIZE)
        return;
    snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
    if (space->io->ops->unlink(space->io, path, &error) != OK)
        logger_write(LOG_WARN, "a temporary file stays reason=\"%s\"", error.text);
}

enum err temp_space_create(const struct temp_options *options, struct temp_space **out,
                           struct error *error)
{
    struct temp_space *space = memory_alloc_zero(sizeof(*space));
    uint64_t free_bytes = 0, total_bytes = 0;
    space->limit_name = options->limit_name;
    space->limit = options->limit;
    space->low_mark = options->low_mark;
    atomic_store(&space->unlooked, LOOK_BYTES); /* the first write looks */
    enum err err = io_clone_roaming(options->io, &space->io, error);
    if (err != OK) {
        memory_free(space);
        return err;
    }
    err = space->io->ops->mkdir(space->io, FOLDER, error);
    if (err == OK)
        err = space->io->ops->list(space->io, FOLDER, remove_left_over, space, error);
    if (err == OK && space->limit == 0) {
        err = space->io->ops->space(space->io, &free_bytes, &total_bytes, error);
        space->limit = total_bytes / LIMIT_SHARE;
    }
    if (err != OK) {
        temp_space_destroy(space);
        return err;
    }
    *out = space;
    return OK;
}

void temp_space_destroy(struct temp_space *space)
{
    if (space == NULL)
        return;
    assert(atomic_load(&space->used) == 0);
    space->io->ops->destroy(space->io);
    memory_free(space);
}

void temp_space_figures(struct temp_space *space, struct temp_figures *out)
{
    out->used = atomic_load_explicit(&space->used, memory_order_relaxed);
    out->written = atomic_load_explicit(&space->written, memory_order_relaxed);
    out->file_count = atomic_load_explicit(&space->file_count, memory_order_relaxed);
    out->limit = space->limit;
}

/* --- files --- */

enum err temp_file_create(struct temp_space *space, size_t block_size, struct temp_file **out,
                          struct error *error)
{
    assert(block_size >= TEMP_BLOCK_MIN && block_size % TEMP_BLOCK_MIN == 0);
    char name[NAME_SIZE + sizeof(FOLDER)];
    struct temp_file *file = memory_alloc_zero(sizeof(*file));
    uint64_t number = atomic_fetch_add_explicit(&space->file_count, 1, memory_order_relaxed);
    snprintf(name, sizeof(name), "%s/%llu", FOLDER, (unsigned long long)number);
    file->space = space;
    file->block_size = block_size;
    enum err err = io_clone_roaming(space->io, &file->io, error);
    if (err == OK)
        err = file->io->ops->open(file->io, name, IO_CREATE | IO_WRITE | IO_DIRECT, &file->file,
                                  error);
    if (err == OK)
        err = file->io->ops->unlink(file->io, name, error);
    if (err != OK) {
        temp_file_destroy(file);
        return err;
    }
    *out = file;
    return OK;
}

void temp_file_destroy(struct temp_file *file)
{
    if (file == NULL)
        return;
    if (file->file != NULL && file->io->ops->close(file->file, NULL) != OK)
        logger_write(LOG_WARN, "a temporary file was not closed");
    if (file->io != NULL)
        file->io->ops->destroy(file->io);
    atomic_fetch_sub_explicit(&file->space->used, (uint64_t)file->block_count * file->block_size,
                              memory_order_relaxed);
    memory_free(file->free_blocks);
    memory_free(file);
}

void *temp_file_buffer(struct temp_file *file)
{
    return io_buffer_alloc(file->io, file->block_size);
}

void temp_file_buffer_free(struct temp_file *file, void *buffer)
{
    if (buffer != NULL)
        io_buffer_free(file->io, buffer);
}

/* --- blocks --- */

static enum err look_at_disk(struct temp_file *file, struct error *error)
{
    struct temp_space *space = file->space;
    uint64_t free_bytes, total_bytes;
    if (atomic_fetch_add_explicit(&space->unlooked, file->block_size, memory_order_relaxed) <
        LOOK_BYTES)
        return OK;
    atomic_store_explicit(&space->unlooked, 0, memory_order_relaxed);
    enum err err = file->io->ops->space(file->io, &free_bytes, &total_bytes, error);
    if (err != OK || free_bytes >= space->low_mark + space->low_mark / 4 + LOOK_BYTES)
        return err;
    atomic_store_explicit(&space->unlooked, LOOK_BYTES, memory_order_relaxed);
    return error_set(error, ERR_SPACE, "53100",
                     "the disk is nearly full (%llu MiB are free): a query that needs more than "
                     "its memory cannot spill to it",
                     (unsigned long long)(free_bytes >> 20));
}

/* One block more at the end of the file. */
static enum err grow(struct temp_file *file, uint32_t *block, struct error *error)
{
    struct temp_space *space = file->space;
    uint64_t size = file->block_size;
    uint64_t before = atomic_fetch_add_explicit(&space->used, size, memory_order_relaxed);
    enum err err = OK;
    if (before + size > space->limit)
        err = error_set(error, ERR_LIMIT, "53200",
                        "what all queries have spilled to disk reaches the limit of %llu bytes "
                        "(%s)",
                        (unsigned long long)space->limit, space->limit_name);
    else if (file->block_count == UINT32_MAX)
        err = error_set(error, ERR_LIMIT, "53200", "a query has spilled too much to disk");
    else
        err = look_at_disk(file, error);
    if (err != OK) {
        atomic_fetch_sub_explicit(&space->used, size, memory_order_relaxed);
        return err;
    }
    *block = file->block_count++;
    return OK;
}

enum err temp_file_write(struct temp_file *file, void *buffer, uint64_t identity, uint32_t *block,
                         struct error *error)
{
    struct temp_header *header = buffer;
    enum err err = OK;
    if (file->free_count > 0)
        *block = file->free_blocks[--file->free_count];
    else
        err = grow(file, block, error);
    if (err != OK)
        return err;
    header->identity = identity;
    header->checksum =
        hash64(&header->identity, file->block_size - offsetof(struct temp_header, identity));
    struct io_write_options write = {
        .data = buffer, .size = file->block_size, .offset = (uint64_t)*block * file->block_size};
    worker_block_begin();
    err = file->io->ops->write_begin(file->file, &write);
    if (err == OK)
        err = file->io->ops->write_wait(file->file, error);
    worker_block_end();
    if (err != OK) {
        temp_file_forget(file, *block);
        return err;
    }
    atomic_fetch_add_explicit(&file->space->written, file->block_size, memory_order_relaxed);
    return OK;
}

enum err temp_file_read(struct temp_file *file, uint32_t block, uint64_t identity, void *buffer,
                        struct error *error)
{
    const struct temp_header *header = buffer;
    size_t got = 0;
    assert(block < file->block_count);
    worker_block_begin();
    enum err err = file->io->ops->read(file->file, buffer, file->block_size,
                                       (uint64_t)block * file->block_size, &got, error);
    worker_block_end();
    if (err != OK)
        return err;
    bool is_right =
        got == file->block_size && header->identity == identity &&
        header->checksum ==
            hash64(&header->identity, file->block_size - offsetof(struct temp_header, identity));
    if (!is_right && !fault_is("temp.checksum_ignored"))
        return error_set(error, ERR_CORRUPT, "XX001",
                         "a block of a temporary file is not what was written");
    return OK;
}

void temp_file_forget(struct temp_file *file, uint32_t block)
{
    if (file->free_count == file->free_capacity) {
        file->free_capacity = file->free_capacity == 0 ? 64 : 2 * file->free_capacity;
        file->free_blocks =
            memory_realloc(file->free_blocks, file->free_capacity * sizeof(*file->free_blocks));
    }
    file->free_blocks[file->free_count++] = block;
}
