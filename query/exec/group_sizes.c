/* How many keys a GROUP's tables had, kept with its plan for the next run.
 *
 *   plan->group.sizes   keys: values and combinations of each column, then of each call with
 *                       DISTINCT: those of its arguments, pairs of a group and a value
 *
 * Plans are shared by runs at the same time and by texts of one shape, so a number is what some
 * run before has had: it says how large tables are made (key_room()), never what is in them. It is
 * that of the last run whatever that was: one of few rows makes the next one begin small again.
 * Tables of few keys grow in the first cache and are not kept. Neither are those of rows that were
 * put aside: what fitted says nothing then. */
#include "query/exec/group.h"
#include "query/exec/split.h"

#include "storage/base/fault.h"

#include <assert.h>

#define SIZE_MIN 1024 /* keys */
#define NUMBERS_MAX (2 * GROUP_ARGUMENTS_MAX + 1)

/* The numbers from *at on, which is moved behind them; false: the plan has none. */
static bool take(const struct plan *plan, size_t count, size_t *at, uint32_t *out)
{
    if (*at + count > plan->group.size_count || count > NUMBERS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = atomic_load_explicit(&plan->group.sizes[*at + i], memory_order_relaxed);
    *at += count;
    return true;
}

static bool give(const struct plan *plan, size_t count, size_t *at, const uint32_t *sizes)
{
    if (*at + count > plan->group.size_count)
        return false;
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&plan->group.sizes[*at + i], sizes[i] < SIZE_MIN ? 0 : sizes[i],
                              memory_order_relaxed);
    *at += count;
    return true;
}

static uint64_t sum(const uint32_t *sizes, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += sizes[i];
    return total;
}

static void add(uint32_t *sizes, const uint32_t *more, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sizes[i] = sizes[i] < UINT32_MAX - more[i] ? sizes[i] + more[i] : UINT32_MAX;
}

/* Of so many, one's. */
static void divide(uint32_t *sizes, size_t count, uint32_t share)
{
    for (size_t i = 0; i < count; i++)
        sizes[i] = sizes[i] / share + (sizes[i] % share != 0);
}

void group_sizes_expect(struct exec_node *node, struct group_tier *tier, uint32_t share)
{
    struct group *group = node->state;
    uint32_t sizes[NUMBERS_MAX] = {0};
    size_t at = 0, count = tuple_sizes_count(node->plan->group.key_count);
    uint64_t total = 0;
    if (take(node->plan, count, &at, sizes)) {
        total += sum(sizes, count);
        divide(sizes, count, share);
        tuple_table_expect(&tier->keys, sizes);
    }
    for (size_t a = 0; a < group->call_count; a++) {
        if (!group->calls[a].call->is_distinct)
            continue;
        struct distinct *distinct = &tier->own[a].distinct;
        count = distinct_sizes_count(distinct);
        if (!take(node->plan, count, &at, sizes))
            break;
        total += sum(sizes, count);
        divide(sizes, count, share);
        distinct_expect(distinct, sizes);
    }
    node->exec->actual[node->plan->id].keys_expected = total;
}

void group_sizes_note(struct exec_node *node, const struct group_tier *tier)
{
    const struct group *group = node->state;
    const struct group_tier *other = group->split != NULL ? split_tier(group->split) : NULL;
    uint32_t sizes[NUMBERS_MAX] = {0}, more[NUMBERS_MAX] = {0};
    size_t at = 0, count = tuple_sizes_count(node->plan->group.key_count);
    node->exec->actual[node->plan->id].keys_moved =
        tier->memory.keys_moved + (other != NULL ? other->memory.keys_moved : 0);
    if (tier->parts != NULL || count > NUMBERS_MAX || fault_is("group.size_stale"))
        return;
    tuple_table_sizes(&tier->keys, sizes);
    if (other != NULL)
        tuple_table_sizes(&other->keys, more);
    add(sizes, more, other != NULL ? count : 0);
    bool fits = give(node->plan, count, &at, sizes);
    for (size_t a = 0; fits && a < group->call_count; a++) {
        if (!group->calls[a].call->is_distinct)
            continue;
        count = distinct_sizes_count(&tier->own[a].distinct);
        distinct_sizes(&tier->own[a].distinct, sizes);
        if (other != NULL)
            distinct_sizes(&other->own[a].distinct, more);
        add(sizes, more, other != NULL ? count : 0);
        fits = give(node->plan, count, &at, sizes);
    }
}
