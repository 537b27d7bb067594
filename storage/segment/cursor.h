/* What the files behind a cursor share: cursor.c (the calls, mutable segments), cursor_sealed.c
 * (blocks of sealed ones), pick.c (rows by number), sieve.c (filters against a sealed segment).
 * Private to storage/segment.
 */
#ifndef FRESHET_STORAGE_SEGMENT_CURSOR_H
#define FRESHET_STORAGE_SEGMENT_CURSOR_H

#include "storage/segment/source.h"
#include "storage/segment/view.h"

/* Room that readers of vectors may write past their end. */
#define VECTOR_ROOM (BLOCK_VECTOR_ROWS + 16)

struct cursor_column {
    uint32_t index; /* in the schema */
    const struct column_definition *definition;
    struct column constant; /* of `missing` */
    struct column null;     /* constant NULL */
    void *buffer;           /* VECTOR_ROOM of the physical class or of codes; made when needed */

    const struct chunk_column *source; /* in the current chunk, NULL: constant */

    const struct sealed_column *sealed; /* in the current segment, NULL: constant */
    struct cache_entry *dictionary;     /* held; NULL: not needed yet */
    bool is_pinned;                     /* the dictionary: its reference is with the pins */
    struct cache_entry *page;           /* held; of `page_block`; NULL: not needed yet */
    uint32_t page_block;
    struct block_scratch scratch; /* of text */
    void *raw;                    /* VECTOR_ROOM values of a block's class, at most 16 bytes each */
    uint8_t *validity;            /* VECTOR_ROOM */
    /* All rows that the filter leaves of the current block have this integer or code: the column
     * is not read. */
    bool is_fixed;
    bool is_left_out; /* of the current morsel: cursor_leave_out() */
    int64_t fixed;
    union {
        int64_t i;
        struct numeric n;
        struct slice text;
    } fixed_value;
};

enum sift_way {
    SIFT_ZONE,  /* by the zones of blocks only */
    SIFT_RANGE, /* low <= integer or code <= high */
    SIFT_LIST,  /* one of `keys`, integers */
    SIFT_SET,   /* code in `set` */
    SIFT_NULL,
    SIFT_NOT_NULL
};

/* One condition as it reads in this segment. */
struct sift {
    enum sift_way way;
    struct cursor_column *column;
    int64_t low, high; /* least and greatest that pass; of zones' terms under SIFT_ZONE */
    bool has_nan;      /* NaN passes, which lies below all numbers in blocks of numeric */
    size_t key_count;  /* what passes as a list, ascending; 0: too long to say */
    int64_t *keys;
    const uint64_t *set;
    double share;      /* of the rows that passes, as far as is known: for the order of sifts */
    bool is_by_bitmap; /* the sieve's `rows` have seen to it */
    bool is_pending;   /* rows of the current block must be looked at */
};

/* A filter against one sealed segment. */
struct sieve {
    bool is_empty; /* no row passes */
    bool is_loose; /* some condition cannot be told of rows here */
    bool is_exact; /* rows of the current block that come satisfy the filter */
    size_t sift_count;
    struct sift *sifts;
    struct row_set *rows; /* NULL: no bitmap is used; else all other rows fail */
    /* Of the filter's bound, as of a version of it: where `has_bound`, all that may be pending is
     * the bound's sift, which stands before the others, and they. */
    bool has_bound, bound_is_empty, bound_passes_null;
    uint64_t bound_version;
    struct arena bound_arena;
    struct arena arena;
};

/* All sifts that rows are held against. */
static inline size_t sieve_all(const struct sieve *sieve, struct sift **first)
{
    if (!sieve->has_bound) {
        *first = sieve->sifts; /* NULL: none */
        return sieve->sift_count;
    }
    *first = sieve->sifts - 1;
    return sieve->sift_count + 1;
}

/* Rows of one vector that are wanted. */
struct sealed_vector {
    uint32_t begin, count; /* in the block */
    const uint32_t *rows;  /* offsets from begin, ascending; NULL: all */
    uint32_t row_count;
};

/* The cursor's place in a sealed segment. */
struct sealed_place {
    struct sealed *sealed; /* NULL: in none */
    const struct sealed_footer *footer;
    struct sieve sieve;
    uint32_t block;
    uint32_t row, end; /* in the block */
    bool is_read;      /* some block of the segment was */
    uint32_t streak;   /* blocks asked for one behind the other: worth reading ahead */
    size_t last_morsel;
    uint32_t *selection, *other; /* VECTOR_ROOM */
    uint32_t *picked;            /* VECTOR_ROOM: rows of several vectors, in the block */
    uint32_t *block_rows;        /* all that the filter leaves, by number; made when needed */
    uint32_t block_row_count, block_row_next;
    bool has_block_rows;
    bool is_listed; /* what comes of the block is block_rows, though no bitmap named them */
    struct sealed_vector held; /* found behind picked rows: comes next. count 0: none */
    struct arena texts;        /* of picked rows: each vector's scratch is used again */
};

