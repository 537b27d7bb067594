/* One column's values to numbers: what keys.c shares with key_bytes.c. Internal to these two. */
#ifndef FRESHET_QUERY_EXEC_KEY_TABLE_H
#define FRESHET_QUERY_EXEC_KEY_TABLE_H

#include "query/exec/keys.h"

/* The rows of one call. */
struct key_rows {
    const struct column *column;
    const uint32_t *selection;
    size_t count;
    bool is_insert;
};

static inline size_t row_at(const struct key_rows *rows, size_t i)
{
    return rows->selection != NULL ? rows->selection[i] : i;
}

static inline size_t value_size(const struct key_table *table)
{
    return physical_size(table->physical);
}

/* query/exec/keys.c: NULL's number; KEY_NONE if it has none and is not to get one. */
uint32_t key_null_number(struct key_table *table, bool is_insert);
/* query/exec/key_bytes.c: room for so many new texts, numerics or intervals by hash. */
MUST_CHECK enum err key_bytes_reserve(struct key_table *table, size_t extra, struct error *error);
/* Their numbers, by row. */
MUST_CHECK enum err key_bytes_ids(struct key_table *table, const struct key_rows *rows,
                                  uint32_t *ids, struct error *error);

#endif
