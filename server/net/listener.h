/* Listening sockets: addresses as text, the loopback rule, bind. */
#ifndef FRESHET_SERVER_NET_LISTENER_H
#define FRESHET_SERVER_NET_LISTENER_H

#include "storage/base/error.h"

struct listener {
    int fd; /* non-blocking, close-on-exec */
    bool is_loopback;
    char host[64];    /* "127.0.0.1", "::1" */
    char address[80]; /* with the port that was really bound: "127.0.0.1:8080", "[::1]:8080" */
};

/* `text` is host:port; the host an IPv4 address, [IPv6] or localhost; port 0 picks a free one.
 * ERR_INPUT if it is malformed or is not loopback while `may_leave_loopback` is false; ERR_IO. */
MUST_CHECK enum err listener_open(const char *text, bool may_leave_loopback, struct listener *out,
                                  struct error *error);
/* Of a peer's address with its port: "127.0.0.1:4711", "::1:4711", "::ffff:127.0.0.1:4711". */
bool listener_is_loopback_peer(const char *peer);
void listener_close(struct listener *listener);

#endif
