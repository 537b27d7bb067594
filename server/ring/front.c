/* The ring before h2o: its thread.
 *
 *   listener ─▶ accept ─▶ peer ─┬─▶ dispatch ─▶ (worker …) ─▶ finished list ─▶ peer_answer ─▶ send
 *                               └─▶ hand_over: the connection is h2o's from now on
 *
 * One thread, one ring, and nothing of h2o: it has its loop and its thread, as before. The thread
 * does nothing but wait here, so completions run when it waits (DEFER_TASKRUN), and one call
 * submits what a turn has armed and waits for the next. A turn takes the completions, then the
 * answers of workers, then looks at the clock.
 *
 * Workers push their answer on a list. They write the eventfd only if the thread waits: it says so
 * before it looks at the list for the last time.
 *
 * user_data is a slot and a tag. A slot is taken again only after its peer's one entry has
 * completed, so it needs no generation. */
#include "server/ring/inside.h"

#include "storage/io/uring_entry.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_DEPTH 512
#define COMPLETIONS_MAX 8192
#define BUFFER_COUNT 256
#define ACCEPTS_PER_TURN 64
#define BATCH 64
#define LOOK_US 1000000      /* at the clock, where nothing asks for more */
#define CROWD_LOOK_US 20000  /* while h2o holds bytes of requests too */
#define ACCEPT_LOOK_US 10000 /* whether one of too many connections has ended */
#define FAREWELL_LOOK_US 5000
#define STOP_LOOK_US 5000
#define STOP_LIMIT_US 500000 /* for those who send and send */
#define STOP_GRACE_US 100000 /* for the rest of a request that was on its way */

static _Thread_local bool is_here;

bool front_is_here(void)
{
    return is_here;
}

/* ---- entries ---- */

struct io_uring_sqe *front_entry(struct front *front)
{
    return uring_entry(&front->ring);
}

/* The prep functions of liburing clear user_data in some versions: it is set after them. */
void front_armed(struct peer *peer, struct io_uring_sqe *entry, enum ring_tag tag)
{
    assert(!peer->is_armed);
    peer->is_armed = true;
    entry->user_data = (uint64_t)peer->slot << 8 | tag;
}

static void give_buffer(struct front *front, unsigned short id)
{
    io_uring_buf_ring_add(front->buffers, front->memory + id * RING_PIECE_SIZE, RING_PIECE_SIZE, id,
                          io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(front->buffers, 1);
}

static void arm_wake(struct front *front)
{
    struct io_uring_sqe *entry = front_entry(front);
    io_uring_prep_read(entry, front->event_fd, &front->woken, sizeof(front->woken), 0);
    entry->user_data = TAG_WAKE;
}

static void set_listening(struct front *front, bool is_listening)
{
    if (front->listener < 0 || front->is_listening == is_listening)
        return;
    struct io_uring_sqe *entry = front_entry(front);
    if (is_listening)
        io_uring_prep_poll_add(entry, front->listener, POLLIN);
    else
        io_uring_prep_cancel64(entry, TAG_LISTENER, 0);
    entry->user_data = is_listening ? TAG_LISTENER : TAG_CANCEL;
    front->is_listening = is_listening;
}

/* ---- connections ---- */

static bool is_full(const struct front *front)
{
    return front->free_count == 0 ||
           atomic_load_explicit(&front->options.tally->connections, memory_order_relaxed) >=
               front->options.server->connections_max;
}

/* Past the limit they wait in the kernel. */
static void accept_some(struct front *front)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && !is_full(front); i++) {
        int fd = accept4(front->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0 && errno != EAGAIN)
            return; /* no descriptor, or the like: looked at again soon */
        if (fd < 0)
            break;
        http_tally_connection(front->options.tally, true);
        peer_create(front, fd, front->free_slots[--front->free_count]);
    }
    if (!is_full(front))
        set_listening(front, true);
}

static void free_gone(struct front *front)
{
    while (front->gone != NULL) {
        struct peer *next = front->gone->next_listed;
        memory_free(front->gone);
        front->gone = next;
    }
}

/* ---- completions ---- */

static void on_received(struct front *front, struct peer *peer, const struct io_uring_cqe *done)
{
    bool has_buffer = (done->flags & IORING_CQE_F_BUFFER) != 0;
    unsigned short id = (unsigned short)(done->flags >> IORING_CQE_BUFFER_SHIFT);
    if (peer->is_ended)
        peer_destroy(peer);
    else
        peer_received(peer, done->res, has_buffer ? front->memory + id * RING_PIECE_SIZE : NULL);
    if (has_buffer)
        give_buffer(front, id);
}

