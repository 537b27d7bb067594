/* Different texts among very many, of which most come once.
 *
 *   text ── hash ──▶ 512 parts by its upper bits: lists of chunks of 8 KiB, records one after the
 *                    other
 *   record           hash (its lower half), size, bytes up to a multiple of eight
 *   the end          part by part ──▶ a table by hash for one part ──▶ those met first
 *
 * In one table for all, a text costs three misses of the caches: its slot, what is known there, the
 * bytes. Here rows are written to the ends of 512 lists, which the caches hold, and a table is of
 * one part, which they hold too. What it costs is memory for each row instead of each text, so
 * parts are sifted in between: what came twice is dropped where it lies, records move together, and
 * chunks that get empty are used again. That is done when there are twice as many chunks as were
 * left the last time, so a row is looked at a few times at most, and before memory is refused.
 *
 * To sift all parts of 128 MB takes 0.1 s: between two parts the query gives way, or ends.
 *
 * Which of two equal texts stays is the one that came first, so those that the caller has been told
 * of, which are added before all others, stay and are not told again. */
#include "query/exec/text_set.h"

#include "query/exec/keys.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

#define PART_BITS 9
#define PART_COUNT ((size_t)1 << PART_BITS)
#define CHUNK_BITS 13
#define CHUNK_SIZE ((size_t)1 << CHUNK_BITS)
#define SLAB_SIZE ((size_t)2 << 20)
#define SLAB_CHUNKS (SLAB_SIZE / CHUNK_SIZE)
#define PLACE_BITS (CHUNK_BITS - 3) /* of a place: its chunk above, eights of bytes below */
#define CHUNKS_MAX (((size_t)1 << (32 - PLACE_BITS)) - 1)
#define FINE_SHARE 8                  /* of what is left, so much may be taken at least … */
#define SIFT_SHARE 8                  /* of the query's memory: before parts are sifted … */
#define SIFT_SIZE ((size_t)128 << 20) /* … or this */
#define TOLD ((uint32_t)1 << 31)      /* in a record's size */

struct record {
    uint32_t hash, size;
};

static_assert(TEXT_SET_SIZE_MAX + sizeof(struct record) <= CHUNK_SIZE / 4, "chunks hold several");

static size_t record_size(uint32_t size)
{
    return sizeof(struct record) + (((size & ~TOLD) + 7) & ~(size_t)7);
}

bool text_set_is_fine(const struct exec_memory *memory)
{
    const struct budget *budget = memory->budget;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t left = used < budget->limit ? budget->limit - used : 0;
    return PART_COUNT * CHUNK_SIZE <= left / FINE_SHARE;
}

void text_set_init(struct text_set *set, struct exec_memory *memory)
{
    size_t share = memory->budget->limit / SIFT_SHARE;
    size_t chunks = (share < SIFT_SIZE ? share : SIFT_SIZE) / CHUNK_SIZE;
    *set = (struct text_set){.memory = memory};
    set->parts = memory_alloc_zero(PART_COUNT * sizeof(*set->parts));
    set->sift_at = chunks < 2 * PART_COUNT ? 2 * PART_COUNT : chunks;
}

void text_set_deinit(struct text_set *set)
{
    for (size_t slab = 0; slab < set->slab_count; slab++)
        exec_memory_release(set->memory, set->chunks[slab * SLAB_CHUNKS + 1].bytes, SLAB_SIZE);
    exec_memory_release(set->memory, set->chunks, set->chunk_capacity * sizeof(*set->chunks));
    exec_memory_release(set->memory, set->slots, set->slot_capacity * sizeof(*set->slots));
    memory_free(set->parts);
    *set = (struct text_set){.memory = set->memory};
}

/* --- chunks --- */

static enum err add_slab(struct text_set *set, struct error *error)
{
    size_t first = set->chunk_count + 1;
    if (first + SLAB_CHUNKS > CHUNKS_MAX)
        return error_set(error, ERR_LIMIT, "53200", "too many texts for DISTINCT");
    enum err err = exec_memory_grow(set->memory, (void **)&set->chunks, &set->chunk_capacity,
                                    first + SLAB_CHUNKS, sizeof(*set->chunks), error);
    if (err == OK)
        err = budget_charge(set->memory->budget, SLAB_SIZE, error);
    if (err != OK)
        return err;
    char *bytes = memory_alloc(SLAB_SIZE);
    for (size_t i = SLAB_CHUNKS; i-- > 0;) {
        set->chunks[first + i] =
            (struct text_chunk){.bytes = bytes + i * CHUNK_SIZE, .next = set->spare};
        set->spare = (uint32_t)(first + i);
    }
    set->chunk_count += SLAB_CHUNKS;
    set->slab_count++;
    return OK;
}

