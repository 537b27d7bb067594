/* What front.c (the thread and its ring) and peer.c (one connection) share. Private to server/ring.
 */
#ifndef FRESHET_SERVER_RING_INSIDE_H
#define FRESHET_SERVER_RING_INSIDE_H

#include "server/net/farewell.h"
#include "server/ring/blocks.h"
#include "server/ring/front.h"
#include "server/ring/head.h"
#include "server/ring/reply.h"

#include <liburing.h>

#define RING_PIECE_SIZE ((size_t)16 << 10) /* of a buffer that the kernel picks */
#define RING_GROUP 1

/* What an entry of the ring is about: the low byte of its user_data; above it stands the slot. */
enum ring_tag {
    TAG_LISTENER = 1, /* somebody may be accepted */
    TAG_WAKE,
    TAG_RECEIVE,
    TAG_WRITABLE,
    TAG_CANCEL
};

enum peer_state {
    PEER_HEAD,    /* between requests, or within a head */
    PEER_BODY,    /* the head is whole */
    PEER_WORKING, /* somebody has the exchange: nothing is read, nothing is armed */
    PEER_SENDING, /* the answer does not fit the socket */
    PEER_GONE     /* closed or handed over; freed at the end of the turn */
};

/* A connection, and the one exchange that it has at a time. */
struct peer {
    struct exchange exchange; /* first: container-of with offset 0 */
    struct front *front;
    struct peer *next, *previous; /* in front->receiving or front->sending; NULL: in neither */
    struct peer *next_listed;     /* of the finished, or of those that are gone */
    uint32_t slot;
    int fd;
    enum peer_state state;
    bool is_armed;         /* one entry of the ring names it */
    bool is_ended;         /* destroyed when that entry completes */
    bool is_closing;       /* after this answer */
    bool is_dispatching;   /* the dispatch has not returned */
    bool is_answered_here; /* meanwhile it was answered, on this thread */
    int64_t since_us;      /* in this list */
    size_t held;           /* bytes of it that front->incoming has */
    /* the request */
    struct ring_head head; /* parts of `block` */
    char *block;           /* head and body; NULL: none */
    size_t block_size, filled;
    char *rest; /* what came and belongs to no request yet; NULL: nothing */
    size_t rest_begin, rest_size;
    unsigned parses; /* of a head that is not whole */
    /* the answer */
    struct writer out; /* its head */
    size_t sent;       /* of head and content */
};

struct front {
    struct front_options options;
    struct thread *thread;
    int event_fd;
    _Atomic(struct peer *) finished; /* stack: push and take-all */
    _Atomic bool is_waiting;         /* whoever finds it set writes the eventfd */
    _Atomic int command;             /* enum below */
    /* the rest is its thread's */
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory; /* of the buffers */
    uint64_t woken;
    int listener;
    int64_t now_us; /* of this turn */
    struct peer **slots;
    uint32_t *free_slots; /* stack */
    uint32_t slot_count, free_count;
    struct peer receiving, sending; /* heads of lists, those longest in it first */
    struct peer *gone;
    size_t incoming, unsent; /* bytes of requests still coming in; of answers in `sending` */
    size_t reserved;         /* bytes of all blocks */
    struct blocks blocks;
    struct farewell farewell;
    struct ring_date date;
    bool is_listening; /* an entry waits for the listener */
    bool is_draining;
};

enum { FRONT_DRAIN = 1, FRONT_STOP = 2 };

/* --- front.c --- */

/* An entry for this peer, which is its only one; user_data is set by front_armed(), after the
 * fields are. */
struct io_uring_sqe *front_entry(struct front *front);
void front_armed(struct peer *peer, struct io_uring_sqe *entry, enum ring_tag tag);
/* The answer of a worker, any thread. */
void front_finish(struct peer *peer);
/* On the front's thread? */
bool front_is_here(void);

/* --- peer.c: all on the front's thread --- */

/* Takes over the descriptor, which counts as a connection already, and begins to receive. */
void peer_create(struct front *front, int fd, uint32_t slot);
/* `size` bytes have come: into `bytes`, or into its block where that is NULL. 0: the end, or the
 * negated errno. */
void peer_received(struct peer *peer, int size, const char *bytes);
void peer_writable(struct peer *peer);
/* The exchange has been answered. */
void peer_answer(struct peer *peer);
/* Now, or when its entry completes. */
void peer_end(struct peer *peer);
/* Bytes have come that nobody has looked at, or, with `is_early`, a request is not whole. */
bool peer_is_coming(const struct peer *peer, bool is_early);
/* Its entry has completed and it is to end. */
void peer_destroy(struct peer *peer);
/* Makes room: whoever holds most of what is coming in is answered 429 and ended. */
void peer_relieve(struct front *front, size_t others);
extern const struct exchange_transport ring_transport;

#endif
