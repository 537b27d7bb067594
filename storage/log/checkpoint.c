/* A checkpoint file: 64 bytes of header, then the payload. Written under a temporary name, synced,
 * renamed, the directory synced, then named in the manifest, and only then is an older one removed:
 * at every moment the manifest names files that are whole. The bytes are in FORMAT.md. */
#include "storage/log/checkpoint.h"

#include "storage/base/hash.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAGIC 0x31504b4348535246ULL /* "FRSHCKP1" */
#define VERSION 1
#define HEADER_SIZE ((size_t)64)
#define PATH_SIZE 256

static void path_of(const struct manifest *manifest, uint64_t number, const char *suffix, char *out)
{
    const char *directory = manifest_directory(manifest);
    int length = snprintf(out, PATH_SIZE, "%s%scheckpoint-%016" PRIx64 ".fckp%s", directory,
                          directory[0] == '\0' ? "" : "/", number, suffix);
    assert(length > 0 && length < PATH_SIZE);
}

static void encode_header(const struct manifest_checkpoint *edit, char *out)
{
    uint64_t fields[8] = {FILE_MAGIC,     0,          VERSION,        edit->number,
                          edit->position, edit->size, edit->checksum, 0};
    static_assert(sizeof(fields) == HEADER_SIZE, "FORMAT.md");
    fields[1] = crc32c(0, &fields[2], sizeof(fields) - 2 * sizeof(fields[0]));
    memcpy(out, fields, sizeof(fields));
}

static enum err write_part(struct io_file *file, const void *data, size_t size, uint64_t offset,
                           struct error *error)
{
    struct io_write_options write = {.data = data, .size = size, .offset = offset};
    enum err result = file->io->ops->write_begin(file, &write);
    return result == OK ? file->io->ops->write_wait(file, error) : result;
}

static enum err write_file(struct io *io, const char *name, const struct manifest_checkpoint *edit,
                           struct slice payload, struct error *error)
{
    struct io_file *file;
    enum err result = io->ops->unlink(io, name, error); /* left by a crash */
    if (result != OK && result != ERR_NOT_FOUND)
        return result;
    result = io->ops->open(io, name, IO_CREATE | IO_WRITE, &file, error);
    if (result != OK)
        return result;
    char header[HEADER_SIZE];
    encode_header(edit, header);
    result = write_part(file, header, sizeof(header), 0, error);
    if (result == OK && payload.size > 0)
        result = write_part(file, payload.data, payload.size, HEADER_SIZE, error);
    if (result == OK)
        result = io->ops->sync(file, error);
    enum err closed = io->ops->close(file, result == OK ? error : NULL);
    return result != OK ? result : closed;
}

