/* Bytes of requests that are still coming in, and of replies that are still going out.
 *
 * h2o 2.2.5 keeps a body in the connection's input buffer and shows the request when it is whole,
 * so what is on its way is in nobody's account: a few hundred clients that stop one byte before the
 * end would hold gigabytes. It has no call to refuse a request halfway either. So the buffers are
 * added up now and then (a walk over a ring; the caller does it only while there are enough
 * connections for it to matter), and past the limit the largest is answered 429 on the bare socket
 * and ended as if the peer had closed. While a request is worked on h2o does not read its
 * connection: those are counted by the caller, and left alone here.
 *
 * A reply lies whole in memory until its client has taken it, so clients that ask for much and read
 * nothing hold as much as they like to ask for. While all replies fit their share, a slow client
 * has all the time that TCP gives it; past that those that began to be sent seconds ago make room
 * for the new one. A single large reply is never cut for its size. */
#include "server/http/crowd.h"

#include "server/http/tally.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <sys/socket.h>

void crowd_init(struct crowd *crowd, size_t reply_bytes_max)
{
    crowd->head.next = crowd->head.previous = &crowd->head;
    crowd->replies.next = crowd->replies.previous = &crowd->replies;
    crowd->reply_bytes_max = reply_bytes_max;
}

struct crowd_member *crowd_join(struct crowd *crowd, h2o_socket_t *socket, void *context)
{
    struct crowd_member *member = memory_alloc_zero(sizeof(*member));
    *member = (struct crowd_member){.next = &crowd->head, .previous = crowd->head.previous};
    member->socket = socket;
    member->context = context;
    member->previous->next = member->next->previous = member;
    return member;
}

void crowd_leave(struct crowd_member *member)
{
    member->previous->next = member->next;
    member->next->previous = member->previous;
    memory_free(member);
}

/* Bytes that have come of a request that is not whole yet. */
static size_t held_bytes(const struct crowd_member *member)
{
    return !member->is_ended && h2o_socket_is_reading(member->socket) ? member->socket->input->size
                                                                      : 0;
}

static void end_one(struct crowd_member *member, struct farewell *farewell, int64_t now_us)
{
    char buffer[HTTP_CROWDED_SIZE];
    struct slice text = http_tally_crowded(buffer);
    int fd = h2o_socket_get_fd(member->socket);
    if (member->socket->ssl == NULL) /* who encrypts only sees the end */
        (void)!send(fd, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)farewell_add(farewell, fd, now_us);
    h2o_socket_t *socket = member->socket;
    member->is_ended = true;
    socket->_cb.read(socket, h2o_socket_error_closed); /* h2o closes; `member` leaves */
}

size_t crowd_relieve(struct crowd *crowd, size_t limit, size_t others, struct farewell *farewell,
                     int64_t now_us, size_t *held)
{
    for (size_t ended = 0;; ended++) {
        struct crowd_member *largest = NULL;
        size_t total = 0, most = 0;
        for (struct crowd_member *at = crowd->head.next; at != &crowd->head; at = at->next) {
            size_t bytes = held_bytes(at);
            total += bytes;
            if (bytes > most) {
                most = bytes;
                largest = at;
            }
        }
        *held = total;
        if (http_tally_excess(total, others, limit) == 0)
            return ended;
        assert(largest != NULL);
        end_one(largest, farewell, now_us);
    }
}

/* --- replies --- */

void crowd_reply_begin(struct crowd *crowd, struct crowd_reply *reply, int fd, size_t size,
                       int64_t now_us)
{
    assert(reply->next == NULL);
    *reply = (struct crowd_reply){
        .next = &crowd->replies, .previous = crowd->replies.previous, .fd = fd};
    reply->size = size;
    reply->since_us = now_us;
    reply->previous->next = reply->next->previous = reply;
    crowd->reply_bytes += size;
    while (crowd->reply_bytes > crowd->reply_bytes_max) {
        struct crowd_reply *oldest = crowd->replies.next;
        if (oldest == reply || now_us - oldest->since_us < REPLY_STALLED_US)
            return;
        (void)shutdown(oldest->fd, SHUT_RDWR); /* h2o's next write fails, and it lets go of all */
        crowd_reply_end(crowd, oldest);
    }
}

void crowd_reply_end(struct crowd *crowd, struct crowd_reply *reply)
{
    if (reply->next == NULL)
        return;
    reply->previous->next = reply->next;
    reply->next->previous = reply->previous;
    reply->next = NULL;
    assert(crowd->reply_bytes >= reply->size);
    crowd->reply_bytes -= reply->size;
}
