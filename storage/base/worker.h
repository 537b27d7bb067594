/* The worker pool: decoding, query morsels and upkeep as jobs in that order of priority.
 *
 * A job runs on a pool thread with a 64 MiB stack, but only while it holds one of `core_count`
 * permits. Long jobs call worker_yield() at morsel borders: if a job of higher priority is waiting,
 * or a query that has used less CPU time, the permit is handed over and taken back in turn, so many
 * queries share fairly, short ones first, and decoding never waits for a query longer than a
 * morsel.
 */
#ifndef FRESHET_STORAGE_BASE_WORKER_H
#define FRESHET_STORAGE_BASE_WORKER_H

#include "storage/base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum worker_priority { WORKER_DECODE, WORKER_QUERY, WORKER_UPKEEP, WORKER_PRIORITY_COUNT };

struct worker_pool;

struct worker_options {
    int core_count;   /* permits; 0: as many as the machine has */
    int thread_count; /* jobs that may be under way at once (running or yielded); 0: 4 * cores + 4
                       */
    /* QUERY jobs that may be under way at once, each with a thread started when it is needed, above
     * thread_count; 0: thread_count holds for them too. */
    size_t query_count_max;
    size_t queue_depth_max; /* jobs per priority that wait for a thread; 0: 4,096 */
    size_t query_queue_max; /* QUERY jobs that do; at most and, at 0, queue_depth_max */
};

struct worker_pool *worker_pool_create(const struct worker_options *options);
/* Runs what is queued, then joins. */
void worker_pool_destroy(struct worker_pool *pool);
/* Any thread. ERR_BUSY when the queue is full or the pool is stopping; run is called exactly once
 * otherwise. */
MUST_CHECK enum err worker_submit(struct worker_pool *pool, enum worker_priority priority,
                                  void (*run)(void *context), void *context);
/* A QUERY job that may be over before it runs: then it has only to clean up. */
struct worker_query {
    void (*run)(void *context);
    /* Called with locks held and at any time until run is. NULL: it is not. */
    bool (*is_over)(void *context);
    int64_t due_us; /* monotonic: from then on it is over; 0: never */
    void *context;
    bool is_at_once; /* ERR_BUSY where it would wait for another to end */
};
MUST_CHECK enum err worker_submit_query(struct worker_pool *pool, const struct worker_query *query);
/* To be called when what is_over says may have changed: those that are over are taken at once, as
 * DECODE jobs, however many queries are under way. For due_us no call is needed. Any thread. */
void worker_end_waiting(struct worker_pool *pool);
/* worker_submit for a DECODE job that takes a fraction of a millisecond, and blocks for long only
 * between worker_block_begin and _end: it may wait for others of that kind, in place of a thread's
 * being woken for it. */
MUST_CHECK enum err worker_submit_short(struct worker_pool *pool, void (*run)(void *context),
                                        void *context);
/* worker_submit_short, but ERR_BUSY where a thread would have to be woken for it: the caller may do
 * it himself for what that costs. */
MUST_CHECK enum err worker_submit_awake(struct worker_pool *pool, void (*run)(void *context),
                                        void *context);
/* worker_submit, but ERR_BUSY unless there is a permit that nobody wants at the moment. */
MUST_CHECK enum err worker_submit_idle(struct worker_pool *pool, enum worker_priority priority,
                                       void (*run)(void *context), void *context);
/* How many jobs have a thread and wait for a permit. Any thread. */
int worker_in_line(const struct worker_pool *pool);
struct worker_status {
    size_t queued[WORKER_PRIORITY_COUNT]; /* jobs that have no thread yet */
    int in_line, permits_free;
    uint64_t turns;         /* permits given to who stood in line, since the start */
    uint64_t turns_for_age; /* of those, to who came first and not to who has used least */
};
/* Any thread. */
void worker_pool_status(struct worker_pool *pool, struct worker_status *out);
/* UPKEEP jobs that wait, for a thread or for a permit, go before all QUERY jobs that do. */
void worker_promote(struct worker_pool *pool);
/* Inside a job: may give the permit away for a while. Outside of one: nothing. */
void worker_yield(void);
/* Inside a job: is_over, called with locks held and at any time until the job ends or sets NULL,
 * says that it has only to clean up, having been cancelled or run out of time. While it waits for
 * its turn it goes to the front then. */
void worker_watch(bool (*is_over)(void *context), void *context);
/* How long a job has stood in line for its permit. Any thread reads it, relaxed. */
struct worker_waits {
    _Atomic int64_t waited_us; /* the present stay not counted */
    _Atomic int64_t since_us;  /* monotonic, of that; 0: it has its permit */
    _Atomic uint64_t count;
};

/* Inside a job: from its submission until its first turn began. 0 when asked again. */
int64_t worker_queued_us(void);
/* Inside a job: from now on it is told so, until the job ends or sets NULL. */
void worker_tell_waits(struct worker_waits *waits);
/* Inside a job, of a query: others wait for what it makes, its place in line is as if it had used
 * so much less CPU time. Until the job ends; the last call counts. */
void worker_allow(int64_t cpu_us);
/* The same as worker_yield, but gives way to DECODE jobs only, and comes back before all waiting
 * QUERY jobs. */
void worker_yield_to_decode(void);
/* The same, and comes back before all other jobs: whoever waits gets one turn. */
void worker_yield_once(void);
/* Is this thread inside a job? */
bool worker_is_job(void);
/* Around a blocking wait inside a job: releases the permit, takes one again. They may nest: the
 * outermost ones count, and to yield in between does nothing. */
void worker_block_begin(void);
void worker_block_end(void);

#endif
