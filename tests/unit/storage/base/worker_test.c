/* The worker pool: every job runs once, permits bound what runs, priorities hold. What queries do
 * among each other is in worker_queries_test.c. */
#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "tests/unit/storage/base/worker_harness.h"

#include <stdbool.h>

static _Atomic int run_count, running, running_max;

static void count_job(void *context)
{
    (void)context;
    int now = atomic_fetch_add(&running, 1) + 1;
    int max = atomic_load(&running_max);
    while (now > max && !atomic_compare_exchange_weak(&running_max, &max, now))
        continue;
    for (int turn = 0; turn < 20; turn++) {
        atomic_fetch_sub(&running, 1);
        worker_yield();
        atomic_fetch_add(&running, 1);
    }
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&run_count, 1);
}

static void test_all_run_and_permits_hold(void **state)
{
    (void)state;
    fault_plant("worker.nothing_is_taken_over"); /* from a job that the machine does not run */
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 2, .thread_count = 8});
    atomic_store(&run_count, 0);
    atomic_store(&running_max, 0);
    for (int index = 0; index < 900; index++)
        assert_int_equal(worker_submit(pool, (enum worker_priority)(index % 3), count_job, NULL),
                         OK);
    worker_pool_destroy(pool);
    assert_int_equal(atomic_load(&run_count), 900);
    assert_in_range(atomic_load(&running_max), 1, 2);
    worker_yield(); /* outside of a job: nothing */
    worker_block_begin();
    worker_block_end();
    fault_clear();
}

/* With one permit held by a job that waits at a gate, everything queued stands in line. */
static struct mutex mutex;
static struct condition condition;
static bool is_open, is_entered;
static int order[16], order_count;

static void gate_job(void *context)
{
    (void)context;
    mutex_lock(&mutex);
    is_entered = true;
    condition_broadcast(&condition);
    while (!is_open)
        condition_wait(&condition, &mutex);
    mutex_unlock(&mutex);
}

static void note_job(void *context)
{
    mutex_lock(&mutex);
    order[order_count++] = (int)(intptr_t)context;
    mutex_unlock(&mutex);
}

static void open_gate(void)
{
    mutex_lock(&mutex);
    is_open = true;
    condition_broadcast(&condition);
    mutex_unlock(&mutex);
}

static void wait_until_entered(void)
{
    mutex_lock(&mutex);
    while (!is_entered)
        condition_wait(&condition, &mutex);
    mutex_unlock(&mutex);
}

static void test_priorities(void **state)
{
    (void)state;
    is_open = is_entered = false;
    order_count = 0;
    /* One thread: what waits waits in the queues, so their order alone decides. */
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 1, .thread_count = 1, .queue_depth_max = 2});
    assert_int_equal(worker_submit(pool, WORKER_QUERY, gate_job, NULL), OK);
    wait_until_entered();
    for (int round = 0; round < 2; round++)
        for (int priority = WORKER_PRIORITY_COUNT - 1; priority >= 0; priority--)
            assert_int_equal(worker_submit(pool, (enum worker_priority)priority, note_job,
                                           (void *)(intptr_t)(priority * 10 + round)),
                             OK);
    assert_int_equal(worker_submit(pool, WORKER_DECODE, note_job, NULL), ERR_BUSY);
    open_gate();
    worker_pool_destroy(pool);
    static const int want[] = {0, 1, 10, 11, 20, 21};
    assert_int_equal(order_count, 6);
    assert_memory_equal(order, want, sizeof(want));
}

/* A query that never ends by itself must let decoding through, by yielding alone. */
static _Atomic bool decoded, is_long_begun, has_given_up;

static void long_query(void *context)
{
    int64_t end = clock_monotonic_us() + GIVE_UP_US;
    (void)context;
    atomic_store(&is_long_begun, true);
    while (!atomic_load(&decoded) && !atomic_load(&has_given_up)) {
        if (clock_monotonic_us() > end)
            atomic_store(&has_given_up, true);
        worker_yield();
    }
}

