/* A segment's file under construction.
 *
 * Bytes gather in one aligned buffer of 1 MiB and are written as it fills, past the page cache: a
 * segment that was just sealed is read from memory for a while yet, and what reads it later keeps
 * it in a cache of its own. Block 0 is held back until the header is known and is written last,
 * before the one sync. Errors are kept and told at the end. The number of a segment is never used
 * twice, so a file of that name is left from a life that ended before the manifest knew of it. */
#include "storage/segment/sink.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)1 << 20)

static_assert(BUFFER_SIZE % IO_ALIGNMENT == 0, "whole blocks are written");

static void fail(struct sink *sink, enum err err, const struct error *error)
{
    if (sink->err != OK)
        return;
    sink->err = err;
    sink->error = *error;
}

static void write_at(struct sink *sink, const void *data, size_t size, uint64_t offset)
{
    const struct io_ops *ops = sink->io->ops;
    struct error error = {0};
    if (sink->err != OK)
        return;
    struct io_write_options write = {.data = data, .size = size, .offset = offset};
    enum err err = ops->write_begin(sink->file, &write);
    if (err == OK)
        err = ops->write_wait(sink->file, &error);
    if (err != OK)
        fail(sink, err, &error);
}

enum err sink_open(struct sink *sink, struct io *io, const char *directory, uint64_t number,
                   struct error *error)
{
    *sink = (struct sink){.io = io};
    sealed_path(directory, number, sink->path, sizeof(sink->path));
    enum err err = io->ops->unlink(io, sink->path, error);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    err = io->ops->open(io, sink->path, IO_CREATE | IO_WRITE | IO_DIRECT, &sink->file, error);
    if (err != OK)
        return err;
    sink->buffer = io_buffer_alloc(io, BUFFER_SIZE);
    sink->first_block = io_buffer_alloc(io, IO_ALIGNMENT);
    memset(sink->buffer, 0, SEALED_HEADER_SIZE);
    sink->used = SEALED_HEADER_SIZE;
    return OK;
}

uint64_t sink_offset(const struct sink *sink)
{
    return sink->offset + sink->used;
}

static void flush(struct sink *sink, size_t size)
{
    size_t held = 0;
    if (sink->offset == 0) {
        memcpy(sink->first_block, sink->buffer, IO_ALIGNMENT);
        held = IO_ALIGNMENT;
    }
    if (size > held)
        write_at(sink, sink->buffer + held, size - held, sink->offset + held);
    sink->offset += size;
    sink->used = 0;
}

void sink_write(struct sink *sink, struct slice bytes)
{
    while (bytes.size > 0) {
        size_t room = BUFFER_SIZE - sink->used;
        size_t part = bytes.size < room ? bytes.size : room;
        memcpy(sink->buffer + sink->used, bytes.data, part);
        sink->used += part;
        bytes = slice_of(bytes.data + part, bytes.size - part);
        if (sink->used == BUFFER_SIZE)
            flush(sink, BUFFER_SIZE);
    }
}

static void write_zeros(struct sink *sink, size_t alignment)
{
    static const char zeros[IO_ALIGNMENT];
    size_t over = sink_offset(sink) % alignment;
    if (over != 0)
        sink_write(sink, slice_of(zeros, alignment - over));
}

void sink_align(struct sink *sink)
{
    write_zeros(sink, SEALED_PAGE_ALIGNMENT);
}

static void release(struct sink *sink)
{
    if (sink->buffer != NULL)
        io_buffer_free(sink->io, sink->buffer);
    if (sink->first_block != NULL)
        io_buffer_free(sink->io, sink->first_block);
    sink->buffer = sink->first_block = NULL;
    sink->file = NULL;
}

enum err sink_finish(struct sink *sink, const char *directory, const struct sealed_header *header,
                     uint64_t *size, struct error *error)
{
    const struct io_ops *ops = sink->io->ops;
    struct error reason = {0};
    char segments[SEALED_PATH_SIZE];
    write_zeros(sink, IO_ALIGNMENT);
    *size = sink_offset(sink);
    flush(sink, sink->used);
    sealed_header_write(header, sink->first_block);
    write_at(sink, sink->first_block, IO_ALIGNMENT, 0);
    if (sink->err == OK && !fault_is("seal.no_sync")) {
        enum err err = ops->sync(sink->file, &reason);
        if (err != OK)
            fail(sink, err, &reason);
    }
    enum err closed = ops->close(sink->file, &reason);
    if (closed != OK)
        fail(sink, closed, &reason);
    sink->file = NULL;
    int length = snprintf(segments, sizeof(segments), "%s%s" SEALED_DIRECTORY, directory,
                          directory[0] == 0 ? "" : "/");
    assert(length > 0 && (size_t)length < sizeof(segments));
    if (sink->err == OK && !fault_is("seal.no_directory_sync")) {
        enum err err = ops->sync_directory(sink->io, segments, &reason);
        if (err != OK)
            fail(sink, err, &reason);
    }
    enum err err = sink->err;
    if (err != OK) {
        if (error != NULL)
            *error = sink->error;
        sink_abandon(sink);
        return err;
    }
    release(sink);
    return OK;
}

void sink_abandon(struct sink *sink)
{
    if (sink->file != NULL)
        (void)sink->io->ops->close(sink->file, NULL);
    (void)sink->io->ops->unlink(sink->io, sink->path, NULL); /* recovery does it else */
    release(sink);
}
