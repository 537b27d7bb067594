/* The structured log: one logfmt line an event on standard error (time, level, message, then
 * key=value), control bytes escaped, so that no input can forge a line. Any thread. */
#ifndef FRESHET_STORAGE_BASE_LOGGER_H
#define FRESHET_STORAGE_BASE_LOGGER_H

#include "storage/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void logger_set_level(enum log_level level);
/* Only `text` is escaped and quoted; format it as "words key=value". */
void logger_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