static void decode_job(void *context)
{
    (void)context;
    atomic_store(&decoded, true);
}

static void test_queries_yield_to_decoding(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){.core_count = 1});
    atomic_store(&decoded, false);
    atomic_store(&is_long_begun, false);
    atomic_store(&has_given_up, false);
    for (int index = 0; index < 20; index++) /* more than there are general threads */
        assert_int_equal(worker_submit(pool, WORKER_QUERY, long_query, NULL), OK);
    while (!atomic_load(&is_long_begun))
        clock_sleep_us(500);
    assert_int_equal(worker_submit(pool, WORKER_DECODE, decode_job, NULL), OK);
    worker_pool_destroy(pool);
    assert_true(atomic_load(&decoded));
    assert_false(atomic_load(&has_given_up));
}

static _Atomic int blocked;

static void blocking_job(void *context)
{
    worker_block_begin();
    atomic_fetch_add(&blocked, 1);
    gate_job(context);
    worker_block_end();
}

static void opening_job(void *context)
{
    (void)context;
    open_gate();
}

/* The only permit is given back around the wait, else the opener would never run. */
static void test_block_releases_permit(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 4});
    is_open = false;
    for (int index = 0; index < 2; index++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, blocking_job, NULL), OK);
    assert_int_equal(worker_submit(pool, WORKER_UPKEEP, opening_job, NULL), OK);
    worker_pool_destroy(pool);
    assert_true(is_open);
}

static void queueing_job(void *context)
{
    /* All permits are held by DECODE jobs: no thread is woken for this one yet. */
    assert_int_equal(worker_submit(context, WORKER_DECODE, opening_job, NULL), OK);
    blocking_job(NULL);
    atomic_store(&decoded, true);
}

static void nested_job(void *context)
{
    (void)context;
    worker_block_begin();
    worker_block_begin();
    worker_yield();
    worker_yield_to_decode();
    worker_block_end();
    worker_yield_once();
    worker_block_end();
    atomic_fetch_add(&run_count, 1);
}

/* A wait within a wait gives one permit away and takes one again: none is lost. */
static void test_blocks_nest(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 2, .thread_count = 8});
    atomic_store(&run_count, 0);
    for (int index = 0; index < 300; index++)
        assert_int_equal(worker_submit(pool, (enum worker_priority)(index % 3), nested_job, NULL),
                         OK);
    worker_pool_destroy(pool);
    assert_int_equal(atomic_load(&run_count), 300);
}

