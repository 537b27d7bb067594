/* The worker pool: more threads than permits.
 *
 *   queued ──thread takes it──▶ waiting for a permit ──▶ running ──done──▶
 *                                     ▲                     │
 *                                     └──yield, block_end───┘ (block_begin gives the permit back)
 *
 * A job keeps its thread (its stack is its state) until it ends, and holds a permit while it runs:
 * permit.c.
 *
 * One mutex guards it all. A thread that could take a job but would find no permit still takes it:
 * then the job is in line, where its priority counts. For that each query under way has a thread of
 * its own, up to query_count_max; threads are started when they are needed and stay. What is left
 * of them is for DECODE and UPKEEP, and the last quarter of the first ones takes nothing but
 * DECODE.
 *
 * To wake a thread takes 15 us of CPU time, a third of what a short job takes: up to SHORT_LINE_MAX
 * short ones wait for one that is under way, and its thread takes them one after the other. */
#include "storage/base/worker.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/worker_inside.h"

#include <assert.h>
#include <stdio.h>

#define STACK_SIZE ((size_t)64 << 20)
#define NICE 10
#define QUEUE_DEPTH_DEFAULT 4096
#define SHORT_LINE_MAX 3

/* --- jobs --- */

static bool may_take(const struct worker *worker, int priority)
{
    const struct worker_pool *pool = worker->pool;
    if (pool->queues[priority].count == 0 || (worker->only_decode && priority != WORKER_DECODE))
        return false;
    return priority != WORKER_QUERY || pool->query_count < pool->query_count_max;
}

/* Taken out. */
static struct job queue_first(struct worker_pool *pool, struct queue *queue)
{
    struct job job = queue->jobs[queue->first];
    assert(queue->count > 0);
    queue->first = (queue->first + 1) % pool->queue_depth_max;
    queue->count--;
    return job;
}

static bool queue_pop(struct worker *worker, struct job *job)
{
    struct worker_pool *pool = worker->pool;
    int priority = WORKER_DECODE;
    if (!may_take(worker, WORKER_DECODE) && pool->is_promoted && may_take(worker, WORKER_UPKEEP))
        priority = WORKER_UPKEEP;
    while (priority < WORKER_PRIORITY_COUNT && !may_take(worker, priority))
        priority++;
    if (priority == WORKER_PRIORITY_COUNT)
        return false;
    *job = queue_first(pool, &pool->queues[priority]);
    worker->priority = (enum worker_priority)priority;
    worker->is_short = job->is_short;
    worker->submitted_us = job->submitted_us;
    worker->is_urgent = priority == WORKER_UPKEEP && pool->is_promoted;
    if (pool->queues[WORKER_UPKEEP].count == 0)
        pool->is_promoted = false;
    pool->query_count += priority == WORKER_QUERY;
    return true;
}

static void worker_main(void *context);

/* One more thread for all kinds of jobs, if the queries have not got theirs yet. Nothing happens
 * where the machine gives no more: the job waits for a thread that is there. */
static void start_one(struct worker_pool *pool)
{
    size_t queries = pool->query_count + pool->queues[WORKER_QUERY].count;
    if (queries > pool->worker_count_max - pool->base_count)
        queries = pool->worker_count_max - pool->base_count;
    if (pool->worker_count >= pool->base_count + queries)
        return;
    struct worker *worker = &pool->workers[pool->worker_count];
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", (unsigned)pool->worker_count % 1000);
    worker->thread = thread_try_start(&(struct thread_options){.name = name,
                                                               .stack_size = STACK_SIZE,
                                                               .nice = NICE,
                                                               .run = worker_main,
                                                               .context = worker});
    pool->worker_count += worker->thread != NULL;
}

/* One thread for a job that was queued: of those that wait the one that has worked last, whose
 * stack and memory the caches still know. */
static void wake_one(struct worker_pool *pool, enum worker_priority priority, bool is_short)
{
    struct worker **idle = &pool->idle;
    if (*idle == NULL && priority == WORKER_DECODE)
        idle = &pool->decode_idle;
    struct worker *worker = *idle;
    if (worker == NULL) {
        start_one(pool);
        return;
    }
    *idle = worker->next_idle;
    worker->is_idle = false;
    worker->is_woken_for_short = is_short;
    pool->shorts += is_short;
    condition_signal(&worker->granted);
}

void worker_wake_decode(struct worker_pool *pool)
{
    wake_one(pool, WORKER_DECODE, false);
}

static void wait_for_work(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    struct worker **idle = worker->only_decode ? &pool->decode_idle : &pool->idle;
    worker->next_idle = *idle;
    *idle = worker;
    worker->is_idle = true;
    while (worker->is_idle)
        condition_wait(&worker->granted, &pool->mutex);
    if (!fault_is("worker.woken_for_ever"))
        pool->shorts -= worker->is_woken_for_short;
    worker->is_woken_for_short = false;
}

