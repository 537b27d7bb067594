/* The manifest file: a header block, then the blocks of one edit after another, each edit synced
 * before the next is written.
 *
 * So no block with acknowledged bytes is ever written again, and a valid block of a later edit
 * behind an invalid one means damage, never a torn tail. A new file (temp name, sync, rename, sync
 * directory) is begun at every open, because nothing is appended behind a tail that may be torn; at
 * four times the live size; and after any failed write or sync, which is final for its file. An
 * edit costs one synced write of 4 KiB, up to about 38 segments. The bytes are in FORMAT.md, made
 * and read by edit.c. */
#include "storage/log/manifest.h"

#include "storage/base/fault.h"
#include "storage/log/edit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 256
#define REWRITE_BLOCKS_MIN 16 /* a smaller file is not worth its four syncs */

struct manifest {
    struct io *io;
    char directory[128];
    struct io_file *file; /* NULL: the next append begins a new one */
    uint64_t block_count;
    uint64_t live_count;  /* blocks of the file when it was begun */
    uint64_t edit_number; /* of the newest edit in it */
    uint64_t file_number; /* every rewrite counts: blocks of an earlier life do not fit */
    struct manifest_state state;
    uint64_t last_number; /* given out */
};

static void path_of(const struct manifest *manifest, const char *name, char *out)
{
    const char *slash = manifest->directory[0] == '\0' ? "" : "/";
    int length = snprintf(out, PATH_SIZE, "%s%s%s", manifest->directory, slash, name);
    assert(length > 0 && length < PATH_SIZE);
}

/* --- reading --- */

/* `is_to_stand`: what is found is going to be built on. */
static enum err replay_file(struct manifest *manifest, bool is_to_stand, bool *is_there,
                            struct error *error)
{
    const struct io_ops *ops = manifest->io->ops;
    char name[PATH_SIZE];
    path_of(manifest, "manifest", name);
    struct io_file *file;
    int flags = IO_DIRECT | (is_to_stand ? IO_WRITE : 0);
    enum err result = ops->open(manifest->io, name, flags, &file, error);
    *is_there = result == OK;
    if (result == ERR_NOT_FOUND)
        return OK;
    if (result != OK)
        return result;
    uint64_t size = 0;
    size_t got = 0;
    char *data = NULL;
    if (is_to_stand) /* what is only in the drive's cache is not to be trusted */
        result = ops->sync(file, error);
    if (result == OK)
        result = ops->size(file, &size, error);
    if (result == OK && size > MANIFEST_BLOCK_COUNT_MAX * MANIFEST_BLOCK_SIZE)
        result = error_set(error, ERR_CORRUPT, NULL, "the manifest is larger than one can be");
    if (result == OK && size > 0) {
        size_t rounded =
            (size + MANIFEST_BLOCK_SIZE - 1) / MANIFEST_BLOCK_SIZE * MANIFEST_BLOCK_SIZE;
        data = io_buffer_alloc(manifest->io, rounded);
        result = ops->read(file, data, rounded, 0, &got, error);
    }
    if (result == OK)
        result = edit_replay(data, got / MANIFEST_BLOCK_SIZE, &manifest->state,
                             &manifest->file_number, error);
    if (data != NULL)
        io_buffer_free(manifest->io, data);
    (void)ops->close(file, NULL);
    return result;
}

/* --- writing --- */

/* Writes blocks at the end of the file, as one. */
static enum err write_blocks(struct manifest *manifest, const char *blocks, size_t count, bool sync,
                             struct error *error)
{
    struct io_write_options write = {.data = blocks,
                                     .size = count * MANIFEST_BLOCK_SIZE,
                                     .offset = manifest->block_count * MANIFEST_BLOCK_SIZE,
                                     .sync = sync};
    enum err result = manifest->io->ops->write_begin(manifest->file, &write);
    if (result == OK)
        result = manifest->io->ops->write_wait(manifest->file, error);
    if (result == OK)
        manifest->block_count += count;
    return result;
}

static void abandon_file(struct manifest *manifest)
{
    if (manifest->file != NULL)
        (void)manifest->io->ops->close(manifest->file, NULL);
    manifest->file = NULL;
}

static enum err write_live(struct manifest *manifest, struct error *error)
{
    struct edit_place place = {
        .file_number = manifest->file_number, .block_index = 1, .edit_number = 1};
    size_t count = edit_state_block_count(&manifest->state);
    char *blocks = io_buffer_alloc(manifest->io, (1 + count) * MANIFEST_BLOCK_SIZE);
    edit_encode_header(manifest->file_number, count, blocks);
    edit_encode_state(&manifest->state, &place, blocks + MANIFEST_BLOCK_SIZE);
    enum err result = write_blocks(manifest, blocks, 1 + count, true, error);
    io_buffer_free(manifest->io, blocks);
    manifest->live_count = 1 + count;
    manifest->edit_number = count > 0;
    return result;
}

