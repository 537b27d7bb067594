/* The two clocks. Real by default; a simulation installs its own. Microseconds. */
#ifndef FRESHET_STORAGE_BASE_CLOCK_H
#define FRESHET_STORAGE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_us(void);      /* since 1970 UTC; may jump */
int64_t clock_monotonic_us(void); /* never goes back */
int64_t clock_monotonic_ns(void);
int64_t clock_thread_cpu_us(void);
int64_t clock_process_cpu_us(void);
/* The CPU time of another thread, by the handle that it gave of itself. It must still run. */
int64_t clock_thread_handle(void);
int64_t clock_cpu_of_thread_us(int64_t handle);
void clock_sleep_us(int64_t us);

struct clock_source {
    int64_t (*wall_us)(void *context);
    int64_t (*monotonic_us)(void *context);
    void *context;
};
/* NULL goes back to the real clocks. Before other threads run. */
void clock_install(const struct clock_source *source);

#endif
