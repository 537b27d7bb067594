/* Several threads for the portions of one query.
 *
 *   the query's thread ── takes portions in order, combines ──▶ first tier
 *   helpers            ── take the next ones nobody has ─────▶ slots, at most some ahead
 *
 * A helper is a job of the worker pool, started only while a permit is free, and gone at the next
 * portion once anybody waits for one: under load a query has one thread, and short queries and
 * ingest wait no longer than for any query. When the load has passed it is started again. It has
 * nodes, evaluators and an arena of its own over the same plan, snapshot, budget, flags and time.
 *
 * Whose slot it is follows from the timing; what is in it and in which order slots are combined
 * does not. An error is raised when its portion's turn comes. What waits for its turn is charged to
 * the query; where there is no memory for it, it is thrown away and nothing is made ahead any more.
 * The query's thread waits for the helpers before it goes on: they use what is the query's. One
 * that was never run finds it closed.
 */
#include "query/exec/partial.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "storage/base/worker.h"

#define HELPERS_MAX 7
#define AHEAD_EACH 4 /* portions that wait to be combined or are under way, a thread */
#define WAIT_PIECE_US 20000
#define NONE SIZE_MAX

struct slot {
    enum { SLOT_FREE, SLOT_TAKEN, SLOT_DONE } state;
    enum err err;
    struct partial *partial; /* DONE: NULL if it was given up */
    size_t charged;          /* for it, to the query's budget, while it waits */
    uint64_t scanned;        /* rows, which count once the portion's turn has come */
    struct error error;
};

struct helper {
    struct partial_crew *crew;
    bool is_active; /* submitted, and not yet gone */
    struct exec exec;
    struct exec_node *node; /* NULL: not opened yet */
};

struct partial_crew {
    struct mutex mutex;
    struct condition changed; /* a slot is done, or a helper has gone */
    size_t references;        /* the query's thread, and each active helper */
    size_t running;           /* helpers that use what is the query's */
    atomic_bool is_closed;    /* relaxed: set with the mutex held; others only leave the sooner */
    const struct exec_node *group;
    const struct portion *list;
    size_t count, base; /* base: the portion that is to be combined next */
    size_t ahead;       /* how many from there on; 1 once memory was short */
    struct slot *slots;
    size_t helper_count;
    struct helper helpers[HELPERS_MAX];
};

static void crew_drop(struct partial_crew *crew) /* with the mutex held */
{
    bool is_last = --crew->references == 0;
    mutex_unlock(&crew->mutex);
    if (!is_last)
        return;
    memory_free(crew->slots);
    condition_deinit(&crew->changed);
    mutex_deinit(&crew->mutex);
    memory_free(crew);
}

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

