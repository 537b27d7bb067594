/* Statements: shared by reference count between the plan cache and running queries. */
#include "query/plan/plan.h"

#include <assert.h>

struct statement *statement_ref(struct statement *statement)
{
    uint32_t before = atomic_fetch_add_explicit(&statement->references, 1, memory_order_relaxed);
    assert(before > 0);
    return statement;
}

void statement_unref(struct statement *statement)
{
    if (statement == NULL)
        return;
    /* release: what this holder read is read before the last holder frees; acquire: and seen by it.
     */
    uint32_t before = atomic_fetch_sub_explicit(&statement->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    for (size_t index = 0; index < statement->table_count; index++)
        schema_unref(statement->tables[index].schema);
    struct arena arena = statement->arena;
    memory_free(statement);
    arena_deinit(&arena);
}
