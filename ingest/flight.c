/* Retries: what a request with a producer or an idempotency key is, decided before anything is
 * stored.
 *
 *   producer, sequence   none stored: any sequence is the first          GUARD_NEW
 *                        last + 1                                        GUARD_NEW
 *                        equal to the last, same body                    GUARD_REPEATED, other body
 * 422 lower                                           GUARD_OLDER higher 409 with the expected one
 *   key                  unknown or expired                              GUARD_NEW
 *                        known, same body                                GUARD_REPEATED, other body
 * 422 either               the same (table, name) is under way             409
 *
 * A new request is registered while it is decoded and committed. So one name has one request at a
 * time, its check and its commit are one step for all others, and the order of the log is the order
 * of the decisions without a lock that would be held over decoding. */
#include "ingest/flight.h"

#include <assert.h>

static struct hash128 guard_key_hash(struct slice key)
{
    return hash128_of(key.data, key.size);
}

static struct flight **bucket(struct ingest *ingest, const struct flight *flight)
{
    return &ingest->flights[(flight->name.low ^ flight->table_id) % FLIGHT_BUCKETS];
}

static bool is_under_way(struct ingest *ingest, const struct flight *flight)
{
    for (const struct flight *other = *bucket(ingest, flight); other != NULL; other = other->next)
        if (other->table_id == flight->table_id && other->is_key == flight->is_key &&
            other->name.low == flight->name.low && other->name.high == flight->name.high)
            return true;
    return false;
}

static void refuse(struct guard *guard, int status)
{
    guard->kind = GUARD_REFUSED;
    guard->status = status;
}

static void keep_copy(struct guard *guard, const struct kept_answer *answer)
{
    guard->kind = GUARD_REPEATED;
    guard->kept = *answer;
    if (answer->detail != NULL) {
        guard->kept.detail = memory_alloc(answer->detail_size);
        memcpy(guard->kept.detail, answer->detail, answer->detail_size);
    }
}

static bool same(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static void check_producer(struct ingest *ingest, const struct ingest_request *request,
                           const struct table_state *table, struct hash128 body,
                           struct guard *guard, struct error *error)
{
    const struct producer *producer = producers_find(&table->producers, request->producer);
    if (producer == NULL) {
        if (table->producers.count < ingest->options.limits.producers_max)
            return;
        refuse(guard, 422);
        error_set(error, ERR_LIMIT, "54000", "the table has %llu producers, the most it may have",
                  (unsigned long long)table->producers.count);
        return;
    }
    if (request->sequence == producer->sequence + 1)
        return;
    if (request->sequence < producer->sequence) {
        guard->kind = GUARD_OLDER;
    } else if (request->sequence > producer->sequence) {
        refuse(guard, 409);
        guard->expected_sequence = producer->sequence + 1;
        error_set(error, ERR_BUSY, "55000", "sequence %llu leaves a gap: expected %llu",
                  (unsigned long long)request->sequence,
                  (unsigned long long)guard->expected_sequence);
    } else if (same(producer->body, body)) {
        keep_copy(guard, &producer->answer);
    } else {
        refuse(guard, 422);
        error_set(error, ERR_INPUT, "22023", "sequence %llu was used with another body",
                  (unsigned long long)request->sequence);
    }
}

static void check_key(struct ingest *ingest, const struct table_state *table, struct hash128 key,
                      struct hash128 body, int64_t now_us, struct guard *guard, struct error *error)
{
    const struct idempotency_key *found =
        keys_find(&table->keys, key, now_us, ingest->options.limits.key_lifetime_us);
    if (found == NULL)
        return;
    if (same(found->body, body)) {
        keep_copy(guard, &found->answer);
        return;
    }
    refuse(guard, 422);
    error_set(error, ERR_INPUT, "22023", "the idempotency key was used with another body");
}

void guard_begin(struct ingest *ingest, const struct ingest_request *request, uint32_t table_id,
                 struct slice name, struct hash128 body, int64_t now_us, struct guard *guard,
                 struct error *error)
{
    bool is_key = request->idempotency_key.size > 0;
    *guard = (struct guard){.kind = GUARD_NEW};
    if (!is_key && request->producer.size == 0)
        return;
    struct slice own = is_key ? request->idempotency_key : request->producer;
    guard->flight =
        (struct flight){.table_id = table_id, .is_key = is_key, .name = guard_key_hash(own)};
    mutex_lock(&ingest->lock);
    struct table_state *table = ingest_get_table(ingest, table_id, name);
    if (is_under_way(ingest, &guard->flight)) {
        refuse(guard, 409);
        error_set(error, ERR_BUSY, "55000", "a request with this %s is in progress",
                  is_key ? "idempotency key" : "producer");
    } else if (is_key) {
        check_key(ingest, table, guard->flight.name, body, now_us, guard, error);
    } else {
        check_producer(ingest, request, table, body, guard, error);
    }
    if (guard->kind == GUARD_NEW) {
        struct flight **head = bucket(ingest, &guard->flight);
        guard->flight.next = *head;
        *head = &guard->flight;
        guard->is_registered = true;
    }
    mutex_unlock(&ingest->lock);
}

void guard_end(struct ingest *ingest, struct guard *guard)
{
    kept_answer_deinit(&guard->kept);
    if (!guard->is_registered)
        return;
    mutex_lock(&ingest->lock);
    struct flight **link = bucket(ingest, &guard->flight);
    while (*link != &guard->flight) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = guard->flight.next;
    mutex_unlock(&ingest->lock);
    guard->is_registered = false;
}
