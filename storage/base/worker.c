/* The worker pool: more threads than permits.
 *
 *   queued ──thread takes it──▶ waiting for a permit ──▶ running ──done──▶
 *                                     ▲                     │
 *                                     └──yield, block_end───┘ (block_begin gives the permit back)
 *
 * A job keeps its thread (its stack is its state) until it ends, and holds a permit while it runs.
 * Who waits for a permit stands in a line: one line a priority, first come first served. A permit
 * that comes free goes to the first of the highest line that has anyone; with nobody in line it is
 * free. Newly started jobs and yielding ones stand in the same lines, so many queries share fairly,
 * and a decoding job waits for one morsel at most.
 *
 * One mutex guards it all. worker_yield() is called once a morsel, so its quick answer (nobody
 * waits) is one relaxed load. A thread that could take a job but would find no permit still takes
 * it: then the job is in line, where its priority counts. DECODE jobs could be shut out if all
 * threads held yielded queries; so the last quarter of the threads takes nothing but DECODE.
 */
#include "storage/base/worker.h"

#include "storage/base/arena.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#define STACK_SIZE ((size_t)64 << 20)
#define NICE 10
#define QUEUE_DEPTH_DEFAULT 4096

struct job {
    void (*run)(void *context);
    void *context;
};

/* A ring of jobs, as long as queue_depth_max. */
struct queue {
    struct job *jobs;
    size_t first, count;
};

struct waiter {
    struct waiter *next;
    struct condition granted;
    bool has_permit;
};

struct line {
    struct waiter *first, *last;
};

struct worker {
    struct worker_pool *pool;
    struct thread *thread;
    struct waiter waiter;
    enum worker_priority priority; /* of the job it runs */
    bool only_decode;
};

struct worker_pool {
    struct mutex mutex;
    struct condition work;   /* for idle threads: a job was queued, or stopping */
    struct condition decode; /* the same for those that take DECODE only */
    struct queue queues[WORKER_PRIORITY_COUNT];
    size_t queue_depth_max;
    struct line lines[WORKER_PRIORITY_COUNT];
    int permits, permits_free;
    int decoding; /* permit holders that run a DECODE job */
    bool is_stopping;
    size_t idle, woken; /* threads that wait for work; of them, those already signalled */
    size_t decode_idle, decode_woken; /* the same for those that take DECODE only */
    _Atomic int
        waiting[WORKER_PRIORITY_COUNT]; /* relaxed hint for worker_yield; exact under the mutex */
    size_t worker_count;
    struct worker *workers;
};

/* The worker that this thread is, while it runs a job. */
static _Thread_local struct worker *current;

/* --- permits; all with the mutex held --- */

static void line_push(struct worker_pool *pool, enum worker_priority priority,
                      struct waiter *waiter)
{
    struct line *line = &pool->lines[priority];
    waiter->next = NULL;
    waiter->has_permit = false;
    if (line->last != NULL)
        line->last->next = waiter;
    else
        line->first = waiter;
    line->last = waiter;
    atomic_fetch_add_explicit(&pool->waiting[priority], 1, memory_order_relaxed);
}

static struct waiter *line_pop(struct worker_pool *pool)
{
    for (int priority = 0; priority < WORKER_PRIORITY_COUNT; priority++) {
        struct line *line = &pool->lines[priority];
        struct waiter *waiter = line->first;
        if (waiter == NULL)
            continue;
        line->first = waiter->next;
        if (line->first == NULL)
            line->last = NULL;
        atomic_fetch_sub_explicit(&pool->waiting[priority], 1, memory_order_relaxed);
        return waiter;
    }
    return NULL;
}

static void permit_release(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    pool->decoding -= worker->priority == WORKER_DECODE;
    struct waiter *next = line_pop(pool);
    if (next == NULL) {
        pool->permits_free++;
        return;
    }
    next->has_permit = true;
    condition_signal(&next->granted);
}

static void permit_acquire(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    if (pool->permits_free > 0) { /* then nobody is in line */
        pool->permits_free--;
    } else {
        line_push(pool, worker->priority, &worker->waiter);
        while (!worker->waiter.has_permit)
            condition_wait(&worker->waiter.granted, &pool->mutex);
    }
    pool->decoding += worker->priority == WORKER_DECODE;
}

/* --- jobs --- */

static bool queue_pop(struct worker *worker, struct job *job)
{
    struct worker_pool *pool = worker->pool;
    int last = worker->only_decode ? WORKER_DECODE : WORKER_PRIORITY_COUNT - 1;
    for (int priority = 0; priority <= last; priority++) {
        struct queue *queue = &pool->queues[priority];
        if (queue->count == 0)
            continue;
        *job = queue->jobs[queue->first];
        queue->first = (queue->first + 1) % pool->queue_depth_max;
        queue->count--;
        worker->priority = (enum worker_priority)priority;
        return true;
    }
    return false;
}

