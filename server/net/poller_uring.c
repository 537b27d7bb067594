/* The poller over io_uring: one multishot accept, one multishot receive a connection, their bytes
 * in buffers that the kernel picks from one ring of them.
 *
 * The thread does nothing but wait here, so completions run when it waits (DEFER_TASKRUN), as in
 * storage/io/ring.c. Bytes are handed on, and the buffer given back, before the next completion is
 * looked at: so few buffers do for thousands of idle connections, which have none. A receive that
 * found none (ENOBUFS) is started again.
 *
 * user_data is the caller's token in 56 bits and the kind of request in 8. A token's requests may
 * complete after it was forgotten: the caller's tokens carry a generation and it looks. */
#include "server/net/poller.h"

#include "storage/base/arena.h"
#include "storage/io/uring_entry.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_DEPTH 256
#define BUFFER_COUNT 128
#define BUFFER_SIZE ((size_t)16 << 10)
#define GROUP 1

enum request {
    REQUEST_ACCEPT = 1,
    REQUEST_RECEIVE,
    REQUEST_WRITABLE,
    REQUEST_WAKE,
    REQUEST_CANCEL
};

struct uring_poller {
    struct poller poller;
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
    int listener, wake_fd;
    bool is_accepting;
};

static struct uring_poller *inside(struct poller *poller)
{
    return (struct uring_poller *)poller;
}

static uint64_t data_of(enum request request, uint64_t token)
{
    assert(token >> 56 == 0);
    return token << 8 | request;
}

static struct io_uring_sqe *next_entry(struct uring_poller *p, enum request request, uint64_t token)
{
    struct io_uring_sqe *entry = uring_entry(&p->ring);
    entry->user_data = data_of(request, token);
    return entry;
}

/* The prep functions of liburing clear user_data in some versions: it is set after them. */
static void watch_wake(struct uring_poller *p)
{
    struct io_uring_sqe *entry = next_entry(p, REQUEST_WAKE, 0);
    io_uring_prep_poll_multishot(entry, p->wake_fd, POLLIN);
    entry->user_data = data_of(REQUEST_WAKE, 0);
}

static void give_buffer(struct uring_poller *p, unsigned short id)
{
    io_uring_buf_ring_add(p->buffers, p->memory + id * BUFFER_SIZE, BUFFER_SIZE, id,
                          io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(p->buffers, 1);
}

static bool make_buffers(struct uring_poller *p)
{
    p->buffers = memory_alloc_aligned((size_t)sysconf(_SC_PAGESIZE),
                                      BUFFER_COUNT * sizeof(struct io_uring_buf));
    p->memory = memory_alloc(BUFFER_COUNT * BUFFER_SIZE);
    memset(p->buffers, 0, BUFFER_COUNT * sizeof(struct io_uring_buf));
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)p->buffers, .ring_entries = BUFFER_COUNT, .bgid = GROUP};
    if (io_uring_register_buf_ring(&p->ring, &registration, 0) != 0)
        return false;
    io_uring_buf_ring_init(p->buffers);
    for (unsigned short id = 0; id < BUFFER_COUNT; id++)
        give_buffer(p, id);
    return true;
}

static void uring_stop(struct poller *poller)
{
    struct uring_poller *p = inside(poller);
    io_uring_queue_exit(&p->ring);
    memory_free(p->buffers);
    memory_free(p->memory);
    memory_free(p);
}

static struct poller *uring_start(int listener, int wake_fd)
{
    struct uring_poller *p = memory_alloc_zero(sizeof(*p));
    p->poller.ops = &poller_uring;
    p->listener = listener;
    p->wake_fd = wake_fd;
    if (io_uring_queue_init(QUEUE_DEPTH, &p->ring,
                            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) != 0) {
        memory_free(p);
        return NULL;
    }
    if (!make_buffers(p)) {
        uring_stop(&p->poller);
        return NULL;
    }
    watch_wake(p);
    return &p->poller;
}

static void cancel(struct uring_poller *p, uint64_t data)
{
    struct io_uring_sqe *entry = next_entry(p, REQUEST_CANCEL, 0);
    io_uring_prep_cancel64(entry, data, 0);
    entry->user_data = data_of(REQUEST_CANCEL, 0);
}

static void uring_accepting(struct poller *poller, bool is_on)
{
    struct uring_poller *p = inside(poller);
    if (is_on && !p->is_accepting) {
        struct io_uring_sqe *entry = next_entry(p, REQUEST_ACCEPT, 0);
        io_uring_prep_multishot_accept(entry, p->listener, NULL, NULL,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC);
        entry->user_data = data_of(REQUEST_ACCEPT, 0);
    } else if (!is_on && p->is_accepting) {
        cancel(p, data_of(REQUEST_ACCEPT, 0));
    }
    p->is_accepting = is_on;
}

static void uring_receive(struct poller *poller, uint64_t token, int fd)
{
    struct uring_poller *p = inside(poller);
    struct io_uring_sqe *entry = next_entry(p, REQUEST_RECEIVE, token);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = GROUP;
    entry->user_data = data_of(REQUEST_RECEIVE, token);
}

