/* The PostgreSQL port, closed politely.
 *
 *   client: [SSLRequest|GSSENCRequest] ──'N'──▶ StartupMessage ──FATAL 0A000──▶ closed
 *
 * One thread polls at most 64 connections; one that has not said who it is within 5 s goes, and so
 * does the oldest when a new one comes to a full house. A message is at most 8 KiB before login. */
#include "server/pgwire/refuse.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define STARTUP_SIZE_MAX 8192
#define PATIENCE_US 5000000
#define CODE_SSL 80877103u
#define CODE_GSS 80877104u
#define CODE_CANCEL 80877102u

struct client {
    int fd;
    int64_t since_us;
    size_t size;
    char received[STARTUP_SIZE_MAX];
};

struct refuse_server {
    int listener;
    struct thread *thread;
    _Atomic bool is_stopping;
    size_t count;
    struct client clients[CLIENTS_MAX]; /* oldest first */
};

static uint32_t big_endian(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

enum refuse_step refuse_step(struct slice received, size_t *used)
{
    if (received.size < 8) {
        return REFUSE_MORE;
    }
    uint32_t size = big_endian(received.data), code = big_endian(received.data + 4);
    if (size < 8 || size > STARTUP_SIZE_MAX || code == CODE_CANCEL) {
        return REFUSE_CLOSE;
    }
    if (code == CODE_SSL || code == CODE_GSS) {
        *used = 8;
        return size == 8 ? REFUSE_DENY_ENCRYPTION : REFUSE_CLOSE;
    }
    return received.size < size ? REFUSE_MORE : REFUSE_TELL;
}

#define FIELDS                                                                                     \
    "SFATAL\0VFATAL\0C0A000\0MThe PostgreSQL protocol comes with a later version of "              \
    "Freshet.\0HUse POST /v1/sql of the HTTP port.\0"
#define LENGTH (4 + sizeof(FIELDS)) /* the literal's own NUL ends the list of fields */

/* An ErrorResponse: its letter and big-endian length, then the fields. Characters only, so without
 * padding. */
static const struct {
    char head[5];
    char fields[sizeof(FIELDS)];
} message = {
    {'E', (char)(LENGTH >> 24), (char)(LENGTH >> 16), (char)(LENGTH >> 8), (char)LENGTH},
    FIELDS,
};

struct slice refuse_message(void)
{
    static_assert(sizeof(message) == 5 + sizeof(FIELDS), "no padding");
    return slice_of(&message, sizeof(message));
}

static void drop(struct refuse_server *server, size_t index)
{
    close(server->clients[index].fd);
    memmove(&server->clients[index], &server->clients[index + 1],
            (server->count - index - 1) * sizeof(struct client));
    server->count--;
}

static void admit(struct refuse_server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (server->count == CLIENTS_MAX) {
        drop(server, 0);
    }
    struct client *client = &server->clients[server->count++];
    client->fd = fd;
    client->size = 0;
    client->since_us = clock_monotonic_us();
}

/* False when the connection is to be closed. */
static bool talk(struct client *client)
{
    ssize_t got = recv(client->fd, client->received + client->size,
                       sizeof(client->received) - client->size, 0);
    if (got <= 0) {
        return false;
    }
    client->size += (size_t)got;
    for (;;) {
        size_t used = 0;
        switch (refuse_step(slice_of(client->received, client->size), &used)) {
        case REFUSE_MORE:
            return client->size < sizeof(client->received);
        case REFUSE_CLOSE:
            return false;
        case REFUSE_TELL: {
            struct slice text = refuse_message();
            (void)!send(client->fd, text.data, text.size, MSG_NOSIGNAL);
            shutdown(client->fd, SHUT_WR);
            return false;
        }
        case REFUSE_DENY_ENCRYPTION:
            (void)!send(client->fd, "N", 1, MSG_NOSIGNAL);
            memmove(client->received, client->received + used, client->size - used);
            client->size -= used;
        }
    }
}

static void refuse_run(void *context)
{
    struct refuse_server *server = context;
    while (!atomic_load_explicit(&server->is_stopping, memory_order_acquire)) {
        struct pollfd polls[CLIENTS_MAX + 1];
        size_t count = server->count;
        for (size_t i = 0; i < count; i++) {
            polls[i] = (struct pollfd){.fd = server->clients[i].fd, .events = POLLIN};
        }
        polls[count] = (struct pollfd){.fd = server->listener, .events = POLLIN};
        if (poll(polls, count + 1, 100) < 0) {
            continue;
        }
        int64_t now_us = clock_monotonic_us();
        for (size_t i = count; i-- > 0;) {
            bool is_late = now_us - server->clients[i].since_us > PATIENCE_US;
            if (is_late || (polls[i].revents != 0 && !talk(&server->clients[i]))) {
                drop(server, i);
            }
        }
        if (polls[count].revents != 0) {
            admit(server);
        }
    }
}

struct refuse_server *refuse_start(const struct listener *listener)
{
    assert(listener->fd >= 0);
    struct refuse_server *server = memory_alloc_zero(sizeof(*server));
    server->listener = listener->fd;
    server->thread =
        thread_start(&(struct thread_options){.name = "pg", .run = refuse_run, .context = server});
    return server;
}

void refuse_stop(struct refuse_server *server)
{
    if (server == NULL) {
        return;
    }
    atomic_store_explicit(&server->is_stopping, true, memory_order_release);
    thread_join(server->thread);
    while (server->count > 0) {
        drop(server, 0);
    }
    close(server->listener);
    memory_free(server);
}
