/* The inside of the worker pool, shared by worker.c (jobs, their queues, threads) and permit.c
 * (which of them runs). All of it under the pool's mutex, but what a worker alone looks at. */
#ifndef FRESHET_STORAGE_BASE_WORKER_INSIDE_H
#define FRESHET_STORAGE_BASE_WORKER_INSIDE_H

#include "storage/base/thread.h"
#include "storage/base/turn.h"
#include "storage/base/worker.h"

struct job {
    void (*run)(void *context);
    bool (*is_over)(void *context); /* NULL: nobody asks */
    void *context;
    int64_t due_us; /* monotonic: then it is over; 0: never */
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
    int64_t watch_due_us; /* until its job runs; 0: none */
    int64_t submitted_us; /* of its job; 0: nobody need know any more */
    int64_t first_granted_us;
    int64_t granted_us;         /* monotonic, of its permit */
    int64_t looked_us;          /* monotonic, at who waits */
    int64_t job_cpu_us;         /* of the thread when the job began; 0 in these of DECODE */
    int64_t turn_cpu_us;        /* … when it got its permit */
    int64_t arrival_cpu_us;     /* … when it came, or came anew */
    int64_t allowed_us;         /* of its job's: not counted in its place in line */
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
    struct worker *idle;        /* wait for work, the last that did first */
    struct worker *decode_idle; /* the same of those that take DECODE only */
    struct worker *sentry;      /* of them, who wakes at due_us; NULL: nobody does */
    int64_t due_us;             /* no later than the first of the queued jobs; 0: none has one */
    size_t query_count, query_count_max;   /* QUERY jobs that have a thread */
    size_t base_count;                     /* threads that are there from the start */
    size_t worker_count, worker_count_max; /* started; room for */
    struct worker *workers;
};

/* --- permit.c; with the mutex held --- */

/* The worker that this thread is; NULL: none. */
struct worker *worker_current(void);
void worker_set_current(struct worker *worker);
/* CPU time of this thread, where it matters for the job's place in line. */
int64_t worker_cpu_us(const struct worker *worker);
/* Behind all who are there. */
void permit_arrive_anew(struct worker *worker, int64_t cpu_us);
/* Waits for its turn, which begins. */
void permit_acquire(struct worker *worker);
/* The turn is over; whoever is next has its permit. */
void permit_release(struct worker *worker);

/* --- worker.c; with the mutex held --- */

/* A thread for DECODE jobs for which nobody was woken, as those under way were to take them. */
void worker_wake_decode(struct worker_pool *pool);

#endif
