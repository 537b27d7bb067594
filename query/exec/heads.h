/* Which rows can be among the first few of their key, before they are sorted. */
#ifndef FRESHET_QUERY_EXEC_HEADS_H
#define FRESHET_QUERY_EXEC_HEADS_H

#include "query/exec/keys.h"

struct heads {
    const struct plan *plan; /* a SORT with head_rows; NULL: there is nothing to do */
    struct budget budget;    /* a part of the query's memory: the rest is for the sort */
    struct exec_memory memory;
    struct tuple_table keys;
    uint64_t *codes; /* head_rows a key: of the best rows so far, the worst of them first */
    size_t capacity, known;
    size_t stretch_rows, stretch_kept;
};

/* `types` are those of the first head_keys of the sort's keys. */
void heads_init(struct heads *heads, const struct plan *plan, const struct type *types,
                struct budget *budget);
void heads_deinit(struct heads *heads); /* a zeroed one is fine */
/* Of the batch's rows those that may be among the first head_rows of their key; `keys` are the
 * sort's. Gives false where all may be, or where telling does not pay: then `selection` and *kept
 * are as they were. */
bool heads_keep(struct heads *heads, const struct column *keys, size_t row_count,
                uint32_t *selection, size_t *kept);

#endif