static void run_job(struct worker *worker, struct job job)
{
    struct worker_pool *pool = worker->pool;
    worker->job_cpu_us = worker_cpu_us(worker);
    permit_arrive_anew(worker, worker->job_cpu_us);
    permit_acquire(worker);
    worker->first_granted_us = worker->granted_us;
    mutex_unlock(&pool->mutex);
    job.run(job.context);
    mutex_lock(&pool->mutex);
    permit_release(worker);
    worker->is_urgent = worker->is_over = false;
    worker->watch = NULL;
    worker->waits = NULL;
    if (worker->priority == WORKER_QUERY) {
        pool->query_count--;
        /* Another thread may have gone to sleep because there were too many. */
        if (pool->queues[WORKER_QUERY].count > 0 && pool->idle != NULL)
            wake_one(pool, WORKER_QUERY, false);
    }
}

static void worker_main(void *context)
{
    struct worker *worker = context;
    struct worker_pool *pool = worker->pool;
    worker_set_current(worker);
    mutex_lock(&pool->mutex);
    for (;;) {
        struct job job;
        if (queue_pop(worker, &job))
            run_job(worker, job);
        else if (pool->is_stopping)
            break;
        else
            wait_for_work(worker);
    }
    mutex_unlock(&pool->mutex);
    worker_set_current(NULL);
}

/* Will a DECODE job behind `ahead` others be taken by a thread that is under way? Where all permits
 * are held by such jobs, another thread could only stand in line behind them: whichever of them
 * ends first takes it. */
static bool is_taken_soon(const struct worker_pool *pool, bool is_short, size_t ahead)
{
    return pool->decoding >= pool->permits ||
           (is_short && pool->shorts > 0 && ahead < SHORT_LINE_MAX);
}

static void queue_push(struct worker_pool *pool, struct queue *queue, struct job job)
{
    size_t last = (queue->first + queue->count) % pool->queue_depth_max;
    queue->jobs[last] = job;
    queue->count++;
}

/* With the mutex held. */
static enum err submit(struct worker_pool *pool, enum worker_priority priority, struct job job)
{
    struct queue *queue = &pool->queues[priority];
    size_t room = priority == WORKER_QUERY ? pool->query_queue_max : pool->queue_depth_max;
    if (pool->is_stopping || queue->count >= room)
        return ERR_BUSY;
    queue_push(pool, queue, job);
    if (priority != WORKER_DECODE || !is_taken_soon(pool, job.is_short, queue->count - 1))
        wake_one(pool, priority, job.is_short);
    return OK;
}

enum err worker_submit(struct worker_pool *pool, enum worker_priority priority,
                       void (*run)(void *context), void *context)
{
    assert(priority >= 0 && priority < WORKER_PRIORITY_COUNT);
    assert(run != NULL);
    if (priority == WORKER_QUERY)
        return worker_submit_query(pool, run, NULL, context);
    struct job job = {.run = run, .context = context};
    mutex_lock(&pool->mutex);
    enum err err = submit(pool, priority, job);
    mutex_unlock(&pool->mutex);
    return err;
}

enum err worker_submit_query(struct worker_pool *pool, void (*run)(void *context),
                             bool (*is_over)(void *context), void *context)
{
    assert(run != NULL);
    struct job job = {.run = run, .is_over = is_over, .context = context};
    job.submitted_us = clock_monotonic_us();
    mutex_lock(&pool->mutex);
    /* Whoever says so from now on finds it in the queue. */
    bool is_past = is_over != NULL && is_over(context) && !fault_is("worker.over_ones_wait");
    enum err err = submit(pool, is_past ? WORKER_DECODE : WORKER_QUERY, job);
    mutex_unlock(&pool->mutex);
    return err;
}

/* Each job is taken out and put back at the end, so their order stays. */
void worker_end_waiting(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    struct queue *queue = &pool->queues[WORKER_QUERY];
    for (size_t left = queue->count; left > 0; left--) {
        struct job job = queue_first(pool, queue);
        bool is_over = job.is_over != NULL && job.is_over(job.context);
        if (!is_over || fault_is("worker.over_ones_wait") || submit(pool, WORKER_DECODE, job) != OK)
            queue_push(pool, queue, job);
    }
    mutex_unlock(&pool->mutex);
}

bool worker_would_wait(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    size_t count = pool->query_count + pool->queues[WORKER_QUERY].count;
    mutex_unlock(&pool->mutex);
    return count >= pool->query_count_max;
}

enum err worker_submit_short(struct worker_pool *pool, void (*run)(void *context), void *context)
{
    assert(run != NULL);
    struct job job = {.run = run, .context = context, .is_short = true};
    mutex_lock(&pool->mutex);
    enum err err = submit(pool, WORKER_DECODE, job);
    mutex_unlock(&pool->mutex);
    return err;
}

