/* The worker pool: more threads than permits.
 *
 *   queued ──thread takes it──▶ waiting for a permit ──▶ running ──done──▶
 *                                     ▲                     │
 *                                     └──yield, block_end───┘ (block_begin gives the permit back)
 *
 * A job keeps its thread (its stack is its state) until it ends, and holds a permit while it runs.
 * Who waits for a permit stands in a line, and storage/base/turn.c says whose turn it is: decoding
 * first, then the query that has used least. Newly started jobs and yielding ones stand in the same
 * lines, so many queries share fairly, and a decoding job waits for one morsel at most.
 *
 * One mutex guards it all. worker_yield() is called once a morsel, so its quick answer (nobody
 * waits) is a few relaxed loads. A thread that could take a job but would find no permit still
 * takes it: then the job is in line, where its priority counts. For that each query under way has a
 * thread of its own, up to query_count_max; threads are started when they are needed and stay. What
 * is left of them is for DECODE and UPKEEP, and the last quarter of the first ones takes nothing
 * but DECODE.
 *
 * To wake a thread takes 15 us of CPU time, a third of what a short job takes: up to SHORT_LINE_MAX
 * short ones wait for one that is under way, and its thread takes them one after the other.
 *
 * A job that forgets to yield (one call over a hundred megabytes) must not hold up the others: who
 * waits in one of the first two lines for longer than its patience takes the permit of such a job
 * over. That one runs on without until it looks again, and then stands in line. At most as many as
 * there are permits run so, and the kernel shares the cores among them meanwhile. */
#include "storage/base/worker.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "storage/base/turn.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#define STACK_SIZE ((size_t)64 << 20)
#define NICE 10
#define QUEUE_DEPTH_DEFAULT 4096
#define SHORT_LINE_MAX 3
#define LOOK_PERIOD_US 500      /* of a query at who waits, DECODE aside */
#define WATCH_PERIOD_US 50000   /* of a job in line at whether it is over */
#define DECODE_PATIENCE_US 5000 /* in line, with the permits at jobs that do not look */
#define SHORT_QUERY_PATIENCE_US 20000

struct job {
    void (*run)(void *context);
    bool (*is_over)(void *context); /* NULL: nobody asks */
    void *context;
    bool is_short;
    int64_t submitted_us; /* monotonic; of a QUERY job */
};

/* A ring of jobs, as long as queue_depth_max. */
struct queue {
    struct job *jobs;
    size_t first, count;
};

struct worker {
    struct worker_pool *pool;
    struct thread *thread;
    bool only_decode;
    /* of the job it runs; the pool's mutex guards what others look at */
    enum worker_priority priority;
    bool is_running, has_permit, is_short;
    _Atomic bool is_taken_over; /* it runs, but its permit has gone to another */
    bool is_urgent;             /* upkeep that gives way to DECODE alone */
    bool is_over;               /* its watch says that it has only to clean up */
    unsigned blocks;            /* worker_block_begin()s that have not ended */
    bool (*watch)(void *context);
    void *watch_context;
    int64_t submitted_us; /* of its job; 0: nobody need know any more */
    int64_t first_granted_us;
    int64_t granted_us;         /* monotonic, of its permit */
    int64_t looked_us;          /* monotonic, at who waits */
    int64_t job_cpu_us;         /* of the thread when the job began; 0 in these of DECODE */
    int64_t turn_cpu_us;        /* … when it got its permit */
    int64_t arrival_cpu_us;     /* … when it came, or came anew */
    struct worker_waits *waits; /* of its job, as it wants to know; NULL: it does not */
    struct turn turn;
    bool is_idle; /* waits for work */
    bool is_woken_for_short;
    struct worker *next_idle;
    struct condition granted; /* a permit or, while it is idle, that there is work */
};

