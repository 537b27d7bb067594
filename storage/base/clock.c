/* The clocks. The installed source is set before other threads run, so it is a plain pointer; CPU
 * clocks and the nanosecond clock of a simulation follow its monotonic one, so that nothing in a
 * simulated run depends on the machine. */
#include "storage/base/clock.h"

#include "storage/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <time.h>

static const struct clock_source *installed;

void clock_install(const struct clock_source *source)
{
    assert(source == NULL || (source->wall_us != NULL && source->monotonic_us != NULL));
    installed = source;
}

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(failed == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_us(void)
{
    if (installed != NULL)
        return installed->wall_us(installed->context);
    return read_ns(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_us(void)
{
    if (installed != NULL)
        return installed->monotonic_us(installed->context);
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_ns(void)
{
    if (installed != NULL)
        return installed->monotonic_us(installed->context) * 1000;
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_us(void)
{
    if (installed != NULL)
        return installed->monotonic_us(installed->context);
    return read_ns(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

int64_t clock_thread_handle(void)
{
    clockid_t id;
    int failed = pthread_getcpuclockid(pthread_self(), &id);
    assert(failed == 0);
    return id;
}

int64_t clock_cpu_of_thread_us(int64_t handle)
{
    if (installed != NULL)
        return installed->monotonic_us(installed->context);
    return read_ns((clockid_t)handle) / 1000;
}

int64_t clock_process_cpu_us(void)
{
    if (installed != NULL)
        return installed->monotonic_us(installed->context);
    return read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

/* Real time even under a simulation: a simulated program has no reason to sleep. */
void clock_sleep_us(int64_t us)
{
    if (us <= 0)
        return;
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}
