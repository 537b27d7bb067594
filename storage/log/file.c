/* Log files: made ahead of need, taken into use one after another.
 *
 *   prepare   create, write zeros over the whole length, sync, sync the directory      (0.1 s for
 * 64 MiB) next      open, write block 0 with where the log ended before it                   (one
 * write, no sync) abandon   after a failure: never written to again; the next file's header cuts it
 * off
 * recycle   a file whose records are all sealed or in checkpoints waits as a spare; preparing then
 *           is a rename
 *
 * A file whose block 0 is not valid does not count: it was prepared and not yet used. Numbers only
 * go up. Zeros are written once because overwriting written blocks needs no journal commit:
 * measured, 8 ms become 0.3 ms. The preparing thread keeps one file ahead; a commit waits for it
 * only when it writes a whole file faster, and hurries it then: it writes two bytes of zeros for
 * each byte of log. */
#include "storage/log/private.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <string.h>

#define ZEROS_SIZE ((size_t)2 << 20) /* a huge page */
#define PACE 2            /* bytes of zeros for each byte of log */
#define PACE_LEAD_SHARE 8 /* of a file, at once */
#define PACE_STEPS_MIN 16

/* --- spare files --- */

/* A spare file under a new name. Its header still has the old number, so it does not count before a
 * new one is written, and its pieces have the old number and epoch: they never count again. */
static bool take_spare(struct log *log, struct io *io, uint64_t number)
{
    mutex_lock(&log->mutex);
    uint64_t spare = log->spare_count > 0 ? log->spares[--log->spare_count] : 0;
    mutex_unlock(&log->mutex);
    if (spare == 0)
        return false;
    char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE];
    log_file_name(log->options.directory, spare, from, sizeof(from));
    log_file_name(log->options.directory, number, to, sizeof(to));
    enum err result = io->ops->rename(io, from, to, NULL);
    if (result == OK && !fault_is("log.no_directory_sync"))
        result = io->ops->sync_directory(io, log->options.directory, NULL);
    if (result == OK)
        return true;
    /* Under whichever name it is, recovery removes it. */
    (void)io->ops->unlink(io, from, NULL);
    (void)io->ops->unlink(io, to, NULL);
    mutex_lock(&log->mutex);
    log->file_count--;
    log->byte_count -= log->options.file_size;
    mutex_unlock(&log->mutex);
    return false;
}

void log_file_keep(struct log *log, const struct log_kept *kept)
{
    mutex_lock(&log->mutex);
    if (log->kept_count == log->kept_capacity) {
        log->kept_capacity = log->kept_capacity * 2 + 16;
        log->kept = memory_realloc(log->kept, log->kept_capacity * sizeof(*log->kept));
    }
    log->kept[log->kept_count++] = *kept;
    mutex_unlock(&log->mutex);
}

uint64_t log_first_file_after(struct log *log, uint64_t position)
{
    mutex_lock(&log->mutex);
    size_t index = 0;
    while (index + 1 < log->kept_count && log->kept[index + 1].first_position <= position)
        index++;
    uint64_t number = log->kept_count > 0 ? log->kept[index].number : 0;
    mutex_unlock(&log->mutex);
    return number;
}

/* Takes the oldest file off the list if nothing in it is needed; *is_spare: it is kept for reuse.
 */
static bool take_oldest(struct log *log, uint64_t position, struct log_kept *oldest, bool *is_spare)
{
    mutex_lock(&log->mutex);
    bool is_free = log->kept_count > 1 && log->kept[1].first_position <= position;
    if (is_free) {
        *oldest = log->kept[0];
        log->kept_count--;
        memmove(&log->kept[0], &log->kept[1], log->kept_count * sizeof(*log->kept));
        *is_spare = oldest->size == log->options.file_size && log->spare_count < LOG_SPARE_FILES;
        if (*is_spare) {
            log->spares[log->spare_count++] = oldest->number;
        } else {
            log->file_count--;
            log->byte_count -= oldest->size;
        }
    }
    mutex_unlock(&log->mutex);
    return is_free;
}

