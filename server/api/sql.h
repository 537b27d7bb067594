/* What the ways to ask over HTTP share: /v1/sql and published endpoints. */
#ifndef FRESHET_SERVER_API_SQL_H
#define FRESHET_SERVER_API_SQL_H

#include "query/query.h"
#include "server/http/exchange.h"

/* A request of this exchange that asks nothing yet. */
struct query_request sql_request(struct exchange *exchange);
/* The format by the Accept header. */
MUST_CHECK enum err sql_read_accept(struct exchange *exchange, struct query_request *request,
                                    struct error *error);
/* Fields of a request on their way in. */
struct sql_reader {
    struct query_request *request;
    struct arena *arena;
    uint32_t given; /* bits: which were given */
};
/* format, timeout_ms, query_id … as a parameter of the target; 42704 for any other name, 22023 for
 * one that was given already. */
MUST_CHECK enum err sql_read_field(struct sql_reader *reader, struct slice name, struct slice value,
                                   struct error *error);
/* Runs it and answers. */
void sql_answer(struct exchange *exchange, const struct query_request *request);

#endif
