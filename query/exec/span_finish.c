/* Results of groups, by several threads, where each takes a look at all of its values.
 *
 *   groups ── some at a time, whoever comes ──▶ finish ──▶ results ──▶ group.c asks for them
 *
 * A percentile per minute spends a third of its time there. What fails, or finds no memory, is left
 * to who asks, and meets it again. */
#include "query/exec/group.h"
#include "query/exec/span.h"

#include "storage/base/fault.h"

#include <string.h>

#define GROUPS_EACH 4 /* at a time */

struct span_results {
    struct exec_node *node;
    struct exec_memory memory;
    size_t group_count, next, busy; /* groups; those under way */
    size_t place_count;             /* of calls, a group */
    size_t *places;                 /* by call; SIZE_MAX: none */
    struct value *values;
    size_t capacity;
    uint8_t *is_done; /* by value */
    size_t done_capacity;
};

struct span_results *span_results_open(struct exec_node *node)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    struct arena *arena = &node->exec->arena;
    struct error ignored;
    struct span_results *results = arena_alloc_zero(arena, sizeof(*results));
    results->node = node;
    exec_memory_init(&results->memory, node->exec->budget);
    results->places = arena_alloc_array(arena, group->call_count + 1, sizeof(*results->places));
    for (size_t a = 0; a < group->call_count; a++)
        results->places[a] =
            group->calls[a].call->aggregate->adopt != NULL ? results->place_count++ : SIZE_MAX;
    results->group_count = tier->keys.count;
    size_t count = results->group_count * results->place_count;
    if (tier->parts != NULL || count < 2 ||
        span_is_short(node, count * (sizeof(*results->values) + 1)))
        return NULL;
    bool has_room =
        exec_memory_grow(&results->memory, (void **)&results->values, &results->capacity, count,
                         sizeof(*results->values), &ignored) == OK &&
        exec_memory_grow(&results->memory, (void **)&results->is_done, &results->done_capacity,
                         count, 1, &ignored) == OK;
    if (!has_room) {
        span_results_close(results);
        return NULL;
    }
    memset(results->is_done, 0, count);
    return results;
}

void span_results_close(struct span_results *results)
{
    if (results == NULL)
        return;
    exec_memory_release(&results->memory, results->values,
                        results->capacity * sizeof(*results->values));
    exec_memory_release(&results->memory, results->is_done, results->done_capacity);
}

/* `node` is the thread's own: what a result points to is in its first tier's memory. */
static void finish(struct span_results *results, struct exec_node *node, size_t number)
{
    const struct group *group = results->node->state;
    struct group_tier *own = &((struct group *)node->state)->tiers[0];
    size_t from = number - (fault_is("span.other_result") && number > 0 ? 1 : 0);
    for (size_t a = 0; a < group->call_count; a++) {
        struct error ignored;
        if (results->places[a] == SIZE_MAX)
            continue;
        const struct aggregate_call *call = group->calls[a].call;
        size_t place = number * results->place_count + results->places[a];
        const char *state =
            group->tiers[0].states + from * group->stride + group->calls[a].state_offset;
        results->values[place] = (struct value){.type = call->type};
        results->is_done[place] = call->aggregate->finish(state, call, &own->aggregate_memory,
                                                          &results->values[place], &ignored) == OK;
        if (exec_memory_settle(&own->aggregate_arena, &ignored) != OK)
            results->is_done[place] = false;
    }
}

bool span_results_next(struct span_results *results, struct crew *crew, struct exec_node *node)
{
    size_t first = results->next, left = results->group_count - first;
    size_t count = left < GROUPS_EACH ? left : GROUPS_EACH;
    const struct group_tier *own = &((struct group *)node->state)->tiers[0];
    if (count == 0 || own->memory.budget == NULL) /* it has been taken from a helper already */
        return false;
    results->next += count;
    results->busy += count;
    crew_unlock(crew);
    for (size_t i = 0; i < count; i++)
        finish(results, node, first + i);
    crew_lock(crew);
    results->busy -= count;
    crew_tell(crew);
    return true;
}

bool span_results_are_there(const struct span_results *results)
{
    return results->next == results->group_count && results->busy == 0;
}

const struct value *span_results_find(const struct span_results *results, size_t call,
                                      size_t number)
{
    if (results == NULL || results->places[call] == SIZE_MAX)
        return NULL;
    size_t place = number * results->place_count + results->places[call];
    return results->is_done[place] ? &results->values[place] : NULL;
}
