/* Conditions a scan hands down: what rows it can do without.
 *
 * A hint. The cursor leaves out rows that surely fail a condition, by zone maps, bitmaps and tests
 * on codes, before other columns are decoded; the caller still evaluates its whole predicate over
 * what comes. Mutable segments may ignore it. All conditions hold together (AND). */
#ifndef FRESHET_STORAGE_SEGMENT_FILTER_H
#define FRESHET_STORAGE_SEGMENT_FILTER_H

#include "storage/column/type.h"

enum scan_test {
    SCAN_RANGE,   /* low <= value <= high, either may be missing (has_low, has_high); inclusive */
    SCAN_IN,      /* equal to one of `values` (equality is a list of one) */
    SCAN_MATCHES, /* text: matches(context, text), asked once per dictionary entry; pure, any order;
                     must be true or false for every text (no errors) */
    SCAN_NULL,
    SCAN_NOT_NULL
};

struct scan_condition {
    enum scan_test test;
    uint32_t column; /* index into the cursor's columns */
    /* Of the column's own type (numerics of any scale, finite). Exclusive ends of integers are
     * moved by one by the caller; of others they stay inclusive, the caller's predicate does the
     * rest. */
    bool has_low, has_high;
    struct value low, high;
    size_t value_count;
    const struct value *values; /* none is NULL */
    bool (*matches)(void *context, struct slice text);
    void *context;
};

/* A condition that gets narrower while rows are read, as who reads learns what it has no use for:
 * of a top-N. It may change between two calls on the cursor, which looks at `version` in each and
 * leaves out what it can, within the block it is in too. Apart from the filter: rows may come that
 * fail it, and whether rows are held against the whole filter does not depend on it. */
struct scan_bound {
    uint64_t version;                /* counts the changes; 0: there is no bound yet */
    bool is_never;                   /* nothing passes but what passes_null lets */
    bool passes_null;                /* NULLs too */
    struct scan_condition condition; /* SCAN_RANGE or SCAN_NULL; its column also before it is set */
};

struct scan_filter {
    size_t condition_count;
    const struct scan_condition *conditions;
    const struct scan_bound *bound; /* NULL: none */
    /* The conditions are all of the caller's predicate: where the cursor has held every row against
     * them (cursor_is_exact) it need not be evaluated. */
    bool is_whole;
    /* Per column of the cursor, NULL: none. Only the predicate needs it: where it is not evaluated
     * the column comes as NULLs, unread. */
    const bool *is_only_tested;
    bool is_without_bitmaps; /* tests and bench: the same answer the slow way */
};

/* What is known of one column over all rows of a morsel that pass. */
enum scan_want {
    SCAN_WANT_NULLS, /* row_count, null_count */
    SCAN_WANT_RANGE, /* least and greatest too, if null_count < row_count */
    SCAN_WANT_SUM    /* sum instead, of integers and numerics without NaN; of doubles total */
};
struct scan_extent {
    uint64_t row_count, null_count;
    struct value least, greatest;
    /* Integers as such, numerics as their digits at `scale`. */
    __int128 sum;
    uint8_t scale;
    /* Of doubles: compensated, by rows in their order. */
    double total, lost;
    uint64_t infinite_count;
};

/* What a cursor did, added to over its life: for EXPLAIN ANALYZE and statistics. */
struct scan_counts {
    uint64_t segments, segments_skipped; /* segments_skipped: no morsel of it was read */
    uint64_t morsels, morsels_skipped;   /* by zone maps and bitmaps, before any page was read */
    uint64_t rows_considered;            /* rows of morsels that were read */
    uint64_t rows_by_bitmap;             /* rows given because a bitmap named them */
    uint64_t bitmaps_used;               /* (segment, condition) pairs answered by a bitmap */
    uint64_t bitmap_columns;         /* bit i: a bitmap of the cursor's column i (< 64) was used */
    uint64_t pages_read, bytes_read; /* from files; cache hits not counted */
    /* Of dictionaries handed out first by it, which the snapshot keeps: what the cache has no room
     * for. */
    uint64_t bytes_pinned;
};

#endif
