/* A blocking HTTP/1.1 client on one socket.
 *
 * Head and body go out in one writev, so a small request is one segment. A kept connection that the
 * server has closed in the meantime shows as a reset or an end before the first byte of the reply:
 * the call is sent once more on a new connection if it is repeatable. Left out: proxies, redirects,
 * cookies, request compression. */
#include "server/client/http_client.h"

#include "server/client/secure.h"
#include "storage/base/arena.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECEIVE_SIZE ((size_t)64 << 10)

struct http_client {
    char address[300]; /* without the scheme */
    bool is_secure;
    struct secure *secure; /* while it is connected */
    int64_t timeout_us;
    int fd; /* -1: not connected */
    bool is_reused;
    struct http_reply reply;
    struct writer head;
    char buffer[RECEIVE_SIZE];
};

/* host:port or [v6]:port into its parts. */
static bool split_address(const char *address, char host[256], char port[16])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == 0 || strlen(colon + 1) > 5) {
        return false;
    }
    const char *begin = address, *end = colon;
    if (*begin == '[') {
        begin++;
        end--;
        if (end <= begin || *end != ']') {
            return false;
        }
    }
    if (end <= begin || end - begin > 255) {
        return false;
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    snprintf(port, 16, "%s", colon + 1);
    return true;
}

enum err http_connect(const char *address, int *fd, struct error *error)
{
    char host[256], port[16];
    if (!split_address(address, host, port)) {
        return error_set(error, ERR_INPUT, NULL, "\"%.200s\" is not an address: write host:port",
                         address);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int lookup = getaddrinfo(host, port, &hints, &list);
    if (lookup != 0) {
        return error_set(error, ERR_IO, NULL, "cannot look up \"%.200s\": %s", host,
                         gai_strerror(lookup));
    }
    int last_error = ECONNREFUSED;
    *fd = -1;
    for (struct addrinfo *at = list; at != NULL && *fd < 0; at = at->ai_next) {
        int s = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s < 0) {
            last_error = errno;
            continue;
        }
        if (connect(s, at->ai_addr, at->ai_addrlen) != 0) {
            last_error = errno;
            close(s);
            continue;
        }
        *fd = s;
    }
    freeaddrinfo(list);
    if (*fd < 0) {
        enum err result = error_set(error, ERR_IO, NULL, "cannot connect to %.200s: %s", address,
                                    strerror(last_error));
        if (error != NULL) {
            error->os_error = last_error;
        }
        return result;
    }
    int one = 1;
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return OK;
}

struct http_client *http_client_create(const char *address, int64_t timeout_us)
{
    assert(address != NULL);
    struct http_client *client = memory_alloc(sizeof(*client));
    struct slice text = slice_from_cstr(address);
    client->is_secure = slice_starts_with(text, SLICE("https://"));
    client->secure = NULL;
    bool has_scheme = client->is_secure || slice_starts_with(text, SLICE("http://"));
    const char *begin = has_scheme ? strstr(address, "//") + 2 : address;
    size_t size = strlen(begin);
    bool is_url = has_scheme && size > 0 && begin[size - 1] == '/';
    snprintf(client->address, sizeof(client->address), "%.*s", (int)(is_url ? size - 1 : size),
             begin);
    client->timeout_us = timeout_us;
    client->fd = -1;
    client->is_reused = false;
    http_reply_init(&client->reply);
    writer_init(&client->head);
    return client;
}

static void disconnect(struct http_client *client)
{
    secure_close(client->secure);
    client->secure = NULL;
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    client->is_reused = false;
}

void http_client_destroy(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    disconnect(client);
    http_reply_deinit(&client->reply);
    writer_deinit(&client->head);
    memory_free(client);
}

void http_encode(struct slice text, struct writer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                        c == '-' || c == '.' || c == '_' || c == '~';
        if (is_plain) {
            writer_u8(out, c);
        } else {
            writer_printf(out, "%%%02X", c);
        }
    }
}

static enum err socket_error(struct http_client *client, const char *what, int os_error,
                             struct error *error)
{
    bool is_timeout = os_error == EAGAIN || os_error == EWOULDBLOCK;
    enum err result = is_timeout ? error_set(error, ERR_TIMEOUT, NULL, "no answer from %s in time",
                                             client->address)
                                 : error_set(error, ERR_IO, NULL, "%s %s: %s", what,
                                             client->address, strerror(os_error));
    if (error != NULL) {
        error->os_error = os_error;
    }
    return result;
}