static void on_completion(struct front *front, const struct io_uring_cqe *done)
{
    enum ring_tag tag = (enum ring_tag)(done->user_data & 0xFF);
    if (tag == TAG_WAKE) {
        arm_wake(front);
    } else if (tag == TAG_LISTENER) {
        front->is_listening = false;
        if (front->listener >= 0)
            accept_some(front);
    } else if (tag == TAG_RECEIVE || tag == TAG_WRITABLE) {
        struct peer *peer = front->slots[done->user_data >> 8];
        assert(peer != NULL && peer->is_armed);
        peer->is_armed = false;
        if (tag == TAG_RECEIVE)
            on_received(front, peer, done);
        else if (peer->is_ended)
            peer_destroy(peer);
        else
            peer_writable(peer);
    }
}

static void take_completions(struct front *front)
{
    struct io_uring_cqe batch[BATCH], *at;
    for (;;) {
        unsigned head, count = 0;
        io_uring_for_each_cqe(&front->ring, head, at)
        {
            batch[count++] = *at;
            if (count == BATCH)
                break;
        }
        io_uring_cq_advance(&front->ring, count);
        for (unsigned i = 0; i < count; i++)
            on_completion(front, &batch[i]);
        if (count < BATCH)
            return;
    }
}

/* ---- answers of workers ---- */

static void kick(struct front *front)
{
    if (atomic_exchange(&front->is_waiting, false)) {
        uint64_t one = 1;
        ssize_t written = write(front->event_fd, &one, sizeof(one));
        assert(written == sizeof(one));
        (void)written;
    }
}

void front_finish(struct peer *peer)
{
    struct front *front = peer->front;
    struct peer *head = atomic_load_explicit(&front->finished, memory_order_relaxed);
    do {
        peer->next_listed = head;
    } while (!atomic_compare_exchange_weak(&front->finished, &head, peer));
    /* `peer` may be gone by now. */
    kick(front);
}

/* Oldest first: the stack is turned around. */
static void take_finished(struct front *front)
{
    struct peer *peer = atomic_exchange_explicit(&front->finished, NULL, memory_order_acquire),
                *oldest = NULL;
    while (peer != NULL) {
        struct peer *next = peer->next_listed;
        peer->next_listed = oldest;
        oldest = peer;
        peer = next;
    }
    while (oldest != NULL) {
        struct peer *next = oldest->next_listed;
        peer_answer(oldest);
        oldest = next;
    }
}

/* ---- the clock, and commands ---- */

static bool is_empty(const struct peer *list)
{
    return list->next == list;
}

static int64_t look_around(struct front *front)
{
    struct http_tally *tally = front->options.tally;
    int64_t timeout_us = front->options.server->request_timeout_us, wait_us = LOOK_US;
    while (!is_empty(&front->receiving) &&
           front->receiving.next->since_us + timeout_us <= front->now_us)
        peer_end(front->receiving.next);
    if (!is_empty(&front->receiving)) {
        int64_t left_us = front->receiving.next->since_us + timeout_us - front->now_us;
        wait_us = left_us < wait_us ? left_us : wait_us;
    }
    size_t others = atomic_load_explicit(&tally->incoming_h2o, memory_order_relaxed);
    peer_relieve(front, others);
    atomic_store_explicit(&tally->incoming_ring, front->incoming, memory_order_relaxed);
    wait_us =
        front->incoming > 0 && others > 0 && wait_us > CROWD_LOOK_US ? CROWD_LOOK_US : wait_us;
    if (!front->is_listening && front->listener >= 0) {
        accept_some(front);
        wait_us = !front->is_listening && wait_us > ACCEPT_LOOK_US ? ACCEPT_LOOK_US : wait_us;
    }
    if (front->farewell.count > 0 && farewell_run(&front->farewell, front->now_us))
        wait_us = wait_us < FAREWELL_LOOK_US ? wait_us : FAREWELL_LOOK_US;
    return wait_us;
}

static void drain(struct front *front)
{
    if (front->is_draining)
        return;
    front->is_draining = true;
    set_listening(front, false);
    /* The entry that is being cancelled keeps the socket: it must not listen any more. */
    (void)shutdown(front->listener, SHUT_RDWR);
    close(front->listener);
    front->listener = -1;
}

/* How many are left: those that a worker has, those whose entry has not completed yet, and those
 * whose bytes have come and are not looked at: what was sent before the end is answered. */
static uint32_t end_all(struct front *front, int64_t since_us)
{
    bool is_early = front->now_us - since_us < STOP_GRACE_US;
    bool is_late = front->now_us - since_us > STOP_LIMIT_US;
    uint32_t count = 0;
    for (uint32_t i = 0; i < front->slot_count; i++) {
        struct peer *peer = front->slots[i];
        if (peer != NULL && peer->state != PEER_WORKING &&
            (is_late || !peer_is_coming(peer, is_early)))
            peer_end(peer);
        count += front->slots[i] != NULL;
    }
    return count;
}