struct worker_pool {
    struct mutex mutex;
    struct queue queues[WORKER_PRIORITY_COUNT];
    size_t queue_depth_max, query_queue_max;
    bool is_promoted; /* queued UPKEEP goes before queued QUERY */
    struct turn_lines lines;
    int permits, permits_free;
    int taken_over; /* jobs that run without a permit */
    int decoding;   /* permit holders that run a DECODE job */
    int shorts;     /* of those, that run a short one, and threads that were woken for one */
    bool is_stopping;
    struct worker *idle;                   /* wait for work, the last that did first */
    struct worker *decode_idle;            /* the same of those that take DECODE only */
    size_t query_count, query_count_max;   /* QUERY jobs that have a thread */
    size_t base_count;                     /* threads that are there from the start */
    size_t worker_count, worker_count_max; /* started; room for */
    struct worker *workers;
};

/* The worker that this thread is, while it runs a job. */
static _Thread_local struct worker *current;

/* --- permits; all with the mutex held --- */

static struct worker *worker_of(struct turn *turn)
{
    return (struct worker *)((char *)turn - offsetof(struct worker, turn));
}

static enum turn_line line_of(const struct worker *worker, int64_t cpu_us)
{
    if (worker->priority == WORKER_DECODE)
        return TURN_DECODE;
    if (worker->is_urgent || worker->is_over)
        return TURN_QUERY;
    if (worker->priority == WORKER_UPKEEP)
        return TURN_UPKEEP;
    return turn_query_line(cpu_us - worker->job_cpu_us);
}

/* Behind all who are there. */
static void arrive_anew(struct worker *worker, int64_t cpu_us)
{
    turn_arrive(&worker->pool->lines, &worker->turn);
    worker->arrival_cpu_us = cpu_us;
}

/* Queries and upkeep keep their place among those that came later, for a while: is_turn_over(). */
static void stand_in_line(struct worker *worker, enum turn_line line)
{
    if (line == TURN_DECODE)
        turn_arrive(&worker->pool->lines, &worker->turn);
    turn_push(&worker->pool->lines, &worker->turn, line);
}

static int64_t cpu_of(const struct worker *worker)
{
    return worker->priority == WORKER_DECODE ? 0 : clock_thread_cpu_us(); /* a call of the kernel */
}

static void give_permit(struct worker_pool *pool)
{
    struct turn *turn = turn_pop(&pool->lines);
    if (turn == NULL) {
        pool->permits_free++;
        return;
    }
    struct worker *next = worker_of(turn);
    next->has_permit = true;
    condition_signal(&next->granted);
}

/* By 1 as a turn begins, by -1 as it ends. */
static void count_turn(struct worker *worker, int step)
{
    worker->is_running = step > 0;
    worker->pool->decoding += worker->priority == WORKER_DECODE ? step : 0;
    worker->pool->shorts += worker->is_short ? step : 0;
}

static void end_turn(struct worker *worker, int64_t cpu_us)
{
    turn_end(&worker->pool->lines, &worker->turn, cpu_us - worker->turn_cpu_us);
    count_turn(worker, -1);
}

static void permit_release(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    bool is_counted = worker->turn.is_for_age || worker->turn.is_overtaking;
    end_turn(worker, is_counted ? cpu_of(worker) : worker->turn_cpu_us);
    if (worker->has_permit) {
        worker->has_permit = false;
        give_permit(pool);
    } else {
        pool->taken_over--;
        atomic_store_explicit(&worker->is_taken_over, false, memory_order_relaxed);
    }
}

/* The permit of a job that goes behind us in line and has not looked at who waits for too long. */
static bool take_over(struct worker *worker, int64_t patience_us)
{
    struct worker_pool *pool = worker->pool;
    const struct turn_lines *lines = &pool->lines;
    int64_t before_us = clock_monotonic_us() - patience_us;
    const struct turn *next =
        lines->first[TURN_DECODE] != NULL ? lines->first[TURN_DECODE] : lines->first[TURN_QUERY];
    if (next != &worker->turn)
        return false;
    if (pool->taken_over >= pool->permits || fault_is("worker.nothing_is_taken_over"))
        return false;
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *other = &pool->workers[i];
        bool is_behind = other->priority != WORKER_DECODE && !other->is_urgent;
        if (!other->is_running || !other->has_permit || !is_behind || other->granted_us > before_us)
            continue;
        other->has_permit = false;
        atomic_store_explicit(&other->is_taken_over, true, memory_order_relaxed);
        pool->taken_over++;
        turn_remove(&pool->lines, &worker->turn);
        worker->has_permit = true;
        return true;
    }
    return false;
}

