/* Permits: which of the jobs that have a thread runs.
 *
 * Who waits for a permit stands in a line, and turn.c says whose turn it is: decoding first, then
 * the query that has used least. Newly started jobs and yielding ones stand in the same lines, so
 * many queries share fairly, and a decoding job waits for one morsel at most.
 *
 * worker_yield() is called once a morsel, so its quick answer (nobody waits) is a few relaxed
 * loads.
 *
 * A job that forgets to yield (one call over a hundred megabytes) must not hold up the others: who
 * waits in one of the first two lines for longer than its patience takes the permit of such a job
 * over. That one runs on without until it looks again, and then stands in line. At most as many as
 * there are permits run so, and the kernel shares the cores among them meanwhile. */
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/worker_inside.h"

#include <assert.h>
#include <stdatomic.h>

#define LOOK_PERIOD_US 500      /* of a query at who waits, DECODE aside */
#define WATCH_PERIOD_US 50000   /* of a job in line at whether it is over */
#define DECODE_PATIENCE_US 5000 /* in line, with the permits at jobs that do not look */
#define SHORT_QUERY_PATIENCE_US 20000

/* The worker that this thread is, while it runs a job. */
static _Thread_local struct worker *current;

struct worker *worker_current(void)
{
    return current;
}

void worker_set_current(struct worker *worker)
{
    current = worker;
}

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
    return turn_query_line(cpu_us - worker->job_cpu_us - worker->allowed_us);
}

void permit_arrive_anew(struct worker *worker, int64_t cpu_us)
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

int64_t worker_cpu_us(const struct worker *worker)
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

void permit_release(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    bool is_counted = worker->turn.is_for_age || worker->turn.is_overtaking;
    end_turn(worker, is_counted ? worker_cpu_us(worker) : worker->turn_cpu_us);
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

static bool has_only_to_clean_up(const struct worker *worker)
{
    if (fault_is("worker.over_ones_stand"))
        return false;
    return (worker->watch != NULL && worker->watch(worker->watch_context)) ||
           (worker->watch_due_us != 0 && clock_monotonic_us() >= worker->watch_due_us);
}

static void wait_for_turn(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    while (!worker->has_permit) {
        enum turn_line line = worker->turn.line;
        int64_t patience_us = line == TURN_DECODE  ? DECODE_PATIENCE_US
                              : line == TURN_QUERY ? SHORT_QUERY_PATIENCE_US
                                                   : WATCH_PERIOD_US;
        bool is_watched = worker->watch != NULL || worker->watch_due_us != 0;
        if (line > TURN_QUERY && !is_watched) {
            condition_wait(&worker->granted, &pool->mutex);
            continue;
        }
        if (condition_wait_for(&worker->granted, &pool->mutex, patience_us) || worker->has_permit)
            continue;
        if (line != TURN_DECODE && !worker->is_over && has_only_to_clean_up(worker)) {
            worker->is_over = true;
            turn_remove(&pool->lines, &worker->turn);
            turn_push_first(&pool->lines, &worker->turn, TURN_QUERY);
        }
        if (worker->turn.line <= TURN_QUERY && take_over(worker, patience_us))
            return;
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
    worker->turn_cpu_us = worker_cpu_us(worker);
}

void permit_acquire(struct worker *worker)
{
    struct worker_pool *pool = worker->pool;
    if (pool->permits_free > 0) { /* then nobody is in line */
        pool->permits_free--;
        worker->has_permit = true;
    } else {
        if (worker->is_urgent)
            turn_push_first(&pool->lines, &worker->turn, TURN_QUERY);
        else
            stand_in_line(worker, line_of(worker, worker_cpu_us(worker)));
        wait_in_line(worker);
    }
    begin_turn(worker);
}

/* --- from inside of jobs --- */

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

void worker_allow(int64_t cpu_us)
{
    if (current != NULL)
        current->allowed_us = cpu_us;
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
        worker->turn_cpu_us = worker_cpu_us(worker);
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
        permit_arrive_anew(worker, cpu_us);
    return turn_is_over(&worker->pool->lines, &worker->turn, line, is_anew,
                        cpu_us - worker->turn_cpu_us);
}

void worker_yield(void)
{
    struct worker *worker = current;
    if (worker == NULL || worker->blocks > 0 || !is_look_due(worker))
        return;
    struct worker_pool *pool = worker->pool;
    int64_t cpu_us = worker_cpu_us(worker);
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
        worker_wake_decode(pool);
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
