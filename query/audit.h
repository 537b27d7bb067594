/* Lines of the log about what was done and refused: query/audit.c. Any thread. */
#ifndef FRESHET_QUERY_AUDIT_H
#define FRESHET_QUERY_AUDIT_H

#include "query/asker.h"
#include "storage/base/logger.h"

struct run;

/* A statement that changes what there is, when it is over. */
void run_log_command(const struct run *run, enum err result, const struct error *error);
/* What was not permitted; nothing where there are no users. */
void audit_refusal(struct logger_limit *limit, const struct asker *asker, struct slice client,
                   const char *reason);
/* Rows that are to make their table. */
void audit_creation(struct logger_limit *limit, const struct asker *asker, struct slice client,
                    struct slice table);

#endif