/* A DECODE job behind DECODE jobs waits for the first of them to end, or to block. */
static void test_block_wakes_a_thread_for_decoding(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 4});
    is_open = false;
    atomic_store(&decoded, false);
    assert_int_equal(worker_submit(pool, WORKER_DECODE, queueing_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (!atomic_load(&decoded) &&
           clock_monotonic_us() < give_up_us) /* before destroying wakes everybody */
        clock_sleep_us(1000);
    assert_true(atomic_load(&decoded));
    worker_pool_destroy(pool);
}

/* Short jobs, and which thread each ran on. */
static struct {
    _Atomic bool is_held; /* the first waits until it is not */
    bool blocks;
    _Atomic int begun, ended;
    const void *threads[8];
} shorts;
static _Thread_local char thread_mark;

static void brief_job(void *context)
{
    (void)context;
    int index = atomic_fetch_add(&shorts.begun, 1);
    shorts.threads[index] = &thread_mark;
    if (index == 0 && shorts.blocks)
        worker_block_begin();
    while (index == 0 && atomic_load(&shorts.is_held))
        clock_sleep_us(100);
    if (index == 0 && shorts.blocks)
        worker_block_end();
    atomic_fetch_add(&shorts.ended, 1);
}

/* `count` short jobs, of which the first is held until the others are there. How many had begun by
 * then without it, given time where some are expected to. */
static int run_shorts(struct worker_pool *pool, int count, bool blocks, int expected)
{
    atomic_store(&shorts.is_held, true);
    atomic_store(&shorts.begun, 0);
    atomic_store(&shorts.ended, 0);
    shorts.blocks = blocks;
    assert_int_equal(worker_submit_short(pool, brief_job, NULL), OK);
    assert_true(worker_comes_to(&shorts.begun, 1, GIVE_UP_US));
    for (int index = 1; index < count; index++)
        assert_int_equal(worker_submit_short(pool, brief_job, NULL), OK);
    if (expected > 0)
        (void)worker_comes_to(&shorts.begun, 1 + expected, GIVE_UP_US);
    int begun = atomic_load(&shorts.begun) - 1;
    atomic_store(&shorts.is_held, false);
    assert_true(worker_comes_to(&shorts.ended, count, GIVE_UP_US));
    return begun;
}

/* A few wait for the one that is under way, more have another thread woken, and so has one that is
 * behind a job that blocks. */
static void test_short_jobs_share_a_thread(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 2, .thread_count = 8});
    int shared = 0;
    for (int round = 0; round < 20; round++) {
        clock_sleep_us(1000); /* a thread that is about to sleep takes a job too */
        bool is_shared = run_shorts(pool, 4, false, 0) == 0;
        for (int index = 1; index < 4; index++)
            is_shared &= shorts.threads[index] == shorts.threads[0];
        shared += is_shared;
        assert_int_equal(run_shorts(pool, 5, false, 4), 4);
        assert_int_equal(run_shorts(pool, 3, true, 2), 2);
    }
    assert_in_range(shared, 1, 20);
    clock_sleep_us(10000);
    fault_plant("worker.woken_for_ever"); /* then nobody is woken any more */
    assert_int_equal(run_shorts(pool, 1, false, 0), 0);
    atomic_store(&shorts.begun, 0);
    clock_sleep_us(10000);
    assert_int_equal(worker_submit_short(pool, brief_job, NULL), OK);
    assert_false(worker_comes_to(&shorts.begun, 1, 100000));
    fault_clear();
    worker_pool_destroy(pool); /* it runs what is queued */
    assert_int_equal(atomic_load(&shorts.begun), 1);
}

/* Only for a thread that is under way with such a job; behind as many as others would wait. */
static void test_awake(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 2, .thread_count = 8});
    clock_sleep_us(10000);
    assert_int_equal(worker_submit_awake(pool, brief_job, NULL), ERR_BUSY);
    shorts.blocks = false;
    atomic_store(&shorts.is_held, true);
    atomic_store(&shorts.begun, 0);
    atomic_store(&shorts.ended, 0);
    assert_int_equal(worker_submit_short(pool, brief_job, NULL), OK);
    assert_true(worker_comes_to(&shorts.begun, 1, GIVE_UP_US));
    for (int index = 1; index < 4; index++)
        assert_int_equal(worker_submit_awake(pool, brief_job, NULL), OK);
    assert_int_equal(worker_submit_awake(pool, brief_job, NULL), ERR_BUSY);
    atomic_store(&shorts.is_held, false);
    assert_true(worker_comes_to(&shorts.ended, 4, GIVE_UP_US));
    worker_pool_destroy(pool);
}

/* --- queries that are over before their turn --- */

struct waiting {
    int number;
    _Atomic bool is_over;
};

static bool waiting_is_over(void *context)
{
    return atomic_load(&((struct waiting *)context)->is_over);
}

static void waiting_job(void *context)
{
    note_job((void *)(intptr_t)((struct waiting *)context)->number);
}

static void submit_waiting(struct worker_pool *pool, struct waiting *waiting, int number,
                           int64_t due_us)
{
    waiting->number = number;
    atomic_init(&waiting->is_over, false);
    assert_int_equal(worker_submit_query(pool, &(struct worker_query){.run = waiting_job,
                                                                      .is_over = waiting_is_over,
                                                                      .due_us = due_us,
                                                                      .context = waiting}),
                     OK);
}

