/* The sender: one thread, many connections, open loop.
 *
 * Batch k is due at start + k * interval whatever the server does; when it is due and a connection
 * is free the batch is built and sent, and its latency is counted from the due time, so a stalled
 * server cannot hide behind a generator that politely waits (coordinated omission: Tene). Each
 * connection is a producer with its own sequence; a refused batch (429, 503, 507) is sent again
 * with the same sequence after Retry-After, so nothing is lost or doubled by it.
 *
 *   IDLE ─ begin ─▶ SENDING ─ all written ─▶ WAITING ─ reply ─▶ IDLE
 *                      ▲                        │ refused, or chosen as a duplicate
 *                      └──────── RESTING ◀──────┘ until retry_at */
#include "bench/loadgen/event.h"
#include "bench/loadgen/loadgen.h"
#include "server/client/http_client.h"
#include "server/client/http_reply.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_SENDING,
    CONNECTION_WAITING,
    CONNECTION_RESTING
};

struct connection {
    int fd;
    int index;
    enum connection_state state;
    struct writer request; /* head and body */
    size_t sent;
    struct http_reply reply;
    uint64_t sequence;
    uint64_t rows;
    int64_t due_us, retry_at_us;
    bool is_duplicate; /* the batch under way has been answered before */
};

struct sender {
    struct loadgen *loadgen;
    struct event_generator *generator;
    struct connection *connections;
    int epoll;
    uint64_t run_id; /* tells this run's producers from those of earlier runs */
    uint64_t rows_per_batch;
    uint64_t next_batch;
    struct writer body;
    struct arena arena;
};