/* One thread for a job that was queued: one that waits and has not been signalled yet. */
static void wake_one(struct worker_pool *pool, enum worker_priority priority)
{
    if (pool->idle > pool->woken) {
        pool->woken++;
        condition_signal(&pool->work);
    } else if (priority == WORKER_DECODE && pool->decode_idle > pool->decode_woken) {
        pool->decode_woken++;
        condition_signal(&pool->decode);
    }
}

/* Waits for a signal; a spurious one only makes a later wake_one() too generous. */
static void wait_for_work(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    size_t *idle = worker->only_decode ? &pool->decode_idle : &pool->idle;
    size_t *woken = worker->only_decode ? &pool->decode_woken : &pool->woken;
    (*idle)++;
    condition_wait(worker->only_decode ? &pool->decode : &pool->work, &pool->mutex);
    (*idle)--;
    if (*woken > 0)
        (*woken)--;
}

static void worker_main(void *context)
{
    struct worker *worker = context;
    struct worker_pool *pool = worker->pool;
    current = worker;
    mutex_lock(&pool->mutex);
    for (;;) {
        struct job job;
        if (queue_pop(worker, &job)) {
            permit_acquire(worker);
            mutex_unlock(&pool->mutex);
            job.run(job.context);
            mutex_lock(&pool->mutex);
            permit_release(worker);
        } else if (pool->is_stopping) {
            break;
        } else {
            wait_for_work(worker);
        }
    }
    mutex_unlock(&pool->mutex);
    current = NULL;
}

enum err worker_submit(struct worker_pool *pool, enum worker_priority priority,
                       void (*run)(void *context), void *context)
{
    assert(priority >= 0 && priority < WORKER_PRIORITY_COUNT);
    assert(run != NULL);
    mutex_lock(&pool->mutex);
    struct queue *queue = &pool->queues[priority];
    if (pool->is_stopping || queue->count == pool->queue_depth_max) {
        mutex_unlock(&pool->mutex);
        return ERR_BUSY;
    }
    size_t last = (queue->first + queue->count) % pool->queue_depth_max;
    queue->jobs[last] = (struct job){.run = run, .context = context};
    queue->count++;
    /* Where all permits are held by DECODE jobs, another thread could only stand in line behind
     * them: whichever of them ends first takes the job itself. */
    if (priority != WORKER_DECODE || pool->permits_free > 0 || pool->decoding < pool->permits)
        wake_one(pool, priority);
    mutex_unlock(&pool->mutex);
    return OK;
}

/* The line: those of one priority put before those of another. */
static void promote_waiters(struct worker_pool *pool)
{
    struct line *low = &pool->lines[WORKER_UPKEEP], *high = &pool->lines[WORKER_QUERY];
    if (low->first == NULL)
        return;
    int count = atomic_exchange_explicit(&pool->waiting[WORKER_UPKEEP], 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->waiting[WORKER_QUERY], count, memory_order_relaxed);
    low->last->next = high->first;
    if (high->first == NULL)
        high->last = low->last;
    high->first = low->first;
    *low = (struct line){0};
}

static void promote_queued(struct worker_pool *pool)
{
    struct queue *low = &pool->queues[WORKER_UPKEEP], *high = &pool->queues[WORKER_QUERY];
    while (low->count > 0 && high->count < pool->queue_depth_max) {
        low->count--;
        size_t last = (low->first + low->count) % pool->queue_depth_max;
        high->first = (high->first + pool->queue_depth_max - 1) % pool->queue_depth_max;
        high->jobs[high->first] = low->jobs[last];
        high->count++;
    }
}

void worker_promote(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    promote_waiters(pool);
    promote_queued(pool);
    mutex_unlock(&pool->mutex);
}

void worker_yield(void)
{
    struct worker *worker = current;
    if (worker == NULL)
        return;
    struct worker_pool *pool = worker->pool;
    int ahead = 0;
    for (int priority = 0; priority <= (int)worker->priority; priority++)
        ahead += atomic_load_explicit(&pool->waiting[priority], memory_order_relaxed);
    if (ahead == 0)
        return;
    mutex_lock(&pool->mutex);
    struct waiter *next = NULL;
    for (int priority = 0; priority <= (int)worker->priority && next == NULL; priority++)
        next = pool->lines[priority].first;
    if (next != NULL) {
        /* No permit is free while somebody waits, so acquiring stands in line, behind our equals.
         */
        permit_release(worker);
        permit_acquire(worker);
    }
    mutex_unlock(&pool->mutex);
}