/* Submits what is armed and waits for a completion, unless there is something to do. */
static void wait_for_work(struct front *front, int64_t wait_us)
{
    struct __kernel_timespec timeout = {.tv_sec = wait_us / 1000000,
                                        .tv_nsec = wait_us % 1000000 * 1000};
    struct io_uring_cqe *first;
    atomic_store(&front->is_waiting, true);
    bool has_work =
        atomic_load(&front->finished) != NULL || (atomic_load(&front->command) & FRONT_DRAIN) != 0;
    if (has_work) {
        atomic_store(&front->is_waiting, false);
        io_uring_submit(&front->ring);
        io_uring_get_events(&front->ring);
        return;
    }
    (void)io_uring_submit_and_wait_timeout(&front->ring, &first, 1, &timeout, NULL);
    atomic_store(&front->is_waiting, false);
}

static void front_run(void *context)
{
    struct front *front = context;
    int64_t stop_us = INT64_MAX; /* since when it is to end */
    is_here = true;
    /* liburing's name for it is in Debian 12's header but not in its library. */
    int enabled =
        io_uring_register((unsigned)front->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    assert(enabled == 0);
    (void)enabled;
    arm_wake(front);
    set_listening(front, true);
    for (;;) {
        front->now_us = clock_monotonic_us();
        take_completions(front);
        take_finished(front);
        int command = atomic_load(&front->command);
        if ((command & FRONT_DRAIN) != 0) {
            atomic_fetch_and(&front->command, ~FRONT_DRAIN);
            drain(front);
        }
        if ((command & FRONT_STOP) != 0) {
            stop_us = stop_us == INT64_MAX ? front->now_us : stop_us;
            if (end_all(front, stop_us) == 0 || front->now_us > stop_us + STOP_LIMIT_US * 2)
                break;
        }
        int64_t wait_us = look_around(front);
        wait_us = stop_us != INT64_MAX && wait_us > STOP_LOOK_US ? STOP_LOOK_US : wait_us;
        free_gone(front);
        wait_for_work(front, wait_us);
    }
    free_gone(front);
}

/* ---- start and stop ---- */

static bool make_buffers(struct front *front)
{
    front->buffers = memory_alloc_aligned((size_t)sysconf(_SC_PAGESIZE),
                                          BUFFER_COUNT * sizeof(struct io_uring_buf));
    front->memory = memory_alloc(BUFFER_COUNT * RING_PIECE_SIZE);
    memset(front->buffers, 0, BUFFER_COUNT * sizeof(struct io_uring_buf));
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)front->buffers,
                                            .ring_entries = BUFFER_COUNT,
                                            .bgid = RING_GROUP};
    if (io_uring_register_buf_ring(&front->ring, &registration, 0) != 0)
        return false;
    io_uring_buf_ring_init(front->buffers);
    for (unsigned short id = 0; id < BUFFER_COUNT; id++)
        give_buffer(front, id);
    return true;
}

/* The ring belongs to the thread that enables it. 0, or the negated errno. */
static int make_ring(struct front *front)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS_MAX,
    };
    int result = fault_is("ring.refused")
                     ? -EPERM
                     : io_uring_queue_init_params(QUEUE_DEPTH, &front->ring, &parameters);
    if (result == 0 && !make_buffers(front)) {
        io_uring_queue_exit(&front->ring);
        memory_free(front->buffers);
        memory_free(front->memory);
        result = -EINVAL;
    }
    return result;
}

struct front *front_start(const struct front_options *options)
{
    struct front *front = memory_alloc_zero(sizeof(*front));
    int result = make_ring(front);
    if (result != 0) {
        logger_write(LOG_INFO, "bodies are received by h2o alone: io_uring is refused errno=%d",
                     -result);
        memory_free(front);
        return NULL;
    }
    front->options = *options;
    front->listener = options->server->listener->fd;
    front->event_fd = eventfd(0, EFD_CLOEXEC);
    assert(front->event_fd >= 0);
    front->receiving.next = front->receiving.previous = &front->receiving;
    front->sending.next = front->sending.previous = &front->sending;
    front->slot_count = front->free_count = options->server->connections_max;
    front->slots = memory_alloc_zero(front->slot_count * sizeof(*front->slots));
    front->free_slots = memory_alloc(front->slot_count * sizeof(*front->free_slots));
    for (uint32_t i = 0; i < front->slot_count; i++)
        front->free_slots[i] = front->slot_count - 1 - i;
    front->thread =
        thread_start(&(struct thread_options){.name = "ring", .run = front_run, .context = front});
    return front;
}

static void give_command(struct front *front, int command)
{
    atomic_fetch_or(&front->command, command);
    kick(front);
}

void front_drain(struct front *front)
{
    give_command(front, FRONT_DRAIN);
}

void front_stop(struct front *front)
{
    give_command(front, FRONT_DRAIN | FRONT_STOP);
    thread_join(front->thread);
    if (front->free_count < front->slot_count)
        return; /* a worker has not come back: it may still answer */
    io_uring_queue_exit(&front->ring);
    blocks_deinit(&front->blocks);
    memory_free(front->buffers);
    memory_free(front->memory);
    memory_free(front->slots);
    memory_free(front->free_slots);
    /* `front` and its eventfd live as long as the process: whoever gave the last answer may not
     * have returned from kick() yet, as the list is looked at without it too. */
}
