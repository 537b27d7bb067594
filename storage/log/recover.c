/* Recovery: from a directory of log files to records in order and the point where the log ends.
 *
 *   names -> headers -> chain            the newest valid header and, by its `previous`, every file
 * before it; what is not on the chain was never used, or was abandoned and written anew chain,
 * oldest first -> pieces        each must repeat the checksum of the one before, number, epoch,
 * offset and sequence: stale bytes of another life of the sectors fail on one of them pieces ->
 * records                    a record that a cut left half written is dropped
 *
 * Where a piece is missing, was it acknowledged? A later header says up to which sequence the log
 * was durable, and every valid piece does too. If either reaches the missing one, acknowledged data
 * is damaged: refuse, and say where. Else it is the torn tail of groups nobody was told about: cut
 * it.
 *
 * Files are synced before they are read: what only the drive's cache holds may be seen now and be
 * gone after the next power cut, and by then clients have been answered from it. Cost: one pass of
 * big direct reads, each under way while the bytes before it are checked and replayed; CRC32C over
 * all, records inside one piece are handed on without a copy. */
#include "storage/log/private.h"
#include "storage/log/window.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct found_file {
    uint64_t number;
    uint64_t size;
    struct log_file_header header;
    bool is_valid;
    bool is_on_chain;
    bool has_pieces; /* looked for in files that do not count: such a one is not used again */
};

struct recovery {
    struct log *log;
    struct found_file *files;
    size_t count, capacity;
    struct window window;
    uint64_t file_size;     /* of the file that is open */
    uint32_t version;       /* of the file that is replayed */
    struct log_point point; /* end of what is read */
    uint64_t end_offset;    /* of it, in the file the point names */
    struct writer partial;  /* of the record that is not whole yet */
    size_t partial_left;
    bool is_skipping; /* what the first piece goes on with began in a file that is not read */
    uint64_t record_position; /* of the last whole record */
    bool is_cut;              /* by damage, with recover_point_in_time: nothing behind counts */
    bool is_to_look;          /* nothing is going to be written */
};

static void add_name(void *context, const char *name)
{
    struct recovery *recovery = context;
    uint64_t number = log_file_number(name);
    if (number == 0)
        return;
    if (recovery->count == recovery->capacity) {
        recovery->capacity = recovery->capacity * 2 + 16;
        recovery->files =
            memory_realloc(recovery->files, recovery->capacity * sizeof(*recovery->files));
    }
    recovery->files[recovery->count++] = (struct found_file){.number = number};
}

static enum err open_reader(struct recovery *recovery, uint64_t number, bool sync,
                            struct error *error)
{
    struct log *log = recovery->log;
    const struct io_ops *ops = log->io->ops;
    char name[LOG_PATH_SIZE];
    log_file_name(log->options.directory, number, name, sizeof(name));
    struct io_file *file;
    int flags = IO_DIRECT | (recovery->is_to_look ? 0 : IO_WRITE);
    enum err result = ops->open(log->io, name, flags, &file, error);
    if (result != OK)
        return result;
    if (sync && !recovery->is_to_look && !fault_is("log.recovery_trusts_cache"))
        result = ops->sync(file, error);
    if (result == OK)
        result = ops->size(file, &recovery->file_size, error);
    if (result != OK) {
        (void)ops->close(file, NULL);
        return result;
    }
    /* The first pass, which syncs, looks at block 0 only. */
    log_window_open(&recovery->window, file, recovery->file_size,
                    sync ? LOG_BLOCK_SIZE : LOG_WINDOW_SIZE);
    return OK;
}

static void close_reader(struct recovery *recovery)
{
    (void)recovery->log->io->ops->close(log_window_close(&recovery->window), NULL);
}

static enum err read_piece(struct recovery *recovery, uint64_t offset, const char **data,
                           struct log_piece_header *piece, bool *is_valid, struct error *error)
{
    struct window *window = &recovery->window;
    size_t available;
    *is_valid = false;
    enum err result =
        log_window_look(window, offset, LOG_PIECE_HEADER_SIZE, data, &available, error);
    if (result != OK || available < LOG_PIECE_HEADER_SIZE || !log_piece_is_likely(*data))
        return result;
    uint32_t size = log_piece_content_size(*data);
    if (size > LOG_PIECE_SIZE_MAX - LOG_PIECE_HEADER_SIZE)
        return OK;
    result = log_window_look(window, offset, LOG_PIECE_HEADER_SIZE + size, data, &available, error);
    if (result == OK)
        *is_valid = log_piece_decode(*data, available, piece) && piece->offset == offset &&
                    piece->number != 0;
    return result;
}

