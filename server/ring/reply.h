/* The head of an answer as h2o writes it. */
#ifndef FRESHET_SERVER_RING_REPLY_H
#define FRESHET_SERVER_RING_REPLY_H

#include "server/http/exchange.h"

/* The Date header's value, printed once a second. All zero is empty. */
struct ring_date {
    int64_t second;
    char text[32];
};

/* Appends status line, headers and the empty line. */
void ring_reply_head(const struct exchange *exchange, bool is_closing, int64_t wall_us,
                     struct ring_date *date, struct writer *out);

#endif
