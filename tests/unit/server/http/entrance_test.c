/* The line of log-ins: everybody's turn comes once, two at a time, those who have gone first. */
#include "server/http/entrance.h"

#include "storage/base/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define MANY 300
#define FREE 1000000 /* all may go on */

static struct worker_pool *workers;
static struct entrance entrance;
static struct exchange exchanges[ENTRANCE_LINE_MAX + ENTRANCE_AT_ONCE + 1];
static struct entrant entrants[ENTRANCE_LINE_MAX + ENTRANCE_AT_ONCE + 1];
static _Atomic int running, running_max, done, come_in, noted;
static _Atomic int leaves; /* how many of those in hold() may go on */
static struct exchange *_Atomic order[ENTRANCE_LINE_MAX + ENTRANCE_AT_ONCE + 1];

static bool take_leave(void)
{
    int left = atomic_load(&leaves);
    return left > 0 && atomic_compare_exchange_strong(&leaves, &left, left - 1);
}

static void hold(struct exchange *exchange)
{
    int now = atomic_fetch_add(&running, 1) + 1, max = atomic_load(&running_max);
    while (now > max && !atomic_compare_exchange_weak(&running_max, &max, now))
        continue;
    atomic_store(&order[(size_t)atomic_fetch_add(&come_in, 1) % array_count(order)], exchange);
    atomic_fetch_add(&noted, 1);
    while (!take_leave())
        thread_yield();
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&done, 1);
}

static char addresses[array_count(exchanges)][8];

static bool submit_of(size_t i, size_t address)
{
    snprintf(addresses[i], sizeof(addresses[i]), "%zu", address);
    entrants[i] = (struct entrant){
        .exchange = &exchanges[i], .client = slice_from_cstr(addresses[i]), .run = hold};
    return entrance_submit(&entrance, &entrants[i]);
}

static bool submit(size_t i)
{
    return submit_of(i, i);
}

static void wait_for(_Atomic int *value, int wanted)
{
    while (atomic_load(value) != wanted)
        thread_yield();
}

static void open_all(int core_count)
{
    workers = worker_pool_create(&(struct worker_options){.core_count = core_count});
    entrance_init(&entrance, workers);
    atomic_store(&running_max, 0);
    atomic_store(&done, 0);
    atomic_store(&come_in, 0);
    atomic_store(&noted, 0);
    atomic_store(&leaves, 0);
    for (size_t i = 0; i < array_count(exchanges); i++)
        atomic_store(&exchanges[i].is_cancelled, false);
}

static void close_all(void)
{
    worker_pool_destroy(workers);
    entrance_deinit(&entrance);
}

static void run_other(void *context)
{
    atomic_store((_Atomic int *)context, 1);
}

static void test_two_at_a_time(void **state)
{
    (void)state;
    _Atomic int has_run = 0;
    open_all(1);
    for (size_t i = 0; i < MANY; i++)
        assert_true(submit(i));
    wait_for(&running, ENTRANCE_AT_ONCE);
    /* They hold no permit, though there is one only. */
    assert_int_equal(worker_submit(workers, WORKER_QUERY, run_other, &has_run), OK);
    wait_for(&has_run, 1);
    assert_int_equal(atomic_load(&done), 0);
    atomic_store(&exchanges[MANY - 1].is_cancelled, true);
    atomic_store(&exchanges[MANY / 2].is_cancelled, true);
    /* Those who have gone are next, wherever they stand; then it is by turn. */
    struct exchange *next[] = {&exchanges[MANY / 2], &exchanges[MANY - 1], &exchanges[2]};
    for (int i = 0; i < 3; i++) {
        atomic_store(&leaves, 1);
        wait_for(&noted, ENTRANCE_AT_ONCE + 1 + i);
        assert_ptr_equal(atomic_load(&order[ENTRANCE_AT_ONCE + i]), next[i]);
    }
    atomic_store(&leaves, FREE);
    wait_for(&done, MANY);
    assert_int_equal(atomic_load(&running_max), ENTRANCE_AT_ONCE);
    close_all();
}

/* Who comes when the line has just run dry is not left behind. */
static void test_again_and_again(void **state)
{
    (void)state;
    open_all(2);
    atomic_store(&leaves, FREE);
    for (int i = 0; i < 2000; i++) {
        assert_true(submit((size_t)i % MANY));
        if (i % 3 == 0)
            wait_for(&done, i + 1);
        if (i % MANY == MANY - 1)
            wait_for(&done, i + 1); /* before their places are taken anew */
    }
    wait_for(&done, 2000);
    close_all();
}

static void test_the_line_is_bounded(void **state)
{
    (void)state;
    open_all(2);
    for (size_t i = 0; i < ENTRANCE_AT_ONCE; i++)
        assert_true(submit(i));
    wait_for(&running, ENTRANCE_AT_ONCE);
    size_t i = ENTRANCE_AT_ONCE;
    for (; i < ENTRANCE_LINE_MAX + ENTRANCE_AT_ONCE; i++)
        assert_true(submit(i));
    assert_false(submit(i));
    atomic_store(&leaves, FREE);
    wait_for(&done, (int)i);
    close_all();
}

static void test_one_address_leaves_room(void **state)
{
    (void)state;
    open_all(2);
    size_t i = 0;
    for (; i < ENTRANCE_AT_ONCE; i++)
        assert_true(submit_of(i, 7));
    wait_for(&running, ENTRANCE_AT_ONCE);
    for (; i < ENTRANCE_CLIENT_MAX + ENTRANCE_AT_ONCE; i++)
        assert_true(submit_of(i, 7));
    assert_false(submit_of(i, 7));
    assert_true(submit_of(i, 8));
    atomic_store(&leaves, FREE);
    wait_for(&done, (int)i + 1);
    close_all();
}

/* Workers that take nothing any more: whoever comes is sent away and nobody waits for ever. */
static void test_without_workers(void **state)
{
    (void)state;
    open_all(1);
    worker_pool_destroy(workers);
    workers = worker_pool_create(&(struct worker_options){.core_count = 1, .queue_depth_max = 1});
    entrance.workers = workers;
    atomic_store(&leaves, FREE);
    int taken = 0;
    for (size_t i = 0; i < MANY; i++)
        taken += submit(i);
    wait_for(&done, taken);
    close_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_at_a_time),       cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_the_line_is_bounded), cmocka_unit_test(test_one_address_leaves_room),
        cmocka_unit_test(test_without_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
