/* Dictionaries and text heaps of mutable segments.
 *
 * Readers want one array of slices that they may keep for a whole query. So entries lie in one
 * array that doubles by copying, and the arrays left behind stay until the dictionary dies:
 * together they are as large as the newest one, at most 1 MiB. A reader that holds an old array has
 * a shorter version of the same codes. Publication: an entry is written, then `entries` (release),
 * then `count` (release); a reader loads `count` first, so the array it loads next has at least
 * that many entries.
 *
 * The hash table is the writer's alone: open addressing, 8 bytes a slot (32 bits of the hash and
 * code + 1), at most half full, so a look-up of a known text is one hash, about 1.5 slots and one
 * memcmp. */
#include "storage/segment/dictionary.h"

#include "storage/base/hash.h"

#include <assert.h>

#define HEAP_BLOCK_FIRST ((size_t)4096)
#define HEAP_BLOCK_MAX ((size_t)4 << 20)
#define ENTRIES_FIRST 16
#define FETCH_GROUP 32
#define FETCH_CAPACITY_MIN 256 /* smaller ones are in the nearest cache anyway */

/* --- heap --- */

struct heap_block {
    struct heap_block *next;
    size_t taken;
};

void heap_init(struct heap *heap, struct pool *pool)
{
    *heap = (struct heap){.pool = pool, .block_size = HEAP_BLOCK_FIRST};
}

void heap_deinit(struct heap *heap)
{
    struct heap_block *block = heap->blocks;
    while (block != NULL) {
        struct heap_block *next = block->next;
        pool_give(heap->pool, block, block->taken);
        block = next;
    }
    heap->blocks = NULL;
}

static char *heap_block_add(struct heap *heap, size_t size, size_t *room)
{
    size_t taken;
    struct heap_block *block = pool_take(heap->pool, size + sizeof(*block), &taken);
    block->next = heap->blocks;
    block->taken = taken;
    heap->blocks = block;
    heap->total += taken;
    *room = taken - sizeof(*block);
    return (char *)(block + 1);
}

char *heap_take(struct heap *heap, size_t size)
{
    static char nothing[1];
    if (size == 0) /* an empty heap has no address to give */
        return nothing;
    if (size > heap->left) {
        if (heap->block_size < HEAP_BLOCK_MAX && heap->total >= heap->block_size)
            heap->block_size *= 2;
        bool is_large = size > heap->block_size / 4;
        size_t room;
        char *block = heap_block_add(
            heap, is_large ? size : heap->block_size - sizeof(struct heap_block), &room);
        /* A large text gets a block of its own; going on is in whichever has more left. */
        if (is_large && room - size <= heap->left)
            return block;
        heap->next = block;
        heap->left = room;
    }
    char *p = heap->next;
    heap->next += size;
    heap->left -= size;
    return p;
}

/* --- dictionary --- */

struct slot {
    uint32_t tag;        /* high half of the hash */
    uint32_t code_plus1; /* 0: empty */
};

struct array {
    struct slice *entries;
    size_t taken;
};

struct dictionary {
    uint64_t id;
    struct heap *heap;
    _Atomic(struct slice *) entries; /* release by the writer, acquire by dictionary_entries */
    _Atomic uint32_t count;          /* the same, stored after entries */
    /* writer only */
    uint32_t capacity;
    uint32_t array_count;
    struct array arrays[16]; /* newest last: 16 … 65,536 entries are 13 */
    struct slot *slots;
    size_t slots_taken;
    uint32_t slot_mask;
};

struct dictionary *dictionary_create(struct heap *heap)
{
    struct dictionary *dictionary = memory_alloc_zero(sizeof(*dictionary));
    dictionary->id = pool_next_id(heap->pool);
    dictionary->heap = heap;
    return dictionary;
}

void dictionary_destroy(struct dictionary *dictionary)
{
    struct pool *pool = dictionary->heap->pool;
    for (uint32_t i = 0; i < dictionary->array_count; i++)
        pool_give(pool, dictionary->arrays[i].entries, dictionary->arrays[i].taken);
    if (dictionary->slots != NULL)
        pool_give(pool, dictionary->slots, dictionary->slots_taken);
    memory_free(dictionary);
}

static void slot_insert(struct dictionary *dictionary, uint64_t hash, uint32_t code)
{
    uint32_t i = (uint32_t)hash & dictionary->slot_mask;
    while (dictionary->slots[i].code_plus1 != 0)
        i = (i + 1) & dictionary->slot_mask;
    dictionary->slots[i] = (struct slot){.tag = (uint32_t)(hash >> 32), .code_plus1 = code + 1};
}

