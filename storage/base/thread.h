/* Threads, locks and waiting: the one door to pthreads for storage/ and query/. */
#ifndef FRESHET_STORAGE_BASE_THREAD_H
#define FRESHET_STORAGE_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mutex {
    pthread_mutex_t m;
};
struct condition {
    pthread_cond_t c; /* on the monotonic clock */
};

void mutex_init(struct mutex *mutex);
void mutex_deinit(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex); /* false: somebody has it */
void mutex_unlock(struct mutex *mutex);
void condition_init(struct condition *condition);
void condition_deinit(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex);
/* False when timeout_us passed. */
bool condition_wait_for(struct condition *condition, struct mutex *mutex, int64_t timeout_us);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

struct thread_options {
    const char *name;  /* at most 15 characters */
    size_t stack_size; /* 0: the default */
    int nice;          /* added for this thread */
    void (*run)(void *context);
    void *context;
};
struct thread;
struct thread *
thread_start(const struct thread_options *options); /* aborts if the machine cannot */
/* NULL if the machine cannot. */
struct thread *thread_try_start(const struct thread_options *options);
void thread_join(struct thread *thread);   /* frees it */
void thread_forget(struct thread *thread); /* nobody will join it: it frees itself */
int thread_core_count(void);               /* cores this process may use */
void thread_yield(void);

#endif
