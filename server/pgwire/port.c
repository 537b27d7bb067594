/* Joins connections and sessions: a job takes what has come in, feeds it, and ends the connection
 * when the session has ended. What is left of a message stays here until its rest comes. */
#include "server/pgwire/port.h"

#include "server/net/loop.h"
#include "server/pgwire/session.h"
#include "storage/base/arena.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define INPUT_MAX ((size_t)1 << 20)
#define OUTPUT_MAX ((size_t)1 << 20)
#define KEPT_INPUT_SIZE ((size_t)16 << 10)
#define SHORT_INPUT_MAX ((size_t)8 << 10)

struct pg_port {
    struct pg_port_options options;
    struct loop *loop;
    struct backends backends;
};

struct client {
    struct pg_port *port;
    struct connection *connection;
    struct pg_session *session;
    struct writer input;
    bool has_logged_in; /* in the job that runs: another one is to go on */
    bool has_paused;    /* input was left because of that, or as the reader is behind */
    bool is_put_off;    /* what is left turned out to be no job for the loop's thread */
};

static enum err client_send(void *context, struct slice bytes, struct error *error)
{
    struct client *client = context;
    return connection_send(client->connection, bytes, error);
}

static bool client_wait(void *context, bool (*is_over)(void *context), void *over_context)
{
    struct client *client = context;
    return connection_wait(client->connection, is_over, over_context);
}

static bool client_is_behind(void *context)
{
    struct client *client = context;
    client->has_paused = client->has_logged_in || connection_is_behind(client->connection);
    return client->has_paused;
}

static bool client_start_tls(void *context)
{
    struct client *client = context;
    return connection_start_tls(client->connection, SLICE("S"));
}

static bool client_is_encrypted(void *context, struct slice *binding)
{
    const struct client *client = context;
    *binding = connection_binding(client->connection);
    return connection_is_encrypted(client->connection);
}

static struct query_engine *client_engine(void *context)
{
    const struct pg_port *port = ((struct client *)context)->port;
    return port->options.engine(port->options.context);
}

static struct ingest *client_ingest(void *context)
{
    const struct pg_port *port = ((struct client *)context)->port;
    return port->options.ingest(port->options.context);
}

static void client_logged_in(void *context)
{
    struct client *client = context;
    client->has_logged_in = true;
    connection_has_logged_in(client->connection);
}

static void client_end_waiting(void *context)
{
    struct client *client = context;
    connection_end_waiting(client->connection);
}

static bool client_is_query(void *context)
{
    const struct client *client = context;
    return pg_session_is_query(client->session);
}

static int64_t client_wait_for_others(void *context, struct slice input)
{
    struct client *client = context;
    return pg_session_wait(client->session, writer_as_slice(&client->input), input);
}

static bool client_is_over(void *context)
{
    const struct client *client = context;
    return pg_session_is_over(client->session);
}

static void *client_open(void *context, struct connection *connection)
{
    struct pg_port *port = context;
    struct client *client = memory_alloc_zero(sizeof(*client));
    client->port = port;
    client->connection = connection;
    writer_init(&client->input);
    client->session = pg_session_create(&(struct pg_session_options){
        .context = client,
        .engine = client_engine,
        .access = port->options.access,
        .start_tls = port->options.tls == NULL ? NULL : client_start_tls,
        .is_encrypted = client_is_encrypted,
        .is_tls_required = port->options.is_tls_required,
        .ingest = client_ingest,
        .backends = &port->backends,
        .peer = connection_peer(connection),
        .is_gone = connection_gone(connection),
        .message_max = port->options.message_max,
        .send = client_send,
        .wait = client_wait,
        .is_behind = client_is_behind,
        .logged_in = client_logged_in,
        .end_waiting = client_end_waiting,
    });
    return client;
}

static void client_close(void *context)
{
    struct client *client = context;
    pg_session_destroy(client->session);
    writer_deinit(&client->input);
    memory_free(client);
}

static bool client_is_ready(void *context, struct slice input)
{
    struct client *client = context;
    struct slice begun = writer_as_slice(&client->input);
    size_t wanted = pg_session_wanted(client->session, begun.size > 0 ? begun : input);
    return begun.size + input.size >= wanted;
}

/* Half messages and what was put off are for a worker. */
static bool client_is_short(void *context, struct slice input)
{
    struct client *client = context;
    return client->input.size == 0 && !client->is_put_off && input.size <= SHORT_INPUT_MAX &&
           pg_session_is_short(client->session, input);
}

