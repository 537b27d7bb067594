/* Bitmap indexes of a sealed segment: from a value to the rows that have it, for values rare enough
 * to beat a scan. The one door to CRoaring.
 *
 * A key is a dictionary code (text) or the value itself (integer classes). The bytes are in
 * FORMAT.md of storage/segment; containers are checked by our own code before CRoaring sees them,
 * since the safe deserialize of 0.2.66 accepts bytes that corrupt the heap. */
#ifndef FRESHET_STORAGE_INDEX_BITMAP_H
#define FRESHET_STORAGE_INDEX_BITMAP_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/error.h"

/* Keys with at least row_count / BITMAP_RARE rows are left out: scanning their codes is faster. */
#define BITMAP_RARE 32
#define BITMAP_KEYS_MAX 65536

struct bitmap_input {
    uint32_t row_count;           /* of the segment, at most 2^27 */
    const int64_t *keys;          /* per row; NULL: */
    const uint32_t *codes;        /* the same as numbers below code_count */
    uint32_t code_count;          /* keys are codes below it; 0: any numbers */
    const uint32_t *code_rows;    /* how many rows each code has that are valid; NULL: counted */
    uint32_t *memory;             /* room for row_count + 1 numbers to work with; NULL: malloc's */
    const uint8_t *validity;      /* a byte a row; NULL: all valid */
    void (*pause)(void *context); /* as in encode_options */
    void *context;
};
/* Appends the index. False, nothing appended: more than BITMAP_KEYS_MAX distinct keys, or none rare
 * enough. */
bool bitmap_index_write(const struct bitmap_input *input, struct writer *out);

/* An open index borrows its bytes. */
struct bitmap_index {
    uint32_t row_count;
    uint32_t key_count; /* that are indexed */
    /* private */
    uint32_t frequent_count;
    uint32_t group_count;
    const uint8_t *frequent; /* int64 each, ascending, not aligned; the next two as well */
    const uint8_t *first_keys;
    const uint8_t *offsets; /* uint32 each, into `data` */
    const uint8_t *data;
    size_t size;
};
MUST_CHECK enum err bitmap_index_open(struct slice bytes, uint32_t row_count,
                                      struct bitmap_index *out, struct error *error);
/* Rows of a key; false: the key is not indexed (too frequent), which says nothing about its rows. A
 * key that no row has is found with 0 rows: the frequent keys are listed, so none is in doubt. */
bool bitmap_index_find(const struct bitmap_index *index, int64_t key, uint32_t *row_count);

/* The index says exactly what the values say: every key and every row. For checks of whole files.
 * ERR_CORRUPT. */
MUST_CHECK enum err bitmap_index_check(const struct bitmap_index *index,
                                       const struct bitmap_input *input, struct error *error);

/* The rows that are in two ascending lists, into `out` (may be `a`); their number. */
uint32_t rows_common(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count,
                     uint32_t *out);

struct row_set; /* rows of one segment; owns its memory */
/* The union over keys that are all indexed. ERR_CORRUPT. */
MUST_CHECK enum err bitmap_index_rows(const struct bitmap_index *index, const int64_t *keys,
                                      size_t key_count, struct row_set **out, struct error *error);
void row_set_destroy(struct row_set *set); /* NULL is nothing */
void row_set_intersect(struct row_set *set, const struct row_set *other);
uint64_t row_set_count(const struct row_set *set);
/* Whether any row of [begin, end) is in it. */
bool row_set_has_range(const struct row_set *set, uint32_t begin, uint32_t end);
/* The first `limit` rows of [begin, end) as offsets from begin, ascending; their number. */
uint32_t row_set_read(const struct row_set *set, uint32_t begin, uint32_t end, uint32_t *selection,
                      uint32_t limit);

#endif
