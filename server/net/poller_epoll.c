/* The poller over epoll and recv(): for kernels and settings without io_uring.
 *
 * Level-triggered. What is wanted of each descriptor is kept in a table by descriptor, so each call
 * is at most one epoll_ctl(). */
#include "server/net/poller.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)64 << 10)
#define EVENTS_MAX 256
#define TOKEN_LISTENER UINT64_MAX
#define TOKEN_WAKE (UINT64_MAX - 1)

struct watch {
    uint64_t token;
    uint32_t events; /* 0: not watched */
};

struct epoll_poller {
    struct poller poller;
    int epoll, listener, wake_fd;
    bool is_accepting;
    struct watch *watches; /* by descriptor */
    size_t watch_count;
    char buffer[BUFFER_SIZE];
};

static struct epoll_poller *inside(struct poller *poller)
{
    return (struct epoll_poller *)poller;
}

static void add(struct epoll_poller *p, int fd, uint64_t token)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    int failed = epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event);
    assert(failed == 0);
    (void)failed;
}

static struct poller *epoll_start(int listener, int wake_fd)
{
    struct epoll_poller *p = memory_alloc_zero(sizeof(*p));
    p->poller.ops = &poller_epoll;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(p->epoll >= 0);
    p->listener = listener;
    p->wake_fd = wake_fd;
    add(p, wake_fd, TOKEN_WAKE);
    return &p->poller;
}

static void epoll_stop(struct poller *poller)
{
    struct epoll_poller *p = inside(poller);
    close(p->epoll);
    memory_free(p->watches);
    memory_free(p);
}

static void epoll_accepting(struct poller *poller, bool is_on)
{
    struct epoll_poller *p = inside(poller);
    if (is_on && !p->is_accepting)
        add(p, p->listener, TOKEN_LISTENER);
    else if (!is_on && p->is_accepting)
        epoll_ctl(p->epoll, EPOLL_CTL_DEL, p->listener, NULL);
    p->is_accepting = is_on;
}

static struct watch *watch_of(struct epoll_poller *p, int fd)
{
    if ((size_t)fd >= p->watch_count) {
        size_t count = (size_t)fd * 2 + 64;
        p->watches = memory_realloc(p->watches, count * sizeof(*p->watches));
        memset(p->watches + p->watch_count, 0, (count - p->watch_count) * sizeof(*p->watches));
        p->watch_count = count;
    }
    return &p->watches[fd];
}

static void change(struct epoll_poller *p, int fd, uint64_t token, uint32_t wanted)
{
    struct watch *watch = watch_of(p, fd);
    struct epoll_event event = {.events = wanted, .data.u64 = (uint64_t)fd};
    if (wanted == watch->events && token == watch->token)
        return;
    int operation = wanted == 0          ? EPOLL_CTL_DEL
                    : watch->events == 0 ? EPOLL_CTL_ADD
                                         : EPOLL_CTL_MOD;
    epoll_ctl(p->epoll, operation, fd, &event);
    watch->events = wanted;
    watch->token = token;
}

static void epoll_receive(struct poller *poller, uint64_t token, int fd)
{
    change(inside(poller), fd, token, watch_of(inside(poller), fd)->events | EPOLLIN);
}

/* Hang-ups are told even so. */
static bool epoll_pause(struct poller *poller, uint64_t token, int fd)
{
    uint32_t events = watch_of(inside(poller), fd)->events & ~(uint32_t)EPOLLIN;
    change(inside(poller), fd, token, events | EPOLLRDHUP);
    return true;
}

static void epoll_want_writable(struct poller *poller, uint64_t token, int fd)
{
    change(inside(poller), fd, token, watch_of(inside(poller), fd)->events | EPOLLOUT);
}

static void epoll_forget(struct poller *poller, uint64_t token, int fd)
{
    change(inside(poller), fd, token, 0);
}

struct delivery {
    void (*on_event)(void *context, const struct poller_event *event);
    void *context;
};

static void deliver(const struct delivery *to, struct poller_event event)
{
    to->on_event(to->context, &event);
}

static void deliver_socket(struct epoll_poller *p, const struct epoll_event *event,
                           const struct delivery *to)
{
    int fd = (int)event->data.u64;
    uint64_t token = p->watches[fd].token;
    if (p->watches[fd].events == 0)
        return;
    if ((event->events & EPOLLOUT) != 0) {
        change(p, fd, token, p->watches[fd].events & ~(uint32_t)EPOLLOUT);
        deliver(to, (struct poller_event){.kind = POLLER_WRITABLE, .token = token});
    }
    if (p->watches[fd].token != token || p->watches[fd].events == 0)
        return;
    if ((p->watches[fd].events & EPOLLIN) == 0) {
        if ((event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
            change(p, fd, token, p->watches[fd].events & EPOLLOUT);
            deliver(to, (struct poller_event){.kind = POLLER_ENDED, .token = token});
        }
        return;
    }
    if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    ssize_t got = recv(fd, p->buffer, sizeof(p->buffer), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0) {
        deliver(to, (struct poller_event){.kind = POLLER_RECEIVED,
                                          .token = token,
                                          .data = slice_of(p->buffer, (size_t)got)});
        return;
    }
    change(p, fd, token, p->watches[fd].events & EPOLLOUT);
    deliver(to, (struct poller_event){
                    .kind = POLLER_ENDED, .token = token, .result = got < 0 ? -errno : 0});
}

static void epoll_look(struct poller *poller, int64_t timeout_us,
                       void (*on_event)(void *context, const struct poller_event *event),
                       void *context)
{
    struct epoll_poller *p = inside(poller);
    const struct delivery to = {on_event, context};
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(p->epoll, events, EVENTS_MAX, (int)((timeout_us + 999) / 1000));
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == TOKEN_WAKE) {
            uint64_t woken;
            if (read(p->wake_fd, &woken, sizeof(woken)) > 0)
                deliver(&to, (struct poller_event){.kind = POLLER_WOKEN});
        } else if (events[i].data.u64 == TOKEN_LISTENER) {
            int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
                deliver(&to, (struct poller_event){.kind = POLLER_ACCEPTED,
                                                   .result = fd >= 0 ? fd : -errno});
        } else {
            deliver_socket(p, &events[i], &to);
        }
    }
}

const struct poller_ops poller_epoll = {
    .name = "epoll",
    .create = epoll_start,
    .destroy = epoll_stop,
    .accept = epoll_accepting,
    .receive = epoll_receive,
    .pause = epoll_pause,
    .want_writable = epoll_want_writable,
    .forget = epoll_forget,
    .wait = epoll_look,
};

struct poller *poller_create(bool is_plain, int listener, int wake_fd)
{
    struct poller *poller = is_plain ? NULL : poller_uring.create(listener, wake_fd);
    return poller != NULL ? poller : poller_epoll.create(listener, wake_fd);
}
