/* One write and its sync, from submission to an answer: see transfer.h.
 *
 * Rules (reliability D1 to D4): both results are looked at; a short write is gone on with, and the
 * sync that was cancelled by it is asked for again behind the rest; EINTR and EAGAIN of the write
 * are tried again; a failed sync is final, because the kernel may have marked the pages clean: a
 * second one would say OK and lie. */
#include "storage/io/transfer.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define RETRY_COUNT_MAX 1000

enum err transfer_error(struct error *error, int os_error, const char *verb, const char *name)
{
    enum err code = ERR_IO;
    if (os_error == ENOSPC || os_error == EDQUOT || os_error == EFBIG)
        code = ERR_SPACE;
    else if (os_error == ENOENT)
        code = ERR_NOT_FOUND;
    else if (os_error == EEXIST)
        code = ERR_EXISTS;
    char reason[128];
    const char *text = strerror_r(os_error, reason, sizeof(reason));
    error_set(error, code, NULL, "cannot %s %s: %s", verb, name, text);
    if (error != NULL)
        error->os_error = os_error;
    return code;
}

static void submit(const struct transfer *transfer, const struct transfer_ops *ops,
                   struct io_file *file)
{
    struct io_write_options write = transfer->left;
    if (!ops->takes_parts && write.part_count > 0) {
        write.part_count = 0;
        write.sync = false;
    }
    ops->submit(file, &write);
}

static size_t size_left(const struct io_write_options *left)
{
    size_t size = left->size;
    for (size_t i = 0; i < left->part_count; i++)
        size += left->parts[i].size;
    return size;
}

void transfer_begin(struct transfer *transfer, const struct transfer_ops *ops, struct io_file *file,
                    const struct io_write_options *write)
{
    assert(!transfer->is_pending);
    assert(write->size > 0);
    assert(write->part_count <= IO_PARTS_MAX);
    transfer->left = *write;
    transfer->is_pending = true;
    if (fault_is("io.parts_forgotten"))
        transfer->left.part_count = 0;
    submit(transfer, ops, file);
}

/* Steps over what was written, in whole blocks so that direct files stay aligned. */
static void step_over(struct io_write_options *left, int64_t written)
{
    size_t step = (size_t)written;
    if (left->size % IO_ALIGNMENT == 0 && left->offset % IO_ALIGNMENT == 0)
        step -= step % IO_ALIGNMENT;
    left->offset += step;
    while (left->part_count > 0 && step >= left->size) {
        step -= left->size;
        left->data = left->parts->data;
        left->size = left->parts->size;
        left->parts++;
        left->part_count--;
    }
    left->data = (const char *)left->data + step;
    left->size -= step;
}

enum err transfer_wait(struct transfer *transfer, const struct transfer_ops *ops,
                       struct io_file *file, const char *name, struct error *error)
{
    struct io_write_options *left = &transfer->left;
    assert(transfer->is_pending);
    transfer->is_pending = false;
    for (int retry_count = 0;;) {
        struct transfer_result result;
        ops->reap(file, &result);
        if (result.written == -EINTR || result.written == -EAGAIN || result.written == 0) {
            if (++retry_count > RETRY_COUNT_MAX)
                return transfer_error(error, result.written < 0 ? (int)-result.written : EIO,
                                      "write", name);
            submit(transfer, ops, file);
            continue;
        }
        if (result.written < 0)
            return transfer_error(error, (int)-result.written, "write", name);
        if ((size_t)result.written < size_left(left)) {
            if (fault_is("io.short_write_ignored") && (size_t)result.written < left->size)
                return OK;
            if (++retry_count > RETRY_COUNT_MAX)
                return transfer_error(error, EIO, "write", name);
            step_over(left, result.written);
            submit(transfer, ops, file);
            continue;
        }
        if (left->sync && result.synced < 0 && !fault_is("io.sync_result_ignored"))
            return transfer_error(error, (int)-result.synced, "sync", name);
        return OK;
    }
}
