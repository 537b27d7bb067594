/* The last sequence of each producer of a table, for ever. Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_PRODUCERS_H
#define FRESHET_INGEST_STATE_PRODUCERS_H

#include "ingest/state/answers.h"
#include "ingest/state/index.h"

struct producer {
    char *name; /* owned, name_size bytes */
    uint32_t name_size;
    uint64_t sequence;
    struct hash128 body;
    struct kept_answer answer;
};
struct producers {
    struct producer *list;
    uint32_t count, capacity;
    struct index index;
};

void producers_deinit(struct producers *producers); /* a zeroed one is empty */
const struct producer *producers_find(const struct producers *producers, struct slice name);
/* The record that carried (request->producer, request->sequence) is durable. */
void producers_apply(struct producers *producers, const struct section_request *request,
                     uint64_t position, int64_t at_us);
void producers_write(const struct producers *producers, struct writer *out);
bool producers_read(struct producers *producers, struct reader *reader);

#endif