/* Whatever looks like a checkpoint and is not named by the manifest goes: half-written ones too. */
static void remove_stale(void *context, const char *name)
{
    struct manifest *manifest = context;
    char path[PATH_SIZE];
    const char *directory = manifest_directory(manifest);
    if (strncmp(name, "checkpoint-", 11) != 0)
        return;
    for (size_t index = 0; index < MANIFEST_CHECKPOINT_COUNT; index++) {
        struct manifest_checkpoint live;
        char live_path[PATH_SIZE];
        if (!manifest_checkpoint(manifest, index, &live))
            continue;
        path_of(manifest, live.number, "", live_path);
        const char *slash = strrchr(live_path, '/');
        if (strcmp(name, slash == NULL ? live_path : slash + 1) == 0)
            return;
    }
    int length =
        snprintf(path, sizeof(path), "%s%s%s", directory, directory[0] == '\0' ? "" : "/", name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return;
    struct io *io = manifest_io(manifest);
    if (io->ops->unlink(io, path, NULL) != OK) /* next time */
        logger_write(LOG_WARN, "cannot remove an old checkpoint file=%s", path);
}

void checkpoint_remove_stale(struct manifest *manifest)
{
    struct io *io = manifest_io(manifest);
    (void)io->ops->list(io, manifest_directory(manifest), remove_stale, manifest, NULL);
}

enum err checkpoint_write(struct manifest *manifest, struct manifest_checkpoint *checkpoint,
                          struct slice payload, struct error *error)
{
    struct io *io = manifest_io(manifest);
    checkpoint->number = manifest_next_number(manifest);
    checkpoint->size = payload.size;
    checkpoint->checksum = hash64_seed(payload.data, payload.size, checkpoint->number);
    const struct manifest_checkpoint edit = *checkpoint;
    char temporary[PATH_SIZE];
    char name[PATH_SIZE];
    path_of(manifest, edit.number, ".tmp", temporary);
    path_of(manifest, edit.number, "", name);
    enum err result = write_file(io, temporary, &edit, payload, error);
    if (result == OK)
        result = io->ops->rename(io, temporary, name, error);
    if (result == OK)
        result = io->ops->sync_directory(io, manifest_directory(manifest), error);
    if (result == OK)
        result = manifest_append(manifest, &(struct manifest_edit){.checkpoint = &edit}, error);
    if (result == OK)
        checkpoint_remove_stale(manifest);
    return result;
}

static enum err read_one(struct manifest *manifest, const struct manifest_checkpoint *edit,
                         struct arena *arena, struct slice *payload, struct error *error)
{
    char name[PATH_SIZE];
    path_of(manifest, edit->number, "", name);
    struct slice content;
    enum err result = io_read_file(manifest_io(manifest), name, arena, &content, error);
    if (result != OK)
        return result;
    char header[HEADER_SIZE];
    encode_header(edit, header);
    bool is_whole =
        content.size == HEADER_SIZE + edit->size && memcmp(content.data, header, HEADER_SIZE) == 0;
    if (is_whole) {
        *payload = slice_of(content.data + HEADER_SIZE, edit->size);
        is_whole = hash64_seed(payload->data, payload->size, edit->number) == edit->checksum;
    }
    if (!is_whole)
        return error_set(error, ERR_CORRUPT, NULL, "the checkpoint %s is damaged", name);
    return OK;
}

enum err checkpoint_check(struct manifest *manifest, const struct manifest_checkpoint *checkpoint,
                          struct error *error)
{
    struct arena arena;
    struct slice payload;
    struct error cause = {0};
    arena_init(&arena);
    enum err result = read_one(manifest, checkpoint, &arena, &payload, &cause);
    arena_deinit(&arena);
    if (result == OK)
        return OK;
    char name[PATH_SIZE];
    path_of(manifest, checkpoint->number, "", name);
    return error_set(error, result == ERR_NOT_FOUND ? ERR_CORRUPT : result, NULL, "%s: %s", name,
                     result == ERR_NOT_FOUND ? "there is no such file" : cause.text);
}

enum err checkpoint_read(struct manifest *manifest, struct arena *arena,
                         struct manifest_checkpoint *checkpoint, struct slice *payload,
                         struct error *error)
{
    enum err result = ERR_NOT_FOUND;
    for (size_t index = 0; index < MANIFEST_CHECKPOINT_COUNT; index++) {
        struct manifest_checkpoint edit;
        if (!manifest_checkpoint(manifest, index, &edit))
            break;
        struct error refusal = {0};
        enum err one = read_one(manifest, &edit, arena, payload, &refusal);
        if (one == OK) {
            *checkpoint = edit;
            return OK;
        }
        logger_write(LOG_ERROR,
                     "a checkpoint cannot be read, trying the one before it reason=\"%s\"",
                     refusal.text);
        if (index == 0) {
            result = one == ERR_IO ? ERR_IO : ERR_CORRUPT;
            error_set(error, result, NULL, "%s", refusal.text);
        }
    }
    if (result == ERR_NOT_FOUND)
        error_set(error, ERR_NOT_FOUND, NULL, "there is no checkpoint yet");
    return result;
}
