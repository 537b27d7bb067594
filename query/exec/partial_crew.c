/* Several threads for the portions of one query.
 *
 *   the query's thread ── takes portions in order, combines ──▶ first tier
 *   helpers (crew.c)   ── take the next ones nobody has ─────▶ slots, at most some ahead
 *
 * Whose slot it is follows from the timing; what is in it and in which order slots are combined
 * does not. An error is raised when its portion's turn comes. What waits for its turn is charged to
 * the query; where there is no memory for it, it is thrown away and nothing is made ahead any more.
 */
#include "query/exec/crew.h"
#include "query/exec/partial.h"

#include "storage/base/fault.h"

#define AHEAD_EACH 4 /* portions that wait to be combined or are under way, a thread */
#define NONE SIZE_MAX

struct slot {
    enum { SLOT_FREE, SLOT_TAKEN, SLOT_DONE } state;
    enum err err;
    bool is_counted;         /* DONE: what counts for it is noted */
    struct partial *partial; /* DONE: NULL if it was given up */
    size_t charged;          /* for it, to the query's budget, while it waits */
    struct error error;
};

struct partial_crew {
    struct crew *crew;
    const struct exec_node *group;
    const struct portion *list;
    size_t count, base; /* base: the portion that is to be combined next */
    size_t ahead;       /* how many from there on; 1 once memory was short */
    /* Of slots ahead, by their numbers: what counts once the portion's turn has come. */
    size_t ahead_max;
    struct partial_counted *counted;
    struct slot slots[];
};

/* --- portions --- */

static size_t next_free(const struct partial_crew *crew)
{
    size_t end = crew->count - crew->base > crew->ahead ? crew->base + crew->ahead : crew->count;
    for (size_t i = crew->base; i < end; i++)
        if (crew->slots[i].state == SLOT_FREE)
            return i;
    return NONE;
}

/* Is there memory for what was made ahead of its turn? One thread would not have made it yet, so a
 * query must not fail for it. */
static bool can_wait(struct slot *slot, struct budget *budget)
{
    struct error ignored;
    if (slot->err != OK)
        return slot->err != ERR_LIMIT;
    size_t size = slot->partial != NULL ? slot->partial->size : 0;
    bool is_short =
        size != 0 && (fault_is("crew.no_memory") || budget_charge(budget, size, &ignored) != OK);
    if (!is_short) {
        slot->charged = size;
        return true;
    }
    partial_unref(slot->partial);
    slot->partial = NULL;
    return false;
}

/* Whoever waits for its turn is less than ahead_max behind whose turn it is. */
static struct partial_counted *counted_of(const struct partial_crew *crew, size_t index)
{
    return &crew->counted[index % crew->ahead_max];
}

/* With the mutex held, which is let go meanwhile. */
static void compute(struct partial_crew *crew, struct exec_node *node, size_t index)
{
    struct slot *slot = &crew->slots[index];
    struct partial_counted since = partial_counted(node), taken = {0};
    bool is_ahead = index != crew->base;
    slot->state = SLOT_TAKEN;
    crew_unlock(crew->crew);
    slot->err = partial_compute(node, &crew->list[index], &slot->partial, &slot->error);
    partial_count_take(node, &since, &taken);
    bool is_made = !is_ahead || can_wait(slot, node->exec->budget);
    crew_lock(crew->crew);
    slot->state = is_made ? SLOT_DONE : SLOT_FREE;
    slot->is_counted = is_made && index >= crew->base; /* else nobody asks for it any more */
    if (slot->is_counted)
        *counted_of(crew, index) = taken;
    crew->ahead = is_made ? crew->ahead : 1;
    crew_tell(crew->crew);
}

static struct partial *take_partial(struct slot *slot, struct budget *budget)
{
    struct partial *partial = slot->partial;
    if (slot->charged != 0)
        budget_release(budget, slot->charged);
    slot->charged = 0;
    slot->partial = NULL;
    return partial;
}

/* A helper's next portion. */
static bool compute_next(void *context, struct exec_node *node)
{
    struct partial_crew *crew = context;
    size_t index = next_free(crew);
    if (index != NONE)
        compute(crew, node, index);
    return index != NONE;
}

/* --- the query's thread --- */

struct partial_crew *partial_crew_create(const struct exec_node *group, const struct portion *list,
                                         size_t count)
{
    struct partial_crew *crew = memory_alloc_zero(sizeof(*crew) + count * sizeof(crew->slots[0]));
    crew->group = group;
    crew->list = list;
    crew->count = count;
    crew->crew = crew_create(group, (struct crew_work){.run = compute_next, .context = crew});
    if (crew->crew == NULL) {
        memory_free(crew);
        return NULL;
    }
    crew->ahead = crew->ahead_max = crew_size(crew->crew) * AHEAD_EACH;
    crew->counted = memory_alloc(crew->ahead_max * sizeof(*crew->counted));
    return crew;
}

void partial_crew_found(struct partial_crew *crew, size_t index)
{
    crew->slots[index].state = SLOT_DONE;
}

enum err partial_crew_get(struct partial_crew *crew, struct exec_node *group, size_t index,
                          struct partial **out, struct error *error)
{
    struct slot *slot = &crew->slots[index];
    enum err err = OK;
    crew_lock(crew->crew);
    crew->base = index;
    while (err == OK && slot->state != SLOT_DONE) {
        size_t mine = next_free(crew);
        crew_call(crew->crew);
        if (mine != NONE)
            compute(crew, group, mine);
        else
            err = crew_wait(crew->crew, group->exec, error);
    }
    if (err == OK) {
        err = slot->err;
        if (err != OK)
            *error = slot->error;
        if (slot->is_counted)
            partial_count_add(group, counted_of(crew, index));
        *out = take_partial(slot, group->exec->budget);
    }
    crew_unlock(crew->crew);
    return err;
}

void partial_crew_end(struct partial_crew *crew)
{
    if (crew == NULL)
        return;
    crew_end(crew->crew);
    for (size_t i = 0; i < crew->count; i++) /* while the budget is there */
        partial_unref(take_partial(&crew->slots[i], crew->group->exec->budget));
    memory_free(crew->counted);
    memory_free(crew);
}
