/* What system tables, completeness and /metrics show of subscriptions. */
#ifndef FRESHET_INGEST_KAFKA_FEED_H
#define FRESHET_INGEST_KAFKA_FEED_H

#include "ingest/ingest.h"
#include "ingest/state/sources.h"

/* With the lock held: the row of freshet.sources of a source that is a partition. */
void feed_scan_source(const struct ingest *ingest, struct slice table, const struct source *source,
                      int64_t now_us, struct provider_scan *scan);
/* Takes the lock: a row for each partition that has sent nothing yet, and one for each subscription
 * that knows no partition. */
void feed_scan_unread(struct ingest *ingest, int64_t now_us, struct provider_scan *scan);
/* With the lock held: what a partition holds that is not stored; -1: not known, or no partition. */
int64_t feed_lag(const struct ingest *ingest, const struct source *source);
/* freshet.subscriptions */
void feed_init_provider(struct ingest *ingest, struct table_provider *out);
/* With the lock held. */
void feed_metrics(const struct ingest *ingest, int64_t now_us, struct writer *out);

#endif
