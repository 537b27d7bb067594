/* The front door of storage: open, commit, snapshot, scan, close.
 *
 * One store per data directory. Every change (rows of one or several tables, DDL, sections that
 * belong to the folders to the right) is one commit record at one position of the log; a snapshot
 * sees all records up to its position and nothing after. */
#ifndef FRESHET_STORAGE_STORE_H
#define FRESHET_STORAGE_STORE_H

#include "storage/base/arena.h"
#include "storage/column/column.h"
#include "storage/column/schema.h"
#include "storage/io/io.h"
#include "storage/segment/filter.h"

struct store;
struct worker_pool;
struct commit;
struct snapshot;

/* A decoded record as appliers see it, live and at replay; borrowed for the call. */
struct record_rows {
    uint32_t table_id;
    const struct schema
        *schema; /* the table's definition at this position; NULL: the table is gone */
    size_t row_count;
    const struct column *times; /* the event times, borrowed from the record; NULL: it has none */
};
struct record_section {
    uint32_t kind;
    struct slice bytes;
};
struct record_view {
    uint64_t position;
    int64_t at_us; /* wall clock when the record was made: replay sees the same */
    size_t rows_count;
    const struct record_rows *rows;
    size_t section_count;
    const struct record_section *sections;
    /* DDL of this record, if any. */
    enum change_kind {
        CHANGE_NONE,
        CHANGE_CREATE,
        CHANGE_DROP,
        CHANGE_ALTER,
        CHANGE_TRUNCATE
    } change;
    uint32_t change_table_id;
    struct slice change_name; /* CREATE, ALTER: the table's; else empty */
};

/* State that rides on commit records (producers, keys, ledger, dead letters, watermarks). All calls
 * come from one thread at a time in position order: replay during store_open, then the log thread.
 */
struct store_extension {
    void *context;
    /* Called when the record is durable, just before its rows become visible. Rows have been
     * appended. */
    void (*apply)(void *context, const struct record_view *record);
    /* Checkpoint as of the last applied record, and back. */
    void (*save)(void *context, struct writer *out);
    enum err (*load)(void *context, struct reader *in, struct error *error);
};

struct store_options {
    struct io *io;
    const char *directory;            /* made if missing; locked */
    size_t log_file_size;             /* 0: 64 MiB */
    size_t rows_memory_limit;         /* budget of the mutable rows, in bytes */
    struct store_extension extension; /* context NULL: none */
    bool is_threaded;                 /* false: a simulation calls store_run() */
    bool recover_point_in_time;
    size_t log_piece_size; /* 0: 1 MiB; simulations take less */

    /* Upkeep. 0 takes the default given. */
    struct worker_pool *workers; /* runs upkeep; NULL: only store_upkeep_run() does */
    size_t cache_size;           /* pages of sealed segments kept in memory: 64 MiB */
    uint64_t seal_rows;          /* a mutable segment is closed at so many rows: 1 Mi */
    size_t seal_bytes; /* or so many bytes of memory: an eighth of rows_memory_limit, <= 512 MiB */
    int64_t seal_age_us;         /* or when its first row has waited so long: 1 h */
    uint64_t carry_rows;         /* tables with fewer unsealed rows are copied forward: 65,536 */
    size_t carry_bytes;          /* of memory that such rows of all tables take at most: 256 MiB */
    size_t log_bytes_max;        /* log kept behind the newest checkpoint: 512 MiB (8 log files) */
    uint32_t merge_segments_min; /* small neighbours before they are merged: 4 */
    /* Called between steps of upkeep (at most 5 ms of thread CPU apart), for simulations, which
     * commit and crash in it. NULL: worker_yield(). */
    void (*upkeep_pause)(void *context);
    void *upkeep_context;
    /* Called by the thread that opens, after each record of the log's replay; may be NULL. */
    void (*replayed)(void *context, struct store *store);
    void *replayed_context;
};

/* Opens a directory's store, or makes it, and replays its log. Texts and what the options point at
 * outlive the store. ERR_CORRUPT: damage, which the text names; ERR_BUSY: another process has it.
 * After an error *out is as it was. */
MUST_CHECK enum err store_open(const struct store_options *options, struct store **out,
                               struct error *error);
/* The same in two steps, for who reads meanwhile. After the first the newest checkpoint and the
 * sealed segments are there, the second replays the log behind them. From the moment the store is
 * readable any thread may take snapshots, look at them, wait for positions and ask for the figures;
 * everything else only when the second step has returned. */
MUST_CHECK enum err store_open_begin(const struct store_options *options, struct store **out,
                                     struct error *error);
MUST_CHECK enum err store_open_end(struct store *store, struct error *error);
/* Has the replay come so far that a snapshot is the store as it was at its position? Before that
 * sealed segments hold rows of records that are still to come. Any thread. */
