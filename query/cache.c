/* The plan cache: so many entries and so many bytes of plans, chained by hash, in one list by last
 * use.
 *
 * The key is the exact text, the session's time zone (literals are bound in it) and the types given
 * for parameters; their values are no part of it. Plans that take literals as values are found by
 * their shape besides: texts that differ in such literals only, and have the same types of them.
 * Of one shape there can be several plans, as literals that are no values are part of them.
 *
 * A plan does not name a position or a snapshot, only table definitions: DDL makes it stale, and
 * plan_is_current() is asked with the very snapshot the run will use, so a stale plan never runs.
 * Texts over 16 KiB are not kept. */
#include "query/cache.h"

#include "query/lifted.h"

#include "storage/base/hash.h"
#include "storage/base/thread.h"

#define BUCKET_COUNT 1024
#define TEXT_SIZE_MAX ((size_t)16 << 10)
/* Of all plans together; one of more than a part of it is not kept. */
#define PLANS_SIZE_MAX ((size_t)64 << 20)
#define PLAN_PART 8
/* Plans of one shape; all of them are looked at. */
#define VARIANTS_MAX 16

struct cache_entry {
    struct cache_entry *next;          /* of the bucket by text … */
    struct cache_entry *next_shape;    /* … and by shape, if it has one */
    struct cache_entry *newer, *older; /* by last use */
    uint64_t hash, shape_hash;
    struct slice text, types, zone; /* own */
    struct statement *statement;
};

struct plan_cache {
    struct mutex mutex;
    size_t count, count_max;
    size_t size; /* bytes of plans */
    struct cache_entry *buckets[BUCKET_COUNT], *shapes[BUCKET_COUNT];
    struct cache_entry *newest, *oldest;
};

struct plan_cache *plan_cache_create(size_t entry_count_max)
{
    struct plan_cache *cache = memory_alloc_zero(sizeof(*cache));
    cache->count_max = entry_count_max;
    mutex_init(&cache->mutex);
    return cache;
}

