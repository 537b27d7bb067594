/* A subscription's consumer: a thread that reads its topic and gives what it reads to an intake.
 * The one door to the Kafka library. */
#ifndef FRESHET_INGEST_KAFKA_CONSUMER_H
#define FRESHET_INGEST_KAFKA_CONSUMER_H

#include "ingest/ingest.h"

struct consumer;
/* Never fails: what is wrong shows in the subscription's state and is tried again. */
struct consumer *consumer_start(struct ingest *ingest, uint32_t subscription_id);
void consumer_ask_stop(struct consumer *consumer); /* any thread; returns at once */
/* After consumer_ask_stop: waits until what was read is stored or given up, then frees it. */
void consumer_stop(struct consumer *consumer);

#endif
