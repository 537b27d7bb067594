/* Rows kept: flat columns that own all they hold, for sorts, joins, subqueries and INSERT. */
#ifndef FRESHET_QUERY_EXEC_ROWSET_H
#define FRESHET_QUERY_EXEC_ROWSET_H

#include "query/exec/operator.h"

struct rowset_column {
    struct type type;
    void *values;
    uint8_t *validity;
    size_t values_capacity, validity_capacity;
    bool has_null;
};

struct rowset {
    struct exec_memory memory; /* text bytes */
    struct arena scratch;
    size_t row_count, column_count;
    struct rowset_column *columns;
};

void rowset_init(struct rowset *rowset, const struct plan_column *columns, size_t count,
                 struct budget *budget);
void rowset_init_types(struct rowset *rowset, const struct type *types, size_t count,
                       struct budget *budget);
void rowset_deinit(struct rowset *rowset); /* a zeroed one is fine */
/* No rows; what was taken is kept for the next ones. */
void rowset_clear(struct rowset *rowset);
/* Copies `count` rows of the batch: those in `selection`, or the first ones if it is NULL. */
MUST_CHECK enum err rowset_append(struct rowset *rowset, const struct batch *batch,
                                  const uint32_t *selection, size_t count, struct error *error);
/* Bytes of the texts among those rows; 0, unlooked at, while most of a large memory is free. */
size_t rowset_text_size(const struct rowset *rowset, const struct batch *batch,
                        const uint32_t *selection, size_t count);
/* Bytes of memory that appending those rows would charge, about. */
size_t rowset_growth(const struct rowset *rowset, const struct batch *batch,
                     const uint32_t *selection, size_t count);
/* Bytes that the rows kept fill, of what was taken for them. */
size_t rowset_size(const struct rowset *rowset);
/* A view of rows from `first` on; holds until the next append. */
struct column rowset_column(const struct rowset *rowset, size_t column, size_t first);
/* A new rowset of the rows in `selection`; the old one is freed. */
MUST_CHECK enum err rowset_compact(struct rowset *rowset, const uint32_t *selection, size_t count,
                                   struct error *error);
/* Rows before `first` go; a new rowset of the others, the old one is freed. */
MUST_CHECK enum err rowset_drop_front(struct rowset *rowset, size_t first, struct error *error);

#endif