static void client_work(struct client *client, bool is_here)
{
    client->has_logged_in = client->has_paused = client->is_put_off = false;
    connection_take(client->connection, &client->input);
    struct slice input = writer_as_slice(&client->input);
    if (connection_is_overdue(client->connection))
        pg_session_hurry(client->session);
    size_t used = is_here ? pg_session_feed_short(client->session, input, &client->is_put_off)
                          : pg_session_feed(client->session, input);
    size_t left = client->input.size - used;
    if (used > 0 && left > 0)
        memmove(client->input.data, client->input.data + used, left);
    client->input.size = left;
    if (left == 0 && client->input.capacity > KEPT_INPUT_SIZE) {
        writer_deinit(&client->input);
        writer_init(&client->input);
    }
    bool is_cut = pg_session_is_cut(client->session);
    if ((client->has_paused || client->is_put_off || is_cut) && left > 0)
        connection_again(client->connection);
    if (connection_is_overdue(client->connection) && used == 0)
        pg_session_overdue(client->session);
    if (connection_is_draining(client->connection))
        pg_session_stop(client->session);
    connection_set_due(client->connection,
                       pg_session_due(client->session, client->port->options.idle_timeout_us));
    if (pg_session_has_ended(client->session))
        connection_finish(client->connection);
}

static void client_job(void *context)
{
    client_work(context, false);
}

static void client_job_here(void *context)
{
    client_work(context, true);
}

static void client_rests(void *context)
{
    struct client *client = context;
    if (client->input.size == 0) {
        writer_deinit(&client->input);
        writer_init(&client->input);
    }
    pg_session_rest(client->session);
}

static void client_cancel(void *context)
{
    pg_session_cancel(((struct client *)context)->session);
}

struct pg_port *pg_port_start(const struct pg_port_options *options)
{
    static const char refusal[] = "E\0\0\0\x56"
                                  "SFATAL\0VFATAL\0C53300\0Msorry, too many clients "
                                  "already\0HRaise pg_connections_max.\0";
    struct pg_port *port = memory_alloc_zero(sizeof(*port));
    port->options = *options;
    backends_init(&port->backends);
    static_assert(sizeof(refusal) == 0x56 + 1, "the length that it says");
    port->loop = loop_start(&(struct loop_options){
        .listener = options->listener,
        .name = "pg",
        .is_plain = options->is_plain,
        .tls = options->tls,
        .connections_max = options->connections_max,
        .inputs_max = options->messages_max,
        .input_max = INPUT_MAX,
        .output_max = OUTPUT_MAX,
        .login_timeout_us = options->login_timeout_us,
        .refusal = slice_of(refusal, sizeof(refusal)),
        .workers = options->workers,
        .context = port,
        .opened = client_open,
        .is_ready = client_is_ready,
        .job = client_job,
        .is_query = client_is_query,
        .wait = client_wait_for_others,
        .is_over = client_is_over,
        .is_short = client_is_short,
        .job_here = client_job_here,
        .rests = client_rests,
        .cancel = client_cancel,
        .closed = client_close,
    });
    return port;
}

void pg_port_drain(struct pg_port *port)
{
    loop_drain(port->loop);
}

bool pg_port_wait(struct pg_port *port, int64_t cancel_after_us, int64_t give_up_us)
{
    return loop_wait(port->loop, cancel_after_us, give_up_us);
}

void pg_port_stop(struct pg_port *port)
{
    if (port == NULL)
        return;
    loop_stop(port->loop);
    backends_deinit(&port->backends);
    memory_free(port);
}

void pg_port_metrics(void *context, struct writer *out)
{
    struct pg_port *port = context;
    struct loop_statistics now = loop_statistics(port->loop);
    metrics_print_family(out, "freshet_pg_connections", "gauge",
                         "Connections of the PostgreSQL port.");
    metrics_print_sample(out, "freshet_pg_connections", "state=\"open\"", now.open);
    metrics_print_sample(out, "freshet_pg_connections", "state=\"busy\"", now.busy);
    metrics_print_sample(out, "freshet_pg_connections", "state=\"login\"", now.new);
    metrics_print_family(out, "freshet_pg_connections_total", "counter",
                         "Connections of the PostgreSQL port by what became of them.");
    metrics_print_sample(out, "freshet_pg_connections_total", "outcome=\"taken\"",
                         (double)now.taken);
    metrics_print_sample(out, "freshet_pg_connections_total", "outcome=\"refused\"",
                         (double)now.refused);
}
