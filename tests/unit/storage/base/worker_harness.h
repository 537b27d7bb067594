/* What tests of the worker pool wait for: what other threads do, whenever the machine lets them. */
#ifndef FRESHET_TESTS_UNIT_STORAGE_BASE_WORKER_HARNESS_H
#define FRESHET_TESTS_UNIT_STORAGE_BASE_WORKER_HARNESS_H

#include "storage/base/clock.h"
#include "storage/base/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>

/* No test asserts a time: this ends what would hang. */
#define GIVE_UP_US INT64_C(100000000)

/* Until so many jobs that have a thread wait for a permit. */
static inline void worker_await_line(const struct worker_pool *pool, int count)
{
    int64_t give_up_us = clock_monotonic_us() + GIVE_UP_US;
    while (worker_in_line(pool) < count && clock_monotonic_us() < give_up_us)
        clock_sleep_us(100);
    assert_int_equal(worker_in_line(pool), count);
}

/* False: time has run out. */
static inline bool worker_comes_to(_Atomic int *number, int count, int64_t patience_us)
{
    int64_t give_up_us = clock_monotonic_us() + patience_us;
    while (atomic_load(number) < count && clock_monotonic_us() < give_up_us)
        clock_sleep_us(100);
    return atomic_load(number) >= count;
}

#endif
