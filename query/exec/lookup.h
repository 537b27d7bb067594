/* A lookup's rows, and what probes (probe.c) ask of it. */
#ifndef FRESHET_QUERY_EXEC_LOOKUP_H
#define FRESHET_QUERY_EXEC_LOOKUP_H

#include "query/exec/keys.h"
#include "query/exec/rowset.h"

struct lookup_rows {
    struct exec_memory memory;
    struct rowset rows;
    struct rowset order; /* values of the order's keys beside them */
    struct tuple_table keys;
    uint32_t *ids;     /* by row: the key's number, KEY_NONE: NULL */
    uint32_t *numbers; /* rows by key, in order */
    uint32_t *starts;  /* by key, and the end */
    uint32_t *spare;   /* while sorting */
    int64_t *firsts;   /* the first thing ordered by, beside numbers; NULL: not made (probe.c) */
    size_t id_capacity, number_capacity, start_capacity, spare_capacity, first_capacity;
    size_t row_limit; /* more are cut to the top ones of each key */
    bool is_built, is_too_large;
};

struct lookup {
    struct lookup_rows *kept;
    struct evaluator **keys, **values;
    struct evaluator *condition;
    struct exec_node *source; /* open while it is read */
    bool is_started;
    uint32_t next, end; /* of kept->numbers */
    size_t batch_rows;
};

/* Reads the source, once; too large: its rows are not kept, each run reads them. */
MUST_CHECK enum err lookup_prepare(struct exec_node *node, struct error *error);
/* [next, end) are a key's rows: what lies out of the bound goes. `order` are the order's values. */
void lookup_cut(struct exec_node *node, const struct column *order,
                const struct lookup_bound *bound, const struct value *value);
/* … and the NULLs, which meet no bound. */
void lookup_cut_nulls(struct exec_node *node, const struct column *order);
/* Does a value that compares so with the bound's meet it? */
bool lookup_meets(const struct lookup_bound *bound, int difference);

#endif
