/* The io_uring back end: data reads, writes and syncs through a ring of its own.
 *
 * The ring is made with SINGLE_ISSUER | DEFER_TASKRUN: completions run only when their thread waits
 * for them, which gives the steadiest latency for a thread that does one thing. The kernel binds
 * such a ring to the thread that made it; a `struct io` may be handed from the thread that recovers
 * to the thread that writes. So the ring is made on first use, and made anew when another thread
 * turns up (once in a process's life; nothing may be under way then).
 *
 *   write_begin   [write, write_fixed, writev] --link--> [fdatasync]   or  [write with RWF_DSYNC]
 *   write_wait    reap both; transfer.c decides what they mean
 *
 * RWF_DSYNC vouches for its own range only, so it is used where nothing else of the file is
 * unsynced. Measured against the linked pair on pre-written blocks: 4 KiB 54 against 59 us and half
 * the CPU, 1 MiB 515 against 545 us. Up to four buffers of at most 1 MiB are registered, where the
 * limit on locked memory lets us. */
#include "storage/io/posix.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define REGISTERED_COUNT_MAX 4
#define REGISTERED_SIZE_MAX ((size_t)1 << 20)
#define READ_SIZE_MAX ((size_t)8 << 20)
#define QUEUE_DEPTH 8

enum ring_tag { TAG_WRITE = 1, TAG_SYNC, TAG_READ, TAG_COUNT };

struct ring_buffer {
    char *data;
    size_t size;
};

struct ring_io {
    struct posix_io posix; /* first: posix.c knows only this */
    struct io_uring ring;
    bool is_open;
    const void *owner; /* the thread the ring belongs to */
    struct ring_buffer buffers[REGISTERED_COUNT_MAX];
    bool is_registered; /* buffers as they are now are known to the kernel */
    bool is_register_tried;
    unsigned waiting; /* completions under way, by tag bit */
    bool is_stale;    /* entries were refused: a new ring before the next operation */
    bool is_lost;     /* what is under way cannot be waited for: every operation is refused */
    int results[TAG_COUNT];
    struct iovec vectors[1 + IO_PARTS_MAX]; /* of the write under way, if it has parts */
};

static _Thread_local char thread_mark;

static void close_ring(struct ring_io *io)
{
    if (io->is_open)
        io_uring_queue_exit(&io->ring);
    io->is_open = io->is_stale = false;
    io->is_registered = io->is_register_tried = false;
}

static void register_buffers(struct ring_io *io)
{
    if (io->is_registered)
        io_uring_unregister_buffers(&io->ring);
    io->is_registered = false;
    io->is_register_tried = true;
    struct iovec vectors[REGISTERED_COUNT_MAX];
    unsigned count = 0;
    for (size_t index = 0; index < REGISTERED_COUNT_MAX && io->buffers[index].data != NULL; index++)
        vectors[count++] =
            (struct iovec){.iov_base = io->buffers[index].data, .iov_len = io->buffers[index].size};
    /* Refused (ENOMEM under a low limit on locked memory): plain writes through the ring do. */
    io->is_registered = count > 0 && !fault_is("io.registration_refused") &&
                        io_uring_register_buffers(&io->ring, vectors, count) == 0;
}

static bool is_passing(int result)
{
    return result == -EINTR || result == -EAGAIN || result == -EBUSY;
}

/* The result of the operation, or that it cannot be known. Then it is still under way, and its
 * buffer the kernel's: nothing that this ring was given is used again. */
static void wait_for(struct ring_io *io, enum ring_tag tag)
{
    while (io->waiting & 1u << tag && !io->is_lost) {
        struct io_uring_cqe *completion;
        int result =
            fault_is("io.wait_refused") ? -ENXIO : io_uring_wait_cqe(&io->ring, &completion);
        if (is_passing(result))
            continue;
        if (result < 0) {
            io->is_lost = true;
            break;
        }
        uint64_t seen = io_uring_cqe_get_data64(completion);
        assert(seen > 0 && seen < TAG_COUNT);
        io->results[seen] = completion->res;
        io->waiting &= ~(1u << seen);
        io_uring_cqe_seen(&io->ring, completion);
    }
    if (io->waiting & 1u << tag)
        io->results[tag] = -EIO;
}