bool store_is_readable(struct store *store);
void store_discard(struct store *store); /* after the second step failed; no snapshot is open */
/* Finishes queued commits, stops threads, seals what a checkpoint does not carry forward (15 s of
 * it at most), writes a checkpoint. Every snapshot must be closed before. */
void store_close(struct store *store);
/* In a simulation: one log group; false if nothing waited, or where the log has its own thread. */
bool store_run(struct store *store);

struct store_status {
    uint64_t position; /* visible */
    size_t rows_memory_used, rows_memory_limit;
    size_t upkeep_memory_used; /* rows that are being sealed or merged, beside the others */
    uint64_t log_bytes;
    uint32_t log_files;
    bool is_failed; /* no further commits until it revives: `failure` says why */
    struct error failure;
};
/* Any thread; cheap. */
void store_status(struct store *store, struct store_status *out);
struct store_figures { /* over all tables; dearer than the status */
    uint64_t sealed_segments, sealed_rows, sealed_bytes;
    uint64_t waiting_segments, waiting_rows; /* closed, not yet sealed */
    size_t cache_used, cache_limit;
    uint64_t cache_hits, cache_misses, cache_evictions, cache_bytes_read;
};
/* Any thread. */
void store_figures(struct store *store, struct store_figures *out);
void store_revive(struct store *store); /* try to leave the failed state (disk has space again) */

/* --- writing --- */
/* A record under construction; owns its bytes. Batches are encoded when added and may be freed
 * after. */
struct commit *commit_create(struct store *store);
void commit_destroy(struct commit *commit); /* only if not submitted */
/* `column_ids[i]` names batch->columns[i]; columns of the table that are not named read as their
 * `missing` value. NOT NULL, types and lengths must have been checked. Shapes: FLAT, CONSTANT or
 * DICTIONARY. numeric columns come as PHYSICAL_NUMERIC already fitted to the column's scale. */
void commit_add_rows(struct commit *commit, const struct schema *schema, const uint32_t *column_ids,
                     const struct batch *batch);
void commit_add_section(struct commit *commit, uint32_t kind, struct slice bytes);
/* At most one change a record. CREATE, ALTER: the whole new definition (takes over the reference).
 */
void commit_set_change(struct commit *commit, enum change_kind kind, uint32_t table_id,
                       struct schema *schema);
/* All that `from` holds, behind what is there: rows of several tables and their sections become one
 * record. Neither has a change; `from` is freed. */
void commit_append(struct commit *commit, struct commit *from);
size_t commit_size(const struct commit *commit);
/* Asks the budget for what its rows are going to take as columns in memory, where NULLs and
 * defaults are as wide as values. A large one is asked about as it grows, not at its submission
 * only. ERR_LIMIT: 53200, nothing has changed; 54000, it is too large for a memory with nothing
 * else. */
MUST_CHECK enum err commit_charge(struct commit *commit, struct error *error);
/* A hint: about so many bytes will be added. Growing by doubling copies them once more. */
void commit_reserve(struct commit *commit, size_t size);

typedef void (*commit_done)(void *context, uint64_t position, enum err result,
                            const struct error *error);
/* Gives the commit away. `done` is called exactly once, from the log thread, after the rows are
 * visible (OK) or when the write failed. Errors returned here mean nothing was queued and `done` is
 * not called: NOT_FOUND (a table was dropped or its definition no longer has what the rows need:
 * 42P01), LIMIT (rows memory, 53200 → 429), SPACE, IO. Order of calls is order of positions.
 * *position is set at once. The commit is freed in every case. */
MUST_CHECK enum err store_submit(struct store *store, struct commit *commit, commit_done done,
                                 void *context, uint64_t *position, struct error *error);
/* The same and waits until it is durable and visible. Not from the log thread; in a simulation it
 * runs the log. */
MUST_CHECK enum err store_commit(struct store *store, struct commit *commit, uint64_t *position,
                                 struct error *error);
/* A fresh table id, never used before in this store. Callers serialize DDL (ingest does). */
uint32_t store_next_table_id(struct store *store);
/* Seals every row that is visible now, writes a checkpoint, recycles what of the log is no longer
 * needed, and returns when all of it is durable. Any thread but the log's and upkeep's own. */
MUST_CHECK enum err store_checkpoint(struct store *store, struct error *error);

/* --- upkeep: sealing, merging, retention, checkpoints, recycling of the log --- */
/* Every 100 ms or so: looks what is due and lets the workers do it. Any thread; cheap. */
void store_upkeep(struct store *store);
/* Does one thing that is due, on the caller's thread: one segment sealed or merged, one retention
 * pass, one checkpoint. False if nothing was due. For stores without workers. */
