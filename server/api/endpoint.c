/* GET /v1/endpoints/{name}: a view with the option "endpoint", its parameters by name.
 *
 *   GET /v1/endpoints/top_pages?country=DE&format=csv   ─▶   SELECT * FROM "top_pages"
 *
 * The text is the same for every request, so its plan is kept; what the parameters are and which
 * must be given the plan says, and query checks them. */
#include "server/api/api.h"
#include "server/api/sql.h"

#include "server/app.h"
#include "server/http/target.h"

/* SELECT * FROM "view", in the arena. */
static struct slice select_all(struct slice view, struct arena *arena)
{
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "SELECT * FROM public.\"");
    for (size_t i = 0; i < view.size; i++) {
        if (view.data[i] == '"')
            writer_u8(&text, '"');
        writer_u8(&text, (uint8_t)view.data[i]);
    }
    writer_u8(&text, '"');
    struct slice copy = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return copy;
}

/* No field of the text of a query: that is the view's. */
static bool is_request_field(struct slice name)
{
    static const char *const fields[] = {"format", "timeout_ms", "query_id", "max_rows",
                                         "at_least"};
    for (size_t i = 0; i < array_count(fields); i++)
        if (slice_equal(name, slice_from_cstr(fields[i])))
            return true;
    return false;
}

/* Every parameter of the target is a field of the request or one of the view. */
static enum err read_target(struct exchange *exchange, struct query_request *request,
                            struct error *error)
{
    struct slice rest = exchange->query;
    struct target_parameter item;
    size_t capacity = 1;
    for (size_t i = 0; i < rest.size; i++)
        capacity += rest.data[i] == '&';
    struct query_parameter *list = arena_alloc_array(&exchange->arena, capacity, sizeof(*list));
    struct sql_reader reader = {.request = request, .arena = &exchange->arena};
    enum err result;
    request->parameters = list;
    while ((result = target_next_parameter(&rest, &exchange->arena, &item, error)) == OK) {
        if (is_request_field(item.name)) {
            result = sql_read_field(&reader, item.name, item.value, error);
        } else if (item.name.size == 0) {
            result = error_set(error, ERR_INPUT, "42P02", "a parameter without a name is given");
        } else if (request->parameter_count == NAMED_PARAMETERS_MAX) {
            result = error_set(error, ERR_LIMIT, "54000", "there are more than %d parameters",
                               NAMED_PARAMETERS_MAX);
        } else {
            list[request->parameter_count++] = (struct query_parameter){
                .name = item.name, .kind = PARAMETER_TEXT, .text = item.value};
        }
        if (result != OK)
            return result;
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

static enum err read_request(struct exchange *exchange, struct query_request *request,
                             struct error *error)
{
    struct app *app = exchange->context;
    struct view_definition definition;
    struct slice view;
    *request = sql_request(exchange);
    request->is_read_only = true;
    if (!ingest_find_endpoint(app->ingest, exchange->argument, &exchange->arena, &view) ||
        !ingest_find_view(app->ingest, view, &exchange->arena, &definition) ||
        asker_rights(exchange->asker, definition.id | RIGHT_VIEW) == 0)
        return error_set(error, ERR_NOT_FOUND, "42704", "there is no endpoint \"%.*s\"",
                         SLICE_ARGS(exchange->argument));
    request->text = select_all(view, &exchange->arena);
    enum err result = sql_read_accept(exchange, request, error);
    return result == OK ? read_target(exchange, request, error) : result;
}

void api_endpoint_wait(struct exchange *exchange)
{
    struct app *app = exchange->context;
    struct query_request *request = arena_alloc(&exchange->arena, sizeof(*request));
    struct error error; /* api_endpoint() meets it again, and says so */
    if (read_request(exchange, request, &error) == OK)
        exchange->waiting = query_wait(app->engine, request, &exchange->arena);
}

void api_endpoint(struct exchange *exchange)
{
    struct query_request request;
    struct error error;
    enum err result = read_request(exchange, &request, &error);
    if (result == OK) {
        request.waiting = exchange->waiting;
        sql_answer(exchange, &request);
        return;
    }
    if (exchange->waiting != NULL) /* it has been dropped since */
        query_waiting_end(exchange->waiting);
    int status = result == ERR_NOT_FOUND ? 404 : sqlstate_http_status(error.sqlstate);
    exchange_answer_error(exchange, status, &error, NULL);
}