static void list_remove(struct plan_cache *cache, struct cache_entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_add(struct plan_cache *cache, struct cache_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void entry_remove(struct plan_cache *cache, struct cache_entry *entry)
{
    struct cache_entry **link = &cache->buckets[entry->hash % BUCKET_COUNT];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    if (entry->statement->lifted.has_shape) {
        link = &cache->shapes[entry->shape_hash % BUCKET_COUNT];
        while (*link != entry)
            link = &(*link)->next_shape;
        *link = entry->next_shape;
    }
    list_remove(cache, entry);
    cache->count--;
    cache->size -= entry->statement->arena.total;
    statement_unref(entry->statement);
    memory_free(entry);
}

void plan_cache_destroy(struct plan_cache *cache)
{
    while (cache->oldest != NULL)
        entry_remove(cache, cache->oldest);
    mutex_deinit(&cache->mutex);
    memory_free(cache);
}

/* Of all but the text. */
static uint64_t rest_hash(const struct plan_key *key, uint64_t seed)
{
    uint64_t types = hash64_seed(key->types.data, key->types.size, seed);
    return hash64_seed(key->zone.data, key->zone.size, types);
}

static uint64_t key_hash(const struct plan_key *key)
{
    return hash64_seed(key->text.data, key->text.size, rest_hash(key, key->text.size));
}

static bool is_for(const struct cache_entry *entry, const struct plan_key *key)
{
    return slice_equal(entry->types, key->types) && slice_equal(entry->zone, key->zone);
}

static struct cache_entry *entry_find(struct plan_cache *cache, const struct plan_key *key)
{
    uint64_t hash = key_hash(key);
    struct cache_entry *entry = cache->buckets[hash % BUCKET_COUNT];
    while (entry != NULL &&
           (entry->hash != hash || !slice_equal(entry->text, key->text) || !is_for(entry, key)))
        entry = entry->next;
    return entry;
}

static struct statement *entry_use(struct plan_cache *cache, struct cache_entry *entry)
{
    if (entry == NULL)
        return NULL;
    list_remove(cache, entry);
    list_add(cache, entry);
    return statement_ref(entry->statement);
}

struct statement *plan_cache_find(struct plan_cache *cache, const struct plan_key *key)
{
    mutex_lock(&cache->mutex);
    struct statement *statement = entry_use(cache, entry_find(cache, key));
    mutex_unlock(&cache->mutex);
    return statement;
}

struct statement *plan_cache_find_shape(struct plan_cache *cache, const struct plan_key *key,
                                        const struct text_shape *shape)
{
    if (shape->count == 0)
        return NULL;
    uint64_t hash = rest_hash(key, shape->hash);
    mutex_lock(&cache->mutex);
    struct cache_entry *entry = cache->shapes[hash % BUCKET_COUNT];
    while (entry != NULL && (entry->shape_hash != hash || !is_for(entry, key) ||
                             !lifted_fits(&entry->statement->lifted, shape)))
        entry = entry->next_shape;
    struct statement *statement = entry_use(cache, entry);
    mutex_unlock(&cache->mutex);
    return statement;
}

static struct slice copy_to(char **bytes, struct slice text)
{
    struct slice copy = slice_of(*bytes, text.size);
    if (text.size > 0)
        memcpy(*bytes, text.data, text.size);
    *bytes += text.size;
    return copy;
}

/* The oldest plan of the shape goes when there are too many. */
static void add_shape(struct plan_cache *cache, const struct plan_key *key,
                      struct cache_entry *entry)
{
    const struct text_shape *shape = &entry->statement->lifted.shape;
    struct cache_entry *last = NULL;
    size_t count = 0;
    entry->shape_hash = rest_hash(key, shape->hash);
    struct cache_entry **bucket = &cache->shapes[entry->shape_hash % BUCKET_COUNT];
    for (struct cache_entry *at = *bucket; at != NULL; at = at->next_shape)
        if (at->shape_hash == entry->shape_hash) {
            count++;
            last = at;
        }
    entry->next_shape = *bucket;
    *bucket = entry;
    if (count >= VARIANTS_MAX)
        entry_remove(cache, last);
}

void plan_cache_add(struct plan_cache *cache, const struct plan_key *key,
                    struct statement *statement)
{
    size_t size = statement->arena.total;
    if (key->text.size + key->types.size > TEXT_SIZE_MAX || size > PLANS_SIZE_MAX / PLAN_PART)
        return;
    mutex_lock(&cache->mutex);
    struct cache_entry *old = entry_find(cache, key);
    if (old != NULL)
        entry_remove(cache, old);
    while (cache->count == cache->count_max || cache->size + size > PLANS_SIZE_MAX)
        entry_remove(cache, cache->oldest);
    struct cache_entry *entry =
        memory_alloc_zero(sizeof(*entry) + key->text.size + key->types.size + key->zone.size);
    char *bytes = (char *)(entry + 1);
    entry->hash = key_hash(key);
    entry->text = copy_to(&bytes, key->text);
    entry->types = copy_to(&bytes, key->types);
    entry->zone = copy_to(&bytes, key->zone);
    entry->statement = statement_ref(statement);
    entry->next = cache->buckets[entry->hash % BUCKET_COUNT];
    cache->buckets[entry->hash % BUCKET_COUNT] = entry;
    list_add(cache, entry);
    cache->count++;
    cache->size += size;
    if (statement->lifted.has_shape)
        add_shape(cache, key, entry);
    mutex_unlock(&cache->mutex);
}

void plan_cache_remove(struct plan_cache *cache, const struct statement *statement)
{
    mutex_lock(&cache->mutex);
    struct cache_entry *entry = cache->newest;
    while (entry != NULL && entry->statement != statement)
        entry = entry->older;
    if (entry != NULL)
        entry_remove(cache, entry);
    mutex_unlock(&cache->mutex);
}

bool plan_is_current(const struct statement *statement, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < statement->table_count; i++) {
        const struct schema *bound = statement->tables[i].schema;
        const struct table_view *view = snapshot_find(snapshot, bound->name);
        if (view == NULL)
            return false;
        const struct schema *now = table_view_schema(view);
        if (now != bound && (now->table_id != bound->table_id || now->version != bound->version))
            return false;
    }
    return true;
}