bool store_upkeep_run(struct store *store);
/* Ends the job that is under way, soon, and lets no other begin: before the workers are stopped. */
void store_upkeep_stop(struct store *store);
uint64_t store_position(struct store *store); /* visible position; acquire */
/* Waits until the visible position is at least `position`. ERR_TIMEOUT. */
MUST_CHECK enum err store_wait(struct store *store, uint64_t position, int64_t timeout_us,
                               struct error *error);

/* --- side files: storage/table/side.c --- */
/* Bytes of the folders to the right, written whole and durable, checked when they are read. Nothing
 * of the store depends on them: whoever has one can make it again, and removes it. `name` is a file
 * name of at most 64 bytes, never from user input. Any thread, but not while the log is replayed.
 */
MUST_CHECK enum err store_side_write(struct store *store, const char *name, struct slice bytes,
                                     struct error *error);
/* In the arena. ERR_NOT_FOUND; ERR_CORRUPT: not what was written. */
MUST_CHECK enum err store_side_read(struct store *store, const char *name, struct arena *arena,
                                    struct slice *out, struct error *error);
MUST_CHECK enum err store_side_list(struct store *store,
                                    void (*each)(void *context, const char *name), void *context,
                                    struct error *error);
void store_side_remove(struct store *store, const char *name);

/* --- reading --- */
/* Everything up to the visible position, at this moment. Any thread; cheap. */
struct snapshot *snapshot_open(struct store *store);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_close(struct snapshot *snapshot); /* drops one reference */
/* A snapshot of its own, of the same moment, that has only the tables that `is_seen` says. */
struct snapshot *snapshot_restrict(struct snapshot *snapshot,
                                   bool (*is_seen)(const void *context, uint32_t table_id),
                                   const void *context);
uint64_t snapshot_position(const struct snapshot *snapshot);
size_t snapshot_table_count(const struct snapshot *snapshot);

struct table_view;
/* Tables in name order; views live as long as the snapshot. */
const struct table_view *snapshot_table(const struct snapshot *snapshot, size_t index);
const struct table_view *snapshot_find(const struct snapshot *snapshot, struct slice name);
const struct table_view *snapshot_find_id(const struct snapshot *snapshot, uint32_t table_id);
const struct schema *table_view_schema(const struct table_view *view);
uint64_t table_view_rows(const struct table_view *view);

struct table_statistics {
    uint64_t rows, mutable_rows;
    uint64_t bytes, mutable_bytes; /* allocated */
    uint64_t segment_count;
    uint64_t sealed_count;
    int64_t min_time_us, max_time_us; /* INT64_MAX, INT64_MIN while empty or without event time */
    uint64_t first_position, last_position;
};
/* Does no I/O. */
void table_view_statistics(const struct table_view *view, struct table_statistics *out);
struct segment_statistics {
    char id[24]; /* "s<number>" sealed, "m<table>-<ordinal>" mutable */
    bool is_sealed;
    uint64_t rows, bytes; /* bytes of a sealed one are those of its file */
    int64_t min_time_us, max_time_us;
    uint64_t first_position, last_position;
    int64_t created_at_us;
};
size_t table_view_segment_count(const struct table_view *view); /* with at least a row */
void table_view_segment(const struct table_view *view, size_t index,
                        struct segment_statistics *out);
/* Bytes of one column's chunks and blocks (dictionaries and indexes too) and a text of its
 * encodings ("dictionary,plain"). */
void table_view_column_statistics(const struct table_view *view, uint32_t column_index,
                                  uint64_t *bytes, uint64_t *raw_bytes, char *encodings,
                                  size_t encodings_size);

/* A scan over a view in morsels: the blocks of sealed segments, then the chunks of mutable ones (at
 * most 64 Ki rows each), in position order of segments, each in vectors of at most VECTOR_ROWS_MAX
 * rows. Values are borrowed where they lie in physical form and converted into the cursor's buffers
 * where not: they hold until the next call on this cursor (dictionaries as long as the snapshot;
 * text as long as the snapshot if mutable, until the next call if sealed without a dictionary). */
struct morsel_range {
    uint64_t begin, end; /* row numbers in the view */
};
/* index < count everywhere below. */
size_t table_view_morsel_count(const struct table_view *view);
struct morsel_range table_view_morsel(const struct table_view *view, size_t morsel);
/* Where a morsel lies: in which segment, by a number never used twice among the sealed ones or
 * among the mutable ones of an open store, and which of its blocks or chunks it is. segment 0: rows
 * may still come to it. What has another number never changes. */
struct morsel_home {
    uint64_t segment;
    uint32_t index;
    bool is_sealed;
};
struct morsel_home table_view_morsel_home(const struct table_view *view, size_t morsel);
/* The mutable segment that rows still come to, by its number; 0: there is none. The rows that a
 * view has of it never change. */