/* --- headers and the chain --- */

static enum err read_headers(struct recovery *recovery, struct error *error)
{
    for (size_t index = 0; index < recovery->count; index++) {
        struct found_file *found = &recovery->files[index];
        enum err result = open_reader(recovery, found->number, true, error);
        if (result != OK)
            return result;
        const char *data;
        size_t available;
        uint32_t version = 0;
        result = log_window_look(&recovery->window, 0, LOG_BLOCK_SIZE, &data, &available, error);
        found->size = recovery->file_size;
        if (result == OK && available >= LOG_BLOCK_SIZE)
            found->is_valid = log_file_header_decode(data, &found->header, &version) &&
                              found->header.number == found->number;
        close_reader(recovery);
        if (result != OK)
            return result;
        if (version > LOG_VERSION)
            return error_set(error, ERR_CORRUPT, NULL,
                             "log file log-%016" PRIx64 ".flog has format version %u; this program"
                             " knows versions up to %u",
                             found->number, version, LOG_VERSION);
    }
    return OK;
}

static struct found_file *find_file(struct recovery *recovery, uint64_t number)
{
    for (size_t index = 0; index < recovery->count; index++)
        if (recovery->files[index].number == number)
            return &recovery->files[index];
    return NULL;
}

/* Acknowledged data is not what was written. With point-in-time recovery: note it and let the
 * caller cut. */
static enum err report_damage(struct recovery *recovery, uint64_t number, uint64_t offset,
                              uint64_t last_position, struct error *error)
{
    char name[LOG_PATH_SIZE];
    log_file_name(recovery->log->options.directory, number, name, sizeof(name));
    char range[64];
    if (last_position > recovery->record_position)
        snprintf(range, sizeof(range), "%" PRIu64 " to %" PRIu64, recovery->record_position + 1,
                 last_position);
    else
        snprintf(range, sizeof(range), "from %" PRIu64 " on", recovery->record_position + 1);
    if (recovery->log->options.recover_point_in_time) {
        logger_write(LOG_ERROR,
                     "the log is damaged and is cut there, as asked file=%s offset=%" PRIu64
                     " positions=\"%s\"",
                     name, offset, range);
        recovery->is_cut = true;
        return OK;
    }
    error_set(error, ERR_CORRUPT, NULL,
              "log file %s is damaged at offset %" PRIu64 ": acknowledged records, positions %s,"
              " cannot be read",
              name, offset, range);
    error_hint(error,
               "Restore the file, or start with recovery to a point in time, which drops these "
               "records and every later one.");
    return ERR_CORRUPT;
}

/* The newest file before `number` that counts. */
static struct found_file *newest_before(struct recovery *recovery, uint64_t number)
{
    struct found_file *newest = NULL;
    for (size_t index = 0; index < recovery->count; index++) {
        recovery->files[index].is_on_chain = false;
        if (recovery->files[index].is_valid && recovery->files[index].number < number)
            newest = &recovery->files[index];
    }
    return newest;
}

/* Marks the chain; *newest is its head, NULL if no file counts. */
static enum err mark_chain(struct recovery *recovery, struct found_file **newest,
                           struct error *error)
{
    *newest = newest_before(recovery, UINT64_MAX);
    struct found_file *at = *newest;
    while (at != NULL) {
        at->is_on_chain = true;
        uint64_t number = at->header.previous.file_number;
        if (number == 0 || number < recovery->log->options.keep_file)
            return OK;
        struct found_file *before = find_file(recovery, number);
        bool is_ours = before != NULL && before->is_valid &&
                       before->header.uuid.low == at->header.uuid.low &&
                       before->header.uuid.high == at->header.uuid.high;
        if (!is_ours && at->number <= recovery->log->options.first_file)
            return OK; /* of the older checkpoint's part of the log, which is not read */
        if (!is_ours) {
            enum err result =
                report_damage(recovery, number, 0, at->header.previous.position, error);
            if (result != OK)
                return result;
            recovery->is_cut = false; /* what is older than the lost file can still be read */
            before = *newest = newest_before(recovery, number);
        }
        at = before;
    }
    return OK;
}

