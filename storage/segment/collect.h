/* One column of a view, all rows at once, for writing it anew. Private to storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_COLLECT_H
#define FRESHET_STORAGE_SEGMENT_COLLECT_H

#include "storage/base/room.h"
#include "storage/encoding/encoding.h"
#include "storage/segment/footer.h"
#include "storage/segment/view.h"

/* Rows of the view that stand together in the file: `count` of them from `begin` on, at `to`. */
struct row_run {
    uint32_t begin, to, count;
};

struct collected {
    enum block_class class; /* of what is in `values`: INTEGER for codes */
    uint32_t row_count;
    uint32_t null_count;
    uint8_t *validity; /* a byte a row; NULL: no row is NULL */
    union {            /* in the order asked for; `codes`: entry_count > 0 */
        void *values;
        int64_t *i;
        double *f;
        uint8_t *wide;
        struct slice *text;
        uint32_t *codes;
    };
    uint32_t entry_count;  /* 0: no dictionary */
    struct slice *entries; /* sorted by bytes, distinct */
    uint32_t *ranks;       /* by code: which of the entries it means */
    uint64_t text_bytes;   /* of all rows' texts; 0 if they were not read */
    bool is_left; /* texts that are to be gathered: nothing of the rows is here, not their NULLs */
    struct cursor *cursor; /* keeps what is borrowed */
    struct arena arena;
    struct room *room; /* back to the mark at the end */
    size_t mark;
};

struct collect_options {
    const struct table_view *view;
    uint32_t column;            /* of view->schema */
    bool can_gather;            /* texts that have no dictionary are left */
    const struct row_run *runs; /* all rows, by `begin`; NULL: they stay as they stand */
    struct room *room;          /* what is collected lies there until it is deinited */
    struct pauser *pauser;
};

/* Reads a column. Texts become codes of a dictionary if there are few enough of them.
 * ERR_CANCELLED, ERR_IO, ERR_CORRUPT; nothing to deinit then. */
MUST_CHECK enum err collect_column(const struct collect_options *options, struct collected *out,
                                   struct error *error);
void collected_deinit(struct collected *collected);

/* Rows that stand in order by long pieces, as where bodies of one source come in by turns: the
 * pieces, by their begin, in *runs (of the arena; all rows). Equal times keep the order they stand
 * in. False: they are not such, or there are NULLs, or all rows are in order as they stand. Cost:
 * one pass; `room` is as it was. */
bool time_runs(const int64_t *times, const uint8_t *validity, uint32_t row_count,
               struct pauser *pauser, struct room *room, struct arena *arena,
               struct row_run **runs);

/* The order of rows by time, equal times in the order they stand in, NULLs behind all: order[i] is
 * the row that goes i-th. False, and `order` is not touched: they are in order as they stand. Cost:
 * one pass for sorted input, else one of what overlaps per doubling of its runs. ERR_CANCELLED
 * aside it cannot fail: `pauser` says so. `order` has room for row_count; `room` is as it was. */
bool time_order(const int64_t *times, const uint8_t *validity, uint32_t row_count,
                struct pauser *pauser, struct room *room, uint32_t *order);

/* --- entries_order.c: the texts of a dictionary by their bytes; no two are the same --- */

/* order[i] is the one that goes i-th. */
void entries_order(const struct slice *entries, uint32_t count, struct pauser *pauser,
                   uint32_t *order);

/* --- gather.c: texts of sealed segments, block by block in the order of the file --- */

/* All rows are sealed, and `order` (NULL: as they stand) takes those of each segment ascending. */
bool gather_is_possible(const struct table_view *view, const uint32_t *order, uint32_t row_count);
struct gather;
struct gather *gather_open(const struct table_view *view, uint32_t column, struct pauser *pauser);
void gather_close(struct gather *gather); /* takes NULL */
struct gather_range {
    const uint32_t *order; /* NULL: rows go as they stand */
    uint32_t begin, count;
};
/* Ranges are asked for one behind the other. What `texts` points to is valid until the next call; a
 * NULL is the empty text, and 0 in `validity`. ERR_CANCELLED, ERR_IO, ERR_CORRUPT. */
MUST_CHECK enum err gather_block(struct gather *gather, const struct gather_range *range,
                                 struct slice *texts, uint8_t *validity, struct error *error);

#endif
