/* The block cache: a hash from (segment, page) to entries, and a clock over them.
 *
 * A page is asked for once per 65,536 rows and column, so one lock held for a few loads is never
 * waited for; reading, checking and freeing happen outside of it. Eviction is CLOCK: the hand
 * passes over entries used since it was last there, and over those in use. A pass that finds
 * nothing to evict leaves the cache over its limit until users let go (all of it is in use, and
 * counted).
 *
 * Two readers that miss the same page both read it; the one that comes second frees its own. */
#include "storage/segment/cache.h"

#include "storage/base/hash.h"
#include "storage/base/thread.h"

#include <assert.h>

#define STEPS_MAX 256 /* of the hand, a page that comes */
#define BUCKETS_MIN 256
#define NOTE_TEXT_SIZE 4 /* what notes take of a dictionary's text */

struct cache {
    struct mutex mutex; /* over all that follows and the private fields of entries in it */
    size_t limit, used;
    size_t entry_count, bucket_count; /* bucket_count: a power of two */
    struct cache_entry **buckets;
    struct cache_entry *hand; /* NULL: empty */
    uint64_t hits, misses, evictions;
};

/* --- entries --- */

struct cache_entry *cache_entry_create(enum cache_kind kind, size_t data_size)
{
    struct cache_entry *entry = memory_alloc_zero(sizeof(*entry));
    entry->kind = kind;
    atomic_init(&entry->references, 1);
    entry->data = data_size != 0 ? memory_alloc(data_size) : NULL;
    entry->data_size = data_size;
    arena_init(&entry->arena);
    return entry;
}

struct cache_entry *cache_entry_ref(struct cache_entry *entry)
{
    atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    return entry;
}

void cache_entry_unref(struct cache_entry *entry)
{
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1)
        return;
    assert(!entry->is_cached);
    if (entry->kind == CACHE_DICTIONARY)
        dictionary_notes_free(&entry->notes);
    memory_free(entry->data);
    arena_deinit(&entry->arena);
    memory_free(entry);
}

/* --- the hash --- */