uint64_t table_view_open_segment(const struct table_view *view);
/* Least and greatest event time of a morsel, for skipping; false if unknown. Does no I/O: blocks of
 * a segment whose footer has not been read have the segment's times. */
bool table_view_morsel_times(const struct table_view *view, size_t morsel, int64_t *min_us,
                             int64_t *max_us);
/* From now on they are the morsel's own. Reads a footer if that has not been done; errors as
 * cursor_seek(). */
MUST_CHECK enum err table_view_know_times(const struct table_view *view, size_t morsel,
                                          struct error *error);

struct cursor;
/* `columns` are indexes into table_view_schema()->columns. The filter and what it points to must
 * outlive the cursor; NULL: every row. */
struct cursor *cursor_open(const struct table_view *view, const uint32_t *columns,
                           size_t column_count, const struct scan_filter *filter);
/* To the start of a morsel. *has false: nothing in it can pass the filter. ERR_IO, ERR_CORRUPT
 * (58030, XX001) name file and offset. */
MUST_CHECK enum err cursor_seek(struct cursor *cursor, size_t morsel, bool *has,
                                struct error *error);
/* Of a morsel that was just sought, one of a mutable segment: only its rows [begin, end) will come.
 */
void cursor_limit(struct cursor *cursor, uint64_t begin, uint64_t end);
/* The next vector of the current morsel that has rows left by the filter; *has false at its end.
 * batch->columns are the cursor's. */
MUST_CHECK enum err cursor_next(struct cursor *cursor, struct batch *batch, bool *has,
                                struct error *error);
/* For a morsel that was just sought, before its first vector, without looking at each row: how many
 * rows will come, and what is known of a column over all of them. *is_known false: only the rows
 * say. `out` NULL: only whether it is known, which reads no block of the column. */
MUST_CHECK enum err cursor_rows(struct cursor *cursor, bool *is_known, uint64_t *row_count,
                                struct error *error);
MUST_CHECK enum err cursor_extent(struct cursor *cursor, size_t column, enum scan_want want,
                                  bool *is_known, struct scan_extent *out, struct error *error);
/* Where the rows would say it: finds out which of the morsel's rows will come, before the first
 * vector, so that their number is known. Only where cursor_has_parts(): of sealed segments. Dearer
 * than vectors where many rows come after all. */
bool cursor_has_parts(const struct cursor *cursor);
MUST_CHECK enum err cursor_list(struct cursor *cursor, struct error *error);
/* The same of rows [begin, end), begin < end, counted from 0 among those that will come, once
 * cursor_rows() has told their number. Only where it is known: for all of them by cursor_extent(),
 * for any part by cursor_knows_parts(). */
bool cursor_knows_parts(struct cursor *cursor, size_t column, enum scan_want want);
MUST_CHECK enum err cursor_extent_part(struct cursor *cursor, size_t column, enum scan_want want,
                                       uint64_t begin, uint64_t end, struct scan_extent *out,
                                       struct error *error);
/* Do the morsel's rows come in the order of this column of times, none NULL? Then: the time of a
 * row, and the first row from `from` on whose time is not below `us`, or how many there are. */
bool cursor_is_in_time_order(const struct cursor *cursor, size_t column);
MUST_CHECK enum err cursor_time_at(struct cursor *cursor, size_t column, uint64_t row, int64_t *us,
                                   struct error *error);
MUST_CHECK enum err cursor_time_end(struct cursor *cursor, size_t column, uint64_t from, int64_t us,
                                    uint64_t *end, struct error *error);
/* What a morsel's footer says of a column of the cursor, without reading the morsel: its values are
 * between least and greatest, of integers as such, of numerics as digits, of doubles in the order
 * of float_order(). */
struct scan_zone {
    bool is_known; /* else the rest says nothing: mutable, texts … */
    bool has_null, has_range;
    int64_t least, greatest;
};
MUST_CHECK enum err cursor_zone(struct cursor *cursor, size_t morsel, size_t column,
                                struct scan_zone *out, struct error *error);
/* Numbers in the view of the rows of the last batch, which still holds. */
void cursor_row_numbers(const struct cursor *cursor, int64_t *out);
/* Of a cursor without a filter: the first of these rows by their numbers in the view, ascending and
 * none twice: as many as come in one batch, at least one. The cursor is in their morsel then. */
MUST_CHECK enum err cursor_pick(struct cursor *cursor, const uint64_t *rows, size_t count,
                                struct batch *batch, struct error *error);
/* Columns (by place, true) that come as NULLs, unread, in the rest of this morsel. */
void cursor_leave_out(struct cursor *cursor, const bool *columns);
/* Under a filter that is_whole: rows of the current morsel satisfy it, all that come. */
bool cursor_is_exact(const struct cursor *cursor);
const struct scan_counts *cursor_counts(const struct cursor *cursor);
void cursor_close(struct cursor *cursor);

#endif
