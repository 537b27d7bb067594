/* The plain back end: pread, pwrite, fdatasync. Where no ring may be made, and under tools that
 * cannot follow one.
 *
 * write_begin does the work at once; write_wait looks at what came of it, by the same rules as the
 * ring. */
#include "storage/io/posix.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

static void plain_submit(struct io_file *io_file, const struct io_write_options *write)
{
    struct posix_file *file = (struct posix_file *)io_file;
    ssize_t written = pwrite(file->fd, write->data, write->size, (off_t)write->offset);
    file->result.written = written < 0 ? -errno : written;
    file->result.synced = 0;
    file->has_unsynced = true;
    if (!write->sync)
        return;
    if (written < 0 || (size_t)written < write->size) {
        file->result.synced = -ECANCELED;
    } else {
        file->result.synced = fdatasync(file->fd) == 0 ? 0 : -errno;
        file->has_unsynced = false;
    }
}

static void plain_reap(struct io_file *io_file, struct transfer_result *result)
{
    *result = ((struct posix_file *)io_file)->result;
}

static const struct transfer_ops plain_transfer_ops = {plain_submit, plain_reap, false};

static enum err plain_write_begin(struct io_file *io_file, const struct io_write_options *write)
{
    struct posix_file *file = (struct posix_file *)io_file;
    posix_check_aligned(file, write->data, write->size, write->offset);
    transfer_begin(&file->transfer, &plain_transfer_ops, io_file, write);
    return OK;
}

static enum err plain_write_wait(struct io_file *io_file, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    return transfer_wait(&file->transfer, &plain_transfer_ops, io_file, file->name, error);
}

static void plain_read_begin(struct io_file *io_file, void *data, size_t size, uint64_t offset)
{
    struct posix_file *file = (struct posix_file *)io_file;
    posix_check_aligned(file, data, size, offset);
    assert(!file->reading.is_pending);
    struct posix_read *reading = &file->reading;
    *reading =
        (struct posix_read){.data = data, .size = size, .offset = offset, .is_pending = true};
    while (reading->total < size) {
        ssize_t count = pread(file->fd, reading->data + reading->total, size - reading->total,
                              (off_t)(offset + reading->total));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            reading->refusal = errno;
        if (count <= 0)
            break;
        reading->total += (size_t)count;
        if (file->is_direct && reading->total % IO_ALIGNMENT != 0)
            break; /* the end of the file is inside this block */
    }
}

static enum err plain_read_wait(struct io_file *io_file, size_t *got, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    assert(file->reading.is_pending);
    file->reading.is_pending = false;
    if (file->reading.refusal != 0)
        return transfer_error(error, file->reading.refusal, "read", file->name);
    *got = file->reading.total;
    return OK;
}

static enum err plain_read(struct io_file *io_file, void *data, size_t size, uint64_t offset,
                           size_t *got, struct error *error)
{
    plain_read_begin(io_file, data, size, offset);
    return plain_read_wait(io_file, got, error);
}

static enum err plain_sync(struct io_file *io_file, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    file->has_unsynced = false;
    if (fdatasync(file->fd) != 0)
        return transfer_error(error, errno, "sync", file->name);
    return OK;
}

static enum err plain_clone(struct io *io, struct io **out, struct error *error)
{
    return plain_open(((struct posix_io *)io)->path, out, error);
}

static void plain_destroy(struct io *io)
{
    posix_io_deinit((struct posix_io *)io);
    memory_free(io);
}

static const struct io_ops plain_ops = {
    .open = posix_open,
    .close = posix_close,
    .share = posix_share,
    .size = posix_size,
    .truncate = posix_truncate,
    .read = plain_read,
    .read_begin = plain_read_begin,
    .read_wait = plain_read_wait,
    .write_begin = plain_write_begin,
    .write_wait = plain_write_wait,
    .sync = plain_sync,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .sync_directory = posix_sync_directory,
    .list = posix_list,
    .space = posix_space,
    .lock = posix_lock,
    .lock_to_look = posix_lock_to_look,
    .clone = plain_clone,
    .buffer_alloc = posix_buffer_alloc,
    .buffer_free = posix_buffer_free,
    .destroy = plain_destroy,
};

enum err plain_open(const char *path, struct io **out, struct error *error)
{
    struct posix_io *posix = memory_alloc_zero(sizeof(*posix));
    posix->io = (struct io){.ops = &plain_ops, .name = "plain"};
    enum err result = posix_io_init(posix, path, error);
    if (result != OK) {
        memory_free(posix);
        return result;
    }
    *out = &posix->io;
    return OK;
}
