/* The idempotency keys of a table: a window by number and age. Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_KEYS_H
#define FRESHET_INGEST_STATE_KEYS_H

#include "ingest/state/answers.h"
#include "ingest/state/index.h"

struct idempotency_key {
    struct hash128 key, body;
    struct kept_answer answer;
};
struct keys {
    struct idempotency_key *ring;
    uint32_t first, count, capacity; /* capacity is a power of two */
    struct index index;
};

void keys_deinit(struct keys *keys); /* a zeroed one is empty */
/* The key unless it is `lifetime_us` old at now_us. */
const struct idempotency_key *keys_find(const struct keys *keys, struct hash128 key, int64_t now_us,
                                        int64_t lifetime_us);
/* The record that carried the key is durable: it becomes the newest; the oldest past `window` go.
 */
void keys_apply(struct keys *keys, const struct section_request *request, uint64_t position,
                int64_t at_us, uint64_t window);
/* Drops keys that are `lifetime_us` old. */
void keys_expire(struct keys *keys, int64_t now_us, int64_t lifetime_us);
void keys_write(const struct keys *keys, struct writer *out);
bool keys_read(struct keys *keys, struct reader *reader);

#endif
