/* Choice of the back end, and whole-file helpers over it. See io.h. */
#include "storage/io/io.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/io/posix.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE_MAX 240

enum err io_open(const char *kind, const char *directory, struct io **out, struct error *error)
{
    if (strcmp(kind, "plain") == 0)
        return plain_open(directory, out, error);
    bool is_auto = strcmp(kind, "auto") == 0;
    if (!is_auto && strcmp(kind, "uring") != 0)
        return error_set(error, ERR_INPUT, NULL,
                         "io is \"auto\", \"uring\" or \"plain\", not \"%s\"", kind);
    struct error refusal = {0};
    enum err result =
        fault_is("io.ring_refused")
            ? error_set(&refusal, ERR_IO, NULL, "cannot make a ring: refused by a test")
            : ring_open(directory, out, &refusal);
    if (result != OK && is_auto) {
        result = plain_open(directory, out, error);
        if (result == OK) /* else it was not the ring's fault */
            logger_write(LOG_WARN, "io_uring is not available, plain calls are used reason=\"%s\"",
                         refusal.text);
        return result;
    }
    if (result != OK && error != NULL)
        *error = refusal;
    return result;
}

enum err io_clone(struct io *io, struct io **out, struct error *error)
{
    return io->ops->clone(io, out, error);
}

enum err io_clone_roaming(struct io *io, struct io **out, struct error *error)
{
    if (strcmp(io->name, "uring") == 0)
        return plain_open(((struct posix_io *)io)->path, out, error);
    return io_clone(io, out, error);
}

void *io_buffer_alloc(struct io *io, size_t size)
{
    return io->ops->buffer_alloc(io, size);
}

void io_buffer_free(struct io *io, void *buffer)
{
    io->ops->buffer_free(io, buffer);
}

enum err io_read_file(struct io *io, const char *name, struct arena *arena, struct slice *out,
                      struct error *error)
{
    struct io_file *file;
    enum err result = io->ops->open(io, name, 0, &file, error);
    if (result != OK)
        return result;
    uint64_t size;
    size_t got = 0;
    result = io->ops->size(file, &size, error);
    char *data = NULL;
    if (result == OK) {
        data = arena_alloc(arena, size);
        result = io->ops->read(file, data, size, 0, &got, error);
    }
    enum err closed = io->ops->close(file, result == OK ? error : NULL);
    *out = slice_of(data, got);
    return result != OK ? result : closed;
}

static enum err write_whole(struct io *io, const char *name, struct slice content,
                            struct error *error)
{
    struct io_file *file;
    enum err result = io->ops->open(io, name, IO_CREATE | IO_WRITE, &file, error);
    if (result != OK)
        return result;
    if (content.size == 0) {
        result = io->ops->sync(file, error);
    } else {
        struct io_write_options write = {.data = content.data, .size = content.size, .sync = true};
        result = io->ops->write_begin(file, &write);
        if (result == OK)
            result = io->ops->write_wait(file, error);
    }
    enum err closed = io->ops->close(file, result == OK ? error : NULL);
    return result != OK ? result : closed;
}

enum err io_replace_file(struct io *io, const char *name, struct slice content, struct error *error)
{
    char temporary[NAME_SIZE_MAX + 8];
    assert(strlen(name) < NAME_SIZE_MAX);
    snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    enum err result = io->ops->unlink(io, temporary, NULL); /* left by a crash */
    if (result != OK && result != ERR_NOT_FOUND)
        return error_set(error, result, NULL, "cannot remove %s", temporary);
    result = write_whole(io, temporary, content, error);
    if (result == OK)
        result = io->ops->rename(io, temporary, name, error);
    if (result != OK)
        return result;
    char directory[NAME_SIZE_MAX];
    const char *slash = strrchr(name, '/');
    snprintf(directory, sizeof(directory), "%.*s", slash == NULL ? 0 : (int)(slash - name), name);
    return io->ops->sync_directory(io, directory, error);
}
