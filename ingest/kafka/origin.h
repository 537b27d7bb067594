/* Where a message stood, as dead letters keep it: a JSON object. */
#ifndef FRESHET_INGEST_KAFKA_ORIGIN_H
#define FRESHET_INGEST_KAFKA_ORIGIN_H

#include "ingest/kafka/intake.h"

/* {"topic":…,"partition":…,"offset":…,"timestamp":…,"key":…,"headers":[{"name":…,"value":…}]}.
 * Bytes that are not UTF-8 are {"hex":"00ff"}; a missing key or value is null. Without
 * `has_details` the object ends behind the offset; headers NULL: none. */
void origin_write(struct writer *out, struct slice topic, const struct kafka_message *message,
                  void (*headers)(const void *origin, kafka_header_each each, void *context),
                  bool has_details);

#endif
