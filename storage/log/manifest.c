/* The manifest file: a header block, then one block of 4,096 bytes an edit, each synced before the
 * next is written.
 *
 * So no block with acknowledged bytes is ever written again, and a valid block behind an invalid
 * one means damage, never a torn tail. A new file (temp name, sync, rename, sync directory) is
 * begun at every open, because nothing is appended behind a tail that may be torn; at four times
 * the live size; and after any failed write or sync, which is final for its file. An edit costs one
 * synced write of 4 KiB. The bytes are in FORMAT.md. */
#include "storage/log/manifest.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_SIZE IO_ALIGNMENT
#define BLOCK_MAGIC 0x314e414d48535246ULL /* "FRSHMAN1" */
#define BLOCK_CONTENT_SIZE ((size_t)88)
#define VERSION 1
#define PATH_SIZE 256
#define NUMBER_MAX ((uint64_t)1 << 62) /* none gets near, and none can wrap */
#define BLOCK_COUNT_MAX 4096           /* of a file that is read: far above what is ever written */

enum block_kind { BLOCK_HEADER = 1, BLOCK_CHECKPOINT = 2 };

struct manifest {
    struct io *io;
    char directory[128];
    struct io_file *file; /* NULL: the next append begins a new one */
    char *block;
    uint64_t block_count;
    uint64_t file_number; /* every rewrite counts: blocks of an earlier life do not fit */
    struct manifest_checkpoint checkpoints[MANIFEST_CHECKPOINT_COUNT]; /* newest first */
    uint64_t last_number;                                              /* given out */
};

static void path_of(const struct manifest *manifest, const char *name, char *out)
{
    const char *slash = manifest->directory[0] == '\0' ? "" : "/";
    int length = snprintf(out, PATH_SIZE, "%s%s%s", manifest->directory, slash, name);
    assert(length > 0 && length < PATH_SIZE);
}

/* --- blocks --- */

static void encode_block(struct manifest *manifest, enum block_kind kind, uint64_t index,
                         const struct manifest_checkpoint *edit)
{
    static const struct manifest_checkpoint none;
    uint64_t fields[11] = {BLOCK_MAGIC};
    if (edit == NULL)
        edit = &none;
    fields[2] = (uint64_t)kind << 32 | VERSION;
    fields[3] = manifest->file_number;
    fields[4] = index;
    fields[5] = edit->number;
    fields[6] = edit->position;
    fields[7] = edit->size;
    fields[8] = edit->checksum;
    fields[9] = edit->first_log_file;
    static_assert(sizeof(fields) == BLOCK_CONTENT_SIZE, "FORMAT.md");
    fields[1] = crc32c(0, &fields[2], sizeof(fields) - 2 * sizeof(fields[0]));
    memset(manifest->block, 0, BLOCK_SIZE);
    memcpy(manifest->block, fields, sizeof(fields));
}

struct block {
    enum block_kind kind;
    uint32_t version;
    uint64_t file_number;
    uint64_t index;
    struct manifest_checkpoint edit;
};

static bool decode_block(const char *data, struct block *block)
{
    uint64_t fields[11];
    memcpy(fields, data, sizeof(fields));
    if (fields[0] != BLOCK_MAGIC ||
        fields[1] != crc32c(0, &fields[2], sizeof(fields) - 2 * sizeof(fields[0])))
        return false;
    *block = (struct block){
        .kind = (enum block_kind)(fields[2] >> 32),
        .version = (uint32_t)fields[2],
        .file_number = fields[3],
        .index = fields[4],
        .edit = {.number = fields[5],
                 .position = fields[6],
                 .size = fields[7],
                 .checksum = fields[8],
                 .first_log_file = fields[9]},
    };
    return true;
}

static bool is_in_order(const struct manifest *manifest, const struct manifest_checkpoint *edit)
{
    return edit->number < NUMBER_MAX && edit->number > manifest->checkpoints[0].number &&
           edit->position >= manifest->checkpoints[0].position;
}

static void take_edit(struct manifest *manifest, const struct manifest_checkpoint *edit)
{
    memmove(&manifest->checkpoints[1], &manifest->checkpoints[0],
            (MANIFEST_CHECKPOINT_COUNT - 1) * sizeof(*edit));
    manifest->checkpoints[0] = *edit;
}

/* --- reading --- */

static enum err damaged(uint64_t index, struct error *error)
{
    return error_set(error, ERR_CORRUPT, NULL,
                     "the manifest is damaged at offset %" PRIu64
                     ": an acknowledged edit cannot be read",
                     index * BLOCK_SIZE);
}

