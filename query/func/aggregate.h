/* Aggregates: states in arrays, updated a batch at a time. */
#ifndef FRESHET_QUERY_FUNC_AGGREGATE_H
#define FRESHET_QUERY_FUNC_AGGREGATE_H

#include "query/expr/expr.h"
#include "storage/column/column.h"

/* Where states that grow (percentile_cont, text min/max) take memory: the group operator's arena and budget. */
struct aggregate_memory {
    struct arena *arena;
    struct budget *budget;
};

struct aggregate {
    const char *name;
    const char *doc, *example;
    size_t state_size;              /* bytes, multiple of 16 */
    void (*init)(void *state);
    /* Adds rows: state of row i is states + group[i] * stride (row numbers i from `selection`, NULL: 0 … count-1).
     * `arguments` are FLAT, CONSTANT or DICTIONARY; NULLs are the aggregate's matter (most skip them). Sums of doubles are
     * compensated (Neumaier). group may be NULL: all rows go to the one state (the fast path for totals). */
    enum err (*update)(char *states, size_t stride, const uint32_t *group, const uint32_t *selection, size_t count,
                       const struct column *arguments, struct aggregate_memory *memory, struct error *error);
    /* target += source, in segment order; for partial aggregates. */
    enum err (*combine)(void *target, const void *source, struct aggregate_memory *memory, struct error *error);
    /* 22003 and the like; payloads in memory->arena. call gives type and direct argument. */
    enum err (*finish)(const void *state, const struct aggregate_call *call, struct aggregate_memory *memory,
                       struct value *out, struct error *error);
};

#endif