static void await_order(int wanted)
{
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    for (int count = 0; count < wanted && clock_monotonic_us() < give_up_us;) {
        mutex_lock(&mutex);
        count = order_count;
        mutex_unlock(&mutex);
        clock_sleep_us(100);
    }
}

/* Behind the only query that may be under way wait five, and two of them are over. */
static size_t queued_when_two_are_over(void)
{
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 2, .thread_count = 4, .query_count_max = 1});
    struct waiting waiting[5];
    struct worker_status status;
    is_open = is_entered = false;
    order_count = 0;
    struct worker_query gate = {.run = gate_job, .is_at_once = true};
    assert_int_equal(worker_submit_query(pool, &gate), OK);
    wait_until_entered();
    assert_int_equal(worker_submit_query(pool, &gate), ERR_BUSY);
    for (int i = 0; i < 5; i++)
        submit_waiting(pool, &waiting[i], i, 0);
    worker_end_waiting(pool);
    worker_pool_status(pool, &status);
    assert_int_equal(status.queued[WORKER_QUERY], 5);
    atomic_store(&waiting[1].is_over, true);
    atomic_store(&waiting[4].is_over, true);
    worker_end_waiting(pool);
    worker_pool_status(pool, &status);
    size_t queued = status.queued[WORKER_QUERY];
    if (queued == 3)
        await_order(2);
    open_gate(); /* the first is still under way until here */
    worker_pool_destroy(pool);
    assert_int_equal(order_count, 5);
    return queued;
}

static void test_who_is_over_does_not_wait(void **state)
{
    (void)state;
    assert_int_equal(queued_when_two_are_over(), 3);
    assert_true((order[0] == 1 && order[1] == 4) || (order[0] == 4 && order[1] == 1));
    assert_int_equal(order[2], 0);
    assert_int_equal(order[3], 2);
    assert_int_equal(order[4], 3);
    fault_plant("worker.over_ones_wait");
    size_t queued = queued_when_two_are_over();
    fault_clear();
    assert_int_equal(queued, 5);
}

/* One that was over before it was handed in: who said so found nothing in the queue. */
static size_t queued_when_over_before(void)
{
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 2, .thread_count = 4, .query_count_max = 1});
    struct waiting waiting = {.number = 1};
    struct worker_status status;
    is_open = is_entered = false;
    order_count = 0;
    atomic_init(&waiting.is_over, true);
    assert_int_equal(worker_submit(pool, WORKER_QUERY, gate_job, NULL), OK);
    wait_until_entered();
    worker_end_waiting(pool);
    assert_int_equal(worker_submit_query(pool, &(struct worker_query){.run = waiting_job,
                                                                      .is_over = waiting_is_over,
                                                                      .context = &waiting}),
                     OK);
    worker_pool_status(pool, &status);
    open_gate();
    worker_pool_destroy(pool);
    assert_int_equal(order_count, 1);
    return status.queued[WORKER_QUERY];
}

static void test_who_was_over_before_does_not_wait(void **state)
{
    (void)state;
    assert_int_equal(queued_when_over_before(), 0);
    fault_plant("worker.over_ones_wait");
    size_t queued = queued_when_over_before();
    fault_clear();
    assert_int_equal(queued, 1);
}

/* Of four that wait the third and the first are due, with so many threads that have nothing
 * else to do but wait for that; how many still wait once the gate has to be opened for the rest.
 */