void log_recycle(struct log *log, uint64_t position)
{
    struct log_kept oldest;
    bool is_spare;
    while (take_oldest(log, position, &oldest, &is_spare)) {
        char name[LOG_PATH_SIZE];
        log_file_name(log->options.directory, oldest.number, name, sizeof(name));
        if (!is_spare && log->recycle_io->ops->unlink(log->recycle_io, name, NULL) != OK)
            logger_write(LOG_WARN, "cannot remove an old log file, the next start does file=%s",
                         name);
    }
}

/* --- new files --- */

/* The preparing thread, before it writes zeros at `offset`: does not run far ahead of the log. A
 * whole file of zeros at once is a burst that every sync of the log meanwhile has to wait behind.
 */
static void keep_pace(struct log *log, uint64_t offset)
{
    uint64_t lead = log->options.file_size / PACE_LEAD_SHARE;
    if (offset <= lead)
        return;
    mutex_lock(&log->mutex);
    log->pace_goal = (offset - lead) / PACE;
    while (!log->is_prepare_hurried && !log->is_prepare_stopping && log->progress < log->pace_goal)
        condition_wait(&log->prepare_changed, &log->mutex);
    log->pace_goal = 0;
    mutex_unlock(&log->mutex);
}

static enum err write_zeros(struct log *log, struct io *io, struct io_file *file,
                            struct error *error)
{
    size_t file_size = log->options.file_size;
    bool is_ahead = log->prepare_thread != NULL && io == log->prepare_io;
    size_t step_max = is_ahead ? file_size / PACE_STEPS_MIN : file_size;
    step_max = step_max < ZEROS_SIZE ? step_max / LOG_BLOCK_SIZE * LOG_BLOCK_SIZE : ZEROS_SIZE;
    step_max = step_max < LOG_BLOCK_SIZE ? LOG_BLOCK_SIZE : step_max;
    char *zeros = memset(io_buffer_alloc(io, step_max), 0, step_max);
    enum err result = OK;
    for (size_t offset = 0; offset < file_size && result == OK; offset += step_max) {
        size_t left = file_size - offset;
        if (is_ahead)
            keep_pace(log, offset);
        struct io_write_options write = {
            .data = zeros, .size = left < step_max ? left : step_max, .offset = offset};
        result = io->ops->write_begin(file, &write);
        if (result == OK)
            result = io->ops->write_wait(file, error);
    }
    if (result == OK)
        result = io->ops->sync(file, error);
    io_buffer_free(io, zeros);
    return result;
}

enum err log_file_prepare(struct log *log, struct io *io, uint64_t number, struct error *error)
{
    if (take_spare(log, io, number))
        return OK;
    char name[LOG_PATH_SIZE];
    log_file_name(log->options.directory, number, name, sizeof(name));
    struct io_file *file;
    enum err result = io->ops->open(io, name, IO_CREATE | IO_WRITE | IO_DIRECT, &file, error);
    if (result != OK)
        return result;
    result = write_zeros(log, io, file, error);
    enum err closed = io->ops->close(file, result == OK ? error : NULL);
    if (result == OK)
        result = closed;
    if (result == OK && !fault_is("log.no_directory_sync"))
        result = io->ops->sync_directory(io, log->options.directory, error);
    if (result != OK) {
        /* Give the space back; if that fails too, recovery does it. */
        if (io->ops->unlink(io, name, NULL) != OK)
            logger_write(LOG_WARN, "a half-made log file stays file=%s", name);
        return result;
    }
    mutex_lock(&log->mutex);
    log->file_count++;
    log->byte_count += log->options.file_size;
    mutex_unlock(&log->mutex);
    return OK;
}

/* The number of a file that is ready; waits for the preparing thread if it is at it. */
static enum err take_prepared(struct log *log, uint64_t *number, struct error *error)
{
    mutex_lock(&log->mutex);
    log->is_prepare_hurried = true;
    condition_broadcast(&log->prepare_changed);
    while (log->prepare_thread != NULL &&
           (log->prepare_state == PREPARE_WANTED || log->prepare_state == PREPARE_RUNNING))
        condition_wait(&log->prepare_changed, &log->mutex);
    log->is_prepare_hurried = false;
    if (log->prepare_state == PREPARE_READY) {
        *number = log->prepared_number;
        log->prepare_state = PREPARE_IDLE;
        mutex_unlock(&log->mutex);
        return OK;
    }
    *number = ++log->last_number;
    log->prepare_state = PREPARE_IDLE;
    mutex_unlock(&log->mutex);
    return log_file_prepare(log, log->io, *number, error);
}