/* A new file with what is live, in place of the one there is. */
static enum err begin_file(struct manifest *manifest, struct error *error)
{
    const struct io_ops *ops = manifest->io->ops;
    char temporary[PATH_SIZE];
    char name[PATH_SIZE];
    path_of(manifest, "manifest.tmp", temporary);
    path_of(manifest, "manifest", name);
    abandon_file(manifest);
    enum err result = ops->unlink(manifest->io, temporary, error);
    if (result != OK && result != ERR_NOT_FOUND)
        return result;
    result = ops->open(manifest->io, temporary, IO_CREATE | IO_WRITE | IO_DIRECT, &manifest->file,
                       error);
    if (result != OK)
        return result;
    manifest->block_count = 0;
    manifest->file_number++;
    result = write_live(manifest, error);
    if (result == OK)
        result = ops->rename(manifest->io, temporary, name, error);
    if (result == OK && !fault_is("manifest.no_directory_sync"))
        result = ops->sync_directory(manifest->io, manifest->directory, error);
    if (result != OK)
        abandon_file(manifest);
    return result;
}

static bool is_due_for_rewrite(const struct manifest *manifest)
{
    uint64_t limit = 4 * manifest->live_count;
    return manifest->block_count >= (limit > REWRITE_BLOCKS_MIN ? limit : REWRITE_BLOCKS_MIN);
}

static enum err write_edit(struct manifest *manifest, const struct manifest_edit *edit,
                           struct error *error)
{
    size_t count = edit_block_count(edit);
    if (count == 0)
        return OK;
    struct edit_place place = {.file_number = manifest->file_number,
                               .block_index = manifest->block_count,
                               .edit_number = manifest->edit_number + 1};
    char *blocks = io_buffer_alloc(manifest->io, count * MANIFEST_BLOCK_SIZE);
    edit_encode(edit, &place, blocks);
    enum err result = write_blocks(manifest, blocks, count, true, error);
    io_buffer_free(manifest->io, blocks);
    if (result == OK)
        manifest->edit_number++;
    return result;
}

enum err manifest_append(struct manifest *manifest, const struct manifest_edit *edit,
                         struct error *error)
{
    assert(manifest_state_fits(&manifest->state, edit));
    if (manifest->file == NULL || is_due_for_rewrite(manifest)) {
        enum err result = begin_file(manifest, error);
        if (result != OK)
            return result;
    }
    enum err result = write_edit(manifest, edit, error);
    if (result != OK) {
        abandon_file(manifest);
        return result;
    }
    manifest_state_take(&manifest->state, edit);
    return OK;
}

bool manifest_checkpoint(const struct manifest *manifest, size_t index,
                         struct manifest_checkpoint *out)
{
    if (index >= MANIFEST_CHECKPOINT_COUNT || manifest->state.checkpoints[index].number == 0)
        return false;
    *out = manifest->state.checkpoints[index];
    return true;
}

const struct sealed_info *manifest_segments(const struct manifest *manifest, size_t *count)
{
    *count = manifest->state.segment_count;
    return manifest->state.segments;
}

const struct manifest_sealed *manifest_sealed_positions(const struct manifest *manifest,
                                                        size_t *count)
{
    *count = manifest->state.sealed_count;
    return manifest->state.sealed;
}

uint64_t manifest_sealed_position(const struct manifest *manifest, uint32_t table_id)
{
    size_t first = 0, last = manifest->state.sealed_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (manifest->state.sealed[middle].table_id < table_id)
            first = middle + 1;
        else
            last = middle;
    }
    bool is_found =
        first < manifest->state.sealed_count && manifest->state.sealed[first].table_id == table_id;
    return is_found ? manifest->state.sealed[first].position : 0;
}

uint64_t manifest_next_number(struct manifest *manifest)
{
    if (manifest->last_number < manifest->state.last_number)
        manifest->last_number = manifest->state.last_number;
    return ++manifest->last_number;
}

const char *manifest_directory(const struct manifest *manifest)
{
    return manifest->directory;
}

struct io *manifest_io(const struct manifest *manifest)
{
    return manifest->io;
}

static struct manifest *create(struct io *io, const char *directory)
{
    struct manifest *manifest = memory_alloc_zero(sizeof(*manifest));
    assert(strlen(directory) < sizeof(manifest->directory));
    manifest->io = io;
    snprintf(manifest->directory, sizeof(manifest->directory), "%s", directory);
    return manifest;
}

enum err manifest_open(struct io *io, const char *directory, struct manifest **out,
                       struct error *error)
{
    struct manifest *manifest = create(io, directory);
    bool is_there;
    enum err result = replay_file(manifest, true, &is_there, error);
    if (result == OK)
        result = begin_file(manifest, error);
    if (result != OK) {
        manifest_close(manifest);
        return result;
    }
    *out = manifest;
    return OK;
}

enum err manifest_open_to_look(struct io *io, const char *directory, bool *is_there,
                               struct manifest **out, struct error *error)
{
    struct manifest *manifest = create(io, directory);
    enum err result = replay_file(manifest, false, is_there, error);
    if (result != OK) {
        manifest_close(manifest);
        return result;
    }
    *out = manifest;
    return OK;
}

void manifest_close(struct manifest *manifest)
{
    abandon_file(manifest);
    manifest_state_deinit(&manifest->state);
    memory_free(manifest);
}