/* The ring, ours on this thread, with the buffers registered. */
static int ensure_ring(struct ring_io *io)
{
    if (io->is_lost)
        return -EIO;
    if (io->is_stale) {
        for (int tag = 1; tag < TAG_COUNT; tag++)
            wait_for(io, tag);
        if (io->is_lost)
            return -EIO;
        close_ring(io);
    }
    if (io->is_open && io->owner != &thread_mark) {
        assert(io->waiting == 0);
        close_ring(io);
    }
    if (!io->is_open) {
        int result = io_uring_queue_init(QUEUE_DEPTH, &io->ring,
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
        if (result < 0)
            return result;
        io->is_open = true;
        io->owner = &thread_mark;
    }
    if (!io->is_register_tried)
        register_buffers(io);
    return 0;
}

static int buffer_index(const struct ring_io *io, const void *data, size_t size)
{
    if (!io->is_registered)
        return -1;
    for (int index = 0; index < REGISTERED_COUNT_MAX && io->buffers[index].data != NULL; index++) {
        const struct ring_buffer *buffer = &io->buffers[index];
        if ((const char *)data >= buffer->data &&
            (const char *)data + size <= buffer->data + buffer->size)
            return index;
    }
    return -1;
}

static struct io_uring_sqe *next_entry(struct ring_io *io, enum ring_tag tag)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&io->ring);
    assert(entry != NULL); /* at most one write, one sync and one read are under way */
    assert((io->waiting & 1u << tag) == 0);
    io->waiting |= 1u << tag;
    return entry;
}

/* Hands over what next_entry() gave since the last time: the last of it is `last`, before it there
 * may be `first`. What is refused never began. It still stands in the ring, which must not be
 * submitted again, or old entries would go with the new ones. */
static void submit_entries(struct ring_io *io, enum ring_tag first, enum ring_tag last)
{
    int result = 0;
    while (io_uring_sq_ready(&io->ring) > 0 && (result >= 0 || is_passing(result)))
        result = fault_is("io.submit_refused") ? -ENXIO : io_uring_submit(&io->ring);
    unsigned left = io_uring_sq_ready(&io->ring);
    if (left == 0)
        return;
    io->is_stale = true;
    io->results[last] = result;
    io->waiting &= ~(1u << last);
    if (left > 1) {
        io->results[first] = result;
        io->waiting &= ~(1u << first);
    }
}

static void prepare_write(struct ring_io *io, struct io_uring_sqe *entry, int fd,
                          const struct io_write_options *write)
{
    int index = write->part_count > 0 ? -1 : buffer_index(io, write->data, write->size);
    if (write->part_count > 0) {
        io->vectors[0] = (struct iovec){(void *)(uintptr_t)write->data, write->size};
        for (size_t i = 0; i < write->part_count; i++)
            io->vectors[1 + i] =
                (struct iovec){(void *)(uintptr_t)write->parts[i].data, write->parts[i].size};
        io_uring_prep_writev(entry, fd, io->vectors, 1 + (unsigned)write->part_count,
                             write->offset);
    } else if (index >= 0) {
        io_uring_prep_write_fixed(entry, fd, write->data, (unsigned)write->size, write->offset,
                                  index);
    } else {
        io_uring_prep_write(entry, fd, write->data, (unsigned)write->size, write->offset);
    }
}

static void ring_submit(struct io_file *io_file, const struct io_write_options *write)
{
    struct ring_io *io = (struct ring_io *)io_file->io;
    struct posix_file *file = (struct posix_file *)io_file;
    int result = ensure_ring(io);
    if (result < 0) {
        io->results[TAG_WRITE] = io->results[TAG_SYNC] = result;
        return;
    }
    io->results[TAG_SYNC] = 0;
    struct io_uring_sqe *entry = next_entry(io, TAG_WRITE);
    prepare_write(io, entry, file->fd, write);
    io_uring_sqe_set_data64(entry, TAG_WRITE);
    if (write->sync && !file->has_unsynced) {
        entry->rw_flags = RWF_DSYNC;
    } else if (write->sync) {
        entry->flags |= IOSQE_IO_LINK;
        entry = next_entry(io, TAG_SYNC);
        io_uring_prep_fsync(entry, file->fd, IORING_FSYNC_DATASYNC);
        io_uring_sqe_set_data64(entry, TAG_SYNC);
    }
    bool has_sync = write->sync && file->has_unsynced;
    file->has_unsynced = !write->sync;
    submit_entries(io, TAG_WRITE, has_sync ? TAG_SYNC : TAG_WRITE);
}

