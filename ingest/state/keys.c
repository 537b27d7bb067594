/* Idempotency keys: a ring in the order of their records and an index by hash.
 *
 * A key lives until it is 24 h old or 1,000,000 newer ones have come, whichever is first; both are
 * decided by what the records say (their order, their times), so a restart forgets exactly what the
 * running server had forgotten. Keys are kept as 128-bit hashes: 80 bytes each with the hash of the
 * body and the answer, 8 more in the index. */
#include "ingest/state/keys.h"

#include <assert.h>

#define RING_FIRST 16

static struct idempotency_key *at(const struct keys *keys, uint32_t offset)
{
    return &keys->ring[(keys->first + offset) & (keys->capacity - 1)];
}

static void drop_first(struct keys *keys)
{
    assert(keys->count > 0);
    struct idempotency_key *key = at(keys, 0);
    index_remove(&keys->index, key->key.low, keys->first);
    kept_answer_deinit(&key->answer);
    keys->first = (keys->first + 1) & (keys->capacity - 1);
    keys->count--;
}

void keys_deinit(struct keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++)
        kept_answer_deinit(&at(keys, i)->answer);
    memory_free(keys->ring);
    index_deinit(&keys->index);
    *keys = (struct keys){0};
}

const struct idempotency_key *keys_find(const struct keys *keys, struct hash128 key, int64_t now_us,
                                        int64_t lifetime_us)
{
    uint32_t place;
    struct index_cursor cursor = index_begin(&keys->index, key.low);
    while (index_next(&keys->index, &cursor, &place)) {
        const struct idempotency_key *found = &keys->ring[place];
        /* One that is too old may still lie before a younger one of the same name. */
        if (found->key.low == key.low && found->key.high == key.high &&
            found->answer.at_us + lifetime_us > now_us)
            return found;
    }
    return NULL;
}

/* Twice the room. Places move, so the index is made anew. */
static void grow(struct keys *keys)
{
    uint32_t capacity = keys->capacity == 0 ? RING_FIRST : keys->capacity * 2;
    struct idempotency_key *ring = memory_alloc((size_t)capacity * sizeof(*ring));
    index_deinit(&keys->index);
    for (uint32_t i = 0; i < keys->count; i++) {
        ring[i] = *at(keys, i);
        index_add(&keys->index, ring[i].key.low, i);
    }
    memory_free(keys->ring);
    keys->ring = ring;
    keys->capacity = capacity;
    keys->first = 0;
}

static struct idempotency_key *add(struct keys *keys, struct hash128 key)
{
    if (keys->count == keys->capacity)
        grow(keys);
    uint32_t place = (keys->first + keys->count++) & (keys->capacity - 1);
    index_add(&keys->index, key.low, place);
    keys->ring[place] = (struct idempotency_key){.key = key};
    return &keys->ring[place];
}

void keys_apply(struct keys *keys, const struct section_request *request, uint64_t position,
                int64_t at_us, uint64_t window)
{
    assert(request->has_key);
    assert(window > 0);
    while (keys->count >= window)
        drop_first(keys);
    struct idempotency_key *key = add(keys, request->key);
    key->body = request->body;
    kept_answer_init(&key->answer, request, position, at_us);
}

void keys_expire(struct keys *keys, int64_t now_us, int64_t lifetime_us)
{
    while (keys->count > 0 && at(keys, 0)->answer.at_us + lifetime_us <= now_us)
        drop_first(keys);
}

void keys_write(const struct keys *keys, struct writer *out)
{
    writer_u32(out, keys->count);
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct idempotency_key *key = at(keys, i);
        writer_u64(out, key->key.low);
        writer_u64(out, key->key.high);
        writer_u64(out, key->body.low);
        writer_u64(out, key->body.high);
        kept_answer_write(&key->answer, out);
    }
}

bool keys_read(struct keys *keys, struct reader *reader)
{
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct hash128 hash = {.low = reader_u64(reader)};
        hash.high = reader_u64(reader);
        struct idempotency_key *key = add(keys, hash);
        key->body.low = reader_u64(reader);
        key->body.high = reader_u64(reader);
        if (!kept_answer_read(reader, &key->answer))
            return false;
    }
    return !reader->failed;
}
