/* Token buckets in a table of sets: a key has its set, and where the set is full the bucket that
 * holds most goes, which is the one that has the least to tell. So a table of fixed size forgets
 * those who tried little long before those who try much. */
#include "server/access/attempts.h"

#include "storage/base/hash.h"

#include <arpa/inet.h>
#include <stdio.h>

void attempts_init(struct attempts *attempts, uint64_t seed)
{
    memset(attempts, 0, sizeof(*attempts));
    attempts->seed = seed;
}

static double left_now(const struct attempts_bucket *bucket, int64_t now_us)
{
    if (bucket->key == 0)
        return ATTEMPTS_BURST + 1; /* goes before any that is in use */
    double left = bucket->left + (double)(now_us - bucket->at_us) / ATTEMPTS_PERIOD_US;
    return left > ATTEMPTS_BURST ? ATTEMPTS_BURST : left;
}

/* The key's bucket, filled up to now; a new one is full. */
static struct attempts_bucket *find(struct attempts *attempts, struct slice key, int64_t now_us)
{
    uint64_t hash = hash64_seed(key.data, key.size, attempts->seed) | 1;
    struct attempts_bucket *set = attempts->buckets[hash >> 32 & (ATTEMPTS_SETS - 1)];
    struct attempts_bucket *fullest = &set[0];
    for (size_t i = 0; i < ATTEMPTS_WAYS; i++) {
        if (set[i].key == hash) {
            set[i].left = left_now(&set[i], now_us);
            set[i].at_us = now_us;
            return &set[i];
        }
        if (left_now(&set[i], now_us) > left_now(fullest, now_us))
            fullest = &set[i];
    }
    *fullest = (struct attempts_bucket){.key = hash, .at_us = now_us, .left = ATTEMPTS_BURST};
    return fullest;
}

bool attempts_has(struct attempts *attempts, struct slice key, int64_t now_us)
{
    return find(attempts, key, now_us)->left >= 1;
}

bool attempts_take(struct attempts *attempts, struct slice key, int64_t now_us)
{
    struct attempts_bucket *bucket = find(attempts, key, now_us);
    if (bucket->left < 1)
        return false;
    bucket->left -= 1;
    return true;
}

void attempts_give_back(struct attempts *attempts, struct slice key, int64_t now_us)
{
    struct attempts_bucket *bucket = find(attempts, key, now_us);
    bucket->left = bucket->left + 1 > ATTEMPTS_BURST ? ATTEMPTS_BURST : bucket->left + 1;
}

struct slice attempts_address(struct slice client, char out[64])
{
    size_t size = client.size;
    while (size > 0 && client.data[size - 1] != ':')
        size--;
    size = size > 0 ? size - 1 : client.size;
    size = size < 63 ? size : 63;
    memcpy(out, client.data, size);
    out[size] = 0;
    uint8_t bytes[16];
    static const uint8_t of_version_4[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, out, bytes) == 1 &&
        memcmp(bytes, of_version_4, sizeof(of_version_4)) != 0) {
        memcpy(out, bytes, 8);
        return slice_of(out, 8);
    }
    return slice_of(out, size);
}