/* --- records --- */

static enum err give_record(struct recovery *recovery, struct slice payload, struct error *error)
{
    struct log *log = recovery->log;
    recovery->record_position++;
    if (log->options.replay == NULL)
        return OK;
    return log->options.replay(log->options.context, recovery->record_position, payload, error);
}

static enum err bad_content(const struct log_piece_header *piece, struct error *error)
{
    return error_set(error, ERR_CORRUPT, NULL,
                     "log file log-%016" PRIx64 ".flog, offset %" PRIu64
                     ": a piece with a valid checksum has content that makes no sense",
                     piece->number, piece->offset);
}

/* The rest of a record that began before the first file that is read: nobody needs it. */
static enum err skip_carried(struct recovery *recovery, const struct log_piece_header *piece,
                             struct reader *reader, struct error *error)
{
    (void)reader_bytes(reader, piece->carried);
    if (reader->failed)
        return bad_content(piece, error);
    bool is_whole = piece->carried > 0 && piece->last_position >= piece->first_position;
    if (is_whole)
        recovery->record_position++;
    recovery->is_skipping = piece->carried > 0 && !is_whole;
    return OK;
}

static enum err take_carried(struct recovery *recovery, const struct log_piece_header *piece,
                             struct reader *reader, struct error *error)
{
    if (recovery->is_skipping)
        return skip_carried(recovery, piece, reader, error);
    if (piece->carried > recovery->partial_left)
        return bad_content(piece, error);
    if (recovery->partial_left == 0)
        return OK;
    struct slice bytes = reader_bytes(reader, piece->carried);
    writer_slice(&recovery->partial, bytes);
    recovery->partial_left -= piece->carried;
    if (recovery->partial_left > 0)
        return piece->carried == piece->size ? OK : bad_content(piece, error);
    enum err result = give_record(recovery, writer_as_slice(&recovery->partial), error);
    writer_reset(&recovery->partial);
    return result;
}

/* The length of the next record. Version 1 had no padding behind it: records were misaligned. */
static size_t take_frame(struct recovery *recovery, struct reader *reader)
{
    size_t size = reader_u32(reader);
    if (recovery->version > 1)
        (void)reader_u32(reader);
    return size;
}

static enum err take_content(struct recovery *recovery, const struct log_piece_header *piece,
                             const char *content, struct error *error)
{
    struct reader reader = reader_of(slice_of(content, piece->size));
    enum err result = take_carried(recovery, piece, &reader, error);
    while (result == OK && reader_left(&reader) > 0) {
        size_t size = take_frame(recovery, &reader);
        if (reader.failed || size > LOG_RECORD_SIZE_MAX)
            return bad_content(piece, error);
        if (size <= reader_left(&reader)) {
            result = give_record(recovery, reader_bytes(&reader, size), error);
            continue;
        }
        size_t here = reader_left(&reader);
        writer_slice(&recovery->partial, reader_bytes(&reader, here));
        recovery->partial_left = size - here;
    }
    if (result == OK && recovery->record_position != piece->last_position)
        return bad_content(piece, error);
    return result;
}

/* --- pieces --- */

static bool is_next(const struct recovery *recovery, const struct found_file *found,
                    const struct log_piece_header *piece)
{
    return piece->uuid.low == found->header.uuid.low &&
           piece->uuid.high == found->header.uuid.high && piece->number == found->number &&
           piece->epoch == found->header.epoch && piece->sequence == recovery->point.sequence + 1 &&
           piece->previous_crc == recovery->point.crc &&
           piece->first_position == recovery->record_position + 1;
}