static bool uring_pause(struct poller *poller, uint64_t token, int fd)
{
    (void)fd;
    cancel(inside(poller), data_of(REQUEST_RECEIVE, token));
    return false;
}

static void uring_want_writable(struct poller *poller, uint64_t token, int fd)
{
    struct io_uring_sqe *entry = next_entry(inside(poller), REQUEST_WRITABLE, token);
    io_uring_prep_poll_add(entry, fd, POLLOUT);
    entry->user_data = data_of(REQUEST_WRITABLE, token);
}

static void uring_forget(struct poller *poller, uint64_t token, int fd)
{
    struct uring_poller *p = inside(poller);
    (void)fd;
    cancel(p, data_of(REQUEST_RECEIVE, token));
    cancel(p, data_of(REQUEST_WRITABLE, token));
    io_uring_submit(&p->ring); /* before the descriptor's number can be another's */
}

struct delivery {
    void (*on_event)(void *context, const struct poller_event *event);
    void *context;
};

static void deliver(const struct delivery *to, struct poller_event event)
{
    to->on_event(to->context, &event);
}

static void on_received(struct uring_poller *p, const struct io_uring_cqe *entry, uint64_t token,
                        const struct delivery *to)
{
    bool has_buffer = (entry->flags & IORING_CQE_F_BUFFER) != 0;
    unsigned short id = (unsigned short)(entry->flags >> IORING_CQE_BUFFER_SHIFT);
    bool has_more = (entry->flags & IORING_CQE_F_MORE) != 0;
    if (entry->res > 0 && has_buffer)
        deliver(to, (struct poller_event){
                        .kind = POLLER_RECEIVED,
                        .token = token,
                        .result = has_more ? 0 : 1,
                        .data = slice_of(p->memory + id * BUFFER_SIZE, (size_t)entry->res)});
    if (has_buffer)
        give_buffer(p, id);
    if (entry->res == -ENOBUFS || entry->res == -EINTR || entry->res == -ECANCELED)
        deliver(to, (struct poller_event){
                        .kind = POLLER_RECEIVED, .token = token, .result = 1, .data = {0}});
    else if (entry->res <= 0)
        deliver(to,
                (struct poller_event){.kind = POLLER_ENDED, .token = token, .result = entry->res});
}

static void on_accepted(struct uring_poller *p, const struct io_uring_cqe *entry,
                        const struct delivery *to)
{
    bool has_more = (entry->flags & IORING_CQE_F_MORE) != 0;
    bool was_accepting = p->is_accepting;
    if (entry->res != -ECANCELED)
        deliver(to, (struct poller_event){.kind = POLLER_ACCEPTED, .result = entry->res});
    if (!has_more && was_accepting && p->is_accepting) {
        p->is_accepting = false;
        uring_accepting(&p->poller, true);
    }
}

static void on_woken(struct uring_poller *p, const struct io_uring_cqe *entry,
                     const struct delivery *to)
{
    uint64_t woken;
    if (read(p->wake_fd, &woken, sizeof(woken)) > 0)
        deliver(to, (struct poller_event){.kind = POLLER_WOKEN});
    if ((entry->flags & IORING_CQE_F_MORE) == 0)
        watch_wake(p);
}

static void uring_look(struct poller *poller, int64_t timeout_us,
                       void (*on_event)(void *context, const struct poller_event *event),
                       void *context)
{
    struct uring_poller *p = inside(poller);
    const struct delivery to = {on_event, context};
    struct __kernel_timespec timeout = {.tv_sec = timeout_us / 1000000,
                                        .tv_nsec = timeout_us % 1000000 * 1000};
    struct io_uring_cqe *first;
    (void)io_uring_submit_and_wait_timeout(&p->ring, &first, 1, &timeout, NULL);
    struct io_uring_cqe *entry;
    while (io_uring_peek_cqe(&p->ring, &entry) == 0) {
        struct io_uring_cqe copy = *entry;
        io_uring_cqe_seen(&p->ring, entry);
        uint64_t token = copy.user_data >> 8;
        switch (copy.user_data & 0xFF) {
        case REQUEST_ACCEPT:
            on_accepted(p, &copy, &to);
            break;
        case REQUEST_RECEIVE:
            on_received(p, &copy, token, &to);
            break;
        case REQUEST_WRITABLE:
            deliver(&to, (struct poller_event){.kind = POLLER_WRITABLE, .token = token});
            break;
        case REQUEST_WAKE:
            on_woken(p, &copy, &to);
            break;
        default:
            break;
        }
    }
}

const struct poller_ops poller_uring = {
    .name = "uring",
    .create = uring_start,
    .destroy = uring_stop,
    .accept = uring_accepting,
    .receive = uring_receive,
    .pause = uring_pause,
    .want_writable = uring_want_writable,
    .forget = uring_forget,
    .wait = uring_look,
};
