/* Further threads for one query.
 *
 *   the query's thread ── crew_call() ──▶ job of the pool ── work, piece by piece ──▶ gone
 *                                              └ its own exec, nodes and evaluators over the same
 *                                                plan, snapshot, budget, flags and time
 *
 * A helper is a job of the worker pool, started only while a permit is free, and gone at the next
 * piece once anybody waits for one: under load a query has one thread, and short queries and
 * ingest wait no longer than for any query. When the load has passed it is started again.
 *
 * What is worked on, and whose a piece is, is the matter of who made the crew (partial_crew.c,
 * span.c). The query's thread waits for the helpers before it goes on: they use what is the
 * query's. One that was never run finds it closed. */
#include "query/exec/crew.h"

#include "query/exec/group.h"
#include "query/exec/partial.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "storage/base/worker.h"

#define HELPERS_MAX 7
#define WAIT_PIECE_US 20000

struct helper {
    struct crew *crew;
    bool is_active; /* submitted, and not yet gone */
    struct exec exec;
    struct exec_node *node; /* NULL: not opened yet */
};

struct crew {
    struct mutex mutex;
    struct condition changed;
    uint64_t change_count;
    size_t references;     /* the query's thread, and each active helper */
    size_t running;        /* helpers that use what is the query's */
    atomic_bool is_closed; /* relaxed: set with the mutex held; others only leave the sooner */
    const struct exec_node *group;
    struct crew_work work;
    size_t helper_count;
    struct helper helpers[HELPERS_MAX];
};

static void drop(struct crew *crew) /* with the mutex held */
{
    bool is_last = --crew->references == 0;
    mutex_unlock(&crew->mutex);
    if (!is_last)
        return;
    condition_deinit(&crew->changed);
    mutex_deinit(&crew->mutex);
    memory_free(crew);
}

/* --- helpers --- */

static bool is_over(void *context)
{
    const struct crew *crew = context;
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
static int64_t tell_cpu(const struct crew *crew, int64_t since_us)
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
    struct crew *crew = helper->crew;
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
            is_useful = crew->work.run(crew->work.context, helper->node);
            cpu_us = tell_cpu(crew, cpu_us);
        }
        if (helper->node != NULL && crew->work.leave != NULL)
            crew->work.leave(crew->work.context, helper->node);
        mutex_unlock(&crew->mutex);
        worker_watch(NULL, NULL);
        mutex_lock(&crew->mutex);
        crew->running--;
    }
    helper->is_active = false;
    crew_tell(crew);
    drop(crew);
}

/* --- the query's thread --- */

struct crew *crew_create(const struct exec_node *group, struct crew_work work)
{
    const struct exec *exec = group->exec;
    int64_t max = exec->thread_max == 0 ? thread_core_count() : exec->thread_max;
    if (exec->workers == NULL || max < 2)
        return NULL;
    struct crew *crew = memory_alloc_zero(sizeof(*crew));
    mutex_init(&crew->mutex);
    condition_init(&crew->changed);
    crew->references = 1;
    crew->group = group;
    crew->work = work;
    crew->helper_count = max - 1 < HELPERS_MAX ? (size_t)(max - 1) : HELPERS_MAX;
    for (size_t i = 0; i < HELPERS_MAX; i++)
        crew->helpers[i].crew = crew;
    return crew;
}

size_t crew_size(const struct crew *crew)
{
    return crew->helper_count + 1;
}

void crew_lock(struct crew *crew)
{
    mutex_lock(&crew->mutex);
}

void crew_unlock(struct crew *crew)
{
    mutex_unlock(&crew->mutex);
}

void crew_tell(struct crew *crew)
{
    crew->change_count++;
    condition_broadcast(&crew->changed);
}

void crew_call(struct crew *crew)
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

bool crew_is_called(const struct crew *crew)
{
    bool is = false;
    for (size_t i = 0; i < crew->helper_count; i++)
        is = is || crew->helpers[i].is_active;
    return is;
}

/* Until something was told since, or for a while; the permit is others' meanwhile. */
static void wait_from(struct crew *crew, uint64_t change_count)
{
    mutex_unlock(&crew->mutex);
    worker_block_begin();
    mutex_lock(&crew->mutex);
    if (crew->change_count == change_count)
        condition_wait_for(&crew->changed, &crew->mutex, WAIT_PIECE_US);
    mutex_unlock(&crew->mutex);
    worker_block_end();
}

enum err crew_wait(struct crew *crew, struct exec *exec, struct error *error)
{
    wait_from(crew, crew->change_count);
    enum err err = exec_check(exec, error);
    mutex_lock(&crew->mutex);
    return err;
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    mutex_lock(&crew->mutex);
    atomic_store_explicit(&crew->is_closed, true, memory_order_relaxed);
    while (crew->running > 0) {
        wait_from(crew, crew->change_count);
        mutex_lock(&crew->mutex);
    }
    mutex_unlock(&crew->mutex);
}

/* What the helpers did is the query's. */
static void join_helper(const struct crew *crew, struct helper *helper)
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

void crew_end(struct crew *crew)
{
    if (crew == NULL)
        return;
    crew_close(crew);
    for (size_t i = 0; i < crew->helper_count; i++)
        join_helper(crew, &crew->helpers[i]);
    mutex_lock(&crew->mutex);
    drop(crew);
}
