/* GROUP BY past the query's memory: rows of further groups are put aside by the hash of their keys
 * and grouped part by part.
 *
 *   tier 0   reads the child    ── known keys ──▶ states
 *                               ── new keys, once it is frozen ──▶ 32 parts on disk
 *            gives its groups, forgets them
 *   tier 1   reads part 0 … 31, each as tier 0 read the child, with five more bits of the hash
 *
 * Rows go to disk, never states, so an aggregate knows nothing of it, and the rows of one group
 * reach it in the order they came in: each answer is the one of the query in memory to the last
 * bit. The groups that came first, which are the large ones more often than not, stay in memory.
 *
 * States may grow after that (lists, DISTINCT, ORDER BY in the call). Such a tier is frozen early,
 * and once it holds half of the memory it is closed: all rows are put aside, and its groups are
 * given with the part that their keys are in. The tier of that part reads on where the closed one
 * stopped: it adds to the states of the closed one's groups, in memory of its own that goes with
 * the part, and asks both for what DISTINCT has seen. A tier below a closed one is not closed
 * itself: what a thirty-second part of the groups needs must fit then, or it is 53200. So must the
 * states of any one group. Six levels of 32 parts are as far as the splitting goes. */
#include "query/exec/group.h"

#include <assert.h>
#include <string.h>

/* Of the query's memory: where tiers whose states may grow are frozen, and where they are closed.
 */
#define FREEZE_SHARE(limit) ((limit) / 8 * 3)
#define CLOSE_SHARE(limit) ((limit) / 2)

static size_t depth_of(const struct group *group, const struct group_tier *tier)
{
    return (size_t)(tier - group->tiers);
}

struct group_tier *group_tier_above(struct group *group, const struct group_tier *tier)
{
    size_t depth = depth_of(group, tier);
    return depth > 0 && group->tiers[depth - 1].is_closed ? &group->tiers[depth - 1] : NULL;
}

/* --- when --- */

static bool may_grow(const struct group *group, const struct group_tier *tier)
{
    bool has_ordered = false;
    for (size_t i = 0; i < group->call_count; i++)
        has_ordered = has_ordered || tier->own[i].ordered != NULL;
    return has_ordered || group->has_distinct || tier->aggregate_arena.arena.total != 0;
}

static size_t rest_need(const struct group *group, const struct group_rest *rests, size_t rows)
{
    size_t bytes = 0;
    for (size_t i = 0; rests != NULL && i < group->call_count; i++) {
        if (rests[i].ordered != NULL)
            bytes += ordered_need(rests[i].ordered);
        if (group->calls[i].call->is_distinct)
            bytes += distinct_growth(&rests[i].distinct, rows);
    }
    return bytes;
}

size_t group_need(const struct group *group, const struct group_tier *tier, size_t rows)
{
    size_t bytes = rest_need(group, tier->own, rows) + rest_need(group, tier->above, rows);
    if (tier->parts != NULL)
        return bytes;
    bytes += tuple_table_growth(&tier->keys, rows) + exec_memory_step(&tier->memory);
    if (tier->keys.count + rows > tier->state_capacity && group->stride != 0) {
        size_t wanted = group_states_wanted(group, tier, tier->keys.count + rows);
        size_t least = (tier->state_capacity + rows) * group->stride;
        bytes += wanted * group->stride > least ? wanted * group->stride : least;
    }
    return bytes;
}

static void freeze(struct exec_node *node, struct group_tier *tier)
{
    const struct group *group = node->state;
    tier->parts = memory_alloc_zero(SPILL_PARTS * sizeof(*tier->parts));
    for (size_t i = 0; i < SPILL_PARTS; i++)
        spill_stream_init(&tier->parts[i], node, group->types,
                          node->plan->children[0]->column_count);
}

bool group_spill_check(struct exec_node *node, struct group_tier *tier, size_t row_count)
{
    struct group *group = node->state;
    const struct budget *budget = node->exec->budget;
    if (!group->can_spill || tier->is_closed || tier->is_portion)
        return tier->is_closed;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t own = used > tier->used_before ? used - tier->used_before : 0;
    size_t need = group_need(group, tier, row_count);
    bool is_due = spill_is_due(node->exec, own, need), grows = may_grow(group, tier);
    bool is_below = tier->above != NULL, is_last = depth_of(group, tier) + 1 == SPILL_DEPTH_MAX;
    if (tier->parts == NULL && !is_last && tier->keys.count != 0 &&
        (is_due || (grows && !is_below && own + need > FREEZE_SHARE(budget->limit))))
        freeze(node, tier);
    else if (tier->parts != NULL && !is_below && grows &&
             (is_due || own + need > CLOSE_SHARE(budget->limit)))
        tier->is_closed = true;
    return tier->parts != NULL || is_below;
}

/* --- rows --- */

