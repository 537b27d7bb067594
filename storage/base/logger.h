/* The structured log: one logfmt line an event on standard error (time, level, message, then
 * key=value), control bytes escaped, so that no input can forge a line. Any thread. */
#ifndef FRESHET_STORAGE_BASE_LOGGER_H
#define FRESHET_STORAGE_BASE_LOGGER_H

#include "storage/base/error.h"

#include <stdatomic.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void logger_set_level(enum log_level level);
/* Only `text` is escaped and quoted; format it as "words key=value". */
void logger_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Lines that a stranger can cause: `burst` at once, then one a period; the others are counted. All
 * zero: none yet. Any thread. */
struct logger_limit {
    _Atomic int64_t full_us; /* relaxed: when the last line's time is over */
    _Atomic uint64_t held;   /* relaxed: a count */
};

/* False: do not write. *held is how many were not written since the last that was. */
bool logger_limit_pass(struct logger_limit *limit, int burst, int64_t period_us, uint64_t *held);

#endif