/* Looks behind the first invalid piece for a witness that it had been acknowledged. */
static enum err find_witness(struct recovery *recovery, struct found_file *found,
                             const struct log_file_header *newest, uint64_t offset, bool *is_damage,
                             uint64_t *last_position, struct error *error)
{
    uint64_t missing = recovery->point.sequence + 1;
    *is_damage = false;
    *last_position = 0;
    offset = offset / LOG_BLOCK_SIZE * LOG_BLOCK_SIZE;
    for (; offset < recovery->file_size; offset += LOG_BLOCK_SIZE) {
        const char *data;
        struct log_piece_header piece;
        bool is_valid;
        enum err result = read_piece(recovery, offset, &data, &piece, &is_valid, error);
        if (result != OK)
            return result;
        if (!is_valid || piece.number != found->number)
            continue;
        found->has_pieces = true;
        bool is_ours = newest == NULL ||
                       (piece.uuid.low == newest->uuid.low &&
                        piece.uuid.high == newest->uuid.high && piece.epoch >= newest->epoch);
        /* Without any valid header: the first one is synced before any piece is written. */
        if (is_ours && (piece.durable_sequence >= missing || newest == NULL)) {
            *is_damage = true;
            if (piece.durable_position > *last_position)
                *last_position = piece.durable_position;
        }
    }
    return OK;
}

/* The tail of the newest file: cut, or damage. */
static enum err judge_tail(struct recovery *recovery, struct found_file *found, uint64_t offset,
                           struct error *error)
{
    bool is_damage;
    uint64_t last_position;
    enum err result =
        find_witness(recovery, found, &found->header, offset, &is_damage, &last_position, error);
    if (result != OK || !is_damage)
        return result;
    return report_damage(recovery, found->number, offset, last_position, error);
}

static enum err read_file(struct recovery *recovery, struct found_file *found,
                          const struct found_file *next, struct error *error)
{
    uint64_t limit = next == NULL ? UINT64_MAX : next->header.previous.sequence;
    if (fault_is("log.no_epoch_check")) {
        limit = UINT64_MAX;
        recovery->point = found->header.previous;
        recovery->record_position = found->header.previous.position;
    }
    recovery->version = found->header.version;
    uint64_t offset = LOG_BLOCK_SIZE;
    enum err result = OK;
    while (recovery->point.sequence < limit) {
        const char *data;
        struct log_piece_header piece;
        bool is_valid;
        result = read_piece(recovery, offset, &data, &piece, &is_valid, error);
        if (result != OK)
            return result;
        if (!is_valid || !is_next(recovery, found, &piece))
            break;
        result = take_content(recovery, &piece, data + LOG_PIECE_HEADER_SIZE, error);
        if (result != OK)
            return result;
        recovery->point = (struct log_point){
            .file_number = found->number, .sequence = piece.sequence, .crc = piece.crc};
        size_t padding = log_piece_padding();
        uint64_t size = (LOG_PIECE_HEADER_SIZE + piece.size + padding - 1) / padding * padding;
        offset += size;
        recovery->log->appended += size;
        recovery->end_offset = offset;
    }
    recovery->log->file_offset = offset;
    if (next == NULL)
        return judge_tail(recovery, found, offset, error);
    if (recovery->point.sequence < limit && !fault_is("log.no_epoch_check"))
        return report_damage(recovery, found->number, offset, next->header.previous.position,
                             error);
    return OK;
}

/* At the border of two epochs what was begun before and not finished is dropped. */
static void enter_file(struct recovery *recovery, const struct found_file *before,
                       const struct found_file *found)
{
    if (before != NULL && before->header.epoch == found->header.epoch)
        return;
    writer_reset(&recovery->partial);
    recovery->partial_left = 0;
    recovery->is_skipping = false;
}

/* The first file that is read: where it says the log stood is where reading begins. */
static void begin_chain(struct recovery *recovery, const struct found_file *first)
{
    recovery->point = first->header.previous;
    recovery->record_position = first->header.previous.position;
    recovery->is_skipping = true;
    if (recovery->record_position < recovery->log->options.first_position - 1)
        recovery->record_position = recovery->log->options.first_position - 1;
}

