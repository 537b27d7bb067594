/* The worker pool: every job runs once, permits bound what runs, priorities and turns hold. */
#include "storage/base/worker.h"

#include "storage/base/clock.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
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
static _Atomic bool decoded;

static void long_query(void *context)
{
    int64_t end = clock_monotonic_us() + 5000000;
    (void)context;
    while (!atomic_load(&decoded) && clock_monotonic_us() < end)
        worker_yield();
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
    for (int index = 0; index < 20; index++) /* more than there are general threads */
        assert_int_equal(worker_submit(pool, WORKER_QUERY, long_query, NULL), OK);
    clock_sleep_us(5000);
    int64_t start = clock_monotonic_us();
    assert_int_equal(worker_submit(pool, WORKER_DECODE, decode_job, NULL), OK);
    worker_pool_destroy(pool);
    assert_true(atomic_load(&decoded));
    assert_true(clock_monotonic_us() - start < 4000000);
}

static void blocking_job(void *context)
{
    worker_block_begin();
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

/* A DECODE job behind DECODE jobs waits for the first of them to end, or to block. */
static void test_block_wakes_a_thread_for_decoding(void **state)
{
    (void)state;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 4});
    is_open = false;
    atomic_store(&decoded, false);
    assert_int_equal(worker_submit(pool, WORKER_DECODE, queueing_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + 5000000;
    while (!atomic_load(&decoded) &&
           clock_monotonic_us() < give_up_us) /* before destroying wakes everybody */
        clock_sleep_us(1000);
    assert_true(atomic_load(&decoded));
    worker_pool_destroy(pool);
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
        clock_sleep_us(2000);
        worker_promote(pool);
        open_gate();
        worker_pool_destroy(pool);
        assert_int_equal(atomic_load(&ran.count), 3);
        assert_int_equal(ran.order[0], upkeep);
    }
}

static void urgent_job(void *context)
{
    static const int decode = 1, query = 2;
    assert_int_equal(worker_submit(context, WORKER_QUERY, mark_job, (void *)&query), OK);
    clock_sleep_us(2000); /* in line for the permit we hold */
    worker_yield_to_decode();
    assert_int_equal(atomic_load(&ran.count), 0);
    assert_int_equal(worker_submit(context, WORKER_DECODE, mark_job, (void *)&decode), OK);
    int64_t give_up_us = clock_monotonic_us() + 5000000;
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
    int64_t give_up_us = clock_monotonic_us() + 5000000;
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
    int64_t give_up_us = clock_monotonic_us() + 5000000;
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
    assert_int_equal(worker_submit(pool, WORKER_UPKEEP, unhurried_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + 5000000;
    while (atomic_load(&ran.count) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(1000);
    worker_pool_destroy(pool);
    assert_int_equal(atomic_load(&ran.count), 2);
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
        cmocka_unit_test(test_block_wakes_a_thread_for_decoding),
        cmocka_unit_test(test_promotion_overtakes_queries),
        cmocka_unit_test(test_urgent_upkeep_gives_way_to_decoding_only),
        cmocka_unit_test(test_a_job_that_is_behind_gives_one_turn),
        cmocka_unit_test(test_deep_stack),
    };
    mutex_init(&mutex);
    condition_init(&condition);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
