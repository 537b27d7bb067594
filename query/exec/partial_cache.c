/* The partial results that are kept.
 *
 *   bytes of a key ──▶ plan (held by queries and entries)
 *   (plan, segment, block) ──▶ entry ──▶ partial
 *                              └ in a list by last use: the one used longest ago goes first
 *
 * Nothing is ever told to be stale: a segment's number is never used twice, its rows never change,
 * and the bytes name the definition that they are read under. After a merge, TRUNCATE, DROP or
 * retention nobody asks for the old segments any more, and their entries leave as they grow old.
 * A reader holds its partial by count, so an entry may go at any time. */
#include "query/exec/partial_cache.h"

#include "query/exec/partial.h"
#include "storage/base/hash.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <string.h>

#define BUCKETS_MIN 1024
/* More are not told of: then two queries may make the same. */
#define CLAIMS_MAX 128
/* One result takes at most this part of the limit. */
#define LARGEST_SHARE 16

struct partial_plan {
    struct partial_plan *next; /* in its bucket */
    uint64_t hash;
    size_t holders; /* queries and entries */
    size_t size;
    char bytes[];
};

struct entry {
    struct entry *next;          /* in its bucket */
    struct entry *older, *newer; /* by last use */
    struct partial_plan *plan;
    struct partial_place place;
    uint64_t hash;
    struct partial *partial;
};

struct claim {
    const struct partial_plan *plan;
    struct partial_place place;
};

struct partial_cache {
    struct mutex mutex;
    struct condition given_up;
    struct claim claims[CLAIMS_MAX]; /* what queries are making */
    size_t claim_count;
    size_t limit, used;
    size_t bucket_count, count; /* of entries; a power of two */
    struct entry **buckets;
    struct entry *oldest, *newest;
    struct partial_plan *plans[BUCKETS_MIN];
    uint64_t hits, misses, evictions;
};

struct partial_cache *partial_cache_create(size_t limit)
{
    struct partial_cache *cache = memory_alloc_zero(sizeof(*cache));
    mutex_init(&cache->mutex);
    condition_init(&cache->given_up);
    cache->limit = limit;
    cache->bucket_count = BUCKETS_MIN;
    cache->buckets = memory_alloc_zero(BUCKETS_MIN * sizeof(*cache->buckets));
    return cache;
}

/* --- with the mutex held --- */

static void drop_plan(struct partial_cache *cache, struct partial_plan *plan)
{
    assert(plan->holders > 0);
    if (--plan->holders > 0)
        return;
    struct partial_plan **link = &cache->plans[plan->hash % BUCKETS_MIN];
    while (*link != plan)
        link = &(*link)->next;
    *link = plan->next;
    cache->used -= sizeof(*plan) + plan->size;
    memory_free(plan);
}

static void unlink_use(struct partial_cache *cache, struct entry *entry)
{
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
}

