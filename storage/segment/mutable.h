/* The mutable segment: a table's rows in memory, appended by one writer, read without locks.
 *
 * The writer appends rows that nobody sees yet; the store publishes a pair (row count, chunk count)
 * under its own lock, and a reader that got the pair there may read everything it covers, for as
 * long as it holds the segment. Nothing is moved or changed below a published count. */
#ifndef FRESHET_STORAGE_SEGMENT_MUTABLE_H
#define FRESHET_STORAGE_SEGMENT_MUTABLE_H

#include "storage/column/stored.h"
#include "storage/segment/dictionary.h"

#include <stdatomic.h>

#define CHUNK_ROWS_MAX 65536
#define CHUNK_BYTES_FIRST                                                                          \
    ((size_t)32 << 10) /* values of a first chunk; with texts and dictionaries under 64 KiB */

enum chunk_form {
    CHUNK_FIXED, /* values at stored width */
    CHUNK_CODES, /* uint16_t into the dictionary */
    CHUNK_TEXT   /* struct slice into the segment's heap */
};

struct chunk_column {
    uint32_t column_id;
    struct type type;
    enum chunk_form form;
    uint32_t width; /* bytes of a value */
    void *values;   /* in the chunk's block */
    const struct dictionary *dictionary;
    /* Rows below first_null are not NULL. `validity`, a byte a row, exists once first_null says
     * that it is needed: it is stored before first_null (release), which readers load first
     * (acquire). */
    _Atomic uint32_t first_null;
    _Atomic(uint8_t *) validity;
    size_t validity_taken;
    _Atomic uint64_t text_bytes; /* cache of view.c: plus one, 0 is unknown */
};

struct chunk {
    uint64_t first_row;
    uint32_t capacity;
    uint32_t column_count;
    uint32_t time_column_id; /* 0: none */
    /* Of all appended rows, so a little wide for a reader of fewer. Relaxed: the publishing lock
     * orders them. */
    _Atomic int64_t min_time_us, max_time_us;
    void *block; /* all values */
    size_t block_taken;
    struct chunk_column columns[];
};

struct segment;

struct segment *segment_create(struct pool *pool); /* one reference */
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment);

/* --- the writer --- */
/* Appends rows under a definition: columns are matched by id, those that the rows do not name take
 * `missing`, ids the definition does not have are left out. */
void segment_append(struct segment *segment, const struct schema *schema,
                    const struct stored_rows *rows);
uint64_t segment_rows(const struct segment *segment); /* appended */
uint32_t segment_chunk_count(const struct segment *segment);
/* Forgets appended rows that were never published. */
void segment_rollback(struct segment *segment, uint64_t rows, uint32_t chunk_count);

/* --- readers --- */
/* index below a published chunk count. */
const struct chunk *segment_chunk(const struct segment *segment, uint32_t index);
size_t segment_bytes(const struct segment *segment); /* allocated now; any thread */
/* Never 0, never another's within the store while it is open. */
uint64_t segment_id(const struct segment *segment);

#endif
