/* Threads: start and join, a condition hands turns over, a wait ends by its timeout. */
#include "storage/base/thread.h"

#include "storage/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct shared {
    struct mutex mutex;
    struct condition condition;
    int turn, total;
};

static void take_turns(void *context)
{
    struct shared *shared = context;
    for (int index = 0; index < 200; index++) {
        mutex_lock(&shared->mutex);
        while (shared->turn != 1)
            condition_wait(&shared->condition, &shared->mutex);
        shared->turn = 0;
        shared->total++;
        condition_broadcast(&shared->condition);
        mutex_unlock(&shared->mutex);
    }
}

static void test_turns(void **state)
{
    (void)state;
    struct shared shared = {0};
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    struct thread *thread = thread_start(&(struct thread_options){.name = "a-name-that-is-too-long",
                                                                  .stack_size = 1 << 20,
                                                                  .nice = 1,
                                                                  .run = take_turns,
                                                                  .context = &shared});
    for (int index = 0; index < 200; index++) {
        mutex_lock(&shared.mutex);
        while (shared.turn != 0)
            condition_wait(&shared.condition, &shared.mutex);
        shared.turn = 1;
        condition_signal(&shared.condition);
        mutex_unlock(&shared.mutex);
    }
    thread_join(thread);
    assert_int_equal(shared.total, 200);
    assert_true(mutex_try_lock(&shared.mutex));
    assert_false(mutex_try_lock(&shared.mutex));
    mutex_unlock(&shared.mutex);
    assert_true(mutex_try_lock(&shared.mutex));
    mutex_unlock(&shared.mutex);
    condition_deinit(&shared.condition);
    mutex_deinit(&shared.mutex);
}

static void say_once(void *context)
{
    struct shared *shared = context;
    mutex_lock(&shared->mutex);
    while (shared->turn != 1)
        condition_wait(&shared->condition, &shared->mutex);
    shared->total++;
    condition_broadcast(&shared->condition);
    mutex_unlock(&shared->mutex);
}

/* Nobody joins it; it may end before or after it is forgotten. */
static void test_forgotten(void **state)
{
    (void)state;
    struct shared shared = {0};
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    for (int index = 0; index < 20; index++) {
        shared.turn = index % 2; /* 0: it waits until it is forgotten */
        struct thread *thread = thread_start(
            &(struct thread_options){.name = "forgotten", .run = say_once, .context = &shared});
        mutex_lock(&shared.mutex);
        while (shared.turn == 1 && shared.total == index)
            condition_wait(&shared.condition, &shared.mutex);
        mutex_unlock(&shared.mutex);
        thread_forget(thread);
        mutex_lock(&shared.mutex);
        shared.turn = 1;
        condition_broadcast(&shared.condition);
        while (shared.total == index)
            condition_wait(&shared.condition, &shared.mutex);
        mutex_unlock(&shared.mutex);
    }
    condition_deinit(&shared.condition);
    mutex_deinit(&shared.mutex);
}

static void test_timeout(void **state)
{
    (void)state;
    struct shared shared = {0};
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    mutex_lock(&shared.mutex);
    int64_t start = clock_monotonic_us();
    while (condition_wait_for(&shared.condition, &shared.mutex, 3000))
        continue;
    assert_true(clock_monotonic_us() - start >= 3000);
    assert_false(condition_wait_for(&shared.condition, &shared.mutex, -1));
    mutex_unlock(&shared.mutex);
    condition_deinit(&shared.condition);
    mutex_deinit(&shared.mutex);
    assert_true(thread_core_count() >= 1);
    thread_yield();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
