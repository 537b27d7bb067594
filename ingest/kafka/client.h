/* Making the library's configuration of a subscription. */
#ifndef FRESHET_INGEST_KAFKA_CLIENT_H
#define FRESHET_INGEST_KAFKA_CLIENT_H

#include "ingest/kafka/connection.h"
#include "ingest/state/subscriptions.h"

struct rd_kafka_conf_s; /* rd_kafka_conf_t */

/* *out is the caller's. 22023 names what is not accepted, 58030 a file that cannot be read: those
 * that a connection names must lie in the folder `secrets` (by a name relative to it or whole;
 * NULL: there is none), wherever links lead. */
MUST_CHECK enum err client_configure(const struct subscription_definition *definition,
                                     const struct connection *connection, const char *secrets,
                                     struct rd_kafka_conf_s **out, struct error *error);
/* Would the library take this connection and group? Reads no file and opens no socket. */
MUST_CHECK enum err client_check(const struct subscription_definition *definition,
                                 const char *secrets, struct error *error);

#endif
