/* Dictionaries and text heaps of mutable segments.
 *
 * Readers want one array of slices that they may keep for a whole query. So entries lie in one
 * array that doubles by copying, and the arrays left behind stay until the dictionary dies:
 * together they are as large as the newest one, at most 1 MiB. A reader that holds an old array has
 * a shorter version of the same codes. Publication: an entry is written, then `entries` (release),
 * then `count` (release); a reader loads `count` first, so the array it loads next has at least
 * that many entries.
 *
 * The hash table is the writer's alone: open addressing, at most half full. A slot is 32 bytes and
 * holds a short text itself, since what a look-up costs is the memory it waits for: the slot, the
 * entry and the bytes were three lines of a cache that decoding and sealing had just swept. A text
 * whose own slot is taken goes into the other one of the same line, and which of the two has it is
 * found without a jump: the next slot in turn was in another line half of the time, which nobody
 * had asked for, a quarter of all time that look-ups took. Short
 * texts are hashed and compared as three words, whatever their size: a branch that is guessed wrong
 * costs as much as the rest. Longer ones take overlapping words and one branch per class of sizes.
 * The hash is not keyed: whoever floods a slot makes his own table slow, and no more than
 * DICTIONARY_ENTRIES_MAX steps a text. */
#include "storage/segment/dictionary.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>

#define HEAP_BLOCK_FIRST ((size_t)4096)
#define HEAP_BLOCK_MAX ((size_t)4 << 20)
#define TOUCH_SIZE ((size_t)64 << 10)
#define TOUCH_BLOCK_MIN ((size_t)512 << 10)
#define ENTRIES_FIRST 16
#define FETCH_GROUP 128
#define LONG_SIZE_MAX 64       /* longer ones are the libraries' */
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

static char *heap_block_add(struct heap *heap, size_t size, size_t *room, bool *is_fresh)
{
    size_t taken;
    struct heap_block *block = pool_take_told(heap->pool, size + sizeof(*block), &taken, is_fresh);
    block->next = heap->blocks;
    block->taken = taken;
    heap->blocks = block;
    heap->total += taken;
    *room = taken - sizeof(*block);
    return (char *)(block + 1);
}

/* A block of fresh memory is made present a little ahead of its use: so little that the zeros are
 * in the near cache still. */
static void heap_touch(struct heap *heap)
{
    size_t left = (size_t)(heap->next + heap->left - heap->touched);
    size_t ahead = heap->next > heap->touched ? (size_t)(heap->next - heap->touched) : 0;
    size_t size = ahead + TOUCH_SIZE;
    if (size >= left) {
        memory_touch(heap->touched, left);
        heap->touched = NULL;
        return;
    }
    memory_touch(heap->touched, size);
    heap->touched += size;
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
        bool is_fresh;
        char *block = heap_block_add(
            heap, is_large ? size : heap->block_size - sizeof(struct heap_block), &room, &is_fresh);
        /* A large text gets a block of its own; going on is in whichever has more left. */
        if (is_large && room - size <= heap->left)
            return block;
        heap->next = block;
        heap->left = room;
        heap->touched = is_fresh && room > TOUCH_BLOCK_MIN ? block : NULL;
    }
    char *p = heap->next;
    heap->next += size;
    heap->left -= size;
    if (heap->touched != NULL && heap->next > heap->touched)
        heap_touch(heap);
    return p;
}

/* --- texts --- */

#define INLINE_SIZE 24

/* A text to look for: the words of a short one, zeros behind it; of a longer one the bytes. */
struct key {
    uint64_t word[INLINE_SIZE / 8];
    const char *bytes;
    uint32_t size;
    uint32_t hash;
};

static inline uint64_t load_u64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The words of `size` bytes, of which INLINE_SIZE may be read. */
static inline void key_words(struct key *key, const char *p, size_t size)
{
    static const char mask[2 * INLINE_SIZE] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                               -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const char *kept = mask + INLINE_SIZE - size;
    key->word[0] = load_u64(p) & load_u64(kept);
    key->word[1] = load_u64(p + 8) & load_u64(kept + 8);
    key->word[2] = load_u64(p + 16) & load_u64(kept + 16);
}

static inline uint32_t short_hash(const struct key *key)
{
    uint64_t hash = mix(key->word[0] ^ 0x9e3779b97f4a7c15ULL, key->word[1] ^ 0xd6e8feb86659fd93ULL);
    return (uint32_t)mix(hash ^ key->size, key->word[2] ^ 0xa0761d6478bd642fULL);
}

/* 16 bytes. */
static inline uint64_t mix_block(const char *p, uint64_t seed)
{
    return mix(load_u64(p) ^ 0x9e3779b97f4a7c15ULL, load_u64(p + 8) ^ seed);
}

/* Where four blocks of 16 bytes begin that cover INLINE_SIZE to 64 bytes and may overlap; the first
 * at 0, the last at size - 16. No branch on the size: it would be guessed wrong where texts are of
 * about 32 bytes. */
static_assert(INLINE_SIZE == 24, "three words; a block fits into a longer text");
static inline size_t second_block(size_t size)
{
    return size < 32 ? size - 16 : 16;
}