static void ring_reap(struct io_file *io_file, struct transfer_result *result)
{
    struct ring_io *io = (struct ring_io *)io_file->io;
    wait_for(io, TAG_WRITE);
    wait_for(io, TAG_SYNC);
    if (io->results[TAG_SYNC] < 0) /* cancelled behind a short write: the rest's is for all */
        ((struct posix_file *)io_file)->has_unsynced = true;
    result->written = io->results[TAG_WRITE];
    result->synced = io->results[TAG_SYNC];
}

static const struct transfer_ops ring_transfer_ops = {ring_submit, ring_reap, true};

static enum err ring_write_begin(struct io_file *io_file, const struct io_write_options *write)
{
    struct posix_file *file = (struct posix_file *)io_file;
    posix_check_aligned(file, write->data, write->size, write->offset);
    transfer_begin(&file->transfer, &ring_transfer_ops, io_file, write);
    return OK;
}

static enum err ring_write_wait(struct io_file *io_file, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    return transfer_wait(&file->transfer, &ring_transfer_ops, io_file, file->name, error);
}

/* Asks for what is left of the file's read. */
static void submit_read(struct ring_io *io, struct posix_file *file)
{
    struct posix_read *reading = &file->reading;
    size_t left = reading->size - reading->total;
    size_t step = left < READ_SIZE_MAX ? left : READ_SIZE_MAX;
    char *target = reading->data + reading->total;
    uint64_t offset = reading->offset + reading->total;
    struct io_uring_sqe *entry = next_entry(io, TAG_READ);
    int index = buffer_index(io, target, step);
    if (index >= 0)
        io_uring_prep_read_fixed(entry, file->fd, target, (unsigned)step, offset, index);
    else
        io_uring_prep_read(entry, file->fd, target, (unsigned)step, offset);
    io_uring_sqe_set_data64(entry, TAG_READ);
    submit_entries(io, TAG_READ, TAG_READ);
}

static void ring_read_begin(struct io_file *io_file, void *data, size_t size, uint64_t offset)
{
    struct ring_io *io = (struct ring_io *)io_file->io;
    struct posix_file *file = (struct posix_file *)io_file;
    posix_check_aligned(file, data, size, offset);
    assert(!file->reading.is_pending);
    file->reading =
        (struct posix_read){.data = data, .size = size, .offset = offset, .is_pending = true};
    int result = ensure_ring(io);
    file->reading.refusal = result < 0 ? -result : 0;
    if (result == 0 && size > 0)
        submit_read(io, file);
}

static enum err ring_read_wait(struct io_file *io_file, size_t *got, struct error *error)
{
    struct ring_io *io = (struct ring_io *)io_file->io;
    struct posix_file *file = (struct posix_file *)io_file;
    struct posix_read *reading = &file->reading;
    assert(reading->is_pending);
    reading->is_pending = false;
    if (reading->refusal != 0)
        return transfer_error(error, reading->refusal, "make a ring for", file->name);
    while (reading->total < reading->size) {
        wait_for(io, TAG_READ);
        int count = io->results[TAG_READ];
        if (count < 0 && count != -EINTR && count != -EAGAIN)
            return transfer_error(error, -count, "read", file->name);
        if (count == 0)
            break;
        reading->total += count > 0 ? (size_t)count : 0;
        if (file->is_direct && reading->total % IO_ALIGNMENT != 0)
            break; /* the end of the file is inside this block */
        if (reading->total < reading->size)
            submit_read(io, file);
    }
    *got = reading->total;
    return OK;
}

