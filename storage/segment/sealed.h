/* Sealed segments: immutable files of encoded columns, sorted by event time.
 *
 * `struct sealed_info` is what the manifest keeps; a `struct sealed` is made of it without touching
 * the file, which is opened, and whose footer is read, at the first use. */
#ifndef FRESHET_STORAGE_SEGMENT_SEALED_H
#define FRESHET_STORAGE_SEGMENT_SEALED_H

#include "storage/base/arena.h"
#include "storage/base/room.h"
#include "storage/column/schema.h"
#include "storage/io/io.h"

/* Below the store's directory; files <16 hex of number>.fseg */
#define SEALED_DIRECTORY "segments"

struct sealed_info {
    uint64_t number; /* names the file; never used twice */
    uint32_t table_id;
    uint32_t schema_version; /* of the definition it was written under */
    uint32_t index_version;  /* schema->index_version: which indexes it was to have */
    uint32_t row_count;
    uint64_t bytes;                   /* of the file */
    int64_t min_time_us, max_time_us; /* INT64_MAX, INT64_MIN: no event times */
    uint64_t first_position, last_position;
    int64_t created_at_us;
    uint64_t footer_offset;
    uint32_t footer_size;
    uint64_t footer_checksum;
};

/* What readers of one store share: directory, io handles, cache, budget. segment/source.c. */
struct sealed_source;

struct sealed_source_options {
    struct io *io;         /* cloned as needed; must outlive the source */
    const char *directory; /* the store's */
    size_t cache_size;     /* bytes of pages and dictionaries kept; 0: 64 MiB */
};
struct sealed_source *sealed_source_create(const struct sealed_source_options *options);
void sealed_source_destroy(struct sealed_source *source); /* every sealed must be gone */

struct sealed_source_status {
    size_t cache_used, cache_limit;
    uint64_t hits, misses, bytes_read, evictions;
};
void sealed_source_status(struct sealed_source *source, struct sealed_source_status *out);

struct sealed; /* shared by count, immutable */
struct sealed *sealed_create(struct sealed_source *source, const struct sealed_info *info);
struct sealed *sealed_ref(struct sealed *sealed);
/* The last one closes the file, drops its pages from the cache, and if it was discarded removes the
 * file. */
void sealed_unref(struct sealed *sealed);
const struct sealed_info *sealed_info(const struct sealed *sealed);
/* Something of it was not what was written: whoever found it has the error. For as long as the
 * process lives. */
bool sealed_is_damaged(const struct sealed *sealed);
/* Or the last read of it failed, which may pass: until somebody reads of it again. Or upkeep could
 * not read it to the end SEALED_REWRITES_MAX times, though others may read parts of it: for as long
 * as the process lives. */
#define SEALED_REWRITES_MAX 3
bool sealed_is_unreadable(const struct sealed *sealed);
/* Upkeep, one at a time, around an attempt to write it anew; was it the reason that it failed? */
void sealed_rewrite_begin(struct sealed *sealed);
bool sealed_rewrite_failed(struct sealed *sealed);
/* No manifest names it any more: its file goes with its last reader. */
void sealed_discard(struct sealed *sealed);
#define SEALED_PATH_SIZE 256
/* Of its file, within the io; `out` has SEALED_PATH_SIZE. */
void sealed_path(const char *directory, uint64_t number, char *out, size_t out_size);

struct sealed_footer;
/* Opens the file and reads the footer if that has not been done; any thread. The footer lives as
 * long as the segment. ERR_CORRUPT, ERR_IO name file and offset. */
MUST_CHECK enum err sealed_open(struct sealed *sealed, const struct sealed_footer **footer,
                                struct error *error);

/* The same if it has been read already, else NULL. No I/O, any thread. */
const struct sealed_footer *sealed_footer_known(const struct sealed *sealed);

/* --- writing: segment/seal.c --- */

struct table_view;
/* learnt.c: what sealing learnt of columns, for the next segment. One sealing at a time. */
struct learnt;
struct encode_memory;
struct learnt_key {
    uint32_t table_id, column_id;
    uint32_t kind; /* whatever else must be the same */
};
struct learnt *learnt_create(void);
void learnt_destroy(struct learnt *learnt); /* takes NULL */
/* Of a column, or an empty one; whose was asked for longest ago loses its place. Valid until the
 * next call. */
struct encode_memory *learnt_of(struct learnt *learnt, const struct learnt_key *key);
/* When the column is done: what is too large to be kept is forgotten. */
void learnt_keep(struct learnt *learnt, struct encode_memory *memory);

struct seal_options {
    struct io *io;         /* the caller's thread's own */
    const char *directory; /* the store's */
    uint64_t number;
    const struct table_view *view; /* its rows, all of them, frozen: sealed and mutable segments */
    int64_t created_at_us;
    uint64_t first_position, last_position;
    /* Called at least every 5 ms of work, and before the file is synced. False: give up,
     * ERR_CANCELLED, nothing is left behind. May do other work of the store (simulations commit
     * there). NULL: never. */
    bool (*pause)(void *context);
    void *context;
    /* SEAL_ROW_MEMORY a row is charged to it, whatever its limit; may be NULL. Besides, a block's
     * texts and bytes are in memory. */
    struct budget *budget;
    struct learnt *learnt; /* NULL: each segment for itself */
    struct room *room;     /* empty, and so again; NULL: one for this segment */
};
#define SEAL_ROW_MEMORY 40
/* Writes the file: under its final name, synced, its directory synced, then read back past the
 * cache and checked (rows, checksums, order). Nobody knows of it until the manifest does. */
MUST_CHECK enum err sealed_write(const struct seal_options *options, struct sealed_info *out,
                                 struct error *error);

/* Reads everything of a file and checks it as a hostile one: `freshet check`, tests. `info` NULL:
 * from the header. Rows and bytes looked at go to *out_rows. */
MUST_CHECK enum err sealed_check(struct io *io, const char *directory, uint64_t number,
                                 const struct sealed_info *info, uint64_t *out_rows,
                                 struct error *error);

#endif
