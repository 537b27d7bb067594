/* Threads over pthreads. What cannot fail in a correct program (locking, signalling) is asserted,
 * not returned; a thread that cannot be started aborts, since that happens only at start, but for
 * those of thread_try_start().
 * Conditions wait on the monotonic clock, so a jump of the wall clock neither hangs nor hurries a
 * wait. */
#include "storage/base/thread.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NAME_SIZE 16

struct thread {
    pthread_t handle;
    char name[NAME_SIZE];
    int nice;
    void (*run)(void *context);
    void *context;
    _Atomic int owners; /* itself and whoever started it: the last frees it (acquire, release) */
};

void mutex_init(struct mutex *mutex)
{
    int failed = pthread_mutex_init(&mutex->m, NULL);
    assert(failed == 0);
}

void mutex_deinit(struct mutex *mutex)
{
    int failed = pthread_mutex_destroy(&mutex->m);
    assert(failed == 0);
}

void mutex_lock(struct mutex *mutex)
{
    int failed = pthread_mutex_lock(&mutex->m);
    assert(failed == 0);
}

bool mutex_try_lock(struct mutex *mutex)
{
    int failed = pthread_mutex_trylock(&mutex->m);
    assert(failed == 0 || failed == EBUSY);
    return failed == 0;
}

void mutex_unlock(struct mutex *mutex)
{
    int failed = pthread_mutex_unlock(&mutex->m);
    assert(failed == 0);
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    assert(failed == 0);
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(failed == 0);
    failed = pthread_cond_init(&condition->c, &attributes);
    assert(failed == 0);
    pthread_condattr_destroy(&attributes);
}

void condition_deinit(struct condition *condition)
{
    int failed = pthread_cond_destroy(&condition->c);
    assert(failed == 0);
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    int failed = pthread_cond_wait(&condition->c, &mutex->m);
    assert(failed == 0);
}

bool condition_wait_for(struct condition *condition, struct mutex *mutex, int64_t timeout_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (timeout_us < 0)
        timeout_us = 0;
    until.tv_sec += (time_t)(timeout_us / 1000000);
    until.tv_nsec += (long)(timeout_us % 1000000) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int failed = pthread_cond_timedwait(&condition->c, &mutex->m, &until);
    assert(failed == 0 || failed == ETIMEDOUT);
    return failed == 0;
}

void condition_signal(struct condition *condition)
{
    pthread_cond_signal(&condition->c);
}

void condition_broadcast(struct condition *condition)
{
    pthread_cond_broadcast(&condition->c);
}

static void thread_release(struct thread *thread)
{
    if (atomic_fetch_sub_explicit(&thread->owners, 1, memory_order_acq_rel) == 1)
        memory_free(thread);
}

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    pthread_setname_np(pthread_self(), thread->name);
    /* Niceness is per thread on Linux. Refused only where a limit forbids it: then we run unniced.
     */
    if (thread->nice != 0) {
        id_t id = (id_t)syscall(SYS_gettid);
        int failed = setpriority(PRIO_PROCESS, id, getpriority(PRIO_PROCESS, id) + thread->nice);
        (void)failed;
    }
    thread->run(thread->context);
    thread_release(thread);
    return NULL;
}

struct thread *thread_try_start(const struct thread_options *options)
{
    assert(options->run != NULL);
    assert(options->name != NULL);
    struct thread *thread = memory_alloc_zero(sizeof(*thread));
    snprintf(thread->name, sizeof(thread->name), "%s", options->name);
    thread->nice = options->nice;
    thread->run = options->run;
    thread->context = options->context;
    atomic_init(&thread->owners, 2);
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    assert(failed == 0);
    if (options->stack_size != 0) {
        failed = pthread_attr_setstacksize(&attributes, options->stack_size);
        assert(failed == 0);
    }
    failed = pthread_create(&thread->handle, &attributes, thread_main, thread);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        fprintf(stderr, "cannot start thread %s: %s\n", thread->name, strerror(failed));
        memory_free(thread);
        return NULL;
    }
    return thread;
}

struct thread *thread_start(const struct thread_options *options)
{
    struct thread *thread = thread_try_start(options);
    if (thread == NULL)
        abort();
    return thread;
}

void thread_join(struct thread *thread)
{
    int failed = pthread_join(thread->handle, NULL);
    assert(failed == 0);
    thread_release(thread);
}

void thread_forget(struct thread *thread)
{
    int failed = pthread_detach(thread->handle);
    assert(failed == 0);
    thread_release(thread);
}

int thread_core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

void thread_yield(void)
{
    sched_yield();
}
