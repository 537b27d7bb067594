/* Records into pieces, and pieces into writes: what of the log is laid out, and when it goes.
 *
 *   fill piece    header + frames (length, bytes), at most 1 MiB, padded to 4,096
 *                 two buffers: one is filled while the other is written;
 *                 a large record is a piece where it lies, with the header in front of it,
 *                 up to four times as large: it needs no buffer
 *   flush         checksum; begin its write; go on. Pieces that lie where their records do wait
 *                 for the next ones: one write and one sync for all of them
 *
 * Every piece starts on a block of its own, so no sector with acknowledged bytes is ever written
 * again. The sync behind the last piece of a group covers those before it in the same file; the
 * last piece in a file is synced before the next file's header says so. All of it is the log
 * thread's. */
#include "storage/log/private.h"

#include "storage/base/fault.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Smaller records share a piece: while each piece had a write of its own, copying them cost less;
 * it has not been measured since several go in one. One that is its group has a piece of its own in
 * any case, and is copied only if it is so small that it does not matter. */
#define PLACE_MIN ((size_t)384 << 10)
#define PLACE_ALONE_SHARE 24 /* of place_min */
#define PLACE_PIECES 4       /* as many times the size of other pieces */
#define PIECE_SIZE (LOG_PIECE_SIZE_MAX / PLACE_PIECES)
#define WRITE_SIZE_MAX ((size_t)4 << 20) /* bytes of pieces after which they wait no longer */

static_assert(LOG_RECORD_SIZE_MAX <= UINT32_MAX, "the length of a record is 32 bits");
static_assert(LOG_ENTRY_HEAD == LOG_PIECE_HEADER_SIZE + LOG_FRAME_HEADER_SIZE,
              "a placed record has its piece in front of it");
static_assert(LOG_ENTRY_HEAD % 8 == 0, "records are read in place");

void log_piece_options(struct log_options *options)
{
    if (options->piece_size == 0)
        options->piece_size = PIECE_SIZE;
    if (options->place_min == 0)
        options->place_min = PLACE_MIN;
    assert(options->piece_size >= LOG_BLOCK_SIZE);
    assert(options->piece_size <= PIECE_SIZE);
    assert(options->piece_size % LOG_BLOCK_SIZE == 0);
}

size_t log_piece_padding(void)
{
    return fault_is("log.no_padding") ? 8 : LOG_BLOCK_SIZE;
}

/* --- pieces --- */

static size_t round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

enum err log_piece_wait(struct log *log, struct error *error)
{
    if (!log->is_writing)
        return OK;
    log->is_writing = false;
    enum err result = log->io->ops->write_wait(log->file, error);
    if (result != OK && fault_is("log.sync_retried"))
        result = log->io->ops->sync(log->file, error);
    return result;
}

/* What a piece of at most `size` bytes can hold here. */
static size_t capacity_of(const struct log *log, size_t size)
{
    size_t room = log->options.file_size - log->file_offset;
    return (room < size ? room : size) - LOG_PIECE_HEADER_SIZE - log->tail_size;
}

enum err log_piece_begin(struct log *log, size_t carried, struct error *error)
{
    assert(log->piece_capacity == 0);
    if (log->file != NULL && log->file_offset + LOG_BLOCK_SIZE > log->options.file_size) {
        assert(log->part_count == 0);
        enum err result = log_piece_wait(log, error);
        if (result != OK)
            return result;
        (void)log->io->ops->close(log->file, NULL); /* synced: nothing in it depends on this */
        log->file = NULL;
    }
    if (log->file == NULL) {
        enum err result = log_file_next(log, false, error);
        if (result != OK)
            return result;
    }
    log->piece_capacity = capacity_of(log, log->options.piece_size);
    log->piece = (struct log_piece_header){
        .uuid = log->uuid,
        .number = log->file_number,
        .epoch = log->epoch,
        .offset = log->file_offset + log->tail_size,
        .sequence = log->end.sequence + 1,
        .first_position = log->end.position + 1,
        .last_position = log->end.position,
        .durable_sequence = log->durable.sequence,
        .durable_position = log->durable.position,
        .previous_crc = log->end.crc,
        .carried = (uint32_t)(carried < log->piece_capacity ? carried : log->piece_capacity),
    };
    return OK;
}

static char *piece_at(const struct log *log)
{
    if (log->placed != NULL)
        return log->placed;
    return log->buffers[log->buffer_index] + log->tail_size;
}

static char *piece_room(const struct log *log)
{
    return piece_at(log) + LOG_PIECE_HEADER_SIZE + log->piece.size;
}

/* Begins the write of the pieces that wait, in one operation, once the one before it is done. */
static enum err write_parts(struct log *log, bool sync, struct error *error)
{
    enum err result = log_piece_wait(log, error);
    if (result != OK)
        return result;
    struct io_write_options write = {.data = log->parts[0].data,
                                     .size = log->parts[0].size,
                                     .parts = log->writing,
                                     .part_count = log->part_count - 1,
                                     .offset = log->parts_offset,
                                     .sync = sync};
    memcpy(log->writing, log->parts + 1, write.part_count * sizeof(log->parts[0]));
    log->part_count = 0;
    result = log->io->ops->write_begin(log->file, &write);
    if (result != OK)
        return error_set(error, result, NULL, "cannot begin to write log file %" PRIu64,
                         log->file_number);
    log->is_writing = true;
    return OK;
}

