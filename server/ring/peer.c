/* One connection of the ring.
 *
 *            ┌──────────── head is whole ──────────▶ BODY ── body is whole ─▶ WORKING
 *   accept ▶ HEAD ◀── answer is sent ──┬───────────────────────────────────── peer_answer
 *            │ anything else           └── SENDING ◀── the socket is full ───────┘
 *            ▼
 *          GONE: handed over with all bytes that were not answered; or closed
 *
 * At most one entry of the ring names a connection, so nothing has to be waited for where nothing
 * is armed: a hand-over happens between two receives and never loses a byte. A piece of a head
 * comes into a buffer that the kernel picks (idle connections have none); once the length is known
 * the rest of the body is received where the worker will read it, and is not copied again.
 *
 * What comes behind a request (pipelining) waits in `rest`, at most one buffer of it: the next
 * receive is armed when the answer has been sent. Clients that hang up meanwhile are noticed then.
 *
 * Bounds are those of h2o's path: one time for head, body and idling; bytes of requests that are
 * still coming in (the largest ends with 429, together with h2o's); bytes of answers that nobody
 * takes (those stalled longest end). */
#include "server/ring/inside.h"

#include "storage/base/clock.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A head comes in so many pieces at most; h2o has more patience. */
#define PARSES_MAX 16
/* A block is as large as its Content-Length says, and of what has not come yet it is only
 * addresses; past so many times the memory of bodies even those are h2o's, whose buffers grow as
 * bytes come. */
#define RESERVED_SHARES 4
#define UNSENT_STALLED_US INT64_C(5000000)

static struct peer *peer_of(const struct exchange *exchange)
{
    return (struct peer *)(uintptr_t)exchange;
}

/* ---- lists, and what is held ---- */

static void leave_list(struct peer *peer)
{
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
        peer->previous->next = peer->next;
        peer->next = peer->previous = NULL;
    }
}

static void join_list(struct peer *peer, struct peer *list)
{
    leave_list(peer);
    peer->next = list;
    peer->previous = list->previous;
    peer->previous->next = peer->next->previous = peer;
    peer->since_us = peer->front->now_us;
}

static void set_held(struct peer *peer, size_t size)
{
    assert(peer->front->incoming >= peer->held);
    peer->front->incoming += size - peer->held;
    peer->held = size;
}

static struct slice rest_of(const struct peer *peer)
{
    return slice_of(peer->rest + peer->rest_begin, peer->rest_size - peer->rest_begin);
}

static void drop_rest(struct peer *peer, size_t size)
{
    peer->rest_begin += size;
    assert(peer->rest_begin <= peer->rest_size);
    if (peer->rest_begin == peer->rest_size) {
        memory_free(peer->rest);
        peer->rest = NULL;
        peer->rest_begin = peer->rest_size = 0;
    }
}

static void keep_rest(struct peer *peer, struct slice bytes)
{
    if (bytes.size == 0)
        return;
    struct slice old = peer->rest == NULL ? slice_of("", 0) : rest_of(peer);
    char *joined = memory_alloc(old.size + bytes.size);
    memcpy(joined, old.data, old.size);
    memcpy(joined + old.size, bytes.data, bytes.size);
    memory_free(peer->rest);
    peer->rest = joined;
    peer->rest_begin = 0;
    peer->rest_size = old.size + bytes.size;
}

static void drop_block(struct peer *peer)
{
    if (peer->block == NULL)
        return;
    peer->front->reserved -= peer->block_size;
    blocks_give(&peer->front->blocks, peer->block, peer->block_size);
    peer->block = NULL;
}

/* ---- the end ---- */

static void forget(struct peer *peer)
{
    struct front *front = peer->front;
    assert(!peer->is_armed);
    assert(peer->state != PEER_GONE && peer->state != PEER_WORKING);
    if (peer->state == PEER_SENDING) {
        front->unsent -= peer->exchange.content.size;
        arena_deinit(&peer->exchange.arena);
        writer_deinit(&peer->exchange.content);
    }
    leave_list(peer);
    set_held(peer, 0);
    drop_block(peer);
    memory_free(peer->rest);
    writer_deinit(&peer->out);
    front->slots[peer->slot] = NULL;
    front->free_slots[front->free_count++] = peer->slot;
    peer->state = PEER_GONE;
    peer->next_listed = front->gone;
    front->gone = peer;
}

