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
#define RETRY_US 5000 /* for an end that found no room in the queue */

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

static void end_waiting(struct worker_pool *pool);

/* One of those that wait for work wakes when the first of the queued jobs is due. Where none waits,
 * whoever ends a job looks: all of them then are at jobs that last no longer than one of DECODE. */
static void stand_sentry(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    if (pool->due_us != 0 && pool->sentry == NULL)
        pool->sentry = worker;
    else if (pool->due_us == 0 && pool->sentry == worker)
        pool->sentry = NULL;
    if (pool->sentry != worker) {
        condition_wait(&worker->granted, &pool->mutex);
        return;
    }
    int64_t left_us = pool->due_us - clock_monotonic_us();
    if (left_us <= 0)
        end_waiting(pool);
    else
        (void)condition_wait_for(&worker->granted, &pool->mutex, left_us);
}

/* The present one, or another, looks anew at when that is. */
static void call_sentry(struct worker_pool *pool)
{
    struct worker *worker = pool->sentry != NULL        ? pool->sentry
                            : pool->decode_idle != NULL ? pool->decode_idle
                                                        : pool->idle;
    if (worker != NULL)
        condition_signal(&worker->granted);
}

static void wait_for_work(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    struct worker **idle = worker->only_decode ? &pool->decode_idle : &pool->idle;
    worker->next_idle = *idle;
    *idle = worker;
    worker->is_idle = true;
    while (worker->is_idle)
        stand_sentry(worker);
    if (pool->sentry == worker) {
        pool->sentry = NULL;
        if (pool->due_us != 0)
            call_sentry(pool);
    }
    if (!fault_is("worker.woken_for_ever"))
        pool->shorts -= worker->is_woken_for_short;
    worker->is_woken_for_short = false;
}

static void run_job(struct worker *worker, struct job job)
{
    struct worker_pool *pool = worker->pool;
    worker->job_cpu_us = worker_cpu_us(worker);
    worker->allowed_us = 0;
    worker->watch = worker->priority == WORKER_QUERY ? job.is_over : NULL;
    worker->watch_context = job.context;
    worker->watch_due_us = worker->priority == WORKER_QUERY ? job.due_us : 0;
    permit_arrive_anew(worker, worker->job_cpu_us);
    permit_acquire(worker);
    worker->first_granted_us = worker->granted_us;
    worker->watch = NULL;
    worker->watch_due_us = 0;
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
        if (pool->due_us != 0 && clock_monotonic_us() >= pool->due_us)
            end_waiting(pool);
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
        return worker_submit_query(pool, &(struct worker_query){.run = run, .context = context});
    struct job job = {.run = run, .context = context};
    mutex_lock(&pool->mutex);
    enum err err = submit(pool, priority, job);
    mutex_unlock(&pool->mutex);
    return err;
}

static bool is_over(const struct job *job, int64_t now_us)
{
    if (fault_is("worker.over_ones_wait"))
        return false;
    return (job->is_over != NULL && job->is_over(job->context)) ||
           (job->due_us != 0 && now_us >= job->due_us && !fault_is("worker.due_ones_wait"));
}

static bool would_wait(const struct worker_pool *pool)
{
    return pool->query_count + pool->queues[WORKER_QUERY].count >= pool->query_count_max;
}

/* A job is in the queue that waits for others to end. */
static void note_due(struct worker_pool *pool, int64_t due_us)
{
    if (due_us == 0 || (pool->due_us != 0 && pool->due_us <= due_us))
        return;
    pool->due_us = due_us;
    call_sentry(pool);
}

enum err worker_submit_query(struct worker_pool *pool, const struct worker_query *query)
{
    assert(query->run != NULL);
    int64_t now_us = clock_monotonic_us();
    struct job job = {.run = query->run,
                      .is_over = query->is_over,
                      .due_us = query->due_us,
                      .context = query->context,
                      .submitted_us = now_us};
    mutex_lock(&pool->mutex);
    bool waits = would_wait(pool);
    /* Whoever says so from now on finds it in the queue. */
    bool is_past = is_over(&job, now_us);
    enum err err = ERR_BUSY;
    if (!waits || !query->is_at_once || is_past)
        err = submit(pool, is_past ? WORKER_DECODE : WORKER_QUERY, job);
    if (err == OK && waits && !is_past)
        note_due(pool, job.due_us);
    mutex_unlock(&pool->mutex);
    return err;
}

/* Each job is taken out and put back at the end, so their order stays. */
static void end_waiting(struct worker_pool *pool)
{
    struct queue *queue = &pool->queues[WORKER_QUERY];
    int64_t now_us = clock_monotonic_us(), due_us = 0;
    for (size_t left = queue->count; left > 0; left--) {
        struct job job = queue_first(pool, queue);
        bool is_past = is_over(&job, now_us);
        if (is_past && submit(pool, WORKER_DECODE, job) == OK)
            continue;
        queue_push(pool, queue, job);
        /* Where there was no room for it: again soon. */
        int64_t next_us =
            is_past || (job.due_us != 0 && job.due_us <= now_us) ? now_us + RETRY_US : job.due_us;
        due_us = next_us != 0 && (due_us == 0 || next_us < due_us) ? next_us : due_us;
    }
    pool->due_us = due_us;
}

void worker_end_waiting(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    int64_t before_us = pool->due_us;
    end_waiting(pool);
    if (pool->due_us != 0 && (before_us == 0 || pool->due_us < before_us))
        call_sentry(pool);
    mutex_unlock(&pool->mutex);
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