static size_t queued_when_two_are_due(int thread_count, size_t jobs_between)
{
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){
        .core_count = 2, .thread_count = thread_count, .query_count_max = 1});
    struct waiting waiting[4], others[8];
    struct worker_status status;
    int64_t now_us = clock_monotonic_us();
    bool is_found = !fault_is("worker.due_ones_wait");
    is_open = is_entered = false;
    order_count = 0;
    assert_int_equal(worker_submit(pool, WORKER_QUERY, gate_job, NULL), OK);
    wait_until_entered();
    const int64_t due_us[] = {now_us + 30000, 0, now_us + 3000, now_us + 3600000000};
    for (int i = 0; i < 4; i++)
        submit_waiting(pool, &waiting[i], i, due_us[i]);
    for (size_t i = 0; i < jobs_between; i++) { /* whoever watches is taken away */
        others[i].number = 9;
        assert_int_equal(worker_submit(pool, WORKER_DECODE, waiting_job, &others[i]), OK);
    }
    if (is_found)
        await_order(2 + (int)jobs_between);
    else
        clock_sleep_us(60000);
    worker_pool_status(pool, &status);
    open_gate();
    worker_pool_destroy(pool);
    assert_int_equal(order_count, 4 + (int)jobs_between);
    return status.queued[WORKER_QUERY];
}

static void test_who_is_due_does_not_wait(void **state)
{
    (void)state;
    for (int threads = 4; threads <= 16; threads *= 2)
        assert_int_equal(queued_when_two_are_due(threads, 0), 2);
    assert_true((order[0] == 2 && order[1] == 0) || (order[0] == 0 && order[1] == 2));
    assert_int_equal(order[2], 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(queued_when_two_are_due(4, 8), 2);
    fault_plant("worker.due_ones_wait");
    size_t queued = queued_when_two_are_due(8, 0);
    fault_clear();
    assert_int_equal(queued, 4);
}

/* One whose time is over when it is handed in. */
static void test_who_was_due_before_does_not_wait(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 2, .thread_count = 4, .query_count_max = 1});
    struct waiting waiting;
    is_open = is_entered = false;
    order_count = 0;
    assert_int_equal(worker_submit(pool, WORKER_QUERY, gate_job, NULL), OK);
    wait_until_entered();
    submit_waiting(pool, &waiting, 1, 1);
    await_order(1);
    open_gate();
    worker_pool_destroy(pool);
    assert_int_equal(order_count, 1);
    assert_int_equal(order[0], 1);
}

static struct {
    int order[3];
    _Atomic int count;
} ran;

static void mark_job(void *context)
{
    ran.order[atomic_fetch_add(&ran.count, 1)] = *(const int *)context;
}

/* What waits as UPKEEP goes before waiting queries once it is promoted, queued or in line. */
static void test_promotion_overtakes_queries(void **state)
{
    (void)state;
    static const int query = 1, upkeep = 2;
    fault_plant(
        "worker.nothing_is_taken_over"); /* the gate holds its permit on a slow machine too */
    for (int threads = 1; threads <= 6; threads += 5) {
        struct worker_pool *pool =
            worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = threads});
        is_open = is_entered = false;
        atomic_store(&ran.count, 0);
        assert_int_equal(worker_submit(pool, WORKER_QUERY, gate_job, NULL), OK);
        wait_until_entered(); /* the permit is held */
        assert_int_equal(worker_submit(pool, WORKER_QUERY, mark_job, (void *)&query), OK);
        assert_int_equal(worker_submit(pool, WORKER_QUERY, mark_job, (void *)&query), OK);
        assert_int_equal(worker_submit(pool, WORKER_UPKEEP, mark_job, (void *)&upkeep), OK);
        worker_await_line(pool, threads == 1 ? 0 : 3);
        worker_promote(pool);
        open_gate();
        worker_pool_destroy(pool);
        assert_int_equal(atomic_load(&ran.count), 3);
        assert_int_equal(ran.order[0], upkeep);
    }
    fault_clear();
}

static void urgent_job(void *context)
{
    static const int decode = 1, query = 2;
    worker_yield_to_decode(); /* from now on no query goes before us */
    assert_int_equal(worker_submit(context, WORKER_QUERY, mark_job, (void *)&query), OK);
    worker_await_line(context, 1); /* for the permit we hold */
    worker_yield_to_decode();
    assert_int_equal(atomic_load(&ran.count), 0);
    assert_int_equal(worker_submit(context, WORKER_DECODE, mark_job, (void *)&decode), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&ran.count) == 0 && clock_monotonic_us() < give_up_us)
        worker_yield_to_decode();
    assert_int_equal(atomic_load(&ran.count), 1);
    assert_int_equal(ran.order[0], decode);
}

