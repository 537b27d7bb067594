/* Which integers were seen, a bit each: for DISTINCT without groups over values that lie close
 * together. */
#ifndef FRESHET_QUERY_EXEC_SEEN_BITS_H
#define FRESHET_QUERY_EXEC_SEEN_BITS_H

#include "query/exec/operator.h"

struct seen_bits {
    /* private */
    struct exec_memory *memory;
    uint64_t *words; /* bit v % 64 of word v / 64 (rounded down) - first */
    size_t capacity, word_count;
    int64_t first;
    size_t count; /* of values that were seen, NULL aside */
    bool has_null;
};

/* The rows of one call; `column` is not CONSTANT unless `count` is at most 1. */
struct seen_rows {
    const struct column *column;
    const uint32_t *selection; /* NULL: rows 0 … count - 1 */
    size_t count;
    bool is_insert;
};

void seen_bits_init(struct seen_bits *bits, struct exec_memory *memory);
void seen_bits_deinit(struct seen_bits *bits);
/* Makes the bits cover the values of the rows if they may take that much memory; `known_count` is
 * how many different values are known to be there. */
MUST_CHECK enum err seen_bits_cover(struct seen_bits *bits, const struct seen_rows *rows,
                                    size_t known_count, bool *fits, struct error *error);
/* Of the rows those whose values were not seen before, into `fresh`; returns how many. Inserted
 * rows must be covered. */
size_t seen_bits_keep(struct seen_bits *bits, const struct seen_rows *rows, uint32_t *fresh);
/* Up to `count` of the values, ascending, from *at on (0 at first); returns how many, 0 at the end.
 */
size_t seen_bits_list(const struct seen_bits *bits, size_t *at, int64_t *values, size_t count);

/* Sees what `other` has, NULL aside; *count: how many of its values were new. *fits false: that
 * would take too much, and nothing was done. */
MUST_CHECK enum err seen_bits_add(struct seen_bits *bits, const struct seen_bits *other, bool *fits,
                                  size_t *count, struct error *error);

#endif