static inline size_t third_block(size_t size)
{
    return size < 32 ? 0 : size - 32;
}

/* More than INLINE_SIZE bytes. */
static inline uint32_t long_hash(const char *p, size_t size)
{
    uint64_t hash = 0xd6e8feb86659fd93ULL ^ size;
    if (size > LONG_SIZE_MAX)
        return (uint32_t)hash64(p, size);
    hash = mix_block(p, hash) + mix_block(p + second_block(size), hash) +
           mix_block(p + third_block(size), hash);
    hash = mix_block(p + size - 16, hash);
    return (uint32_t)mix(hash, 0xa0761d6478bd642fULL);
}

static inline uint64_t differ_16(const char *a, const char *b)
{
    return (load_u64(a) ^ load_u64(b)) | (load_u64(a + 8) ^ load_u64(b + 8));
}

static inline bool long_equal(const char *a, const char *b, size_t size)
{
    if (size > LONG_SIZE_MAX)
        return memcmp(a, b, size) == 0;
    size_t second = second_block(size), third = third_block(size), last = size - 16;
    return (differ_16(a, b) | differ_16(a + second, b + second) | differ_16(a + third, b + third) |
            differ_16(a + last, b + last)) == 0;
}

/* end: bytes up to there may be read. */
static inline void key_make(struct key *key, struct slice text, const char *end)
{
    key->size = (uint32_t)text.size;
    key->bytes = text.data;
    if (text.size > INLINE_SIZE) {
        key->hash = long_hash(text.data, text.size);
        return;
    }
    if (__builtin_expect(end - text.data >= INLINE_SIZE, 1)) {
        key_words(key, text.data, text.size);
    } else {
        char bytes[INLINE_SIZE] = {0};
        if (text.size != 0)
            memcpy(bytes, text.data, text.size);
        key_words(key, bytes, text.size);
    }
    key->hash = short_hash(key);
}

/* --- dictionary --- */

#define FORM_LONG 255 /* past those of short ones */

struct slot { /* two to a cache line */
    uint32_t hash;
    uint16_t code;
    uint16_t form; /* 0: empty; size + 1 of a short text; FORM_LONG */
    union {
        uint64_t word[INLINE_SIZE / 8];
        struct slice elsewhere; /* in the heap */
    };
};
static_assert(sizeof(struct slot) == 32, "slots do not straddle cache lines");
static_assert(INLINE_SIZE + 1 < FORM_LONG, "forms differ");

struct array {
    struct slice *entries;
    size_t taken;
};

struct dictionary {
    uint64_t id;
    struct heap *heap;
    _Atomic(struct slice *) entries; /* release by the writer, acquire by dictionary_entries */
    _Atomic uint32_t count;          /* the same, stored after entries */
    struct dictionary_notes *notes;  /* the readers' */
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
    dictionary->notes = memory_alloc_zero(sizeof(*dictionary->notes));
    return dictionary;
}

void dictionary_destroy(struct dictionary *dictionary)
{
    struct pool *pool = dictionary->heap->pool;
    for (uint32_t i = 0; i < dictionary->array_count; i++)
        pool_give(pool, dictionary->arrays[i].entries, dictionary->arrays[i].taken);
    if (dictionary->slots != NULL)
        pool_give(pool, dictionary->slots, dictionary->slots_taken);
    dictionary_notes_free(dictionary->notes);
    memory_free(dictionary->notes);
    memory_free(dictionary);
}

static inline bool slot_holds(const struct slot *slot, const struct key *key)
{
    if (key->size <= INLINE_SIZE)
        return ((slot->word[0] ^ key->word[0]) | (slot->word[1] ^ key->word[1]) |
                (slot->word[2] ^ key->word[2]) | (uint64_t)(slot->form ^ (key->size + 1))) == 0;
    return slot->hash == key->hash && slot->form == FORM_LONG &&
           slot->elsewhere.size == key->size &&
           long_equal(slot->elsewhere.data, key->bytes, key->size);
}

/* Where a text of this hash may be, `step` by `step` up to an empty slot: in its own slot, in the
 * other one of that cache line, then line after line. */
static inline struct slot *slot_at(const struct dictionary *dictionary, uint32_t hash,
                                   uint32_t step)
{
    uint32_t i = step < 2 ? hash ^ step : (hash & ~UINT32_C(1)) + step;
    return &dictionary->slots[i & dictionary->slot_mask];
}

/* The slot of its line that has its hash, else the other one. Without a jump: which of the two it
 * is nobody can guess. */
static inline struct slot *likely_slot(const struct dictionary *dictionary, uint32_t hash)
{
    uint32_t is_other = slot_at(dictionary, hash, 0)->hash != hash;
    return slot_at(dictionary, hash ^ is_other, 0);
}

