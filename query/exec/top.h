/* What a scan does for a top-N above it: the best morsels first, and a bound that gets closer. */
#ifndef FRESHET_QUERY_EXEC_TOP_H
#define FRESHET_QUERY_EXEC_TOP_H

#include "query/exec/operator.h"

/* The first key of the order, and of which rows it is told. */
struct top_key {
    uint32_t column; /* of the scan's output */
    bool is_descending, is_nulls_first;
    bool is_only;     /* no other key: of rows equal in it those that came before win */
    bool is_by_place; /* … that stand before them in the view, in whatever order they come */
    bool is_not_null;
};

struct top_bound {
    bool is_on;
    struct top_key key;
    struct scan_bound bound; /* the cursor's */
    struct arena arena;      /* of the worst value */
    bool has_worst, has_worst_rank, is_strict;
    struct value worst;
    uint64_t worst_row;
    int64_t worst_rank;
    uint64_t end; /* of the current morsel's rows */
    /* Morsels in the order they are met, and the best that is in each, the least first. */
    size_t *order;
    int64_t *ranks;
};

/* Can a bound be told of columns of this type? */
bool top_has_bound(struct type type);
void top_init(struct top_bound *top, const struct top_key *key);
void top_deinit(struct top_bound *top); /* a zeroed one is fine */
/* Numbers of all morsels in an order in which the best rows are likely to come soon, segment by
 * segment, in the arena; key.is_by_place: it is not the one they lie in. `is_skipped` is asked of a
 * morsel before anything is read for it. */
MUST_CHECK enum err top_order(struct top_bound *top, struct cursor *cursor,
                              const struct table_view *view,
                              bool (*is_skipped)(const void *context, size_t morsel),
                              const void *context, struct arena *arena, struct error *error);
/* Rows behind this one in the order are of no use any more. */
void top_set_worst(struct top_bound *top, const struct value *worst, uint64_t row);
/* The next rows are those of the morsel at this place of the order, or (order NULL) of any, which
 * end before row `end`. False: none of them is of use. */
bool top_enter(struct top_bound *top, size_t place, uint64_t end);

#endif