/* What is written in the part's last chunk is in `at` alone until here. */
static void settle_part(struct text_set *set, struct text_part *part)
{
    if (part->last != 0)
        set->chunks[part->last].used = (uint32_t)(part->at - set->chunks[part->last].bytes);
}

static void take_chunk(struct text_set *set, struct text_part *part)
{
    uint32_t chunk = set->spare;
    settle_part(set, part);
    set->spare = set->chunks[chunk].next;
    set->chunks[chunk].used = set->chunks[chunk].next = 0;
    *(part->last != 0 ? &set->chunks[part->last].next : &part->first) = chunk;
    part->last = chunk;
    part->at = set->chunks[chunk].bytes;
    part->end = part->at + CHUNK_SIZE;
    set->used_count++;
}

/* --- sifting --- */

static inline const struct record *record_at(const struct text_set *set, uint32_t place)
{
    const char *bytes = set->chunks[place >> PLACE_BITS].bytes;
    return (const void *)(bytes + ((place << 3) & (CHUNK_SIZE - 1)));
}

static inline bool is_equal(const struct record *a, const struct record *b)
{
    return a->hash == b->hash && ((a->size ^ b->size) & ~TOLD) == 0 &&
           memcmp(a + 1, b + 1, a->size & ~TOLD) == 0;
}

static enum err clear_slots(struct text_set *set, size_t count, struct error *error)
{
    size_t needed = key_places(0, count, KEY_LOAD);
    if (needed > set->slot_capacity) {
        enum err err = budget_charge(set->memory->budget,
                                     (needed - set->slot_capacity) * sizeof(*set->slots), error);
        if (err != OK)
            return err;
        memory_free(set->slots);
        set->slots = memory_alloc(needed * sizeof(*set->slots));
        set->slot_capacity = needed;
    }
    memset(set->slots, 0, needed * sizeof(*set->slots));
    return OK;
}

/* Is there none like it yet? It is at `place` from now on then. */
static inline bool sift_record(struct text_set *set, const struct record *record, uint32_t place,
                               size_t mask)
{
    size_t slot = record->hash & mask;
    while (set->slots[slot].place != 0) {
        if (set->slots[slot].hash == record->hash &&
            is_equal(record_at(set, set->slots[slot].place), record))
            return false;
        slot = (slot + 1) & mask;
    }
    set->slots[slot] = (struct text_slot){.hash = record->hash, .place = place};
    return true;
}

static void free_chunks(struct text_set *set, uint32_t chunk)
{
    while (chunk != 0) {
        uint32_t next = set->chunks[chunk].next;
        set->chunks[chunk].next = set->spare;
        set->spare = chunk;
        set->used_count--;
        chunk = next;
    }
}

/* Records are moved towards the front, each into a chunk if it has room there: as they were
 * written, so none is moved to where one stands that was not looked at yet. */
static enum err sift_part(struct text_set *set, struct text_part *part, struct error *error)
{
    struct text_chunk *chunks = set->chunks;
    uint32_t to = part->first, to_at = 0, count = 0;
    bool is_stale = fault_is("text_set.place_stale");
    if (part->count == 0)
        return OK;
    settle_part(set, part);
    enum err err = fault_is("text_set.never_looks") ? OK : exec_memory_look(set->memory, error);
    if (err == OK)
        err = clear_slots(set, part->count, error);
    if (err != OK)
        return err;
    size_t mask = key_places(0, part->count, KEY_LOAD) - 1;
    for (uint32_t from = part->first; from != 0; from = chunks[from].next) {
        uint32_t used = chunks[from].used, size;
        for (uint32_t at = 0; at < used; at += size) {
            struct record *record = (void *)(chunks[from].bytes + at);
            size = (uint32_t)record_size(record->size);
            bool has_room = to_at + size <= CHUNK_SIZE;
            uint32_t next = has_room ? to : chunks[to].next, next_at = has_room ? to_at : 0;
            uint32_t place = next << PLACE_BITS | next_at >> 3;
            if (is_stale)
                place = from << PLACE_BITS | at >> 3;
            if (!sift_record(set, record, place, mask))
                continue;
            if (next != from || next_at != at)
                memmove(chunks[next].bytes + next_at, record, size);
            if (next != to)
                chunks[to].used = to_at;
            to = next;
            to_at = next_at + size;
            count++;
        }
    }
    free_chunks(set, chunks[to].next);
    chunks[to].next = 0;
    chunks[to].used = to_at;
    part->last = to;
    part->at = chunks[to].bytes + to_at;
    part->end = chunks[to].bytes + CHUNK_SIZE;
    part->count = count;
    return OK;
}