/* With the mutex held, which is let go meanwhile. */
static void compute(struct partial_crew *crew, struct exec_node *node, size_t index)
{
    struct slot *slot = &crew->slots[index];
    bool is_ahead = index != crew->base;
    slot->state = SLOT_TAKEN;
    mutex_unlock(&crew->mutex);
    uint64_t scanned = partial_rows_scanned(node);
    slot->err = partial_compute(node, &crew->list[index], &slot->partial, &slot->error);
    slot->scanned = partial_uncount(node, scanned);
    bool is_made = !is_ahead || can_wait(slot, node->exec->budget);
    mutex_lock(&crew->mutex);
    slot->state = is_made ? SLOT_DONE : SLOT_FREE;
    crew->ahead = is_made ? crew->ahead : 1;
    condition_broadcast(&crew->changed);
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

/* --- helpers --- */

static bool is_over(void *context)
{
    const struct partial_crew *crew = context;
    return atomic_load_explicit(&crew->is_closed, memory_order_relaxed);
}

static bool is_ready(struct helper *helper)
{
    struct error ignored; /* the query's thread does without this helper */
    const struct exec_node *group = helper->crew->group;
    if (helper->node != NULL)
        return true;
    exec_fork(&helper->exec, group->exec);
    if (exec_open(&helper->exec, group->plan, &helper->node, &ignored) != OK) {
        exec_deinit(&helper->exec);
        helper->node = NULL;
        return false;
    }
    ((struct group *)helper->node->state)->is_unwanted = &helper->crew->is_closed;
    return true;
}

/* What this thread has used since then is the query's, too. */
static int64_t tell_cpu(const struct partial_crew *crew, int64_t since_us)
{
    int64_t now_us = clock_thread_cpu_us();
    int64_t used_us = now_us - since_us;
    if (fault_is("crew.cpu_is_large"))
        used_us = INT64_C(86400000000);
    atomic_fetch_add_explicit(&crew->group->exec->statistics.helpers_cpu_us, used_us,
                              memory_order_relaxed);
    return now_us;
}

static void help(void *context)
{
    struct helper *helper = context;
    struct partial_crew *crew = helper->crew;
    struct worker_pool *pool = NULL;
    mutex_lock(&crew->mutex);
    if (!is_over(crew)) {
        crew->running++;
        pool = crew->group->exec->workers;
        mutex_unlock(&crew->mutex);
        int64_t cpu_us = clock_thread_cpu_us();
        worker_watch(is_over, crew);
        bool is_useful = is_ready(helper);
        mutex_lock(&crew->mutex);
        while (is_useful && !is_over(crew) && worker_in_line(pool) == 0) {
            size_t index = next_free(crew);
            if (index == NONE)
                break;
            compute(crew, helper->node, index);
            cpu_us = tell_cpu(crew, cpu_us);
        }
        mutex_unlock(&crew->mutex);
        worker_watch(NULL, NULL);
        mutex_lock(&crew->mutex);
        crew->running--;
    }
    helper->is_active = false;
    condition_broadcast(&crew->changed);
    crew_drop(crew);
}

/* One more, if there is a permit to spare. With the mutex held. */
static void call_helper(struct partial_crew *crew)
{
    struct worker_pool *pool = crew->group->exec->workers;
    for (size_t i = 0; i < crew->helper_count; i++) {
        struct helper *helper = &crew->helpers[i];
        if (helper->is_active)
            continue;
        helper->is_active = true;
        crew->references++;
        if (worker_submit_idle(pool, WORKER_QUERY, help, helper) != OK) {
            helper->is_active = false;
            crew->references--;
        }
        return;
    }
}

/* --- the query's thread --- */

struct partial_crew *partial_crew_create(const struct exec_node *group, const struct portion *list,
                                         size_t count)
{
    const struct exec *exec = group->exec;
    int64_t max = exec->thread_max == 0 ? thread_core_count() : exec->thread_max;
    if (exec->workers == NULL || max < 2)
        return NULL;
    struct partial_crew *crew = memory_alloc_zero(sizeof(*crew));
    mutex_init(&crew->mutex);
    condition_init(&crew->changed);
    crew->references = 1;
    crew->group = group;
    crew->list = list;
    crew->count = count;
    crew->slots = memory_alloc_zero((count + 1) * sizeof(*crew->slots));
    crew->helper_count = max - 1 < HELPERS_MAX ? (size_t)(max - 1) : HELPERS_MAX;
    crew->ahead = (crew->helper_count + 1) * AHEAD_EACH;
    for (size_t i = 0; i < HELPERS_MAX; i++)
        crew->helpers[i].crew = crew;
    return crew;
}

/* Until somebody has done something, or for a while. With the mutex held, which is let go. */
static enum err wait_for_change(struct partial_crew *crew, struct exec *exec, struct error *error)
{
    mutex_unlock(&crew->mutex);
    worker_block_begin();
    mutex_lock(&crew->mutex);
    if (crew->slots[crew->base].state != SLOT_DONE)
        condition_wait_for(&crew->changed, &crew->mutex, WAIT_PIECE_US);
    mutex_unlock(&crew->mutex);
    worker_block_end();
    enum err err = exec_check(exec, error);
    mutex_lock(&crew->mutex);
    return err;
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
    mutex_lock(&crew->mutex);
    crew->base = index;
    while (err == OK && slot->state != SLOT_DONE) {
        size_t mine = next_free(crew);
        call_helper(crew);
        if (mine != NONE)
            compute(crew, group, mine);
        else
            err = wait_for_change(crew, group->exec, error);
    }
    if (err == OK) {
        err = slot->err;
        if (err != OK)
            *error = slot->error;
        atomic_fetch_add_explicit(&group->exec->statistics.rows_scanned, slot->scanned,
                                  memory_order_relaxed);
        *out = take_partial(slot, group->exec->budget);
    }
    mutex_unlock(&crew->mutex);
    return err;
}

/* What the helpers did is the query's. */
static void join_helper(const struct partial_crew *crew, struct helper *helper)
{
    struct exec *exec = crew->group->exec, *other = &helper->exec;
    if (helper->node == NULL)
        return;
    exec_scan_join(partial_scan(crew->group), partial_scan(helper->node));
    exec_close(helper->node);
    exec_join(exec, other);
    exec->actual[crew->group->plan->id].helpers++;
    exec_deinit(other);
}

void partial_crew_end(struct partial_crew *crew)
{
    if (crew == NULL)
        return;
    mutex_lock(&crew->mutex);
    atomic_store_explicit(&crew->is_closed, true, memory_order_relaxed);
    while (crew->running > 0) {
        mutex_unlock(&crew->mutex);
        worker_block_begin();
        mutex_lock(&crew->mutex);
        if (crew->running > 0)
            condition_wait_for(&crew->changed, &crew->mutex, WAIT_PIECE_US);
        mutex_unlock(&crew->mutex);
        worker_block_end();
        mutex_lock(&crew->mutex);
    }
    for (size_t i = 0; i < crew->helper_count; i++)
        join_helper(crew, &crew->helpers[i]);
    for (size_t i = 0; i < crew->count; i++) /* while the budget is there */
        partial_unref(take_partial(&crew->slots[i], crew->group->exec->budget));
    crew_drop(crew);
}