/* Times of one vector, while ends of runs are looked for. */
struct time_vector {
    const struct sealed *sealed;
    uint32_t block, begin, count; /* count 0: of none */
    int64_t us[VECTOR_ROOM];
};

/* Which rows of the morsel the last batch has: base + rows[i], or base + i. */
struct batch_place {
    const uint32_t *rows; /* NULL: one behind the other */
    uint64_t base;
    size_t count;
};

struct cursor {
    const struct table_view *view;
    const struct scan_filter *filter; /* NULL: none */
    const struct chunk *chunk;        /* NULL: in a sealed segment */
    uint64_t row, end;                /* in the current chunk */
    size_t morsel;                    /* the current one; SIZE_MAX: none yet */
    struct batch_place last;
    struct sealed_place place;
    size_t column_count;
    struct cursor_column *columns;
    struct column *vectors;
    struct time_vector *times; /* NULL: none was asked for yet */
    struct scan_counts counts;
    struct pauser *pauser;     /* of who writes rows anew; NULL: a query's */
    struct view_pins own_pins; /* where the view has none */
    struct arena arena;
};

void *cursor_buffer(struct cursor *cursor, struct cursor_column *column);
/* Rows [row, row + count) of the current chunk, at most a vector of them. */
struct column cursor_chunk_vector(struct cursor *cursor, struct cursor_column *column, uint64_t row,
                                  size_t count);

/* --- cursor_sealed.c --- */

MUST_CHECK enum err sealed_seek(struct cursor *cursor, size_t morsel, struct morsel_place where,
                                bool *has, struct error *error);
MUST_CHECK enum err sealed_next(struct cursor *cursor, struct batch *batch, bool *has,
                                struct error *error);
/* Rows of the current block by number, ascending, at most a vector of them. */
MUST_CHECK enum err sealed_pick(struct cursor *cursor, const uint32_t *rows, uint32_t count,
                                struct batch *batch, struct error *error);
/* Lets go of the segment. */
void sealed_leave(struct cursor *cursor);
/* The column's block of the current block number; borrowed from the cursor. */
MUST_CHECK enum err cursor_page(struct cursor *cursor, struct cursor_column *column,
                                const struct block **out, struct error *error);
/* The segment's dictionary of the column; borrowed from the cursor. */
MUST_CHECK enum err cursor_dictionary(struct cursor *cursor, struct cursor_column *column,
                                      const struct cache_entry **out, struct error *error);

/* Values from a block's class to the physical class of the type, where they differ. */
void cursor_convert(struct type type, const void *raw, uint32_t count, void *out);
/* Rows of the current block that bitmaps and the other conditions leave, into place->block_rows,
 * unless they are there already. Without bitmaps only before the first vector. */
MUST_CHECK enum err cursor_block_rows(struct cursor *cursor, struct error *error);
/* Are the rows that come named one by one? */
static inline bool place_has_list(const struct sealed_place *place)
{
    return place->sieve.rows != NULL || place->is_listed;
}

/* --- bound.c --- */

/* Makes the filter's bound the segment's, if it changed. */
MUST_CHECK enum err bound_follow(struct cursor *cursor, struct error *error);
/* Whether rows of the block can pass; marks the bound's sift if they must be held against it. */
bool bound_block(struct sieve *sieve, uint32_t block, uint32_t row_count);

/* --- sieve.c --- */

/* For the segment that the cursor has just entered. */
MUST_CHECK enum err sieve_enter(struct cursor *cursor, struct error *error);
void sieve_leave(struct sieve *sieve);
/* A condition as it reads in the segment that the cursor is in. *passes false: no row does.
 * *is_told false: rows cannot be told apart, and there is no sift. */
MUST_CHECK enum err sieve_make_sift(struct cursor *cursor, const struct scan_condition *asked,
                                    struct arena *arena, struct sift *sift, bool *passes,
                                    bool *is_told, struct error *error);
/* Whether rows of a block can pass; marks the sifts that its rows must be held against. */
bool sieve_block(struct sieve *sieve, uint32_t block, uint32_t row_count);
/* Where bitmaps are used: rows of the current block that can pass, ascending, into
 * place->block_rows. */
MUST_CHECK enum err sieve_rows(struct cursor *cursor, struct error *error);
/* Where not: rows of the vector [begin, begin + count) of the current block that can pass, into
 * place->selection; *selected = UINT32_MAX: all, nothing was written. */
MUST_CHECK enum err sieve_vector(struct cursor *cursor, uint32_t begin, uint32_t count,
                                 uint32_t *selected, struct error *error);

#endif
