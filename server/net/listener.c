/* Listening sockets.
 *
 * Without users whoever reaches the port may read and write everything: only loopback is bound
 * then, unless the setting `insecure` says that this is known. Names are not looked up, localhost
 * excepted: what is bound must not depend on a resolver. */
#include "server/net/listener.h"

#include "storage/base/slice.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
/* A peer that takes no bytes for so long has its connection cut: h2o has no timer while it writes.
 */
#define STALLED_PEER_MS 60000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum err parse(const char *text, char host[64], union address *out, socklen_t *size,
                      struct error *error)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    size_t host_size = colon == NULL ? 0 : (size_t)(colon - text);
    if (port < 0 || port > 65535 || end == colon + 1 || *end != 0 || host_size == 0 ||
        host_size > 60) {
        return error_set(error, ERR_INPUT, "22023", "\"%.100s\" is not an address: write host:port",
                         text);
    }
    memcpy(host, text, host_size);
    host[host_size] = 0;
    if (strcmp(host, "localhost") == 0) {
        snprintf(host, 64, "127.0.0.1");
    }
    memset(out, 0, sizeof(*out));
    if (host[0] == '[' && host_size > 2 && host[host_size - 1] == ']') {
        memmove(host, host + 1, host_size - 2);
        host[host_size - 2] = 0;
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        *size = sizeof(out->v6);
        if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
            return OK;
        }
    } else {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        *size = sizeof(out->v4);
        if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
            return OK;
        }
    }
    return error_set(error, ERR_INPUT, "22023",
                     "\"%.100s\" is not an IP address: write 127.0.0.1:8080 or [::1]:8080", host);
}

static bool is_loopback(const union address *address)
{
    return address->any.sa_family == AF_INET ? (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127
                                             : IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr) != 0;
}

enum err listener_open(const char *text, bool may_leave_loopback, struct listener *out,
                       struct error *error)
{
    union address address;
    socklen_t size = 0;
    enum err result = parse(text, out->host, &address, &size, error);
    if (result != OK) {
        return result;
    }
    out->is_loopback = is_loopback(&address);
    if (!out->is_loopback && !may_leave_loopback) {
        result = error_set(error, ERR_INPUT, "28000",
                           "%s is not a loopback address, and there are no users", text);
        error_hint(error,
                   "Make a user first (freshet user add), listen on 127.0.0.1, or say --insecure "
                   "if everyone who reaches the port may read and write.");
        return result;
    }
    int one = 1, stalled = STALLED_PEER_MS;
    out->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd >= 0) {
        setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        /* Accepted sockets inherit these two. */
        setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(out->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stalled, sizeof(stalled));
    }
    if (out->fd < 0 || bind(out->fd, &address.any, size) != 0 || listen(out->fd, BACKLOG) != 0) {
        int os_error = errno;
        if (out->fd >= 0) {
            close(out->fd);
        }
        return error_set(error, ERR_IO, NULL, "cannot listen on %s: %s", text, strerror(os_error));
    }
    getsockname(out->fd, &address.any, &size);
    bool is_v6 = address.any.sa_family == AF_INET6;
    snprintf(out->address, sizeof(out->address), is_v6 ? "[%s]:%u" : "%s:%u", out->host,
             ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port));
    return OK;
}

bool listener_is_loopback_peer(const char *peer)
{
    static const char mapped[] = "::ffff:";
    const char *colon = strrchr(peer, ':');
    char host[64] = "";
    struct in_addr v4;
    if (colon == NULL || (size_t)(colon - peer) >= sizeof(host))
        return false;
    memcpy(host, peer, (size_t)(colon - peer));
    size_t skip = strncmp(host, mapped, sizeof(mapped) - 1) == 0 ? sizeof(mapped) - 1 : 0;
    return strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host + skip, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

void listener_close(struct listener *listener)
{
    assert(listener != NULL);
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    listener->fd = -1;
}
