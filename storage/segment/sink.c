/* A segment's file under construction.
 *
 * Pages are made where they are written from: in one buffer that begins at a block of the file. As
 * soon as it holds STEP_SIZE its whole blocks are written past the page cache, and the one or two
 * that are left move to its begin. A segment that was just sealed is read from memory for a while
 * yet, and what reads it later keeps it in a cache of its own.
 *
 *   bytes:  head (64) | data …          at first the head is room for the file's header,
 *           ╰─ offset                   later bytes of the page before
 *
 * Block 0 is held back until the header is known and is written last, before the one sync. Errors
 * are kept and told at the end. The number of a segment is never used twice, so a file of that name
 * is left from a life that ended before the manifest knew of it. */
#include "storage/segment/sink.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STEP_SIZE ((size_t)2 << 20)   /* written at once */
#define LOST_FROM ((uint64_t)1 << 20) /* by the planted fault */

static_assert(SINK_MEMORY >= 2 * STEP_SIZE + SEALED_HEADER_SIZE, "written before it grows");
static_assert(STEP_SIZE % IO_ALIGNMENT == 0, "whole blocks are written");
static_assert(WRITER_BLOCK_SIZE == IO_ALIGNMENT, "blocks of the buffer are blocks of the file");

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
    if (sink->err != OK || (fault_is("sink.write_lost") && offset >= LOST_FROM))
        return;
    struct io_write_options write = {.data = data, .size = size, .offset = offset};
    enum err err = ops->write_begin(sink->file, &write);
    if (err == OK)
        err = ops->write_wait(sink->file, &error);
    if (err != OK)
        fail(sink, err, &error);
}

/* Where the buffer begins, head and all. */
static char *base_of(struct sink *sink)
{
    return (char *)sink->bytes.data - sink->bytes.head;
}

enum err sink_open(struct sink *sink, struct io *io, const char *directory, uint64_t number,
                   void *memory, struct error *error)
{
    *sink = (struct sink){.io = io};
    sealed_path(directory, number, sink->path, sizeof(sink->path));
    enum err err = io->ops->unlink(io, sink->path, error);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    err = io->ops->open(io, sink->path, IO_CREATE | IO_WRITE | IO_DIRECT, &sink->file, error);
    if (err != OK)
        return err;
    sink->first_block = io_buffer_alloc(io, IO_ALIGNMENT);
    writer_init_lent(&sink->bytes, SEALED_HEADER_SIZE, memory, SINK_MEMORY);
    memset(base_of(sink), 0, SEALED_HEADER_SIZE);
    return OK;
}

/* Bytes of the file that are in memory. */
static size_t pending(const struct sink *sink)
{
    return sink->bytes.head + sink->bytes.size;
}

uint64_t sink_offset(const struct sink *sink)
{
    return sink->offset + pending(sink);
}

/* The first `size` bytes behind `done`; block 0 is kept instead. */
static void write_blocks(struct sink *sink, size_t size)
{
    const char *data = base_of(sink) + sink->done;
    uint64_t offset = sink->offset + sink->done;
    size_t held = offset == 0 ? IO_ALIGNMENT : 0;
    if (held != 0)
        memcpy(sink->first_block, data, held);
    if (size > held)
        write_at(sink, data + held, size - held, offset + held);
    sink->done += size;
}

/* What was written goes, what is left moves to the begin. */
static void forget_done(struct sink *sink)
{
    size_t left = pending(sink) - sink->done;
    assert(left >= sink->bytes.head);
    memmove(base_of(sink), base_of(sink) + sink->done, left);
    sink->bytes.size = left - sink->bytes.head;
    sink->offset += sink->done;
    sink->done = 0;
}

bool sink_step(struct sink *sink)
{
    /* The last whole block stays: what is left has to reach over the head. */
    size_t whole = pending(sink) / IO_ALIGNMENT * IO_ALIGNMENT;
    if (sink->done == 0 && whole < STEP_SIZE + IO_ALIGNMENT)
        return false;
    size_t left = whole - IO_ALIGNMENT - sink->done;
    if (left > 0) {
        write_blocks(sink, left < STEP_SIZE ? left : STEP_SIZE);
        return true;
    }
    forget_done(sink);
    return false;
}

static void write_zeros(struct sink *sink, size_t alignment)
{
    static const char zeros[IO_ALIGNMENT];
    size_t over = sink_offset(sink) % alignment;
    if (over != 0)
        writer_bytes(&sink->bytes, zeros, alignment - over);
}

void sink_begin_page(struct sink *sink)
{
    struct sink_mark *mark = &sink->mark;
    assert(sink->done == 0);
    write_zeros(sink, SEALED_PAGE_ALIGNMENT);
    /* From a block on that has more before the mark than the head. */
    size_t first = sink->bytes.size / IO_ALIGNMENT * IO_ALIGNMENT;
    mark->base_offset = sink->offset;
    mark->offset = sink->offset + first;
    mark->size = sink->bytes.size;
    mark->saved_size = pending(sink) - first;
    memcpy(mark->saved, base_of(sink) + first, mark->saved_size);
}

void sink_restart_page(struct sink *sink)
{
    const struct sink_mark *mark = &sink->mark;
    assert(sink->done == 0);
    if (sink->offset == mark->base_offset) { /* nothing of it is written */
        sink->bytes.size = mark->size;
        return;
    }
    sink->is_longer = true;
    sink->offset = mark->offset;
    sink->bytes.size = mark->saved_size - sink->bytes.head;
    memcpy(base_of(sink), mark->saved, mark->saved_size);
}

static void release(struct sink *sink)
{
    writer_deinit(&sink->bytes);
    if (sink->first_block != NULL)
        io_buffer_free(sink->io, sink->first_block);
    sink->first_block = NULL;
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
    while (sink->done < pending(sink)) {
        size_t left = pending(sink) - sink->done;
        write_blocks(sink, left < STEP_SIZE ? left : STEP_SIZE);
    }
    sealed_header_write(header, sink->first_block);
    write_at(sink, sink->first_block, IO_ALIGNMENT, 0);
    if (sink->err == OK && sink->is_longer) {
        enum err err = ops->truncate(sink->file, *size, &reason);
        if (err != OK)
            fail(sink, err, &reason);
    }
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