enum err worker_submit_awake(struct worker_pool *pool, void (*run)(void *context), void *context)
{
    assert(run != NULL);
    struct job job = {.run = run, .context = context, .is_short = true};
    mutex_lock(&pool->mutex);
    bool is_taken = is_taken_soon(pool, true, pool->queues[WORKER_DECODE].count);
    enum err err = is_taken ? submit(pool, WORKER_DECODE, job) : ERR_BUSY;
    mutex_unlock(&pool->mutex);
    return err;
}

enum err worker_submit_idle(struct worker_pool *pool, enum worker_priority priority,
                            void (*run)(void *context), void *context)
{
    mutex_lock(&pool->mutex);
    size_t queued = 0;
    for (int i = 0; i < WORKER_PRIORITY_COUNT; i++)
        queued += pool->queues[i].count;
    bool is_idle = pool->permits_free > 0 && queued == 0;
    struct job job = {.run = run, .context = context, .submitted_us = clock_monotonic_us()};
    enum err err = is_idle ? submit(pool, priority, job) : ERR_BUSY;
    mutex_unlock(&pool->mutex);
    return err;
}

int worker_in_line(const struct worker_pool *pool)
{
    return turn_waiting(&pool->lines, TURN_LINE_COUNT - 1);
}

void worker_pool_status(struct worker_pool *pool, struct worker_status *out)
{
    mutex_lock(&pool->mutex);
    for (int i = 0; i < WORKER_PRIORITY_COUNT; i++)
        out->queued[i] = pool->queues[i].count;
    out->in_line = turn_waiting(&pool->lines, TURN_LINE_COUNT - 1);
    out->permits_free = pool->permits_free;
    out->turns = pool->lines.turns;
    out->turns_for_age = pool->lines.turns_for_age;
    mutex_unlock(&pool->mutex);
}

/* --- the pool --- */

static void start_all(struct worker_pool *pool, size_t count, size_t general_count)
{
    for (size_t index = 0; index < count; index++) {
        struct worker *worker = &pool->workers[index];
        char name[16];
        worker->only_decode = index >= general_count;
        snprintf(name, sizeof(name), "worker-%u", (unsigned)index % 1000);
        worker->thread = thread_start(&(struct thread_options){.name = name,
                                                               .stack_size = STACK_SIZE,
                                                               .nice = NICE,
                                                               .run = worker_main,
                                                               .context = worker});
    }
}

struct worker_pool *worker_pool_create(const struct worker_options *options)
{
    struct worker_pool *pool = memory_alloc_zero(sizeof(*pool));
    int core_count = options->core_count > 0 ? options->core_count : thread_core_count();
    int thread_count = options->thread_count > 0 ? options->thread_count : 4 * core_count + 4;
    /* Fewer threads than permits would leave permits unused. */
    if (thread_count < core_count)
        thread_count = core_count;
    mutex_init(&pool->mutex);
    pool->permits = pool->permits_free = core_count;
    pool->queue_depth_max =
        options->queue_depth_max > 0 ? options->queue_depth_max : QUEUE_DEPTH_DEFAULT;
    pool->query_queue_max =
        options->query_queue_max > 0 ? options->query_queue_max : pool->queue_depth_max;
    assert(pool->query_queue_max <= pool->queue_depth_max);
    for (int priority = 0; priority < WORKER_PRIORITY_COUNT; priority++)
        pool->queues[priority].jobs = memory_alloc(pool->queue_depth_max * sizeof(struct job));
    size_t count = (size_t)thread_count, general_count = count - count / 4;
    if (general_count < (size_t)core_count)
        general_count = (size_t)core_count;
    pool->base_count = count;
    pool->query_count_max = options->query_count_max;
    pool->worker_count_max = count + pool->query_count_max;
    if (pool->query_count_max == 0)
        pool->query_count_max = general_count;
    pool->worker_count = count;
    pool->workers = memory_alloc_zero(pool->worker_count_max * sizeof(pool->workers[0]));
    for (size_t index = 0; index < pool->worker_count_max; index++) {
        pool->workers[index].pool = pool;
        condition_init(&pool->workers[index].granted);
    }
    start_all(pool, count, general_count);
    return pool;
}

void worker_pool_destroy(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    pool->is_stopping = true;
    for (size_t index = 0; index < pool->worker_count; index++) {
        pool->workers[index].is_idle = false;
        condition_signal(&pool->workers[index].granted);
    }
    mutex_unlock(&pool->mutex);
    for (size_t index = 0; index < pool->worker_count; index++)
        thread_join(pool->workers[index].thread);
    for (size_t index = 0; index < pool->worker_count_max; index++)
        condition_deinit(&pool->workers[index].granted);
    for (int priority = 0; priority < WORKER_PRIORITY_COUNT; priority++) {
        assert(pool->queues[priority].count == 0);
        memory_free(pool->queues[priority].jobs);
    }
    memory_free(pool->workers);
    mutex_deinit(&pool->mutex);
    memory_free(pool);
}