static enum err send_all(struct http_client *client, struct slice head, struct slice body,
                         struct error *error)
{
    while (head.size + body.size > 0) {
        struct iovec parts[2] = {{(void *)(uintptr_t)head.data, head.size},
                                 {(void *)(uintptr_t)body.data, body.size}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            return socket_error(client, "cannot send to", errno, error);
        }
        size_t of_head = (size_t)sent < head.size ? (size_t)sent : head.size,
               of_body = (size_t)sent - of_head;
        head = slice_of(head.data + of_head, head.size - of_head);
        body = slice_of(body.data + of_body, body.size - of_body);
    }
    return OK;
}

static enum err send_securely(struct http_client *client, struct slice head, struct slice body,
                              struct error *error)
{
    return secure_send(client->secure, head) < 0 || secure_send(client->secure, body) < 0
               ? socket_error(client, "cannot send to", errno, error)
               : OK;
}

static ssize_t receive(struct http_client *client)
{
    return client->is_secure
               ? secure_receive(client->secure, client->buffer, sizeof(client->buffer))
               : recv(client->fd, client->buffer, sizeof(client->buffer), 0);
}

static enum err receive_reply(struct http_client *client, struct error *error)
{
    struct http_reply *reply = &client->reply;
    while (reply->state != HTTP_REPLY_COMPLETE) {
        ssize_t got = receive(client);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return socket_error(client, "cannot read from", errno, error);
        }
        if (got == 0) {
            http_reply_end(reply);
        } else {
            http_reply_feed(reply, slice_of(client->buffer, (size_t)got));
        }
        if (reply->state == HTTP_REPLY_BROKEN) {
            return error_set(error, ERR_IO, NULL,
                             "%s closed the connection or sent something that is not HTTP",
                             client->address);
        }
    }
    return OK;
}

static enum err connect_client(struct http_client *client, struct error *error)
{
    char host[256], port[16];
    enum err result = http_connect(client->address, &client->fd, error);
    if (result != OK) {
        return result;
    }
    struct timeval timeout = {client->timeout_us / 1000000, client->timeout_us % 1000000};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    return client->is_secure && split_address(client->address, host, port)
               ? secure_open(client->fd, host, &client->secure, error)
               : OK;
}

static enum err try_call(struct http_client *client, const struct http_call *call,
                         struct error *error)
{
    enum err result = client->fd < 0 ? connect_client(client, error) : OK;
    if (result != OK) {
        return result;
    }
    http_reply_reset(&client->reply);
    client->reply.is_head_only = strcmp(call->method, "HEAD") == 0;
    /* A server that refuses early (413) may close while we still send: its reply is worth more than
     * our EPIPE. */
    struct slice head = writer_as_slice(&client->head);
    enum err sent = client->is_secure ? send_securely(client, head, call->body, error)
                                      : send_all(client, head, call->body, error);
    if (sent == ERR_TIMEOUT) {
        return sent;
    }
    struct error read_error;
    enum err received = receive_reply(client, &read_error);
    if (received != OK) {
        if (sent == OK && error != NULL) {
            *error = read_error;
        }
        return sent != OK ? sent : received;
    }
    if (sent != OK || !client->reply.is_keep_alive) {
        disconnect(client);
    } else {
        client->is_reused = true;
    }
    return OK;
}

enum err http_client_call(struct http_client *client, const struct http_call *call,
                          const struct http_reply **reply, struct error *error)
{
    assert(call->method != NULL);
    writer_reset(&client->head);
    writer_printf(&client->head, "%s %.*s HTTP/1.1\r\nHost: %s\r\n", call->method,
                  SLICE_ARGS(call->target), client->address);
    if (call->body.size > 0 || strcmp(call->method, "POST") == 0) {
        writer_printf(&client->head, "Content-Length: %zu\r\n", call->body.size);
    }
    const char *token = getenv("FRESHET_TOKEN");
    if (token != NULL && strpbrk(token, "\r\n") == NULL) {
        writer_printf(&client->head, "Authorization: Bearer %s\r\n", token);
    }
    writer_slice(&client->head, call->headers);
    writer_cstr(&client->head, "\r\n");
    bool may_repeat = client->is_reused && call->is_repeatable;
    enum err result = try_call(client, call, error);
    if (result == ERR_IO && may_repeat && client->reply.head.size == 0) {
        disconnect(client);
        result = try_call(client, call, error);
    }
    if (result != OK) {
        disconnect(client);
        return result;
    }
    *reply = &client->reply;
    return OK;
}
