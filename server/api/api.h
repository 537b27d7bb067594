/* The endpoints (server/http/route.c has their paths) and the two callbacks that join query to
 * ingest. */
#ifndef FRESHET_SERVER_API_API_H
#define FRESHET_SERVER_API_API_H

#include "query/query.h"
#include "server/http/exchange.h"

void api_ingest(struct exchange *exchange);
/* The same on a thread that must not wait. False: nothing was done, api_ingest on another must. */
MUST_CHECK bool api_ingest_at_once(struct exchange *exchange);
void api_sql(struct exchange *exchange);
/* Before that, where it will wait for other queries: it shows in freshet.queries meanwhile. */
void api_sql_wait(struct exchange *exchange);
void api_sql_cancel(struct exchange *exchange);
void api_endpoint(struct exchange *exchange);
void api_endpoint_wait(struct exchange *exchange); /* as api_sql_wait() */
void api_healthz(struct exchange *exchange);
void api_readyz(struct exchange *exchange);
void api_metrics(struct exchange *exchange);
void api_index(struct exchange *exchange);

/* For query_engine_options; context is the struct app. */
enum err api_command(void *context, const struct command *command, const struct batch *batches,
                     size_t batch_count, struct command_answer *out, struct error *error);
bool api_find_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                   struct view_definition *out);
size_t api_list_roles(void *context, const struct asker *asker, struct arena *arena,
                      struct role_entry **out);
size_t api_list_views(void *context, struct arena *arena, struct view_definition **out);
uint64_t api_view_version(void *context);
void api_completeness(void *context, const uint32_t *table_ids, size_t count, struct arena *arena,
                      struct completeness *out);
/* Statements about roles and rights: server/api/role.c. */
struct app;
MUST_CHECK enum err api_role_command(struct app *app, const struct command *command,
                                     struct error *error);
/* Registers the collectors of /metrics; once, when the store is open. */
void api_register_metrics(struct app *app);

#endif