static enum err ring_read(struct io_file *io_file, void *data, size_t size, uint64_t offset,
                          size_t *got, struct error *error)
{
    ring_read_begin(io_file, data, size, offset);
    return ring_read_wait(io_file, got, error);
}

static enum err ring_sync(struct io_file *io_file, struct error *error)
{
    struct ring_io *io = (struct ring_io *)io_file->io;
    struct posix_file *file = (struct posix_file *)io_file;
    int result = ensure_ring(io);
    if (result == 0) {
        struct io_uring_sqe *entry = next_entry(io, TAG_SYNC);
        io_uring_prep_fsync(entry, file->fd, IORING_FSYNC_DATASYNC);
        io_uring_sqe_set_data64(entry, TAG_SYNC);
        submit_entries(io, TAG_SYNC, TAG_SYNC);
        wait_for(io, TAG_SYNC);
        result = io->results[TAG_SYNC];
    }
    file->has_unsynced = false;
    if (result < 0)
        return transfer_error(error, -result, "sync", file->name);
    return OK;
}

static void *ring_buffer_alloc(struct io *base, size_t size)
{
    struct ring_io *io = (struct ring_io *)base;
    char *data = posix_buffer_alloc(base, size);
    for (size_t index = 0; index < REGISTERED_COUNT_MAX && size <= REGISTERED_SIZE_MAX; index++) {
        if (io->buffers[index].data != NULL)
            continue;
        io->buffers[index] = (struct ring_buffer){.data = data, .size = size};
        io->is_register_tried = false; /* on next use, by the ring's thread */
        break;
    }
    return data;
}

static void ring_buffer_free(struct io *base, void *buffer)
{
    struct ring_io *io = (struct ring_io *)base;
    if (io->is_lost)
        return; /* the kernel may still write to it */
    for (size_t index = 0; index < REGISTERED_COUNT_MAX; index++) {
        if (buffer == NULL || io->buffers[index].data != buffer)
            continue;
        memmove(&io->buffers[index], &io->buffers[index + 1],
                (REGISTERED_COUNT_MAX - 1 - index) * sizeof(io->buffers[0]));
        io->buffers[REGISTERED_COUNT_MAX - 1] = (struct ring_buffer){0};
        io->is_register_tried = false;
        break;
    }
    posix_buffer_free(base, buffer);
}

static enum err ring_clone(struct io *io, struct io **out, struct error *error)
{
    return ring_open(((struct posix_io *)io)->path, out, error);
}

static void ring_destroy(struct io *io)
{
    struct ring_io *ring = (struct ring_io *)io;
    assert(ring->waiting == 0 || ring->is_lost);
    close_ring(ring);
    posix_io_deinit((struct posix_io *)io);
    memory_free(io);
}

static const struct io_ops ring_ops = {
    .open = posix_open,
    .close = posix_close,
    .share = posix_share,
    .size = posix_size,
    .truncate = posix_truncate,
    .read = ring_read,
    .read_begin = ring_read_begin,
    .read_wait = ring_read_wait,
    .write_begin = ring_write_begin,
    .write_wait = ring_write_wait,
    .sync = ring_sync,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .sync_directory = posix_sync_directory,
    .list = posix_list,
    .space = posix_space,
    .lock = posix_lock,
    .lock_to_look = posix_lock_to_look,
    .clone = ring_clone,
    .buffer_alloc = ring_buffer_alloc,
    .buffer_free = ring_buffer_free,
    .destroy = ring_destroy,
};

enum err ring_open(const char *path, struct io **out, struct error *error)
{
    struct ring_io *io = memory_alloc_zero(sizeof(*io));
    io->posix.io = (struct io){.ops = &ring_ops, .name = "uring"};
    int refused = ensure_ring(io); /* so that a refusal shows here and not in the middle */
    if (refused < 0) {
        memory_free(io);
        return transfer_error(error, -refused, "make a ring for", path);
    }
    enum err result = posix_io_init(&io->posix, path, error);
    if (result != OK) {
        close_ring(io);
        memory_free(io);
        return result;
    }
    *out = &io->posix.io;
    return OK;
}