static void wait_for_turn(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    while (!worker->has_permit) {
        enum turn_line line = worker->turn.line;
        int64_t patience_us = line == TURN_DECODE  ? DECODE_PATIENCE_US
                              : line == TURN_QUERY ? SHORT_QUERY_PATIENCE_US
                                                   : WATCH_PERIOD_US;
        if (line > TURN_QUERY && worker->watch == NULL) {
            condition_wait(&worker->granted, &pool->mutex);
        } else if (condition_wait_for(&worker->granted, &pool->mutex, patience_us) ||
                   worker->has_permit) {
            continue;
        } else if (line <= TURN_QUERY) {
            if (take_over(worker, patience_us))
                return;
        } else if (worker->watch(worker->watch_context)) {
            worker->is_over = true;
            turn_remove(&pool->lines, &worker->turn);
            turn_push_first(&pool->lines, &worker->turn, TURN_QUERY);
        }
    }
}

/* The same, and whoever wants to know is told how long that took. */
static void wait_in_line(struct worker *worker)
{
    struct worker_waits *waits = worker->waits;
    if (waits == NULL) {
        wait_for_turn(worker);
        return;
    }
    int64_t begin_us = clock_monotonic_us();
    atomic_store_explicit(&waits->since_us, begin_us, memory_order_relaxed);
    wait_for_turn(worker);
    atomic_store_explicit(&waits->since_us, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&waits->waited_us, clock_monotonic_us() - begin_us,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&waits->count, 1, memory_order_relaxed);
}

static void begin_turn(struct worker *worker)
{
    assert(worker->has_permit);
    count_turn(worker, 1);
    worker->granted_us = worker->looked_us = clock_monotonic_us();
    worker->turn_cpu_us = cpu_of(worker);
}

static void permit_acquire(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    if (pool->permits_free > 0) { /* then nobody is in line */
        pool->permits_free--;
        worker->has_permit = true;
    } else {
        if (worker->is_urgent)
            turn_push_first(&pool->lines, &worker->turn, TURN_QUERY);
        else
            stand_in_line(worker, line_of(worker, cpu_of(worker)));
        wait_in_line(worker);
    }
    begin_turn(worker);
}

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
    worker->job_cpu_us = cpu_of(worker);
    arrive_anew(worker, worker->job_cpu_us);
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
    current = worker;
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
    current = NULL;
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

void worker_promote(struct worker_pool *pool)
{
    mutex_lock(&pool->mutex);
    for (struct turn *turn = pool->lines.first[TURN_UPKEEP]; turn != NULL; turn = turn->next)
        worker_of(turn)->is_urgent = true;
    turn_move(&pool->lines, TURN_UPKEEP, TURN_QUERY);
    pool->is_promoted = pool->queues[WORKER_UPKEEP].count > 0;
    mutex_unlock(&pool->mutex);
}

void worker_watch(bool (*is_over)(void *context), void *context)
{
    struct worker *worker = current;
    if (worker == NULL)
        return;
    mutex_lock(&worker->pool->mutex);
    worker->watch = is_over;
    worker->watch_context = context;
    mutex_unlock(&worker->pool->mutex);
}

int64_t worker_queued_us(void)
{
    struct worker *worker = current;
    if (worker == NULL || worker->submitted_us == 0)
        return 0;
    int64_t queued_us = worker->first_granted_us - worker->submitted_us;
    worker->submitted_us = 0;
    return queued_us;
}

void worker_tell_waits(struct worker_waits *waits)
{
    if (current != NULL)
        current->waits = waits;
}