static void test_urgent_upkeep_gives_way_to_decoding_only(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 8});
    atomic_store(&ran.count, 0);
    assert_int_equal(worker_submit(pool, WORKER_UPKEEP, urgent_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&ran.count) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(1000);
    worker_pool_destroy(pool);
    assert_int_equal(atomic_load(&ran.count), 2);
}

static void unhurried_job(void *context)
{
    static const int decode = 1;
    worker_yield_once(); /* to nobody */
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_submit(context, WORKER_DECODE, mark_job, (void *)&decode), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&ran.count) == 0 && clock_monotonic_us() < give_up_us)
        worker_yield_once();
    assert_int_equal(atomic_load(&ran.count), 1);
}

/* Two wait in line; one has its turn, then the job goes on. */
static void test_a_job_that_is_behind_gives_one_turn(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 8});
    atomic_store(&ran.count, 0);
    fault_plant("worker.nothing_is_taken_over"); /* on a slow machine the second would be, too */
    assert_int_equal(worker_submit(pool, WORKER_UPKEEP, unhurried_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&ran.count) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(1000);
    worker_pool_destroy(pool);
    fault_clear();
    assert_int_equal(atomic_load(&ran.count), 2);
}

/* The room for queries is bounded, and upkeep and decoding have threads that queries do not take.
 */
static void test_room_for_queries_is_bounded(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){
        .core_count = 1, .thread_count = 4, .query_count_max = 2, .query_queue_max = 3});
    atomic_store(&blocked, 0);
    is_open = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, blocking_job, NULL), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&blocked) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(500);
    for (int i = 0; i < 3; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, blocking_job, NULL), OK);
    assert_int_equal(worker_submit(pool, WORKER_QUERY, blocking_job, NULL), ERR_BUSY);
    assert_int_equal(worker_submit(pool, WORKER_UPKEEP, opening_job, NULL), OK);
    worker_pool_destroy(pool);
    assert_true(is_open);
}

/* 16 MiB deep: the stacks are as large as promised. */
static void deep_job(void *context)
{
    volatile char frame[16 << 20];
    frame[0] = 1;
    frame[sizeof(frame) - 1] = 1;
    *(int *)context = frame[0] + frame[sizeof(frame) - 1];
}

static void test_deep_stack(void **state)
{
    (void)state;
    int sum = 0;
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){0});
    assert_int_equal(worker_submit(pool, WORKER_QUERY, deep_job, &sum), OK);
    worker_pool_destroy(pool);
    assert_int_equal(sum, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_run_and_permits_hold),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_queries_yield_to_decoding),
        cmocka_unit_test(test_block_releases_permit),
        cmocka_unit_test(test_blocks_nest),
        cmocka_unit_test(test_block_wakes_a_thread_for_decoding),
        cmocka_unit_test(test_short_jobs_share_a_thread),
        cmocka_unit_test(test_awake),
        cmocka_unit_test(test_who_is_over_does_not_wait),
        cmocka_unit_test(test_who_was_over_before_does_not_wait),
        cmocka_unit_test(test_who_is_due_does_not_wait),
        cmocka_unit_test(test_who_was_due_before_does_not_wait),
        cmocka_unit_test(test_promotion_overtakes_queries),
        cmocka_unit_test(test_urgent_upkeep_gives_way_to_decoding_only),
        cmocka_unit_test(test_a_job_that_is_behind_gives_one_turn),
        cmocka_unit_test(test_room_for_queries_is_bounded),
        cmocka_unit_test(test_deep_stack),
    };
    mutex_init(&mutex);
    condition_init(&condition);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