static struct cache_entry **bucket_of(struct cache *cache, uint64_t number, uint32_t ordinal)
{
    uint64_t hash = hash_mix(hash_mix(number) + ordinal);
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static struct cache_entry **find_link(struct cache *cache, uint64_t number, uint32_t ordinal)
{
    struct cache_entry **link = bucket_of(cache, number, ordinal);
    while (*link != NULL && ((*link)->number != number || (*link)->ordinal != ordinal))
        link = &(*link)->chain;
    return link;
}

static void grow(struct cache *cache)
{
    struct cache_entry **old = cache->buckets;
    size_t old_count = cache->bucket_count;
    cache->bucket_count *= 2;
    cache->buckets = memory_alloc_zero(cache->bucket_count * sizeof(*cache->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct cache_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->chain;
            struct cache_entry **link = bucket_of(cache, entry->number, entry->ordinal);
            entry->chain = *link;
            *link = entry;
        }
    }
    memory_free(old);
}

size_t cache_entry_size(const struct cache_entry *entry)
{
    size_t notes = entry->kind == CACHE_DICTIONARY ? (size_t)entry->text_count * NOTE_TEXT_SIZE : 0;
    return sizeof(*entry) + entry->data_size + entry->arena.total + notes;
}

/* --- in and out, under the lock --- */

static void link_entry(struct cache *cache, struct cache_anchor *anchor, struct cache_entry *entry)
{
    struct cache_entry **bucket = bucket_of(cache, entry->number, entry->ordinal);
    entry->chain = *bucket;
    *bucket = entry;
    if (cache->hand == NULL) {
        cache->hand = entry->next = entry->previous = entry;
    } else { /* behind the hand: looked at last */
        entry->next = cache->hand;
        entry->previous = cache->hand->previous;
        entry->previous->next = entry;
        entry->next->previous = entry;
    }
    entry->segment_next = anchor->first;
    entry->segment_link = &anchor->first;
    if (anchor->first != NULL)
        anchor->first->segment_link = &entry->segment_next;
    anchor->first = entry;
    entry->is_cached = true;
    cache->used += entry->charge;
    cache->entry_count++;
}

/* The cache's reference is the caller's then. */
static void unlink_entry(struct cache *cache, struct cache_entry *entry)
{
    struct cache_entry **link = find_link(cache, entry->number, entry->ordinal);
    assert(*link == entry);
    *link = entry->chain;
    if (cache->hand == entry)
        cache->hand = entry->next == entry ? NULL : entry->next;
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    *entry->segment_link = entry->segment_next;
    if (entry->segment_next != NULL)
        entry->segment_next->segment_link = entry->segment_link;
    entry->is_cached = false;
    cache->used -= entry->charge;
    cache->entry_count--;
}

/* Takes entries out until the limit is kept; they are chained, for the caller to free outside of
 * the lock. Where nearly all is in use or was just used, it goes a few steps on and leaves the rest
 * to the next page that comes: going round each time would cost the square of what is kept. */
static struct cache_entry *evict(struct cache *cache)
{
    struct cache_entry *evicted = NULL;
    size_t left = 2 * cache->entry_count; /* the first round may only take marks away */
    left = left < STEPS_MAX ? left : STEPS_MAX;
    while (cache->used > cache->limit && cache->hand != NULL && left-- > 0) {
        struct cache_entry *entry = cache->hand;
        cache->hand = entry->next;
        /* acquire: with the release of the last user's unref. Only under this lock can a count of
         * one (the cache's own) grow. */
        bool is_used = atomic_load_explicit(&entry->references, memory_order_acquire) > 1;
        if (is_used || entry->is_recent) {
            entry->is_recent = false;
            continue;
        }
        unlink_entry(cache, entry);
        entry->chain = evicted;
        evicted = entry;
        cache->evictions++;
    }
    return evicted;
}

static void free_chain(struct cache_entry *entry)
{
    while (entry != NULL) {
        struct cache_entry *next = entry->chain;
        cache_entry_unref(entry);
        entry = next;
    }
}

/* --- the cache --- */

struct cache *cache_create(size_t limit)
{
    struct cache *cache = memory_alloc_zero(sizeof(*cache));
    mutex_init(&cache->mutex);
    cache->limit = limit;
    cache->bucket_count = BUCKETS_MIN;
    cache->buckets = memory_alloc_zero(cache->bucket_count * sizeof(*cache->buckets));
    return cache;
}

void cache_destroy(struct cache *cache)
{
    assert(cache->entry_count == 0);
    mutex_deinit(&cache->mutex);
    memory_free(cache->buckets);
    memory_free(cache);
}

struct cache_entry *cache_find(struct cache *cache, uint64_t number, uint32_t ordinal)
{
    mutex_lock(&cache->mutex);
    struct cache_entry *entry = *find_link(cache, number, ordinal);
    if (entry != NULL) {
        cache_entry_ref(entry);
        entry->is_recent = true;
        cache->hits++;
    } else {
        cache->misses++;
    }
    mutex_unlock(&cache->mutex);
    return entry;
}

bool cache_has(struct cache *cache, uint64_t number, uint32_t ordinal)
{
    mutex_lock(&cache->mutex);
    bool has = *find_link(cache, number, ordinal) != NULL;
    mutex_unlock(&cache->mutex);
    return has;
}

struct cache_entry *cache_put(struct cache *cache, struct cache_anchor *anchor, uint64_t number,
                              uint32_t ordinal, struct cache_entry *entry)
{
    mutex_lock(&cache->mutex);
    struct cache_entry *there = *find_link(cache, number, ordinal);
    struct cache_entry *evicted = NULL;
    if (there == NULL) {
        entry->number = number;
        entry->ordinal = ordinal;
        entry->charge = cache_entry_size(entry);
        cache_entry_ref(entry);
        if (cache->entry_count >= cache->bucket_count)
            grow(cache);
        link_entry(cache, anchor, entry);
        evicted = evict(cache);
    } else {
        cache_entry_ref(there);
        there->is_recent = true;
    }
    mutex_unlock(&cache->mutex);
    free_chain(evicted);
    if (there == NULL)
        return entry;
    cache_entry_unref(entry);
    return there;
}

void cache_drop(struct cache *cache, struct cache_anchor *anchor)
{
    struct cache_entry *dropped = NULL;
    mutex_lock(&cache->mutex);
    while (anchor->first != NULL) {
        struct cache_entry *entry = anchor->first;
        unlink_entry(cache, entry);
        entry->chain = dropped;
        dropped = entry;
    }
    mutex_unlock(&cache->mutex);
    free_chain(dropped);
}

void cache_status(struct cache *cache, struct cache_status *out)
{
    mutex_lock(&cache->mutex);
    *out = (struct cache_status){.used = cache->used,
                                 .limit = cache->limit,
                                 .hits = cache->hits,
                                 .misses = cache->misses,
                                 .evictions = cache->evictions};
    mutex_unlock(&cache->mutex);
}