/* A query looks at its clock, which is a call of the kernel, only when it may matter. */
static bool is_look_due(struct worker *worker)
{
    struct turn_lines *lines = &worker->pool->lines;
    if (atomic_load_explicit(&worker->is_taken_over, memory_order_relaxed) ||
        turn_waiting(lines, TURN_DECODE) > 0)
        return true;
    if (worker->priority == WORKER_DECODE || turn_waiting(lines, TURN_UPKEEP) == 0)
        return false;
    int64_t now_us = clock_monotonic_us();
    if (worker->priority == WORKER_QUERY && now_us < worker->looked_us + LOOK_PERIOD_US)
        return false;
    worker->looked_us = now_us;
    return true;
}

/* We stand in line like the others, and go on if it is our turn all the same. */
static void take_turns(struct worker *worker, enum turn_line line, int64_t cpu_us)
{
    struct worker_pool *pool = worker->pool;
    end_turn(worker, cpu_us);
    stand_in_line(worker, line);
    struct turn *turn = turn_pop(&pool->lines);
    if (turn == &worker->turn) {
        count_turn(worker, 1);
        worker->turn_cpu_us = cpu_of(worker);
        return;
    }
    worker->has_permit = false;
    worker_of(turn)->has_permit = true;
    condition_signal(&worker_of(turn)->granted);
    wait_in_line(worker);
    begin_turn(worker);
}

/* Is it somebody else's turn? */
static bool is_turn_over(struct worker *worker, enum turn_line line, int64_t cpu_us)
{
    bool is_anew = cpu_us - worker->arrival_cpu_us >= turn_share_us(line);
    if (is_anew)
        arrive_anew(worker, cpu_us);
    return turn_is_over(&worker->pool->lines, &worker->turn, line, is_anew,
                        cpu_us - worker->turn_cpu_us);
}

void worker_yield(void)
{
    struct worker *worker = current;
    if (worker == NULL || worker->blocks > 0 || !is_look_due(worker))
        return;
    struct worker_pool *pool = worker->pool;
    int64_t cpu_us = cpu_of(worker);
    mutex_lock(&pool->mutex);
    worker->is_urgent = false;
    enum turn_line line = line_of(worker, cpu_us);
    if (!worker->has_permit) {
        permit_release(worker);
        permit_acquire(worker);
    } else if (is_turn_over(worker, line, cpu_us)) {
        take_turns(worker, line, cpu_us);
    } else {
        worker->granted_us = clock_monotonic_us(); /* it has looked */
    }
    mutex_unlock(&pool->mutex);
}

/* Gives way to the DECODE jobs in line and comes back first of `line`. */
static void yield_to_decode(enum turn_line line)
{
    struct worker *worker = current;
    if (worker == NULL || worker->blocks > 0 || worker->priority == WORKER_DECODE)
        return;
    struct worker_pool *pool = worker->pool;
    if (worker->is_urgent && turn_waiting(&pool->lines, TURN_DECODE) == 0)
        return;
    mutex_lock(&pool->mutex);
    worker->is_urgent = true;
    if (!worker->has_permit) {
        permit_release(worker);
        permit_acquire(worker);
    } else if (pool->lines.first[TURN_DECODE] != NULL) {
        permit_release(worker);
        turn_push_first(&pool->lines, &worker->turn, line);
        wait_in_line(worker);
        begin_turn(worker);
    }
    mutex_unlock(&pool->mutex);
}

void worker_yield_to_decode(void)
{
    yield_to_decode(TURN_QUERY);
}

void worker_yield_once(void)
{
    yield_to_decode(TURN_DECODE);
}

bool worker_is_job(void)
{
    return current != NULL;
}

void worker_block_begin(void)
{
    struct worker *worker = current;
    if (worker == NULL || worker->blocks++ > 0)
        return;
    struct worker_pool *pool = worker->pool;
    mutex_lock(&pool->mutex);
    permit_release(worker);
    if (pool->queues[WORKER_DECODE].count > 0 && pool->decoding < pool->permits)
        wake_one(pool, WORKER_DECODE, false); /* nobody was woken for it: see worker_submit */
    mutex_unlock(&pool->mutex);
}

void worker_block_end(void)
{
    struct worker *worker = current;
    if (worker == NULL || --worker->blocks > 0)
        return;
    mutex_lock(&worker->pool->mutex);
    permit_acquire(worker);
    mutex_unlock(&worker->pool->mutex);
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
