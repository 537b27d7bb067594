/* What log.c, piece.c, file.c and recover.c share. Private to storage/log. */
#ifndef FRESHET_STORAGE_LOG_PRIVATE_H
#define FRESHET_STORAGE_LOG_PRIVATE_H

#include "storage/base/thread.h"
#include "storage/log/format.h"
#include "storage/log/log.h"

#define LOG_PATH_SIZE 256

enum prepare_state { PREPARE_IDLE, PREPARE_WANTED, PREPARE_RUNNING, PREPARE_READY, PREPARE_FAILED };

/* A file that was taken into use, oldest first. */
struct log_kept {
    uint64_t number;
    uint64_t first_position; /* of the first record that can begin in it, or go on in it */
    uint64_t size;
};

struct log {
    struct log_options options;
    struct io *io; /* the log thread's own */
    struct log_uuid uuid;

    /* The log thread's. */
    uint64_t epoch;
    struct log_point durable; /* end of the last group that is on disk */
    struct log_point end;     /* end of what was written */
    bool must_cut;            /* the next file starts a new epoch and cuts the log at `end` */
    struct io_file *file;     /* NULL: the next group opens one */
    uint64_t file_number;
    uint64_t file_offset;
    bool is_writing; /* write_begin without write_wait */
    /* Pieces that are whole and wait for one write of all, from this offset on. Their memory is
     * their records', which stay until the group is done. */
    struct io_part parts[1 + IO_PARTS_MAX];
    size_t part_count;
    uint64_t parts_offset;
    struct io_part writing[IO_PARTS_MAX]; /* of the write under way, behind its first */
    char *buffers[2];
    int buffer_index;
    char *header_block;
    struct log_piece_header piece; /* under construction in buffers[buffer_index] */
    char *placed; /* instead of there: in front of a record that is written from where it is */
    size_t piece_capacity; /* content bytes; 0: none under construction */
    uint64_t appended;     /* bytes of pieces so far */
    size_t tail_size;      /* always 0, but for the planted fault that leaves padding out */

    /* Under the mutex. */
    struct mutex mutex;
    struct condition wake; /* the log thread */
    bool is_waiting;
    bool is_gathering;  /* waits for as many records as the last group had */
    size_t group_count; /* records of the last group */
    size_t queue_count, queue_bytes;
    bool is_stopping;
    bool is_failed;
    bool is_revival_wanted;
    struct error failure;
    struct log_entry *first, **last;
    uint64_t next_position;
    uint64_t durable_position;
    uint64_t byte_count;
    uint32_t file_count;
    uint64_t appended_count;
    struct log_kept *kept;
    size_t kept_count, kept_capacity;
    uint64_t spares[LOG_SPARE_FILES]; /* numbers; whole files whose records nobody needs */
    uint32_t spare_count;
    struct thread *thread;

    /* The file ahead: made by the preparing thread, or by whoever needs it. */
    struct io *prepare_io;
    struct io *recycle_io; /* of whoever calls log_recycle */
    struct condition prepare_changed;
    struct thread *prepare_thread;
    enum prepare_state prepare_state;
    bool is_prepare_stopping;
    bool is_prepare_hurried; /* the log thread waits for the file */
    uint64_t progress;       /* in the current file */
    uint64_t pace_goal;      /* progress that the preparing thread waits for; 0: it does not */
    uint64_t prepared_number;
    uint64_t last_number; /* highest file number ever given out */
};

/* Makes the next file: zeros, synced, its name synced. Whole file, so that no commit pays for
 * allocation. */
MUST_CHECK enum err log_file_prepare(struct log *log, struct io *io, uint64_t number,
                                     struct error *error);
/* Takes the prepared file into use behind log->end. `sync` false: the first group's sync covers the
 * header. */
MUST_CHECK enum err log_file_next(struct log *log, bool sync, struct error *error);
void log_file_abandon(struct log *log);
void log_file_keep(struct log *log, const struct log_kept *kept);
void log_prepare_want(struct log *log);
void log_prepare_run(void *context);

/* Replays, finds the end, syncs what it trusts. Sets uuid, epoch, end, durable, last_number. */
MUST_CHECK enum err log_recover(struct log *log, struct error *error);

/* The same without syncing or starting a file; *last_position: of the last record. */
MUST_CHECK enum err log_recover_to_look(struct log *log, uint64_t *last_position,
                                        struct error *error);

/* --- pieces: the log thread's --- */

/* What the options leave open. */
void log_piece_options(struct log_options *options);
/* Pieces begin at multiples of this. */
size_t log_piece_padding(void);
/* Room for a new piece, in this file or in the next; its first bytes go on with a record of which
 * `carried` are left. The pieces before it have been flushed. */
MUST_CHECK enum err log_piece_begin(struct log *log, size_t carried, struct error *error);
/* The next record, into as many pieces as it takes; is_alone: it is all of its group. Its payload
 * is read, or written from where it is, until log_piece_wait() has returned. */
MUST_CHECK enum err log_piece_add(struct log *log, const struct log_entry *entry, bool is_alone,
                                  struct error *error);
/* Ends the piece under construction and begins its write, with those that waited before it; or lets
 * it wait, unless there is to be a sync. The other buffer is then free. */
MUST_CHECK enum err log_piece_flush(struct log *log, bool sync, struct error *error);
/* Waits for the write under way. What it says is final. */
MUST_CHECK enum err log_piece_wait(struct log *log, struct error *error);

#endif
