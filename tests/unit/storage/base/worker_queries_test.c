/* The worker pool's queries among each other: short ones go first, long ones get on, who does not
 * look is overtaken, and who waits is told. */
#include "storage/base/fault.h"
#include "storage/base/thread.h"
#include "tests/unit/storage/base/worker_harness.h"

#include <stdbool.h>
#include <string.h>

#define LONG_COUNT 6
#define LONG_US 30000 /* of CPU: past the first line */

static struct {
    struct worker_pool *pool;
    _Atomic int begun, past, last, switches, switches_at_submit, switches_at_run;
    _Atomic bool is_short_submitted, is_short_done;
} crowd;

static void short_job(void *context)
{
    (void)context;
    atomic_store(&crowd.switches_at_run, atomic_load(&crowd.switches));
    atomic_store(&crowd.is_short_done, true);
}

/* By the job that holds the permit, and keeps it until the short one stands in line, unless that
 * one or another has taken it over meanwhile. */
static void submit_short(void)
{
    assert_int_equal(atomic_load(&crowd.begun), LONG_COUNT); /* each has a thread */
    atomic_store(&crowd.switches_at_submit, atomic_load(&crowd.switches));
    assert_int_equal(worker_submit(crowd.pool, WORKER_QUERY, short_job, NULL), OK);
    atomic_store(&crowd.is_short_submitted, true); /* from now on the pool may be destroyed */
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (worker_in_line(crowd.pool) < LONG_COUNT && !atomic_load(&crowd.is_short_done) &&
           clock_monotonic_us() < give_up_us)
        continue;
}

/* Uses the core, yields, and notes when the permit has come from another job. */
static void crowd_job(void *context)
{
    int self = (int)(intptr_t)context;
    int64_t begin_us = clock_thread_cpu_us(), give_up_us = clock_monotonic_us() + GIVE_UP_US;
    bool is_past = false;
    atomic_fetch_add(&crowd.begun, 1);
    while (!atomic_load(&crowd.is_short_done) && clock_monotonic_us() < give_up_us) {
        if (atomic_exchange(&crowd.last, self) != self)
            atomic_fetch_add(&crowd.switches, 1);
        if (!is_past && clock_thread_cpu_us() - begin_us > LONG_US) {
            is_past = true;
            if (atomic_fetch_add(&crowd.past, 1) + 1 == LONG_COUNT)
                submit_short();
        }
        worker_yield();
    }
}

/* How often the permit went from one long query to another while a short one waited. */
static int run_crowd(void)
{
    struct worker_pool *pool = worker_pool_create(&(struct worker_options){
        .core_count = 1, .thread_count = 2, .query_count_max = LONG_COUNT + 2});
    crowd.pool = pool;
    atomic_store(&crowd.is_short_submitted, false);
    atomic_store(&crowd.is_short_done, false);
    atomic_store(&crowd.past, 0);
    atomic_store(&crowd.begun, 0);
    for (intptr_t i = 1; i <= LONG_COUNT; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, crowd_job, (void *)i), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (!atomic_load(&crowd.is_short_submitted) && clock_monotonic_us() < give_up_us)
        clock_sleep_us(500);
    worker_pool_destroy(pool);
    assert_true(atomic_load(&crowd.is_short_done));
    return atomic_load(&crowd.switches_at_run) - atomic_load(&crowd.switches_at_submit);
}

static void test_short_queries_go_before_long_ones(void **state)
{
    (void)state;
    fault_plant(
        "worker.nothing_is_taken_over"); /* by whom the machine runs while the short comes */
    int switches = run_crowd();
    fault_clear();
    assert_in_range(switches, 0, 2);
    fault_plant("turn.one_level"); /* then it stands behind them all */
    switches = run_crowd();
    fault_clear();
    assert_in_range(switches, 3, 1000000);
}

/* Holds the permit without looking. */
static _Atomic int run_count;
static _Atomic bool is_noted, has_given_up;
static _Atomic bool is_blind_begun;
static _Atomic bool is_blind_over;

static void noting_job(void *context)
{
    (void)context;
    atomic_store(&is_noted, true);
}

static void blind_job(void *context)
{
    (void)context;
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    atomic_store(&is_blind_begun, true);
    while (!atomic_load(&is_noted) && !atomic_load(&is_blind_over) && !atomic_load(&has_given_up)) {
        if (clock_monotonic_us() > give_up_us)
            atomic_store(&has_given_up, true);
        clock_sleep_us(500);
    }
    worker_yield(); /* without a permit by now: stands in line */
    atomic_fetch_add(&run_count, 1);
}