/* A file that could not be taken into use. What its header may say is true and no later file builds
 * on it, so recovery does not care whether it is there; if it cannot be removed now, the next start
 * does it. */
static void discard_file(struct log *log, const char *name)
{
    if (log->io->ops->unlink(log->io, name, NULL) != OK)
        return;
    mutex_lock(&log->mutex);
    log->file_count--;
    log->byte_count -= log->options.file_size;
    mutex_unlock(&log->mutex);
}

enum err log_file_next(struct log *log, bool sync, struct error *error)
{
    assert(log->file == NULL);
    assert(!log->is_writing);
    uint64_t number;
    enum err result = take_prepared(log, &number, error);
    if (result != OK)
        return result;
    char name[LOG_PATH_SIZE];
    log_file_name(log->options.directory, number, name, sizeof(name));
    struct io_file *file;
    result = log->io->ops->open(log->io, name, IO_WRITE | IO_DIRECT, &file, error);
    if (result != OK) {
        discard_file(log, name);
        return result;
    }
    if (log->must_cut)
        log->epoch++;
    log->must_cut = false;
    struct log_file_header header = {
        .uuid = log->uuid,
        .number = number,
        .epoch = log->epoch,
        .size = log->options.file_size,
        .previous = log->end,
    };
    log_file_header_encode(&header, log->header_block);
    struct io_write_options write = {
        .data = log->header_block, .size = LOG_BLOCK_SIZE, .sync = sync};
    result = log->io->ops->write_begin(file, &write);
    if (result == OK)
        result = log->io->ops->write_wait(file, error);
    if (result != OK) {
        /* Whether it stands there or not, what it says is true; the next one must be told apart
         * from it. */
        log->must_cut = true;
        (void)log->io->ops->close(file, NULL);
        discard_file(log, name);
        return result;
    }
    log_file_keep(log, &(struct log_kept){.number = number,
                                          .first_position = log->end.position + 1,
                                          .size = log->options.file_size});
    log->file = file;
    log->file_number = number;
    log->file_offset = LOG_BLOCK_SIZE;
    log->tail_size = 0;
    log_prepare_want(log);
    return OK;
}

void log_file_abandon(struct log *log)
{
    if (log->is_writing)
        (void)log->io->ops->write_wait(log->file, NULL);
    log->is_writing = false;
    if (log->file != NULL)
        (void)log->io->ops->close(log->file, NULL);
    log->file = NULL;
    log->piece_capacity = 0;
}

/* --- the preparing thread --- */

void log_prepare_want(struct log *log)
{
    mutex_lock(&log->mutex);
    log->progress = log->file_offset;
    if (log->prepare_thread != NULL &&
        (log->prepare_state == PREPARE_IDLE || log->prepare_state == PREPARE_FAILED)) {
        log->prepare_state = PREPARE_WANTED;
        condition_broadcast(&log->prepare_changed);
    }
    mutex_unlock(&log->mutex);
}

void log_prepare_run(void *context)
{
    struct log *log = context;
    mutex_lock(&log->mutex);
    for (;;) {
        while (log->prepare_state != PREPARE_WANTED && !log->is_prepare_stopping)
            condition_wait(&log->prepare_changed, &log->mutex);
        if (log->is_prepare_stopping) /* the log thread is gone by now: nobody waits for a file */
            break;
        log->prepare_state = PREPARE_RUNNING;
        uint64_t number = ++log->last_number;
        mutex_unlock(&log->mutex);
        struct error error;
        enum err result = log_file_prepare(log, log->prepare_io, number, &error);
        if (result != OK)
            logger_write(LOG_WARN, "cannot make the next log file ahead reason=\"%s\"", error.text);
        mutex_lock(&log->mutex);
        log->prepare_state = result == OK ? PREPARE_READY : PREPARE_FAILED;
        log->prepared_number = number;
        condition_broadcast(&log->prepare_changed);
    }
    mutex_unlock(&log->mutex);
}