/* Doubles entries and slots. */
static void grow(struct dictionary *dictionary, uint32_t count)
{
    struct pool *pool = dictionary->heap->pool;
    uint32_t capacity = dictionary->capacity == 0 ? ENTRIES_FIRST : dictionary->capacity * 2;
    struct array array;
    array.entries = pool_take(pool, capacity * sizeof(*array.entries), &array.taken);
    const struct slice *old = atomic_load_explicit(&dictionary->entries, memory_order_relaxed);
    if (count != 0)
        memcpy(array.entries, old, count * sizeof(*old));
    assert(dictionary->array_count < array_count(dictionary->arrays));
    dictionary->arrays[dictionary->array_count++] = array;
    dictionary->capacity = capacity;

    if (dictionary->slots != NULL)
        pool_give(pool, dictionary->slots, dictionary->slots_taken);
    dictionary->slots =
        pool_take(pool, 2 * capacity * sizeof(*dictionary->slots), &dictionary->slots_taken);
    memset(dictionary->slots, 0, 2 * capacity * sizeof(*dictionary->slots));
    dictionary->slot_mask = 2 * capacity - 1;
    for (uint32_t code = 0; code < count; code++)
        slot_insert(dictionary, hash64(array.entries[code].data, array.entries[code].size), code);
    atomic_store_explicit(&dictionary->entries, array.entries, memory_order_release);
}

static bool add(struct dictionary *dictionary, struct slice text, uint64_t hash, uint16_t *code)
{
    uint32_t count = atomic_load_explicit(&dictionary->count, memory_order_relaxed);
    if (count == DICTIONARY_ENTRIES_MAX)
        return false;
    if (count == dictionary->capacity)
        grow(dictionary, count);
    struct slice *entries = atomic_load_explicit(&dictionary->entries, memory_order_relaxed);
    char *bytes = heap_take(dictionary->heap, text.size);
    if (text.size != 0)
        memcpy(bytes, text.data, text.size);
    entries[count] = slice_of(bytes, text.size);
    slot_insert(dictionary, hash, count);
    atomic_store_explicit(&dictionary->count, count + 1, memory_order_release);
    *code = (uint16_t)count;
    return true;
}

static bool find_or_add(struct dictionary *dictionary, struct slice text, uint64_t hash,
                        uint16_t *code)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    const struct slice *entries = atomic_load_explicit(&dictionary->entries, memory_order_relaxed);
    if (dictionary->slots != NULL) {
        uint32_t i = (uint32_t)hash & dictionary->slot_mask;
        for (; dictionary->slots[i].code_plus1 != 0; i = (i + 1) & dictionary->slot_mask) {
            uint32_t found = dictionary->slots[i].code_plus1 - 1;
            if (dictionary->slots[i].tag == tag && slice_equal(entries[found], text)) {
                *code = (uint16_t)found;
                return true;
            }
        }
    }
    return add(dictionary, text, hash, code);
}

/* A look-up in a large dictionary waits for memory three times: slot, entry, bytes. So a group of
 * texts goes through these steps together and waits three times in all. What is fetched ahead is
 * only a guess: the first slot, before growing. */
static void fetch_group(const struct dictionary *dictionary, const struct slice *texts,
                        uint32_t count, uint64_t *hashes)
{
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = hash64(texts[i].data, texts[i].size);
        if (dictionary->slots != NULL)
            __builtin_prefetch(&dictionary->slots[hashes[i] & dictionary->slot_mask]);
    }
    if (dictionary->slots == NULL || dictionary->capacity < FETCH_CAPACITY_MIN)
        return;
    const struct slice *entries = atomic_load_explicit(&dictionary->entries, memory_order_relaxed);
    const struct slice *found[FETCH_GROUP];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = dictionary->slots[hashes[i] & dictionary->slot_mask].code_plus1;
        found[i] = code != 0 ? &entries[code - 1] : &entries[0];
        __builtin_prefetch(found[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(found[i]->data);
}

bool dictionary_codes(struct dictionary *dictionary, const struct slice *texts, uint32_t count,
                      uint16_t *codes)
{
    uint64_t hashes[FETCH_GROUP];
    for (uint32_t first = 0; first < count; first += FETCH_GROUP) {
        uint32_t size = count - first < FETCH_GROUP ? count - first : FETCH_GROUP;
        fetch_group(dictionary, texts + first, size, hashes);
        for (uint32_t i = 0; i < size; i++) {
            if (!find_or_add(dictionary, texts[first + i], hashes[i], &codes[first + i]))
                return false;
        }
    }
    return true;
}

bool dictionary_code(struct dictionary *dictionary, struct slice text, uint16_t *code)
{
    return find_or_add(dictionary, text, hash64(text.data, text.size), code);
}

uint32_t dictionary_size(const struct dictionary *dictionary)
{
    return atomic_load_explicit(&dictionary->count, memory_order_relaxed);
}

size_t dictionary_bytes(const struct dictionary *dictionary)
{
    size_t total = dictionary->slots_taken;
    for (uint32_t i = 0; i < dictionary->array_count; i++)
        total += dictionary->arrays[i].taken;
    return total;
}

uint64_t dictionary_id(const struct dictionary *dictionary)
{
    return dictionary->id;
}

const struct slice *dictionary_entries(const struct dictionary *dictionary, uint32_t *count)
{
    *count = atomic_load_explicit(&dictionary->count, memory_order_acquire);
    return atomic_load_explicit(&dictionary->entries, memory_order_acquire);
}