static enum err read_chain(struct recovery *recovery, struct error *error)
{
    struct found_file *before = NULL;
    for (size_t index = 0; index < recovery->count && !recovery->is_cut; index++) {
        struct found_file *found = &recovery->files[index];
        if (!found->is_on_chain || found->number < recovery->log->options.first_file)
            continue;
        struct found_file *next = NULL;
        for (size_t later = index + 1; later < recovery->count && next == NULL; later++)
            if (recovery->files[later].is_on_chain)
                next = &recovery->files[later];
        enter_file(recovery, before, found);
        if (before == NULL && found->header.previous.file_number != 0)
            begin_chain(recovery, found);
        enum err result = open_reader(recovery, found->number, false, error);
        if (result != OK)
            return result;
        result = read_file(recovery, found, next, error);
        close_reader(recovery);
        if (result != OK)
            return result;
        before = found;
    }
    return OK;
}

/* Files newer than the chain whose header is not valid: prepared and unused, unless a piece in them
 * says else. */
static enum err check_unborn(struct recovery *recovery, const struct found_file *newest,
                             struct error *error)
{
    for (size_t index = 0; index < recovery->count && !recovery->is_cut; index++) {
        struct found_file *found = &recovery->files[index];
        if (found->is_valid || (newest != NULL && found->number < newest->number))
            continue;
        enum err result = open_reader(recovery, found->number, false, error);
        if (result != OK)
            return result;
        bool is_damage;
        uint64_t last_position;
        result = find_witness(recovery, found, newest == NULL ? NULL : &newest->header,
                              LOG_BLOCK_SIZE, &is_damage, &last_position, error);
        close_reader(recovery);
        if (result == OK && is_damage)
            result = report_damage(recovery, found->number, 0, last_position, error);
        if (result != OK)
            return result;
    }
    return OK;
}

/* --- the new file --- */

/* A prepared file that was never used serves as the next one. Not one whose header was lost but
 * whose pieces were not: under a new header of the same epoch, drawn again from the same older
 * files, they would be valid again. */
static void adopt_prepared(struct recovery *recovery, const struct found_file *newest)
{
    struct log *log = recovery->log;
    for (size_t index = 0; index < recovery->count; index++) {
        struct found_file *found = &recovery->files[index];
        bool is_blank = !found->is_valid && !found->has_pieces;
        bool is_newer = newest == NULL || found->number > newest->number;
        if (!is_blank || !is_newer || recovery->is_cut || found->size != log->options.file_size)
            continue;
        log->prepare_state = PREPARE_READY;
        log->prepared_number = found->number;
        found->is_on_chain = true; /* so that it is not removed */
        return;
    }
}

static enum err remove_unused(struct recovery *recovery, struct error *error)
{
    struct log *log = recovery->log;
    const struct io_ops *ops = log->io->ops;
    bool is_any = false;
    for (size_t index = 0; index < recovery->count; index++) {
        struct found_file *found = &recovery->files[index];
        if (found->is_on_chain &&
            (found->is_valid == false || found->number <= log->end.file_number))
            continue;
        char name[LOG_PATH_SIZE];
        log_file_name(log->options.directory, found->number, name, sizeof(name));
        enum err result = ops->unlink(log->io, name, error);
        if (result != OK)
            return result;
        is_any = true;
        log->file_count--;
        log->byte_count -= found->size;
    }
    return is_any ? ops->sync_directory(log->io, log->options.directory, error) : OK;
}

static enum err append_after_tail(struct recovery *recovery, struct error *error)
{
    struct log *log = recovery->log;
    char name[LOG_PATH_SIZE];
    log_file_name(log->options.directory, log->end.file_number, name, sizeof(name));
    log->must_cut = false;
    log->file_number = log->end.file_number;
    log->file_offset += LOG_BLOCK_SIZE;
    return log->io->ops->open(log->io, name, IO_WRITE | IO_DIRECT, &log->file, error);
}

/* Gives back what the last file has behind its end: the file after it, whose header is durable by
 * now, says that nothing there counts. Else a store that is restarted often and written to rarely
 * would take a whole file each time. Whether it can be done matters to nothing else. */
static void shorten_last(struct recovery *recovery)
{
    struct log *log = recovery->log;
    struct found_file *last = find_file(recovery, recovery->point.file_number);
    uint64_t size = (recovery->end_offset + LOG_BLOCK_SIZE - 1) / LOG_BLOCK_SIZE * LOG_BLOCK_SIZE;
    if (last == NULL || last->size <= size)
        return;
    char name[LOG_PATH_SIZE];
    log_file_name(log->options.directory, last->number, name, sizeof(name));
    struct io_file *file;
    if (log->io->ops->open(log->io, name, IO_WRITE | IO_DIRECT, &file, NULL) != OK)
        return;
    if (log->io->ops->truncate(file, size, NULL) == OK) {
        log->byte_count -= last->size - size;
        for (size_t index = 0; index < log->kept_count; index++) {
            if (log->kept[index].number == last->number)
                log->kept[index].size = size; /* no spare any more */
        }
    }
    (void)log->io->ops->close(file, NULL);
}

