/* The consumers' threads: one per enabled subscription. All calls under ingest->ddl. */
#ifndef FRESHET_INGEST_KAFKA_RUNNER_H
#define FRESHET_INGEST_KAFKA_RUNNER_H

#include "ingest/ingest.h"

/* Starts the thread of a subscription if it is enabled and consumers run at all. */
void runner_start(struct ingest *ingest, uint32_t id);
/* Stops it if there is one, and returns when nothing of it is under way. */
void runner_stop(struct ingest *ingest, uint32_t id);

#endif
