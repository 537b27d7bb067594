/* Late columns of a top-N: those that neither its keys nor conditions need are read for the rows
 * that come out alone, by their numbers. */
#ifndef FRESHET_QUERY_EXEC_LATE_H
#define FRESHET_QUERY_EXEC_LATE_H

#include "query/exec/rowset.h"

struct late {
    struct exec_node *scan; /* NULL: every column comes with its row */
    size_t count;           /* late columns */
    uint32_t *outputs;      /* of the sort's child; ascending */
    uint32_t *columns;      /* the same as the schema counts them */
    bool *is_late;          /* by the child's column */
    struct cursor *cursor;
    struct rowset rows;
    uint64_t charged; /* for dictionaries that the snapshot keeps */
    size_t rows_max;  /* of a batch: what they take is a part of the query's memory */
};

/* Finds out which columns of the child of a sort, opened but not read, may come late where `top`
 * rows are wanted, and tells the scan below to leave them out. In the exec's arena. */
void late_open(struct exec_node *sort, size_t top, struct late *late);
/* The rows' late columns: into out[] by the child's columns, in the sort's scratch; texts hold
 * until the next call. `numbers` is FLAT, of at most VECTOR_ROWS_MAX rows; *count of them, at least
 * one, and fewer after it where they would take too much memory. */
MUST_CHECK enum err late_read(struct exec_node *sort, struct late *late,
                              const struct column *numbers, size_t *count, struct column *out,
                              struct error *error);
void late_close(struct exec_node *sort, struct late *late); /* also if nothing was opened */

#endif
