/* How many keys a GROUP's tables had, kept with its plan for the next run.
 *
 *   plan->group.sizes   keys: values and combinations of each column, then of each call with
 *                       DISTINCT: those of its arguments, pairs of a group and a value
 *
 * Plans are shared by runs at the same time and by texts of one shape, so a number is what some
 * run before has had: it says how large tables are made (key_room()), never what is in them. It is
 * that of the last run whatever that was: one of few rows makes the next one begin small again.
 * Tables of few keys grow in the first cache and are not kept. Neither are those of rows that were
 * put aside: what fitted says nothing then. Where no run has left any they are guessed from the
 * first rows (group_sample.c). */
#include "query/exec/group.h"
#include "query/exec/split.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <math.h>

#define SIZE_MIN 1024 /* keys */
#define NUMBERS_MAX (2 * GROUP_ARGUMENTS_MAX + 1)
/* Tables of more have grown by themselves before long, and a guess may be far too high. */
#define GUESS_MAX 2e6

/* The numbers from *at on, which is moved behind them; false: the plan has none. */
static bool take(const struct exec_node *node, size_t count, size_t *at, uint32_t *out)
{
    const struct plan *plan = node->plan;
    const struct group *group = node->state;
    if (*at + count > plan->group.size_count || count > NUMBERS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = group->guessed != NULL
                     ? group->guessed[*at + i]
                     : atomic_load_explicit(&plan->group.sizes[*at + i], memory_order_relaxed);
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
    if (take(node, count, &at, sizes)) {
        total += sum(sizes, count);
        divide(sizes, count, share);
        tuple_table_expect(&tier->keys, sizes);
    }
    for (size_t a = 0; a < group->call_count; a++) {
        if (!group->calls[a].call->is_distinct)
            continue;
        struct distinct *distinct = &tier->own[a].distinct;
        count = distinct_sizes_count(distinct);
        if (!take(node, count, &at, sizes))
            break;
        total += sum(sizes, count);
        divide(sizes, count, share);
        distinct_expect(distinct, sizes);
    }
    node->exec->actual[node->plan->id].keys_expected = total;
}

/* --- guesses --- */

void group_sizes_count(const struct exec_node *node, const struct group_tier *tier, uint32_t *sizes)
{
    const struct group *group = node->state;
    size_t at = tuple_sizes_count(node->plan->group.key_count);
    if (node->plan->group.size_count == 0)
        return;
    tuple_table_sizes(&tier->keys, sizes);
    for (size_t a = 0; a < group->call_count; a++) {
        const struct distinct *distinct = &tier->own[a].distinct;
        if (!group->calls[a].call->is_distinct)
            continue;
        assert(at + distinct_sizes_count(distinct) <= node->plan->group.size_count);
        distinct_sizes(distinct, sizes + at);
        at += distinct_sizes_count(distinct);
        sizes[at - 1] = (uint32_t)distinct->pair_count;
    }
}

/* With twice the rows there are 2^(1 - loss) times the keys. */
static double loss(double keys_before, double keys, double rows_before, double rows)
{
    double lost = keys_before == 0 ? 1 : 1 - log(keys / keys_before) / log(rows / rows_before);
    return lost < 0 ? 0 : lost > 1 ? 1 : lost;
}

/* As the loss went up from one half of the rows to the next, so it goes on. */
static double guess(const struct group_growth *growth, uint32_t first, uint32_t second,
                    uint32_t last)
{
    double before = loss(first, second, (double)growth->rows[0], (double)growth->rows[1]);
    double lost = loss(second, last, (double)growth->rows[1], (double)growth->rows[2]);
    double up = before * 2 < lost ? 2 : before >= lost ? 1 : lost / before, keys = last;
    double rows = (double)growth->rows[2], all = (double)growth->all_rows;
    for (; rows < all && lost < 1 && keys < GUESS_MAX; rows *= 2) {
        double doublings = rows * 2 > all ? log2(all / rows) : 1;
        lost = lost * up < 1 ? lost * up : 1;
        keys *= exp2((1 - lost) * doublings);
    }
    return keys < GUESS_MAX ? keys : GUESS_MAX;
}

void group_sizes_guess(struct exec_node *node, const struct group_tier *tier,
                       const struct group_growth *growth)
{
    struct group *group = node->state;
    size_t count = node->plan->group.size_count;
    size_t at = tuple_sizes_count(node->plan->group.key_count);
    uint32_t *sizes = arena_alloc_zero(&node->exec->arena, (count + 1) * sizeof(*sizes));
    group_sizes_count(node, tier, sizes);
    for (size_t i = 0; i < count; i++)
        sizes[i] = (uint32_t)guess(growth, growth->counts[0][i], growth->counts[1][i], sizes[i]);
    for (size_t a = 0; a < group->call_count; a++) {
        const struct distinct *distinct = &tier->own[a].distinct;
        if (!group->calls[a].call->is_distinct)
            continue;
        size_t arguments = tuple_sizes_count(distinct->values.column_count);
        uint32_t values = sizes[arguments == 2 ? at : at + arguments - 1];
        at += distinct_sizes_count(distinct);
        sizes[at - 1] -= values < sizes[at - 1] ? values : sizes[at - 1]; /* the others */
    }
    for (size_t i = 0; i < count; i++)
        sizes[i] = sizes[i] < SIZE_MIN ? 0 : sizes[i];
    group->guessed = sizes;
}

bool group_sizes_are_known(const struct exec_node *node)
{
    const struct plan *plan = node->plan;
    bool are = false;
    for (size_t i = 0; i < plan->group.size_count; i++)
        are = are || atomic_load_explicit(&plan->group.sizes[i], memory_order_relaxed) != 0;
    return are;
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