void peer_destroy(struct peer *peer)
{
    struct front *front = peer->front;
    close(peer->fd);
    forget(peer);
    http_tally_connection(front->options.tally, false);
}

static void hand_over(struct peer *peer, struct slice bytes)
{
    struct front *front = peer->front;
    atomic_fetch_add_explicit(&front->options.tally->ring_handed, 1, memory_order_relaxed);
    front->options.hand_over(front->options.context, peer->fd, bytes);
    forget(peer);
}

bool peer_is_coming(const struct peer *peer, bool is_early)
{
    int waiting = 0;
    if (peer->is_ended || peer->state == PEER_SENDING)
        return false;
    return (is_early && (peer->state == PEER_BODY || peer->rest != NULL)) ||
           (ioctl(peer->fd, FIONREAD, &waiting) == 0 && waiting > 0);
}

void peer_end(struct peer *peer)
{
    if (!peer->is_armed) {
        peer_destroy(peer);
    } else if (!peer->is_ended) {
        peer->is_ended = true;
        leave_list(peer);
        set_held(peer, 0);
        struct io_uring_sqe *entry = front_entry(peer->front);
        enum ring_tag tag = peer->state == PEER_SENDING ? TAG_WRITABLE : TAG_RECEIVE;
        io_uring_prep_cancel64(entry, (uint64_t)peer->slot << 8 | tag, 0);
        entry->user_data = TAG_CANCEL;
    }
}

void peer_relieve(struct front *front, size_t others)
{
    const struct http_server_options *server = front->options.server;
    while (http_tally_excess(front->incoming, others, server->bodies_max) > 0) {
        struct peer *largest = NULL;
        for (struct peer *at = front->receiving.next; at != &front->receiving; at = at->next)
            largest = largest == NULL || at->held > largest->held ? at : largest;
        if (largest == NULL || largest->held == 0)
            return;
        char buffer[HTTP_CROWDED_SIZE];
        struct slice text = http_tally_crowded(buffer);
        (void)!send(largest->fd, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)farewell_add(&front->farewell, largest->fd, front->now_us);
        http_tally_response(front->options.tally, 429);
        metric_add(&metrics.ingest_backpressure, 1);
        metric_mark(&metrics.backpressure_at);
        peer_end(largest);
    }
}

/* ---- receiving ---- */