static bool connection_open(struct sender *sender, struct connection *connection)
{
    struct error error;
    if (http_connect(sender->loadgen->options.address, &connection->fd, &error) != OK) {
        fprintf(stderr, "freshet-bench: %s\n", error.text);
        return false;
    }
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)connection->index};
    return epoll_ctl(sender->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

static void watch(struct sender *sender, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)connection->index};
    epoll_ctl(sender->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void write_some(struct sender *sender, struct connection *connection)
{
    while (connection->sent < connection->request.size) {
        ssize_t size = send(connection->fd, connection->request.data + connection->sent,
                            connection->request.size - connection->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            if (errno == EAGAIN)
                watch(sender, connection, EPOLLIN | EPOLLOUT);
            return; /* a broken connection shows as a read of 0 or an error */
        }
        connection->sent += (size_t)size;
    }
    connection->state = CONNECTION_WAITING;
    watch(sender, connection, EPOLLIN);
}

int64_t load_event_time(struct event_generator *generator, const struct loadgen_options *options,
                        int64_t now_us, uint64_t *out_of_order, uint64_t *late)
{
    struct random_stream *random = event_generator_random(generator);
    double draw = random_unit(random);
    if (draw < options->share_late) {
        (*late)++;
        return now_us - 60000000 - (int64_t)random_below(random, 540000000);
    }
    if (draw < options->share_late + options->share_out_of_order) {
        (*out_of_order)++;
        return now_us - (int64_t)random_below(random, 2000000);
    }
    return now_us;
}

static void build_body(struct sender *sender)
{
    const struct loadgen_options *options = &sender->loadgen->options;
    struct loadgen_totals *totals = &sender->loadgen->totals;
    struct random_stream *random = event_generator_random(sender->generator);
    uint64_t out_of_order = 0, late = 0, malformed = 0;
    int64_t now_us = clock_wall_us();
    writer_reset(&sender->body);
    for (uint64_t row = 0; row < sender->rows_per_batch; row++) {
        char *p = writer_reserve(&sender->body, EVENT_LINE_MAX);
        bool is_bad =
            options->share_malformed > 0 && random_unit(random) < options->share_malformed;
        int64_t ts_us = load_event_time(sender->generator, options, now_us, &out_of_order, &late);
        malformed += is_bad;
        sender->body.size += is_bad ? event_write_malformed(sender->generator, ts_us, p)
                                    : event_write(sender->generator, ts_us, p);
    }
    total_add(&totals->out_of_order_rows, out_of_order);
    total_add(&totals->late_rows, late);
    total_add(&totals->malformed_rows, malformed);
}

static void begin_batch(struct sender *sender, struct connection *connection, int64_t due_us)
{
    struct loadgen_totals *totals = &sender->loadgen->totals;
    build_body(sender);
    connection->sequence++;
    connection->rows = sender->rows_per_batch;
    connection->due_us = due_us;
    connection->is_duplicate = false;
    connection->sent = 0;
    writer_reset(&connection->request);
    writer_printf(
        &connection->request,
        "POST /v1/ingest/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\n"
        "Freshet-Producer: bench-%016llx-%d\r\nFreshet-Sequence: %llu\r\nContent-Length: "
        "%zu\r\n\r\n",
        sender->loadgen->options.table, sender->loadgen->options.address,
        (unsigned long long)sender->run_id, connection->index,
        (unsigned long long)connection->sequence, sender->body.size);
    writer_slice(&connection->request, writer_as_slice(&sender->body));
    total_add(&totals->sent_rows, connection->rows);
    total_add(&totals->sent_bytes, sender->body.size);
    total_add(&totals->sent_batches, 1);
    connection->state = CONNECTION_SENDING;
    write_some(sender, connection);
}

static void send_again(struct sender *sender, struct connection *connection)
{
    connection->sent = 0;
    connection->state = CONNECTION_SENDING;
    write_some(sender, connection);
}

static uint64_t member_number(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_get(object, name);
    uint64_t number = 0;
    if (value == NULL)
        return 0;
    for (size_t index = 0; index < value->text.size; index++)
        if (value->text.data[index] >= '0' && value->text.data[index] <= '9')
            number = number * 10 + (uint64_t)(value->text.data[index] - '0');
    return number;
}

static void count_success(struct sender *sender, struct connection *connection)
{
    struct loadgen_totals *totals = &sender->loadgen->totals;
    struct json_value *answer;
    struct error error;
    uint64_t latency_us = (uint64_t)(clock_monotonic_us() - connection->due_us);
    if (json_parse(writer_as_slice(&connection->reply.body), &sender->arena, 16, &answer, &error) !=
        OK) {
        total_add(&totals->failed, 1);
        return;
    }
    total_add(&totals->stored_rows, member_number(answer, "rows"));
    total_add(&totals->rejected_rows, member_number(answer, "rejected_rows"));
    total_add(&totals->acked_batches, 1);
    total_gap(&totals->ack_last_us, &totals->ack_gap_us);
    histogram_record(&totals->ack_us, latency_us);
    histogram_record(&totals->ack_second_us, latency_us);
    arena_reset(&sender->arena);
}

static void take_reply(struct sender *sender, struct connection *connection)
{
    struct loadgen_totals *totals = &sender->loadgen->totals;
    int status = connection->reply.status;
    struct random_stream *random = event_generator_random(sender->generator);
    connection->state = CONNECTION_IDLE;
    if (status == 200 && !connection->is_duplicate) {
        count_success(sender, connection);
        if (random_unit(random) < sender->loadgen->options.share_duplicate) {
            connection->is_duplicate = true;
            total_add(&totals->duplicate_rows, connection->rows);
            http_reply_reset(&connection->reply);
            send_again(sender, connection);
            return;
        }
    } else if (status == 429 || status == 503 || status == 507) {
        total_add(&totals->refused, 1);
        connection->state = CONNECTION_RESTING;
        connection->retry_at_us = clock_monotonic_us() + 200000;
    } else if (status != 200) {
        if (total_get(&totals->failed) == 0)
            fprintf(stderr, "freshet-bench: HTTP %d: %.*s\n", status,
                    (int)connection->reply.body.size, (const char *)connection->reply.body.data);
        total_add(&totals->failed, 1);
    }
    http_reply_reset(&connection->reply);
}

/* The server went away: the batch is sent again on a new connection, which its sequence makes
 * harmless. */
static void reconnect(struct sender *sender, struct connection *connection)
{
    bool had_batch = connection->state != CONNECTION_IDLE;
    close(connection->fd);
    connection->fd = -1;
    http_reply_reset(&connection->reply);
    if (had_batch)
        total_add(&sender->loadgen->totals.failed, 1);
    if (atomic_load(&sender->loadgen->is_stopping) || !connection_open(sender, connection)) {
        connection->state = CONNECTION_RESTING;
        connection->retry_at_us = clock_monotonic_us() + 200000;
        return;
    }
    if (had_batch)
        send_again(sender, connection);
}

static void read_some(struct sender *sender, struct connection *connection)
{
    char buffer[16384];
    ssize_t size = recv(connection->fd, buffer, sizeof(buffer), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        reconnect(sender, connection);
        return;
    }
    http_reply_feed(&connection->reply, slice_of(buffer, (size_t)size));
    if (connection->reply.state == HTTP_REPLY_BROKEN)
        reconnect(sender, connection);
    else if (connection->reply.state == HTTP_REPLY_COMPLETE)
        take_reply(sender, connection);
}

static int64_t batch_due_us(const struct sender *sender, uint64_t batch)
{
    const struct loadgen_options *options = &sender->loadgen->options;
    if (options->rate <= 0)
        return clock_monotonic_us();
    return sender->loadgen->start_us + (int64_t)((double)batch * (double)sender->rows_per_batch /
                                                 loadgen_http_rate(options) * 1e6);
}

static bool is_over(const struct sender *sender, int64_t due_us)
{
    const struct loadgen_options *options = &sender->loadgen->options;
    if (atomic_load_explicit(&sender->loadgen->is_stopping, memory_order_relaxed))
        return true;
    if (options->events > 0)
        return sender->next_batch * sender->rows_per_batch >= loadgen_http_events(options);
    return due_us >= sender->loadgen->start_us + (int64_t)options->seconds * 1000000;
}

/* Gives due batches to free connections; how long to wait for the next, in ms. */
static int dispatch(struct sender *sender)
{
    const struct loadgen_options *options = &sender->loadgen->options;
    int64_t now_us = clock_monotonic_us();
    bool has_free = false;
    for (int index = 0; index < options->connections; index++) {
        struct connection *connection = &sender->connections[index];
        if (connection->state == CONNECTION_RESTING && connection->retry_at_us <= now_us) {
            if (connection->fd < 0 && !connection_open(sender, connection)) {
                connection->retry_at_us = now_us + 200000;
                continue;
            }
            send_again(sender, connection);
        }
        if (connection->state != CONNECTION_IDLE)
            continue;
        int64_t due_us = batch_due_us(sender, sender->next_batch);
        if (is_over(sender, due_us))
            return 10;
        if (due_us > now_us) {
            has_free = true;
            break;
        }
        sender->next_batch++;
        begin_batch(sender, connection, due_us);
    }
    int64_t wait_us = batch_due_us(sender, sender->next_batch) - clock_monotonic_us();
    if (options->rate > 0) {
        double behind =
            (double)-wait_us * loadgen_http_rate(options) / 1e6 / (double)sender->rows_per_batch;
        atomic_store_explicit(&sender->loadgen->totals.backlog, behind > 1 ? (uint64_t)behind : 0,
                              memory_order_relaxed);
    }
    return !has_free ? 10 : wait_us <= 0 ? 0 : (int)(wait_us / 1000) + 1;
}

static bool has_unfinished(const struct sender *sender)
{
    for (int index = 0; index < sender->loadgen->options.connections; index++)
        if (sender->connections[index].state != CONNECTION_IDLE)
            return true;
    return false;
}

static void sender_loop(struct sender *sender)
{
    struct epoll_event events[64];
    int64_t give_up_us = 0;
    for (;;) {
        int wait_ms = dispatch(sender);
        if (is_over(sender, batch_due_us(sender, sender->next_batch))) {
            if (give_up_us == 0)
                give_up_us = clock_monotonic_us() + 10000000;
            if (!has_unfinished(sender) || clock_monotonic_us() > give_up_us)
                return;
        }
        int count = epoll_wait(sender->epoll, events, array_count(events), wait_ms);
        for (int index = 0; index < count; index++) {
            struct connection *connection = &sender->connections[events[index].data.u32];
            if ((events[index].events & EPOLLOUT) != 0 && connection->state == CONNECTION_SENDING)
                write_some(sender, connection);
            if ((events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
                connection->fd >= 0)
                read_some(sender, connection);
        }
    }
}

void load_run(void *context)
{
    struct loadgen *loadgen = context;
    const struct loadgen_options *options = &loadgen->options;
    struct sender sender = {.loadgen = loadgen, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    sender.generator = event_generator_create(options->seed, options->line_size);
    sender.rows_per_batch = options->batch_bytes / options->line_size > 0
                                ? options->batch_bytes / options->line_size
                                : 1;
    random_bytes(&sender.run_id, sizeof(sender.run_id));
    sender.connections =
        memory_alloc_zero((size_t)options->connections * sizeof(struct connection));
    writer_init(&sender.body);
    arena_init(&sender.arena);
    for (int index = 0; index < options->connections; index++) {
        sender.connections[index].index = index;
        sender.connections[index].fd = -1;
        http_reply_init(&sender.connections[index].reply);
        if (!connection_open(&sender, &sender.connections[index]))
            atomic_store(&loadgen->is_stopping, true);
    }
    loadgen->start_us = clock_monotonic_us();
    sender_loop(&sender);
    for (int index = 0; index < options->connections; index++) {
        if (sender.connections[index].fd >= 0)
            close(sender.connections[index].fd);
        http_reply_deinit(&sender.connections[index].reply);
        writer_deinit(&sender.connections[index].request);
    }
    close(sender.epoll);
    memory_free(sender.connections);
    writer_deinit(&sender.body);
    arena_deinit(&sender.arena);
    event_generator_destroy(sender.generator);
}