static enum err replay_blocks(struct manifest *manifest, const char *data, size_t count,
                              struct error *error)
{
    bool is_past_end = false;
    for (size_t index = 0; index < count; index++) {
        struct block block;
        bool is_valid = decode_block(data + index * BLOCK_SIZE, &block) && block.index == index;
        if (is_valid && block.version > VERSION)
            return error_set(
                error, ERR_CORRUPT, NULL,
                "the manifest has format version %u; this program knows versions up to %d",
                block.version, VERSION);
        if (index == 0) { /* the file was synced before it got its name */
            if (!is_valid ||
                block.kind != BLOCK_HEADER) /* its number may be any: the next file's wraps */
                return damaged(index, error);
            manifest->file_number = block.file_number;
            continue;
        }
        if (is_valid && block.file_number != manifest->file_number)
            is_valid = false;
        if (!is_valid) {
            is_past_end = true;
            continue;
        }
        if (is_past_end || block.kind != BLOCK_CHECKPOINT || !is_in_order(manifest, &block.edit))
            return damaged(is_past_end ? index - 1 : index, error);
        take_edit(manifest, &block.edit);
    }
    return count == 0 ? damaged(0, error) : OK;
}

static enum err replay_file(struct manifest *manifest, struct error *error)
{
    const struct io_ops *ops = manifest->io->ops;
    char name[PATH_SIZE];
    path_of(manifest, "manifest", name);
    struct io_file *file;
    enum err result = ops->open(manifest->io, name, IO_WRITE | IO_DIRECT, &file, error);
    if (result == ERR_NOT_FOUND)
        return OK;
    if (result != OK)
        return result;
    uint64_t size = 0;
    size_t got = 0;
    char *data = NULL;
    result = ops->sync(file, error); /* what is only in the drive's cache is not to be trusted */
    if (result == OK)
        result = ops->size(file, &size, error);
    if (result == OK && size > BLOCK_COUNT_MAX * BLOCK_SIZE)
        result = damaged(BLOCK_COUNT_MAX, error);
    if (result == OK && size > 0) {
        size_t rounded = (size + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
        data = io_buffer_alloc(manifest->io, rounded);
        result = ops->read(file, data, rounded, 0, &got, error);
    }
    if (result == OK)
        result = replay_blocks(manifest, data, got / BLOCK_SIZE, error);
    if (data != NULL)
        io_buffer_free(manifest->io, data);
    (void)ops->close(file, NULL);
    return result;
}

/* --- writing --- */

static enum err write_block(struct manifest *manifest, bool sync, struct error *error)
{
    struct io_write_options write = {.data = manifest->block,
                                     .size = BLOCK_SIZE,
                                     .offset = manifest->block_count * BLOCK_SIZE,
                                     .sync = sync};
    enum err result = manifest->io->ops->write_begin(manifest->file, &write);
    if (result == OK)
        result = manifest->io->ops->write_wait(manifest->file, error);
    if (result == OK)
        manifest->block_count++;
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
    size_t live = 0;
    while (live < MANIFEST_CHECKPOINT_COUNT && manifest->checkpoints[live].number != 0)
        live++;
    encode_block(manifest, BLOCK_HEADER, 0, NULL);
    enum err result = write_block(manifest, live == 0, error);
    while (result == OK && live > 0) {
        live--; /* oldest first */
        encode_block(manifest, BLOCK_CHECKPOINT, manifest->block_count,
                     &manifest->checkpoints[live]);
        result = write_block(manifest, live == 0, error);
    }
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
    return manifest->block_count >= 4 * (1 + MANIFEST_CHECKPOINT_COUNT);
}

enum err manifest_append(struct manifest *manifest, const struct manifest_checkpoint *edit,
                         struct error *error)
{
    assert(is_in_order(manifest, edit));
    if (manifest->file == NULL || is_due_for_rewrite(manifest)) {
        enum err result = begin_file(manifest, error);
        if (result != OK)
            return result;
    }
    encode_block(manifest, BLOCK_CHECKPOINT, manifest->block_count, edit);
    enum err result = write_block(manifest, true, error);
    if (result != OK) {
        abandon_file(manifest);
        return result;
    }
    take_edit(manifest, edit);
    return OK;
}

bool manifest_checkpoint(const struct manifest *manifest, size_t index,
                         struct manifest_checkpoint *out)
{
    if (index >= MANIFEST_CHECKPOINT_COUNT || manifest->checkpoints[index].number == 0)
        return false;
    *out = manifest->checkpoints[index];
    return true;
}

uint64_t manifest_next_number(struct manifest *manifest)
{
    if (manifest->last_number < manifest->checkpoints[0].number)
        manifest->last_number = manifest->checkpoints[0].number;
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

enum err manifest_open(struct io *io, const char *directory, struct manifest **out,
                       struct error *error)
{
    struct manifest *manifest = memory_alloc_zero(sizeof(*manifest));
    assert(strlen(directory) < sizeof(manifest->directory));
    manifest->io = io;
    snprintf(manifest->directory, sizeof(manifest->directory), "%s", directory);
    manifest->block = io_buffer_alloc(io, BLOCK_SIZE);
    enum err result = replay_file(manifest, error);
    if (result == OK)
        result = begin_file(manifest, error);
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
    io_buffer_free(manifest->io, manifest->block);
    memory_free(manifest);
}