static enum err sift(struct text_set *set, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < PART_COUNT; i++)
        err = sift_part(set, &set->parts[i], error);
    if (set->used_count > set->sift_at / 2)
        set->sift_at = 2 * set->used_count;
    return err;
}

/* --- texts in --- */

/* So many chunks that are empty. */
static enum err reserve(struct text_set *set, size_t count, struct error *error)
{
    bool is_sifted = false;
    enum err err = OK;
    if (set->used_count > set->sift_at) {
        err = sift(set, error);
        is_sifted = true;
    }
    while (err == OK && set->chunk_count - set->used_count < count) {
        err = add_slab(set, error);
        if (err == ERR_LIMIT && !is_sifted) {
            err = sift(set, error);
            is_sifted = true;
        }
    }
    return err;
}

/* Sizes that are common are moved without a call. */
static inline void put(char *at, uint32_t hash, struct slice text, uint32_t told)
{
    struct record record = {.hash = hash, .size = (uint32_t)text.size | told};
    memcpy(at, &record, sizeof(record));
    at += sizeof(record);
    if (text.size == 16) {
        memcpy(at, text.data, 16);
    } else if (text.size > 8 && text.size < 16) {
        memcpy(at, text.data, 8);
        memcpy(at + text.size - 8, text.data + text.size - 8, 8);
    } else if (text.size > 0) {
        memcpy(at, text.data, text.size);
    }
}

enum err text_set_add(struct text_set *set, const struct slice *texts, size_t count, bool is_told,
                      struct error *error)
{
    uint64_t hashes[VECTOR_ROWS_MAX];
    uint32_t told = is_told ? TOLD : 0;
    size_t bytes = 0;
    assert(count <= VECTOR_ROWS_MAX);
    for (size_t i = 0; i < count; i++)
        bytes += record_size((uint32_t)texts[i].size);
    hash64_each(texts, count, hashes);
    /* A part's first chunk is taken for it alone; a chunk of others ends at three quarters. */
    size_t most = bytes / (CHUNK_SIZE / 4 * 3) + 1 + (count < PART_COUNT ? count : PART_COUNT);
    enum err err = reserve(set, most, error);
    if (err != OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        struct text_part *part = &set->parts[hashes[i] >> (64 - PART_BITS)];
        size_t size = record_size((uint32_t)texts[i].size);
        assert(texts[i].size <= TEXT_SET_SIZE_MAX);
        if (__builtin_expect((size_t)(part->end - part->at) < size, 0))
            take_chunk(set, part);
        put(part->at, (uint32_t)hashes[i], texts[i], told);
        part->at += size;
        part->count++;
    }
    return OK;
}

/* --- texts out --- */

enum err text_set_next(struct text_set *set, struct slice *texts, size_t *count,
                       struct error *error)
{
    *count = 0;
    while (*count < VECTOR_ROWS_MAX) {
        if (set->next_chunk == 0) {
            bool is_lost = fault_is("text_set.partition_lost");
            if (set->next_part == PART_COUNT - (is_lost ? 1 : 0))
                break;
            struct text_part *part = &set->parts[set->next_part++];
            enum err err = sift_part(set, part, error);
            if (err != OK)
                return err;
            set->next_chunk = part->first;
            set->next_at = 0;
            continue;
        }
        const struct text_chunk *chunk = &set->chunks[set->next_chunk];
        while (set->next_at < chunk->used && *count < VECTOR_ROWS_MAX) {
            const struct record *record = (const void *)(chunk->bytes + set->next_at);
            texts[*count] = slice_of((const char *)(record + 1), record->size & ~TOLD);
            *count += (record->size & TOLD) == 0;
            set->next_at += (uint32_t)record_size(record->size);
        }
        if (set->next_at < chunk->used)
            break;
        set->next_chunk = chunk->next;
        set->next_at = 0;
    }
    return OK;
}
