/* Named failpoints: mistakes that tests plant to see that they would be found.
 *
 * `if (fault_is("log.ack_before_sync"))` costs one relaxed load while nothing is planted. One fault
 * is planted at a time, by tests only, before the threads it concerns run. */
#ifndef FRESHET_STORAGE_BASE_FAULT_H
#define FRESHET_STORAGE_BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool fault_is_planted; /* relaxed: set before the threads that look at it start */

/* `name` is copied; at most 63 bytes. */
void fault_plant(const char *name);
void fault_clear(void);
bool fault_matches(const char *name);

static inline bool fault_is(const char *name)
{
    return __builtin_expect(atomic_load_explicit(&fault_is_planted, memory_order_relaxed), 0) &&
           fault_matches(name);
}

#endif
