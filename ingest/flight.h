/* Requests with a producer or a key that are between their check and their commit. */
#ifndef FRESHET_INGEST_FLIGHT_H
#define FRESHET_INGEST_FLIGHT_H

#include "ingest/internal.h"

enum guard_kind {
    GUARD_NEW,      /* go on: the flight is registered, guard_end it */
    GUARD_REPEATED, /* the first answer again; `kept` is a copy to deinit */
    GUARD_OLDER,    /* a sequence below the last: all its rows are duplicates */
    GUARD_REFUSED   /* `status` and the error */
};
struct guard {
    enum guard_kind kind;
    struct flight flight;
    bool is_registered;
    struct kept_answer kept;
    int status;
    uint64_t expected_sequence;
};

/* Decides about a request by what is stored and what is under way. */
void guard_begin(struct ingest *ingest, const struct ingest_request *request, uint32_t table_id,
                 struct slice name, struct hash128 body, int64_t now_us, struct guard *guard,
                 struct error *error);
void guard_end(struct ingest *ingest, struct guard *guard);

#endif