static void slot_insert(struct dictionary *dictionary, const struct slot *slot)
{
    uint32_t step = 0;
    while (slot_at(dictionary, slot->hash, step)->form != 0)
        step++;
    *slot_at(dictionary, slot->hash, step) = *slot;
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

    struct slot *slots = dictionary->slots;
    size_t slot_count = slots == NULL ? 0 : (size_t)dictionary->slot_mask + 1;
    size_t taken = dictionary->slots_taken;
    dictionary->slots =
        pool_take(pool, 2 * capacity * sizeof(*dictionary->slots), &dictionary->slots_taken);
    memset(dictionary->slots, 0, 2 * capacity * sizeof(*dictionary->slots));
    dictionary->slot_mask = 2 * capacity - 1;
    for (size_t i = 0; i < slot_count; i++) {
        if (slots[i].form != 0)
            slot_insert(dictionary, &slots[i]);
    }
    if (slots != NULL)
        pool_give(pool, slots, taken);
    atomic_store_explicit(&dictionary->entries, array.entries, memory_order_release);
}

static bool add(struct dictionary *dictionary, const struct key *key, uint16_t *code)
{
    uint32_t count = atomic_load_explicit(&dictionary->count, memory_order_relaxed);
    if (count == DICTIONARY_ENTRIES_MAX)
        return false;
    if (count == dictionary->capacity)
        grow(dictionary, count);
    struct slice *entries = atomic_load_explicit(&dictionary->entries, memory_order_relaxed);
    char *bytes = heap_take(dictionary->heap, key->size);
    if (key->size != 0)
        memcpy(bytes, key->bytes, key->size);
    entries[count] = slice_of(bytes, key->size);
    struct slot slot = {.hash = key->hash, .code = (uint16_t)count, .form = FORM_LONG};
    if (key->size <= INLINE_SIZE) {
        slot.form = (uint16_t)(key->size + 1);
        memcpy(slot.word, key->word, sizeof(slot.word));
    } else {
        slot.elsewhere = entries[count];
    }
    slot_insert(dictionary, &slot);
    atomic_store_explicit(&dictionary->count, count + 1, memory_order_release);
    *code = (uint16_t)count;
    return true;
}

static inline bool find_or_add(struct dictionary *dictionary, const struct key *key, uint16_t *code)
{
    if (dictionary->slots == NULL)
        return add(dictionary, key, code);
    const struct slot *slot = likely_slot(dictionary, key->hash);
    if (!slot_holds(slot, key)) {
        uint32_t step = 0;
        do {
            slot = slot_at(dictionary, key->hash, step++);
            if (slot->form == 0 || fault_is("dictionary.first_line_only"))
                return add(dictionary, key, code);
        } while (!slot_holds(slot, key));
    }
    *code = slot->code;
    return true;
}

/* A look-up in a large dictionary waits for memory: for the slot, and for the bytes of a longer
 * text. So a group of texts goes through these steps together and waits twice in all. What is
 * fetched ahead is only a guess: the first line, before growing. */

/* always_inline: a function that does nothing but fetch ahead has no effect that the compiler sees,
 * and calls of it go. */
__attribute__((always_inline)) static inline void fetch_text(const struct dictionary *dictionary,
                                                             const struct key *key)
{
    const struct slot *slot = likely_slot(dictionary, key->hash);
    if (slot->form != FORM_LONG)
        return;
    __builtin_prefetch(slot->elsewhere.data);
    __builtin_prefetch(slot->elsewhere.data + slot->elsewhere.size);
}

bool dictionary_codes(struct dictionary *dictionary, const struct slice *texts, uint32_t count,
                      const char *end, uint16_t *codes)
{
    struct key keys[FETCH_GROUP];
    bool are_tails_kept = fault_is("dictionary.tails_kept");
    for (uint32_t first = 0; first < count; first += FETCH_GROUP) {
        uint32_t size = count - first < FETCH_GROUP ? count - first : FETCH_GROUP;
        bool is_large = dictionary->capacity >= FETCH_CAPACITY_MIN;
        for (uint32_t i = 0; i < size; i++) {
            key_make(&keys[i], texts[first + i], end);
            if (__builtin_expect(are_tails_kept, 0) && end - texts[first + i].data >= INLINE_SIZE)
                memcpy(keys[i].word, texts[first + i].data, INLINE_SIZE);
            if (is_large)
                __builtin_prefetch(slot_at(dictionary, keys[i].hash, 0));
        }
        for (uint32_t i = 0; i < size && is_large; i++)
            fetch_text(dictionary, &keys[i]);
        for (uint32_t i = 0; i < size; i++) {
            if (!find_or_add(dictionary, &keys[i], &codes[first + i]))
                return false;
        }
    }
    return true;
}

bool dictionary_code(struct dictionary *dictionary, struct slice text, uint16_t *code)
{
    return dictionary_codes(dictionary, &text, 1, text.data, code);
}

uint32_t dictionary_size(const struct dictionary *dictionary)
{
    return atomic_load_explicit(&dictionary->count, memory_order_relaxed);
}

size_t dictionary_bytes(const struct dictionary *dictionary)
{
    size_t total = dictionary->slots_taken +
                   atomic_load_explicit(&dictionary->notes->size, memory_order_relaxed);
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

struct dictionary_notes *dictionary_notes(const struct dictionary *dictionary)
{
    return dictionary->notes;
}