static void arm_head(struct peer *peer)
{
    struct io_uring_sqe *entry = front_entry(peer->front);
    io_uring_prep_recv(entry, peer->fd, NULL, RING_PIECE_SIZE, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = RING_GROUP;
    front_armed(peer, entry, TAG_RECEIVE);
}

static void arm_body(struct peer *peer)
{
    struct io_uring_sqe *entry = front_entry(peer->front);
    io_uring_prep_recv(entry, peer->fd, peer->block + peer->filled, peer->block_size - peer->filled,
                       0);
    front_armed(peer, entry, TAG_RECEIVE);
}

/* Takes a request off the front of `bytes`, as far as it is there: how much it used. 0: the head is
 * not whole, or the connection is gone. */
static size_t take_request(struct peer *peer, struct slice bytes)
{
    const struct http_server_options *server = peer->front->options.server;
    enum ring_verdict verdict = ring_head_parse(bytes, server->body_max, &peer->head);
    if (verdict == RING_TAKE && !safety_host_is_ours(&server->safety, peer->head.values[RING_HOST]))
        verdict = RING_LEAVE;
    size_t size = peer->head.size + peer->head.body_size;
    if (verdict == RING_TAKE && peer->front->reserved + size > server->bodies_max * RESERVED_SHARES)
        verdict = RING_LEAVE;
    if (verdict == RING_MORE && ++peer->parses < PARSES_MAX)
        return 0;
    if (verdict != RING_TAKE) {
        hand_over(peer, bytes);
        return 0;
    }
    peer->parses = 0;
    peer->block_size = size;
    peer->front->reserved += size;
    peer->block = blocks_take(&peer->front->blocks, peer->block_size);
    peer->filled = bytes.size < peer->block_size ? bytes.size : peer->block_size;
    memcpy(peer->block, bytes.data, peer->filled);
    ring_head_move(&peer->head, bytes.data, peer->block);
    peer->state = PEER_BODY;
    return peer->filled;
}

/* The request is whole. */
static void run_request(struct peer *peer)
{
    struct front *front = peer->front;
    const struct http_server_options *server = front->options.server;
    struct exchange *exchange = &peer->exchange;
    memset(exchange, 0, sizeof(*exchange));
    exchange->transport = &ring_transport;
    exchange->context = server->context;
    exchange->is_loopback = server->listener->is_loopback;
    exchange->method = HTTP_POST;
    exchange->path = peer->head.path;
    exchange->query = peer->head.query;
    exchange->body = slice_of(peer->block + peer->head.size, peer->head.body_size);
    exchange->begin_us = clock_monotonic_us();
    arena_init(&exchange->arena);
    writer_init(&exchange->content);
    leave_list(peer);
    set_held(peer, 0);
    peer->state = PEER_WORKING;
    peer->is_answered_here = false;
    http_tally_begin(front->options.tally, peer->head.body_size);
    atomic_fetch_add_explicit(&front->options.tally->ring_requests, 1, memory_order_relaxed);
    peer->is_dispatching = true;
    if (http_tally_has_room(front->options.tally, server->bodies_max, exchange))
        server->dispatch(exchange);
    peer->is_dispatching = false;
}

static void answer(struct peer *peer);

/* Whatever can be done without waiting, then waits for what is missing. */
static void go_on(struct peer *peer)
{
    for (;;) {
        if (peer->state == PEER_BODY && peer->filled == peer->block_size) {
            run_request(peer);
            if (!peer->is_answered_here)
                return;
            answer(peer);
        }
        if (peer->state == PEER_BODY) {
            set_held(peer, peer->filled);
            arm_body(peer);
            return;
        }
        if (peer->state != PEER_HEAD)
            return;
        struct slice bytes = peer->rest == NULL ? slice_of("", 0) : rest_of(peer);
        size_t used = bytes.size == 0 ? 0 : take_request(peer, bytes);
        if (peer->state == PEER_GONE)
            return;
        if (used == 0) {
            set_held(peer, bytes.size);
            arm_head(peer);
            return;
        }
        drop_rest(peer, used);
    }
}

static void received_head(struct peer *peer, struct slice bytes)
{
    size_t used = peer->rest == NULL ? take_request(peer, bytes) : 0;
    if (peer->state == PEER_GONE)
        return;
    bool is_known_to_lack = peer->rest == NULL && used == 0;
    keep_rest(peer, slice_of(bytes.data + used, bytes.size - used));
    if (is_known_to_lack) {
        set_held(peer, bytes.size);
        arm_head(peer);
        return;
    }
    go_on(peer);
}

void peer_received(struct peer *peer, int size, const char *bytes)
{
    if (size == -ENOBUFS || size == -EINTR || size == -EAGAIN) {
        go_on(peer);
    } else if (size <= 0) {
        peer_destroy(peer);
    } else if (peer->state == PEER_HEAD) {
        assert(bytes != NULL);
        received_head(peer, slice_of(bytes, (size_t)size));
    } else {
        assert(peer->state == PEER_BODY);
        peer->filled += (size_t)size;
        assert(peer->filled <= peer->block_size);
        go_on(peer);
    }
}

void peer_create(struct front *front, int fd, uint32_t slot)
{
    struct peer *peer = memory_alloc_zero(sizeof(*peer));
    peer->front = front;
    peer->fd = fd;
    peer->slot = slot;
    writer_init(&peer->out);
    front->slots[slot] = peer;
    join_list(peer, &front->receiving);
    go_on(peer);
}

/* ---- answering ---- */

/* False: the socket is full. Where the client is gone the connection is to be closed. */
static bool try_send(struct peer *peer)
{
    struct slice parts[2] = {writer_as_slice(&peer->out), writer_as_slice(&peer->exchange.content)};
    size_t total = parts[0].size + parts[1].size;
    while (peer->sent < total) {
        struct iovec vector[2];
        size_t skip = peer->sent, count = 0;
        for (size_t i = 0; i < array_count(parts); i++) {
            size_t passed = skip < parts[i].size ? skip : parts[i].size;
            skip -= passed;
            if (passed < parts[i].size)
                vector[count++] = (struct iovec){(char *)(uintptr_t)parts[i].data + passed,
                                                 parts[i].size - passed};
        }
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
        ssize_t sent = sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return false;
        if (sent < 0) {
            peer->is_closing = true;
            return true;
        }
        peer->sent += (size_t)sent;
    }
    return true;
}

/* The answer is sent, or its client is gone. */
static void end_answer(struct peer *peer)
{
    arena_deinit(&peer->exchange.arena);
    writer_deinit(&peer->exchange.content);
    peer->state = PEER_HEAD;
    if (!peer->is_closing) {
        join_list(peer, &peer->front->receiving);
        return;
    }
    if (peer->exchange.is_closing && !peer->front->is_draining) /* there may be unread bytes */
        (void)farewell_add(&peer->front->farewell, peer->fd, peer->front->now_us);
    peer_destroy(peer);
}

/* Waits until the client takes more; those that do not make room for those that do. */
static void wait_writable(struct peer *peer)
{
    struct io_uring_sqe *entry = front_entry(peer->front);
    io_uring_prep_poll_add(entry, peer->fd, POLLOUT);
    front_armed(peer, entry, TAG_WRITABLE);
}

static void begin_sending(struct peer *peer)
{
    struct front *front = peer->front;
    peer->state = PEER_SENDING;
    join_list(peer, &front->sending);
    front->unsent += peer->exchange.content.size;
    wait_writable(peer);
    size_t excess = front->unsent > front->options.server->bodies_max
                        ? front->unsent - front->options.server->bodies_max
                        : 0;
    while (excess > 0) {
        struct peer *oldest = front->sending.next;
        if (oldest == peer || front->now_us - oldest->since_us < UNSENT_STALLED_US)
            return;
        size_t size = oldest->exchange.content.size;
        excess -= size < excess ? size : excess;
        peer_end(oldest);
    }
}

static void answer(struct peer *peer)
{
    struct front *front = peer->front;
    struct http_tally *tally = front->options.tally;
    assert(peer->state == PEER_WORKING);
    peer->is_closing = peer->exchange.is_closing || front->is_draining;
    atomic_fetch_sub_explicit(&tally->bodies, (int64_t)peer->head.body_size, memory_order_relaxed);
    http_tally_response(tally, peer->exchange.status);
    writer_reset(&peer->out);
    ring_reply_head(&peer->exchange, peer->is_closing, clock_wall_us(), &front->date, &peer->out);
    drop_block(peer);
    peer->sent = 0;
    bool is_sent = try_send(peer);
    atomic_fetch_sub_explicit(&tally->in_flight, 1, memory_order_release);
    if (is_sent)
        end_answer(peer);
    else
        begin_sending(peer);
}

void peer_answer(struct peer *peer)
{
    answer(peer);
    go_on(peer);
}

void peer_writable(struct peer *peer)
{
    assert(peer->state == PEER_SENDING);
    if (!try_send(peer)) {
        wait_writable(peer);
        return;
    }
    peer->front->unsent -= peer->exchange.content.size;
    end_answer(peer);
    go_on(peer);
}

/* ---- what an exchange asks ---- */

static struct slice ring_header_of(const struct exchange *exchange, const char *name)
{
    return ring_head_value(&peer_of(exchange)->head, name);
}

static size_t ring_header_count(const struct exchange *exchange, const char *name)
{
    return ring_header_of(exchange, name).data == NULL ? 0 : 1;
}

static size_t ring_peer(const struct exchange *exchange, struct sockaddr_storage *out)
{
    socklen_t size = sizeof(*out);
    return getpeername(peer_of(exchange)->fd, (struct sockaddr *)out, &size) == 0 ? size : 0;
}

static bool ring_is_encrypted(const struct exchange *exchange)
{
    (void)exchange;
    return false;
}

static void ring_answer(struct exchange *exchange)
{
    struct peer *peer = peer_of(exchange);
    if (front_is_here() && peer->is_dispatching)
        peer->is_answered_here = true; /* go_on() sends */
    else
        front_finish(peer);
}

const struct exchange_transport ring_transport = {
    .header = ring_header_of,
    .header_count = ring_header_count,
    .peer = ring_peer,
    .is_encrypted = ring_is_encrypted,
    .answer = ring_answer,
};