/* Gives the pool's only permit to a job that does not look, and waits until it has it. */
static void submit_blind(struct worker_pool *pool)
{
    atomic_store(&is_noted, false);
    atomic_store(&is_blind_begun, false);
    atomic_store(&is_blind_over, false);
    atomic_store(&has_given_up, false);
    assert_int_equal(worker_submit(pool, WORKER_QUERY, blind_job, NULL), OK);
    while (!atomic_load(&is_blind_begun))
        clock_sleep_us(500);
}

/* A call that takes seconds without looking must not hold up decoding, nor a short query. */
static void test_blind_jobs_are_overtaken(void **state)
{
    (void)state;
    for (int priority = WORKER_DECODE; priority <= WORKER_QUERY; priority++) {
        struct worker_pool *pool =
            worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 8});
        atomic_store(&run_count, 0);
        submit_blind(pool);
        assert_int_equal(worker_submit(pool, (enum worker_priority)priority, noting_job, NULL), OK);
        worker_pool_destroy(pool);
        assert_false(atomic_load(&has_given_up));
        assert_int_equal(atomic_load(&run_count), 1);
    }
    fault_plant("worker.nothing_is_taken_over");
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 8});
    submit_blind(pool);
    assert_int_equal(worker_submit(pool, WORKER_DECODE, noting_job, NULL), OK);
    clock_sleep_us(100000);
    assert_false(atomic_load(&is_noted));
    atomic_store(&is_blind_over, true);
    worker_pool_destroy(pool);
    fault_clear();
}

static _Atomic bool is_given_up;

static bool is_over(void *context)
{
    (void)context;
    return atomic_load(&is_given_up);
}

static void watched_job(void *context)
{
    int64_t begin_us = clock_thread_cpu_us();
    worker_watch(is_over, NULL);
    while (clock_thread_cpu_us() - begin_us < LONG_US)
        worker_yield();
    *(_Atomic int *)context = 1;
    while (!atomic_load(&is_given_up))
        worker_yield();
    worker_yield();
    *(_Atomic int *)context = 2;
    worker_watch(NULL, NULL);
}

static _Atomic bool is_stream_over;

/* Short queries without end, all of them before a long one. */
static void stream_job(void *context)
{
    int64_t begin_us = clock_thread_cpu_us();
    while (clock_thread_cpu_us() - begin_us < 1000)
        continue;
    if (!atomic_load(&is_stream_over))
        (void)!worker_submit(context, WORKER_QUERY, stream_job, context);
}

/* Who is cancelled while it waits goes first, and under a stream of short ones a long one gets on.
 */
static void test_long_queries_get_on_and_end_soon(void **state)
{
    (void)state;
    _Atomic int step = 0;
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 1, .thread_count = 4, .query_count_max = 8});
    atomic_store(&is_given_up, false);
    atomic_store(&is_stream_over, false);
    assert_int_equal(worker_submit(pool, WORKER_QUERY, watched_job, &step), OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, stream_job, pool), OK);
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (atomic_load(&step) < 1 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(1000);
    assert_int_equal(atomic_load(&step), 1);
    atomic_store(&is_given_up, true);
    while (atomic_load(&step) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(1000);
    assert_int_equal(atomic_load(&step), 2);
    atomic_store(&is_stream_over, true);
    worker_pool_destroy(pool);
}

/* A long query that is over while a short one keeps the permit without looking: which of its steps
 * it has done after so long. */
static int step_of_who_is_over(int64_t wait_us)
{
    _Atomic int step = 0;
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 4});
    atomic_store(&is_given_up, false);
    assert_int_equal(worker_submit(pool, WORKER_QUERY, watched_job, &step), OK);
    while (atomic_load(&step) < 1)
        clock_sleep_us(500);
    submit_blind(pool);
    atomic_store(&is_given_up, true);
    int64_t give_up_us = clock_monotonic_us() + wait_us;
    while (atomic_load(&step) < 2 && clock_monotonic_us() < give_up_us)
        clock_sleep_us(500);
    int seen = atomic_load(&step);
    atomic_store(&is_blind_over, true);
    worker_pool_destroy(pool);
    return seen;
}

/* It has only to clean up, and long ones overtake nobody. */
static void test_who_is_over_goes_first(void **state)
{
    (void)state;
    assert_int_equal(step_of_who_is_over(GIVE_UP_US), 2);
    fault_plant("worker.over_ones_stand");
    int step = step_of_who_is_over(100000);
    fault_clear();
    assert_int_equal(step, 1);
}

#define EQUAL_COUNT 4
#define EQUAL_US 10000 /* of CPU: two lines deep */

static int order[EQUAL_COUNT];

static void equal_job(void *context)
{
    int64_t begin_us = clock_thread_cpu_us();
    while (clock_thread_cpu_us() - begin_us < EQUAL_US)
        worker_yield();
    order[atomic_fetch_add(&run_count, 1)] = (int)(intptr_t)context;
}

