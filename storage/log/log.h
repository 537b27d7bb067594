/* The write-ahead log: commit records in one order, durable before anyone hears of them.
 *
 * A record is opaque bytes here (record.h gives them sense). Callers put records into the queue;
 * the log thread (or log_run(), called by a simulation) takes what is waiting as one group, writes
 * it in sector-padded pieces of at most 4 MiB to the current pre-written file, syncs, and only
 * then reports. While the write is in flight it calls `apply` for each record in position order;
 * after the sync `publish`. */
#ifndef FRESHET_STORAGE_LOG_LOG_H
#define FRESHET_STORAGE_LOG_LOG_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"
#include "storage/io/io.h"

struct log;

/* One record on its way. Owned by the caller until `done` is called, exactly once, from the log
 * thread. */
struct log_entry {
    struct slice payload; /* at most LOG_RECORD_SIZE_MAX */
    /* Not 0: `payload.data` lies LOG_ENTRY_HEAD bytes behind a multiple of IO_ALIGNMENT, the head
     * and `room` bytes from payload.data on are there, and the log may write to those that are not
     * the payload until `done`. Large records are then written from where they are. */
    size_t room;
    uint64_t position; /* set by log_submit: 1, 2, 3 …, without gaps */
    void *context;     /* the caller's */
    void (*done)(struct log_entry *entry, enum err result, const struct error *error);
    struct log_entry *next; /* private */
};
#define LOG_RECORD_SIZE_MAX ((size_t)1 << 30)
#define LOG_ENTRY_HEAD ((size_t)136)

struct log_options {
    struct io *io;
    const char *directory; /* exists; files log-<16 hex>.flog in it are ours */
    size_t file_size;  /* pre-written, a multiple of 4,096, e.g. 64 MiB; a record may span files */
    /* 0: 1 MiB; simulations take less. A record written from where it is makes one of up to four
     * times that. */
    size_t piece_size;
    size_t place_min; /* 0: 384 KiB; records as large as this, or a 24th of it where one is alone in
                         its group, are written from where they are */
    uint64_t first_position;    /* of an empty log: 1 */
    bool recover_point_in_time; /* accept damage in the middle: cut there */
    /* What the newest usable checkpoint needs, and what the one before it does: files before the
     * first are not read, files before the second are removed. 0: all there are. */
    uint64_t first_file, keep_file;
    void *context;
    /* Recovery: each record once, in order. An error stops log_open with it. */
    enum err (*replay)(void *context, uint64_t position, struct slice payload, struct error *error);
    /* Live, log thread, position order: called while the group is being written. May not fail. */
    void (*apply)(void *context, struct log_entry *entry);
    /* Live, log thread, may be NULL: what was applied past `position` has failed for good; forget
     * it before `done` tells. Its positions are given out again. */
    void (*abandon)(void *context, uint64_t position);
    /* Live, log thread: everything up to `position` is durable; make it visible, before any `done`.
     */
    void (*publish)(void *context, uint64_t position);
};

struct log_status {
    uint64_t durable_position; /* everything up to here is on disk */
    uint64_t next_position;
    uint64_t bytes; /* of all files, spare ones too */
    uint32_t file_count;
    uint64_t appended; /* bytes of pieces, read at the start and written since: only grows */
    bool is_failed;    /* read-only: a second write or sync failed, or the disk is full */
    struct error failure;
};

/* Replays what is there (CORRUPT names file, offset and positions where acknowledged data is
 * damaged), then opens a new file under the next epoch. */
MUST_CHECK enum err log_open(const struct log_options *options, struct log **out,
                             struct error *error);
/* Reads what log_open would, giving each record to `replay`, and changes nothing: no file is made,
 * cut or removed. *out has positions, files and bytes. ERR_CORRUPT as log_open. */
MUST_CHECK enum err log_check(const struct log_options *options, struct log_status *out,
                              struct error *error);
/* Starts the log thread; a simulation does not, and calls log_run. */
void log_start(struct log *log);
/* Takes one waiting group through write, apply, sync, publish, done. False if nothing was waiting.
 */
bool log_run(struct log *log);
/* Any thread. Gives the position and queues; order of calls is order of positions. ERR_IO /
 * ERR_SPACE once the log has failed, ERR_BUSY after log_stop, ERR_LIMIT for a payload that is too
 * large. Never blocks. */
MUST_CHECK enum err log_submit(struct log *log, struct log_entry *entry, struct error *error);
/* Finishes what is queued, stops and joins the thread; leaves a mark that the log was closed in
 * good order. */
void log_stop(struct log *log);
void log_close(struct log *log); /* after log_stop, or in a simulation any time */
void log_status(struct log *log, struct log_status *out);
/* Nothing at or before `position` will be asked for again: files that hold only such records are
 * taken for reuse under new numbers (at most LOG_SPARE_FILES are kept, more are removed). The
 * caller has made sure that the manifest and the checkpoint say so durably. Any thread, one at a
 * time; not during recovery. */
#define LOG_SPARE_FILES 8
void log_recycle(struct log *log, uint64_t position);
/* The oldest file whose records are needed behind `position`: what a checkpoint names. */
uint64_t log_first_file_after(struct log *log, uint64_t position);
/* Tries to leave the failed state when space is back: opens a new file. Called by upkeep, any
 * thread; the log thread acts on it. */
void log_revive(struct log *log);

#endif