/* Gives way to the DECODE jobs in line and comes back first of `priority`'s line. */
static void yield_to_decode(enum worker_priority priority)
{
    struct worker *worker = current;
    if (worker == NULL || worker->priority == WORKER_DECODE)
        return;
    struct worker_pool *pool = worker->pool;
    if (atomic_load_explicit(&pool->waiting[WORKER_DECODE], memory_order_relaxed) == 0)
        return;
    mutex_lock(&pool->mutex);
    if (pool->lines[WORKER_DECODE].first != NULL) {
        struct line *line = &pool->lines[priority];
        struct waiter *waiter = &worker->waiter;
        permit_release(worker);
        waiter->has_permit = false;
        waiter->next = line->first;
        line->first = waiter;
        if (line->last == NULL)
            line->last = waiter;
        atomic_fetch_add_explicit(&pool->waiting[priority], 1, memory_order_relaxed);
        while (!waiter->has_permit)
            condition_wait(&waiter->granted, &pool->mutex);
    }
    mutex_unlock(&pool->mutex);
}

void worker_yield_to_decode(void)
{
    yield_to_decode(WORKER_QUERY);
}

void worker_yield_once(void)
{
    yield_to_decode(WORKER_DECODE);
}

void worker_block_begin(void)
{
    struct worker *worker = current;
    if (worker == NULL)
        return;
    struct worker_pool *pool = worker->pool;
    mutex_lock(&pool->mutex);
    permit_release(worker);
    if (pool->permits_free > 0 && pool->queues[WORKER_DECODE].count > 0)
        wake_one(pool, WORKER_DECODE); /* nobody was woken for it: see worker_submit */
    mutex_unlock(&pool->mutex);
}

void worker_block_end(void)
{
    struct worker *worker = current;
    if (worker == NULL)
        return;
    mutex_lock(&worker->pool->mutex);
    permit_acquire(worker);
    mutex_unlock(&worker->pool->mutex);
}

/* --- the pool --- */

struct worker_pool *worker_pool_create(const struct worker_options *options)
{
    struct worker_pool *pool = memory_alloc_zero(sizeof(*pool));
    int core_count = options->core_count > 0 ? options->core_count : thread_core_count();
    int thread_count = options->thread_count > 0 ? options->thread_count : 4 * core_count + 4;
    /* Fewer threads than permits would leave permits unused. */
    if (thread_count < core_count)
        thread_count = core_count;
    mutex_init(&pool->mutex);
    condition_init(&pool->work);
    condition_init(&pool->decode);
    pool->permits = pool->permits_free = core_count;
    pool->queue_depth_max =
        options->queue_depth_max > 0 ? options->queue_depth_max : QUEUE_DEPTH_DEFAULT;
    for (int priority = 0; priority < WORKER_PRIORITY_COUNT; priority++)
        pool->queues[priority].jobs = memory_alloc(pool->queue_depth_max * sizeof(struct job));
    pool->worker_count = (size_t)thread_count;
    pool->workers = memory_alloc_zero(pool->worker_count * sizeof(pool->workers[0]));
    size_t general_count = pool->worker_count - pool->worker_count / 4;
    if (general_count < (size_t)core_count)
        general_count = (size_t)core_count;
    for (size_t index = 0; index < pool->worker_count; index++) {
        struct worker *worker = &pool->workers[index];
        worker->pool = pool;
        worker->only_decode = index >= general_count;
        condition_init(&worker->waiter.granted);
    }
    for (size_t index = 0; index < pool->worker_count; index++) {
        char name[16];
        snprintf(name, sizeof(name), "worker-%u", (unsigned)index % 1000);
        pool->workers[index].thread =
            thread_start(&(struct thread_options){.name = name,
                                                  .stack_size = STACK_SIZE,
                                                  .nice = NICE,
                                                  .run = worker_main,
                                                  .context = &pool->workers[index]});
    }
    return pool;
}

void worker_pool_destroy(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    pool->is_stopping = true;
    condition_broadcast(&pool->work);
    condition_broadcast(&pool->decode);
    mutex_unlock(&pool->mutex);
    for (size_t index = 0; index < pool->worker_count; index++) {
        thread_join(pool->workers[index].thread);
        condition_deinit(&pool->workers[index].waiter.granted);
    }
    for (int priority = 0; priority < WORKER_PRIORITY_COUNT; priority++) {
        assert(pool->queues[priority].count == 0);
        memory_free(pool->queues[priority].jobs);
    }
    memory_free(pool->workers);
    condition_deinit(&pool->work);
    condition_deinit(&pool->decode);
    mutex_deinit(&pool->mutex);
    memory_free(pool);
}