static enum err start_file(struct recovery *recovery, const struct found_file *newest,
                           struct error *error)
{
    struct log *log = recovery->log;
    log->must_cut = true;
    if (fault_is("log.append_after_torn_tail") && newest != NULL &&
        log->end.file_number == newest->number)
        return append_after_tail(recovery, error);
    adopt_prepared(recovery, newest);
    enum err result = log_file_next(log, true, error);
    if (result == OK)
        result = remove_unused(recovery, error);
    if (result == OK)
        shorten_last(recovery);
    return result;
}

static void set_end(struct recovery *recovery, const struct found_file *newest)
{
    struct log *log = recovery->log;
    if (newest != NULL) {
        log->uuid = newest->header.uuid;
    } else {
        log->uuid = (struct log_uuid){.low = random_u64(), .high = random_u64()};
    }
    for (size_t index = 0; index < recovery->count; index++) {
        struct found_file *found = &recovery->files[index];
        if (found->is_valid && found->header.epoch > log->epoch)
            log->epoch = found->header.epoch;
        if (found->number > log->last_number)
            log->last_number = found->number;
        log->file_count++;
        log->byte_count += found->size;
        if (found->is_on_chain)
            log_file_keep(log,
                          &(struct log_kept){.number = found->number,
                                             .first_position = found->header.previous.position + 1,
                                             .size = found->size});
    }
    log->appended_count = log->appended;
    recovery->point.position = recovery->record_position;
    log->end = log->durable = recovery->point;
    log->durable_position = recovery->record_position;
    log->next_position = recovery->record_position + 1;
}

/* Everything that only reads. */
static enum err read_all(struct recovery *recovery, struct found_file **newest, struct error *error)
{
    struct log *log = recovery->log;
    enum err result =
        log->io->ops->list(log->io, log->options.directory, add_name, recovery, error);
    if (result == OK)
        result = read_headers(recovery, error);
    if (result == OK)
        result = mark_chain(recovery, newest, error);
    if (result == OK)
        result = read_chain(recovery, error);
    return result == OK ? check_unborn(recovery, *newest, error) : result;
}

static enum err recover(struct recovery *recovery, struct error *error)
{
    struct log *log = recovery->log;
    struct found_file *newest = NULL;
    enum err result = OK;
    if (!fault_is("log.recovery_trusts_cache"))
        result = log->io->ops->sync_directory(log->io, log->options.directory, error);
    if (result == OK)
        result = read_all(recovery, &newest, error);
    if (result != OK)
        return result;
    set_end(recovery, newest);
    return start_file(recovery, newest, error);
}

static void recovery_init(struct recovery *recovery, struct log *log)
{
    *recovery = (struct recovery){.log = log, .record_position = log->options.first_position - 1};
    log_window_init(&recovery->window, log->io);
    writer_init(&recovery->partial);
}

static void recovery_deinit(struct recovery *recovery)
{
    writer_deinit(&recovery->partial);
    log_window_deinit(&recovery->window);
    memory_free(recovery->files);
}

enum err log_recover(struct log *log, struct error *error)
{
    struct recovery recovery;
    recovery_init(&recovery, log);
    enum err result = recover(&recovery, error);
    recovery_deinit(&recovery);
    return result;
}

enum err log_recover_to_look(struct log *log, uint64_t *last_position, struct error *error)
{
    struct recovery recovery;
    struct found_file *newest = NULL;
    recovery_init(&recovery, log);
    recovery.is_to_look = true;
    enum err result = read_all(&recovery, &newest, error);
    *last_position = recovery.record_position;
    log->file_count = (uint32_t)recovery.count;
    for (size_t index = 0; index < recovery.count; index++)
        log->byte_count += recovery.files[index].size;
    recovery_deinit(&recovery);
    return result;
}
