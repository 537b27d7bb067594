/* What the ways in (h2o, the ring) count together, and the bound that follows from it. */
#ifndef FRESHET_SERVER_HTTP_TALLY_H
#define FRESHET_SERVER_HTTP_TALLY_H

#include "server/http/exchange.h"

#define STATUS_COUNT 600
#define HTTP_CROWDED_SIZE 1024

/* Counters of which any thread may change each. Relaxed, but for in_flight: whoever waits for 0
 * (acquire) sees what was done before the last one ended (release). */
struct http_tally {
    _Atomic uint32_t connections;
    _Atomic int64_t in_flight; /* exchanges not yet sent */
    _Atomic int64_t bodies;    /* bytes of the requests under way */
    /* Bytes of requests that are still coming in, as of its last look. */
    _Atomic size_t incoming_h2o, incoming_ring;
    _Atomic uint64_t responses[STATUS_COUNT];
    _Atomic uint64_t ring_requests, ring_handed; /* requests it took; connections it gave to h2o */
};

/* One reply of that status has gone out. */
void http_tally_response(struct http_tally *tally, int status);
/* One more or less; gives how many there are. */
uint32_t http_tally_connection(struct http_tally *tally, bool is_new);
/* Its body is whole: it is under way until http_tally_end(). */
void http_tally_begin(struct http_tally *tally, size_t body_size);
/* False: the bodies under way fill their memory, and the exchange has been answered so. */
bool http_tally_has_room(struct http_tally *tally, size_t bodies_max, struct exchange *exchange);
/* So much of requests that are still coming in must go for all to fit, by one of the two ways in:
 * the one that holds more gives way. */
size_t http_tally_excess(size_t own, size_t others, size_t bodies_max);
/* The 429 of who must give way, with its head: bytes for a bare socket, in `text`. */
struct slice http_tally_crowded(char text[static HTTP_CROWDED_SIZE]);
/* Families: bodies, responses by status. */
void http_tally_metrics(struct http_tally *tally, struct writer *out);

#endif