/* However often short ones went before them. */
static void test_equals_end_in_the_order_they_came(void **state)
{
    (void)state;
    fault_plant("worker.nothing_is_taken_over"); /* by whom the machine runs meanwhile */
    struct worker_pool *pool = worker_pool_create(
        &(struct worker_options){.core_count = 1, .thread_count = 4, .query_count_max = 8});
    atomic_store(&run_count, 0);
    atomic_store(&is_stream_over, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, stream_job, pool), OK);
    for (intptr_t i = 0; i < EQUAL_COUNT; i++)
        assert_int_equal(worker_submit(pool, WORKER_QUERY, equal_job, (void *)i), OK);
    assert_true(worker_comes_to(&run_count, EQUAL_COUNT, GIVE_UP_US));
    atomic_store(&is_stream_over, true);
    struct worker_status status;
    worker_pool_status(pool, &status);
    worker_pool_destroy(pool);
    fault_clear();
    for (int i = 0; i < EQUAL_COUNT; i++)
        assert_int_equal(order[i], i);
    assert_true(status.turns > status.turns_for_age);
    assert_true(status.turns_for_age > 0);
}

static struct worker_pool *allowing_pool;

/* Past the first line while a short one waits, unless what it uses is allowed. */
static void allowed_job(void *context)
{
    worker_allow(*(int64_t *)context);
    assert_int_equal(worker_submit(allowing_pool, WORKER_QUERY, equal_job, (void *)1), OK);
    worker_await_line(allowing_pool, 1);
    int64_t begin_us = clock_thread_cpu_us();
    while (clock_thread_cpu_us() - begin_us < LONG_US)
        worker_yield();
    order[atomic_fetch_add(&run_count, 1)] = 0;
}

static void test_what_is_made_for_others_is_not_counted(void **state)
{
    (void)state;
    fault_plant("worker.nothing_is_taken_over");
    for (int is_allowed = 0; is_allowed < 2; is_allowed++) {
        int64_t allowed_us = is_allowed ? 100 * LONG_US : 0;
        allowing_pool = worker_pool_create(
            &(struct worker_options){.core_count = 1, .thread_count = 4, .query_count_max = 8});
        atomic_store(&run_count, 0);
        assert_int_equal(worker_submit(allowing_pool, WORKER_QUERY, allowed_job, &allowed_us), OK);
        assert_true(worker_comes_to(&run_count, 2, GIVE_UP_US));
        worker_pool_destroy(allowing_pool);
        assert_int_equal(order[0], !is_allowed);
    }
    fault_clear();
    worker_allow(1); /* outside of a job: nothing */
}

static struct worker_waits waits;

static void looking_job(void *context)
{
    *(_Atomic int64_t *)context = atomic_load(&waits.since_us);
}

static void told_job(void *context)
{
    static _Atomic int64_t since_us;
    atomic_store(&since_us, 0);
    worker_tell_waits(&waits);
    assert_true(worker_queued_us() >= 0);
    assert_int_equal(worker_queued_us(), 0);
    assert_int_equal(worker_submit(context, WORKER_DECODE, looking_job, &since_us), OK);
    worker_await_line(context, 1);
    assert_int_equal(atomic_load(&waits.since_us), 0);
    worker_yield();
    assert_true(atomic_load(&since_us) > 0); /* it was its turn while we stood in line */
    assert_int_equal(atomic_load(&waits.since_us), 0);
    assert_int_equal(atomic_load(&waits.count), 1);
    worker_yield();
    assert_int_equal(atomic_load(&waits.count), 1);
    atomic_fetch_add(&run_count, 1);
}

/* A job is told how often and how long it has waited; the next one on its thread is not. */
static void test_waits_are_told(void **state)
{
    (void)state;
    fault_plant("worker.nothing_is_taken_over"); /* on a slow machine the permit would be */
    struct worker_pool *pool =
        worker_pool_create(&(struct worker_options){.core_count = 1, .thread_count = 4});
    atomic_store(&run_count, 0);
    for (int i = 1; i <= 3; i++) {
        memset(&waits, 0, sizeof(waits));
        assert_int_equal(worker_submit(pool, WORKER_QUERY, told_job, pool), OK);
        assert_true(worker_comes_to(&run_count, i, GIVE_UP_US));
        assert_true(atomic_load(&waits.waited_us) >= 0);
    }
    worker_pool_destroy(pool);
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_queries_go_before_long_ones),
        cmocka_unit_test(test_blind_jobs_are_overtaken),
        cmocka_unit_test(test_long_queries_get_on_and_end_soon),
        cmocka_unit_test(test_who_is_over_goes_first),
        cmocka_unit_test(test_equals_end_in_the_order_they_came),
        cmocka_unit_test(test_what_is_made_for_others_is_not_counted),
        cmocka_unit_test(test_waits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