static enum err put_aside(struct exec_node *node, struct group_tier *tier, const struct batch *in,
                          const struct column *keys, const uint32_t *selection, size_t count,
                          struct error *error)
{
    uint64_t hashes[VECTOR_ROWS_MAX];
    struct spill_stream *streams[SPILL_PARTS];
    for (size_t part = 0; part < SPILL_PARTS; part++)
        streams[part] = &tier->parts[part];
    tuple_hashes(keys, node->plan->group.key_count, selection, count, hashes);
    return spill_write_parts(streams, depth_of(node->state, tier), in, selection, count, hashes,
                             error);
}

/* Those of the rows whose ids are known stay in `known`, the others in `others`. */
static void split(const uint32_t *ids, const uint32_t *selection, size_t count, uint32_t *known,
                  size_t *known_count, uint32_t *others, size_t *other_count)
{
    *known_count = *other_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[selection[i]] != KEY_NONE)
            known[(*known_count)++] = selection[i];
        else
            others[(*other_count)++] = selection[i];
    }
}

static enum err update_known(struct exec_node *node, struct group_tier *tier,
                             struct group_tier *owner, const struct batch *in, const uint32_t *ids,
                             const uint32_t *selection, size_t count, struct error *error)
{
    struct group_target target = {
        .tier = tier, .owner = owner, .rest = owner == tier ? tier->own : tier->above};
    struct group_rows rows = {.group = ids,
                              .group_count = owner->keys.count,
                              .selection = count == in->row_count ? NULL : selection,
                              .count = count};
    return count == 0 ? OK : group_update(node, &target, in, rows, error);
}

enum err group_spill_batch(struct exec_node *node, struct group_tier *tier, const struct batch *in,
                           const struct column *keys, struct error *error)
{
    struct group_tier *above = group_tier_above(node->state, tier);
    uint32_t ids[VECTOR_ROWS_MAX], known[VECTOR_ROWS_MAX], left[VECTOR_ROWS_MAX];
    size_t known_count = 0, count = in->row_count;
    enum err err = OK;
    for (uint32_t i = 0; i < count; i++)
        left[i] = i;
    if (above != NULL) {
        err = tuple_table_ids(&above->keys, keys, NULL, count, false, ids, error);
        if (err == OK)
            split(ids, left, count, known, &known_count, left, &count);
        if (err == OK)
            err = update_known(node, tier, above, in, ids, known, known_count, error);
    }
    if (err != OK || count == 0)
        return err;
    if (!tier->is_closed) {
        err = tuple_table_ids(&tier->keys, keys, left, count, tier->parts == NULL, ids, error);
        if (err == OK)
            err = group_grow_states(node, tier, error);
        if (err == OK)
            split(ids, left, count, known, &known_count, left, &count);
        if (err == OK)
            err = update_known(node, tier, tier, in, ids, known, known_count, error);
    }
    return err == OK && count != 0 ? put_aside(node, tier, in, keys, left, count, error) : err;
}

/* --- parts --- */

/* Which part the groups of a closed tier are given with. */
static enum err number_parts(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    const struct group *group = node->state;
    size_t key_count = node->plan->group.key_count, capacity = 0;
    uint64_t hashes[VECTOR_ROWS_MAX];
    enum err err = exec_memory_grow(&tier->memory, (void **)&tier->part_of, &capacity,
                                    tier->keys.count, 1, error);
    tier->part_capacity = capacity;
    for (uint32_t first = 0; err == OK && first < tier->keys.count; first += VECTOR_ROWS_MAX) {
        uint32_t left = tier->keys.count - first;
        uint32_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        arena_reset(&node->scratch);
        struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
        tuple_table_keys(&tier->keys, first, count, &node->scratch, keys);
        tuple_hashes(keys, key_count, NULL, count, hashes);
        for (uint32_t i = 0; i < count; i++)
            tier->part_of[first + i] = (uint8_t)spill_part(hashes[i], depth_of(group, tier));
        err = exec_check(node->exec, error);
    }
    return err;
}

enum err group_spill_end(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && tier->parts != NULL && i < SPILL_PARTS; i++)
        err = spill_stream_end(&tier->parts[i], error);
    return err == OK && tier->is_closed ? number_parts(node, tier, error) : err;
}

void group_drop_tier(struct exec_node *node)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[--group->tier_count];
    for (size_t i = 0; tier->parts != NULL && i < SPILL_PARTS; i++)
        spill_stream_deinit(&tier->parts[i]);
    memory_free(tier->parts);
    group_tier_forget(node, tier);
}

enum err group_next_part(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[group->tier_count - 1];
    while (tier->parts != NULL && tier->next_part < SPILL_PARTS) {
        unsigned part = tier->next_part++;
        enum err err = OK;
        if (!tier->is_closed && tier->parts[part].row_count == 0)
            continue;
        assert(group->tier_count < SPILL_DEPTH_MAX);
        struct group_tier *next = &group->tiers[group->tier_count++];
        *next = (struct group_tier){.source = &tier->parts[part], .part = part};
        group_tier_open(node, next);
        for (size_t i = 0; err == OK && next->above != NULL && i < group->call_count; i++)
            if (next->above[i].ordered != NULL)
                err = ordered_add_part(next->above[i].ordered, tier->own[i].ordered, tier->part_of,
                                       part, error);
        return err;
    }
    group_drop_tier(node);
    return OK;
}
