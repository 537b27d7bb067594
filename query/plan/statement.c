/* Statements: shared by reference count between the plan cache and running queries, and what these
 * leave there for the next. */
#include "query/plan/plan.h"

#include <assert.h>

#define SIZES_MAX 64

void plan_make_sizes(struct plan *plan, struct arena *arena)
{
    if (plan->kind != PLAN_GROUP)
        return;
    size_t count = 2 * plan->group.key_count;
    for (size_t i = 0; i < plan->group.aggregate_count; i++)
        if (plan->group.aggregates[i].is_distinct) /* arguments, and what they are ordered by */
            count += 2 * ((size_t)plan->group.aggregates[i].argument_count + 1) + 1;
    if (count > SIZES_MAX)
        return;
    plan->group.size_count = count;
    plan->group.sizes = arena_alloc_zero(arena, count * sizeof(*plan->group.sizes));
}

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