static void link_newest(struct partial_cache *cache, struct entry *entry)
{
    entry->older = cache->newest;
    entry->newer = NULL;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static size_t entry_size(const struct entry *entry)
{
    return sizeof(*entry) + entry->partial->size;
}

/* Puts it on a list: a result of many groups takes long to free, which nobody is to wait for. */
static void remove_entry(struct partial_cache *cache, struct entry *entry, struct entry **gone)
{
    struct entry **link = &cache->buckets[entry->hash & (cache->bucket_count - 1)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    unlink_use(cache, entry);
    cache->used -= entry_size(entry);
    cache->count--;
    drop_plan(cache, entry->plan);
    entry->next = *gone;
    *gone = entry;
}

static uint64_t entry_hash(const struct partial_plan *plan, struct partial_place place)
{
    uint64_t part = (uint64_t)place.kind << 32 | place.index;
    return hash_mix(plan->hash ^ hash_mix(place.segment ^ hash_mix(part)));
}

static struct entry *find_entry(struct partial_cache *cache, const struct partial_plan *plan,
                                struct partial_place place)
{
    uint64_t hash = entry_hash(plan, place);
    struct entry *entry = cache->buckets[hash & (cache->bucket_count - 1)];
    while (entry != NULL && (entry->plan != plan || !partial_place_equal(&entry->place, &place)))
        entry = entry->next;
    return entry;
}

static void grow_buckets(struct partial_cache *cache)
{
    size_t count = cache->bucket_count * 2;
    struct entry **buckets = memory_alloc_zero(count * sizeof(*buckets));
    for (struct entry *entry = cache->oldest; entry != NULL; entry = entry->newer) {
        struct entry **bucket = &buckets[entry->hash & (count - 1)];
        entry->next = *bucket;
        *bucket = entry;
    }
    memory_free(cache->buckets);
    cache->buckets = buckets;
    cache->bucket_count = count;
}

/* --- outside --- */

static void free_entries(struct entry *gone)
{
    while (gone != NULL) {
        struct entry *next = gone->next;
        partial_unref(gone->partial);
        memory_free(gone);
        gone = next;
    }
}

void partial_cache_destroy(struct partial_cache *cache)
{
    if (cache == NULL)
        return;
    struct entry *gone = NULL;
    while (cache->oldest != NULL)
        remove_entry(cache, cache->oldest, &gone);
    free_entries(gone);
    assert(cache->used == 0 && cache->claim_count == 0);
    condition_deinit(&cache->given_up);
    memory_free(cache->buckets);
    mutex_deinit(&cache->mutex);
    memory_free(cache);
}

struct partial_plan *partial_plan_hold(struct partial_cache *cache, struct slice bytes)
{
    uint64_t hash = hash64(bytes.data, bytes.size);
    mutex_lock(&cache->mutex);
    struct partial_plan *plan = cache->plans[hash % BUCKETS_MIN];
    while (plan != NULL &&
           (plan->hash != hash || !slice_equal(slice_of(plan->bytes, plan->size), bytes)))
        plan = plan->next;
    if (plan == NULL) {
        plan = memory_alloc(sizeof(*plan) + bytes.size);
        *plan = (struct partial_plan){
            .next = cache->plans[hash % BUCKETS_MIN], .hash = hash, .size = bytes.size};
        if (bytes.size != 0)
            memcpy(plan->bytes, bytes.data, bytes.size);
        cache->plans[hash % BUCKETS_MIN] = plan;
        cache->used += sizeof(*plan) + plan->size;
    }
    plan->holders++;
    mutex_unlock(&cache->mutex);
    return plan;
}

void partial_plan_drop(struct partial_cache *cache, struct partial_plan *plan)
{
    mutex_lock(&cache->mutex);
    drop_plan(cache, plan);
    mutex_unlock(&cache->mutex);
}

struct partial *partial_cache_find(struct partial_cache *cache, const struct partial_plan *plan,
                                   struct partial_place place)
{
    struct partial *partial = NULL;
    mutex_lock(&cache->mutex);
    struct entry *entry = find_entry(cache, plan, place);
    if (entry != NULL) {
        unlink_use(cache, entry);
        link_newest(cache, entry);
        partial = partial_ref(entry->partial);
    }
    *(entry != NULL ? &cache->hits : &cache->misses) += 1;
    mutex_unlock(&cache->mutex);
    return partial;
}

static struct claim *find_claim(struct partial_cache *cache, const struct partial_plan *plan,
                                struct partial_place place)
{
    for (size_t i = 0; i < cache->claim_count; i++)
        if (cache->claims[i].plan == plan && partial_place_equal(&cache->claims[i].place, &place))
            return &cache->claims[i];
    return NULL;
}

enum partial_claim partial_cache_claim(struct partial_cache *cache, const struct partial_plan *plan,
                                       struct partial_place place, struct partial **out)
{
    enum partial_claim result = PARTIAL_MINE;
    *out = NULL;
    mutex_lock(&cache->mutex);
    struct entry *entry = find_entry(cache, plan, place);
    if (entry != NULL) {
        *out = partial_ref(entry->partial);
        result = PARTIAL_FOUND;
    } else if (find_claim(cache, plan, place) != NULL) {
        result = PARTIAL_BUSY;
    } else if (cache->claim_count < CLAIMS_MAX) {
        cache->claims[cache->claim_count++] = (struct claim){.plan = plan, .place = place};
    }
    mutex_unlock(&cache->mutex);
    return result;
}

void partial_cache_give_up(struct partial_cache *cache, const struct partial_plan *plan,
                           struct partial_place place)
{
    mutex_lock(&cache->mutex);
    struct claim *claim = find_claim(cache, plan, place);
    if (claim != NULL)
        *claim = cache->claims[--cache->claim_count];
    condition_broadcast(&cache->given_up);
    mutex_unlock(&cache->mutex);
}

void partial_cache_wait(struct partial_cache *cache, int64_t us)
{
    mutex_lock(&cache->mutex);
    condition_wait_for(&cache->given_up, &cache->mutex, us);
    mutex_unlock(&cache->mutex);
}

bool partial_cache_add(struct partial_cache *cache, struct partial_plan *plan,
                       struct partial_place place, struct partial *partial)
{
    if (partial->size > cache->limit / LARGEST_SHARE)
        return false;
    struct entry *gone = NULL;
    mutex_lock(&cache->mutex);
    if (find_entry(cache, plan, place) == NULL) { /* two queries may have made it */
        struct entry *entry = memory_alloc(sizeof(*entry));
        *entry = (struct entry){.plan = plan,
                                .place = place,
                                .hash = entry_hash(plan, place),
                                .partial = partial_ref(partial)};
        plan->holders++;
        if (cache->count >= cache->bucket_count)
            grow_buckets(cache);
        struct entry **bucket = &cache->buckets[entry->hash & (cache->bucket_count - 1)];
        entry->next = *bucket;
        *bucket = entry;
        link_newest(cache, entry);
        cache->count++;
        cache->used += entry_size(entry);
    }
    while (cache->used > cache->limit && cache->oldest != NULL) {
        remove_entry(cache, cache->oldest, &gone);
        cache->evictions++;
    }
    mutex_unlock(&cache->mutex);
    free_entries(gone);
    return true;
}

void partial_cache_remove(struct partial_cache *cache, const struct partial_plan *plan,
                          struct partial_place place)
{
    struct entry *gone = NULL;
    mutex_lock(&cache->mutex);
    struct entry *entry = find_entry(cache, plan, place);
    if (entry != NULL)
        remove_entry(cache, entry, &gone);
    mutex_unlock(&cache->mutex);
    free_entries(gone);
}

void partial_cache_status(struct partial_cache *cache, struct partial_cache_status *out)
{
    mutex_lock(&cache->mutex);
    *out = (struct partial_cache_status){.used = cache->used,
                                         .limit = cache->limit,
                                         .count = cache->count,
                                         .hits = cache->hits,
                                         .misses = cache->misses,
                                         .evictions = cache->evictions};
    mutex_unlock(&cache->mutex);
}