enum err log_piece_flush(struct log *log, bool sync, struct error *error)
{
    struct log_piece_header *piece = &log->piece;
    assert(log->piece_capacity > 0);
    log_piece_encode(piece, piece_at(log));
    size_t used = log->tail_size + LOG_PIECE_HEADER_SIZE + piece->size;
    size_t padded = round_up(used, LOG_BLOCK_SIZE);
    char *buffer = piece_at(log) - log->tail_size;
    memset(buffer + used, 0, padded - used);
    uint64_t next_offset = log->file_offset + round_up(used, log_piece_padding());
    bool is_last = next_offset + LOG_BLOCK_SIZE > log->options.file_size;
    uint64_t offset = log->file_offset;
    if (log->part_count == 0)
        log->parts_offset = offset;
    log->parts[log->part_count++] = (struct io_part){buffer, padded};
    bool is_waiting = log->placed != NULL && !sync && !is_last &&
                      log->part_count < array_count(log->parts) &&
                      next_offset - log->parts_offset < WRITE_SIZE_MAX;
    enum err result = is_waiting ? OK : write_parts(log, sync || is_last, error);
    if (result != OK)
        return result;
    metric_add(&metrics.log_bytes, (int64_t)padded);
    log->appended += padded;
    log->end = (struct log_point){.file_number = log->file_number,
                                  .sequence = piece->sequence,
                                  .position = piece->last_position,
                                  .crc = piece->crc};
    log->file_offset = next_offset / LOG_BLOCK_SIZE * LOG_BLOCK_SIZE;
    log->tail_size = next_offset % LOG_BLOCK_SIZE;
    if (log->placed == NULL)
        log->buffer_index ^= 1;
    memcpy(log->buffers[log->buffer_index], buffer + (log->file_offset - offset), log->tail_size);
    log->placed = NULL;
    log->piece_capacity = 0;
    return OK;
}

/* --- records --- */

static void put_frame(struct log *log, size_t size)
{
    char *frame = piece_room(log);
    uint32_t length = (uint32_t)size;
    memset(frame, 0, LOG_FRAME_HEADER_SIZE);
    memcpy(frame, &length, sizeof(length));
    log->piece.size += LOG_FRAME_HEADER_SIZE;
}

/* Where there is room around the record for a piece's header and for what fills its last block, and
 * the record is large enough for a piece of its own. */
static bool can_place(const struct log *log, const struct log_entry *entry, bool is_alone)
{
    size_t used = LOG_ENTRY_HEAD + entry->payload.size;
    size_t size_min =
        is_alone ? log->options.place_min / PLACE_ALONE_SHARE : log->options.place_min;
    return entry->room != 0 && entry->payload.size >= size_min &&
           entry->room >= round_up(used, LOG_BLOCK_SIZE) - LOG_ENTRY_HEAD && log->tail_size == 0 &&
           used <= PLACE_PIECES * log->options.piece_size &&
           log_piece_padding() == LOG_BLOCK_SIZE &&
           !fault_is("log.ack_before_sync"); /* that one forgets the record before it is written */
}

/* The record becomes a piece without being copied, unless this file ends too soon for it. */
static enum err place_record(struct log *log, const struct log_entry *entry, bool *is_placed,
                             struct error *error)
{
    enum err result = OK;
    *is_placed = false;
    if (log->piece_capacity != 0 && log->piece.size != 0)
        result = log_piece_flush(log, false, error);
    if (result == OK && log->piece_capacity == 0)
        result = log_piece_begin(log, 0, error);
    size_t capacity = capacity_of(log, PLACE_PIECES * log->options.piece_size);
    if (result != OK || capacity < LOG_FRAME_HEADER_SIZE + entry->payload.size)
        return result;
    log->piece_capacity = capacity;
    log->placed = (char *)(uintptr_t)entry->payload.data - LOG_ENTRY_HEAD;
    assert((uintptr_t)log->placed % LOG_BLOCK_SIZE == 0);
    put_frame(log, entry->payload.size);
    log->piece.size += (uint32_t)entry->payload.size;
    *is_placed = true;
    return OK;
}

static enum err copy_record(struct log *log, const struct log_entry *entry, struct error *error)
{
    enum err result = OK;
    bool is_full =
        log->placed != NULL || log->piece_capacity - log->piece.size < LOG_FRAME_HEADER_SIZE;
    if (log->piece_capacity != 0 && is_full)
        result = log_piece_flush(log, false, error);
    if (result == OK && log->piece_capacity == 0)
        result = log_piece_begin(log, 0, error);
    if (result != OK)
        return result;
    put_frame(log, entry->payload.size);
    size_t done = 0;
    for (;;) {
        size_t step = log->piece_capacity - log->piece.size;
        if (step > entry->payload.size - done)
            step = entry->payload.size - done;
        if (step > 0)
            memcpy(piece_room(log), entry->payload.data + done, step);
        log->piece.size += (uint32_t)step;
        done += step;
        if (done == entry->payload.size)
            return OK;
        result = log_piece_flush(log, false, error);
        if (result == OK)
            result = log_piece_begin(log, entry->payload.size - done, error);
        if (result != OK)
            return result;
    }
}

enum err log_piece_add(struct log *log, const struct log_entry *entry, bool is_alone,
                       struct error *error)
{
    bool is_placed = false;
    enum err result = OK;
    if (can_place(log, entry, is_alone))
        result = place_record(log, entry, &is_placed, error);
    if (result == OK && !is_placed)
        result = copy_record(log, entry, error);
    if (result != OK)
        return result;
    log->piece.last_position++;
    assert(entry->position == log->piece.last_position || fault_is("log.accepts_after_failure"));
    return OK;
}
