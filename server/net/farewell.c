/* Lingering close.
 *
 *   answer (413, 400) ── farewell_add: FIN ── farewell_run … read and forget … ── their FIN, or 2 s
 * ── close
 *
 * Closing a socket with unread bytes sends RST, and RST takes away what the peer has not read yet:
 * a client in the middle of a body too large would see "broken pipe" and not the 413 that names the
 * way out. So an answer that comes before the end of the body is followed by reading the rest for a
 * while. Bytes are dropped in the kernel (MSG_TRUNC), never copied; one turn drops a few MiB a
 * connection, and at most FAREWELL_COUNT_MAX connections have this favour at a time. */
#include "server/net/farewell.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE_SIZE ((size_t)1 << 20)
#define PIECES_PER_TURN 4

bool farewell_add(struct farewell *farewell, int fd, int64_t now_us)
{
    assert(fd >= 0);
    if (farewell->count == FAREWELL_COUNT_MAX)
        return false;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return false;
    if (shutdown(own, SHUT_WR) != 0) {
        close(own);
        return false;
    }
    farewell->peers[farewell->count].fd = own;
    farewell->peers[farewell->count++].until_us = now_us + FAREWELL_TIME_US;
    return true;
}

/* By its number, since ThreadSanitizer takes recv() to NULL for a write there, of two threads to
 * one address; nothing is written. */
static ssize_t drop(int fd)
{
    return syscall(SYS_recvfrom, fd, NULL, PIECE_SIZE, MSG_DONTWAIT | MSG_TRUNC, NULL, NULL);
}

/* False: the peer has ended or is gone. */
static bool discard(int fd)
{
    for (int i = 0; i < PIECES_PER_TURN; i++) {
        ssize_t got = drop(fd);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
    }
    return true;
}

bool farewell_run(struct farewell *farewell, int64_t now_us)
{
    size_t kept = 0;
    for (size_t i = 0; i < farewell->count; i++) {
        if (discard(farewell->peers[i].fd) && now_us < farewell->peers[i].until_us)
            farewell->peers[kept++] = farewell->peers[i];
        else
            close(farewell->peers[i].fd);
    }
    farewell->count = kept;
    return kept > 0;
}
