/* Codes of words: what the time of writing texts goes to.
 *
 *   16 bytes of the text ─▶ those of the word ─▶ hash ─▶ distance ─▶ slot: the same bytes, code
 *
 * Each key has a slot of its own, so there is no search and no jump that depends on the words, and
 * the loads of several words are under way at the same time. The table is a perfect hash (hash and
 * displace: keys that share a part of their hash share a distance, and those that are most choose
 * theirs first) of twice to four times as many slots as keys; a slot has key and code in 16 bytes
 * of one line. With AVX2 the hash is two rounds of AES, and only once in sixteen words is looked
 * whether all were there: 20 instructions a word, where plain C has twice as many; with AVX-512
 * (words_wide.c) eight words go together. Which form a table has does not show in what is
 * written. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"

#include <stdlib.h>

#define SLOT_SIZE ((uint32_t)sizeof(struct words_key))
#define CODE_SHIFT 48 /* of a slot's second word */
#define FIRST_FACTOR UINT64_C(0xd6e8feb86659fd93)
#define DISTANCE_MAX (4096 * SLOT_SIZE)
#define FACTORS_TRIED 16
#define AES_OFFSET_SHIFT 12 /* other columns than those of the highest bits */

const struct words_key words_masks[WORDS_KEY_MAX + 1] = {
    {0, 0},
    {0xff, 0},
    {0xffff, 0},
    {0xffffff, 0},
    {0xffffffff, 0},
    {0xffffffffff, 0},
    {0xffffffffffff, 0},
    {0xffffffffffffff, 0},
    {UINT64_MAX, 0},
    {UINT64_MAX, 0xff},
    {UINT64_MAX, 0xffff},
    {UINT64_MAX, 0xffffff},
    {UINT64_MAX, 0xffffffff},
    {UINT64_MAX, 0xffffffffff},
    {UINT64_MAX, 0xffffffffffff},
};

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,bmi,bmi2,aes")))

static enum words_form form_chosen(void)
{
    enum kernel_isa isa = kernels_chosen()->isa;
    if (isa == KERNEL_AVX512)
        return WORDS_AVX512;
    return isa == KERNEL_AVX2 && __builtin_cpu_supports("aes") ? WORDS_AES : WORDS_PLAIN;
}

/* Two rounds: all bytes are in all of the lower half. */
WIDE static inline uint64_t hash_register(__m128i key, __m128i factor)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_aesenc_si128(_mm_aesenc_si128(key, factor), factor));
}

WIDE static uint64_t hash_wide(struct words_key key, uint64_t factor)
{
    return hash_register(_mm_set_epi64x((int64_t)key.high, (int64_t)key.low),
                         _mm_set1_epi64x((int64_t)factor));
}
#else
static enum words_form form_chosen(void)
{
    return WORDS_PLAIN;
}

static uint64_t hash_wide(struct words_key key, uint64_t factor)
{
    (void)key;
    return factor;
}
#endif

static inline uint64_t hash_plain(struct words_key key, uint64_t factor)
{
    uint64_t mixed = key.low ^ (key.high << WORDS_MIX_TURN | key.high >> (64 - WORDS_MIX_TURN));
    return (mixed ^ mixed >> 32) * factor; /* whose lower bits know nothing of higher ones */
}

static uint64_t hash_of(const struct words_table *table, struct words_key key)
{
    return table->form == WORDS_AES ? hash_wide(key, table->factor)
                                    : hash_plain(key, table->factor);
}

/* The mask takes what is no multiple of a slot's size, and distances are not above it. */
static inline struct words_key *slot_at(const struct words_table *table, uint64_t hash,
                                        uint32_t distance)
{
    uint32_t offset = ((uint32_t)(hash >> table->offset_shift) & table->mask) ^ distance;
    return &table->slots[offset / SLOT_SIZE];
}

static inline uint32_t code_in(const struct words_key *slot, struct words_key key)
{
    uint64_t differ = (slot->low ^ key.low) | (slot->high ^ key.high) << (64 - CODE_SHIFT);
    return differ == 0 ? (uint32_t)(slot->high >> CODE_SHIFT) : 0;
}

/* --- the table --- */

/* Keys that share a distance: the last of them, and the one before each. */
struct shared {
    uint16_t last, count;
};

struct placing {
    struct words_table *table;
    const struct words_key *keys; /* by code, less 1 */
    uint32_t key_count;
    uint64_t *hashes; /* by code */
    uint16_t *before; /* by code, 0: none */
    struct shared *shared;
};

static int compare_shared(const void *a, const void *b)
{
    const struct shared *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return left->last < right->last ? -1 : left->last > right->last;
}

/* Whether some of them want one slot at any distance. */
static bool do_collide(const struct placing *placing, uint32_t last)
{
    for (uint32_t code = last; code != 0; code = placing->before[code]) {
        for (uint32_t other = placing->before[code]; other != 0; other = placing->before[other]) {
            if (slot_at(placing->table, placing->hashes[code], 0) ==
                slot_at(placing->table, placing->hashes[other], 0))
                return true;
        }
    }
    return false;
}

/* Puts the keys into their slots, or none of them. */
static bool place_shared(const struct placing *placing, uint32_t last, uint32_t distance)
{
    uint32_t code = last;
    for (; code != 0; code = placing->before[code]) {
        struct words_key *slot = slot_at(placing->table, placing->hashes[code], distance);
        if (slot->high >> CODE_SHIFT != 0)
            break;
        *slot = placing->keys[code - 1];
        slot->high |= (uint64_t)code << CODE_SHIFT;
    }
    for (uint32_t placed = last; code != 0 && placed != code; placed = placing->before[placed])
        *slot_at(placing->table, placing->hashes[placed], distance) = (struct words_key){0};
    return code == 0;
}

static bool place_all(const struct placing *placing)
{
    const struct words_table *table = placing->table;
    uint32_t distance_count = 1u << table->distance_bits, most = table->mask + SLOT_SIZE;
    bool is_whole = true;
    most = most < DISTANCE_MAX ? most : DISTANCE_MAX;
    memset(placing->shared, 0, distance_count * sizeof(*placing->shared));
    memset(table->slots, 0, (size_t)table->mask + SLOT_SIZE);
    for (uint32_t code = 1; code <= placing->key_count; code++) {
        uint64_t hash = hash_of(table, placing->keys[code - 1]);
        struct shared *of = &placing->shared[hash >> (64 - table->distance_bits)];
        placing->hashes[code] = hash;
        placing->before[code] = of->last;
        of->last = (uint16_t)code;
        of->count++;
    }
    qsort(placing->shared, distance_count, sizeof(*placing->shared), compare_shared);
    for (uint32_t i = 0; i < distance_count && placing->shared[i].count != 0; i++) {
        uint32_t last = placing->shared[i].last;
        uint32_t distance = do_collide(placing, last) ? most : 0;
        while (distance < most && !place_shared(placing, last, distance))
            distance += SLOT_SIZE;
        if (distance < most)
            table->distances[placing->hashes[last] >> (64 - table->distance_bits)] = distance;
        is_whole = is_whole && distance < most;
    }
    return is_whole;
}

void words_table_init(struct words_table *table, const struct words_key *keys, uint32_t count)
{
    uint32_t bits = bits_of(count);
    *table = (struct words_table){.mask = ((2u << bits) - 1) * SLOT_SIZE,
                                  .distance_bits = bits < 3 ? 1 : bits - 1,
                                  .factor = FIRST_FACTOR,
                                  .form = form_chosen()};
    table->offset_shift = table->form == WORDS_AES ? AES_OFFSET_SHIFT : WORDS_OFFSET_SHIFT;
    table->slots = memory_alloc((size_t)table->mask + SLOT_SIZE);
    table->distances = memory_alloc_zero(sizeof(*table->distances) << table->distance_bits);
    struct placing placing = {.table = table, .keys = keys, .key_count = count};
    placing.hashes = memory_alloc(((size_t)count + 1) * sizeof(*placing.hashes));
    placing.before = memory_alloc(((size_t)count + 1) * sizeof(*placing.before));
    placing.shared = memory_alloc(sizeof(*placing.shared) << table->distance_bits);
    /* Keys that share a distance and want one slot: seldom more than twice in a row. After the last
     * factor those that have no place are spelled. */
    for (int turn = 1; !place_all(&placing) && turn < FACTORS_TRIED; turn++)
        table->factor = table->factor * UINT64_C(0x2545f4914f6cdd1d) | 1;
    memory_free(placing.hashes);
    memory_free(placing.before);
    memory_free(placing.shared);
}

void words_table_deinit(struct words_table *table)
{
    memory_free(table->slots);
    memory_free(table->distances);
}

/* --- codes --- */

static uint32_t find_plain(const struct words_table *table, struct words_key key)
{
    uint64_t hash = hash_plain(key, table->factor);
    uint32_t distance = table->distances[hash >> (64 - table->distance_bits)];
    return code_in(slot_at(table, hash, distance), key);
}

static bool find_all_plain(const struct words_table *words, const uint8_t *bytes,
                           const uint16_t *starts, uint32_t count, uint16_t *codes)
{
    const struct words_table table = *words; /* which stores of codes cannot change */
    uint32_t missing = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = starts[i + 1] - starts[i];
        size = size > WORDS_KEY_MAX ? 0 : size; /* no key is empty */
        uint32_t code = find_plain(&table, words_key_of(bytes + starts[i], size));
        missing += code == 0;
        codes[i] = (uint16_t)code;
    }
    return missing == 0;
}

static void pack_base(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out)
{
    for (uint32_t eight = 0; eight < eights; eight++, codes += 8, out += width) {
        uint64_t low = codes[0] | (uint64_t)codes[1] << width | (uint64_t)codes[2] << 2 * width |
                       (uint64_t)codes[3] << 3 * width;
        uint64_t high = codes[4] | (uint64_t)codes[5] << width | (uint64_t)codes[6] << 2 * width |
                        (uint64_t)codes[7] << 3 * width;
        unsigned __int128 all = low | (unsigned __int128)high << 4 * width;
        memcpy(out, &all, sizeof(all));
    }
}

#if defined(__x86_64__)
#define AT_ONCE 16u

WIDE static uint32_t find_wide(const struct words_table *table, struct words_key key)
{
    uint64_t hash = hash_wide(key, table->factor);
    uint32_t distance = table->distances[hash >> (64 - table->distance_bits)];
    return code_in(slot_at(table, hash, distance), key);
}

/* What of AT_ONCE codes are of other words. */
WIDE static bool clear_strangers(const struct words_table *table, const uint8_t *bytes,
                                 const uint16_t *starts, uint32_t count, uint16_t *codes)
{
    bool is_whole = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = starts[i + 1] - starts[i];
        codes[i] = size > WORDS_KEY_MAX
                       ? 0
                       : (uint16_t)find_wide(table, words_key_of(bytes + starts[i], size));
        is_whole = is_whole && codes[i] != 0;
    }
    return is_whole;
}

/* The same with a key in one register. */
WIDE static bool find_all_wide(const struct words_table *table, const uint8_t *bytes,
                               const uint16_t *starts, uint32_t count, uint16_t *codes)
{
    const uint8_t *slots = (const uint8_t *)table->slots;
    const uint8_t *masks = (const uint8_t *)words_masks;
    const uint32_t *distances = table->distances;
    __m128i factor = _mm_set1_epi64x((int64_t)table->factor);
    uint64_t mask = table->mask, begin = starts[0];
    uint32_t distance_shift = 64 - table->distance_bits;
    bool is_whole = true;
    for (uint32_t i = 0; i < count;) {
        uint32_t first = i, last = count - i < AT_ONCE ? count : i + AT_ONCE;
        __m128i same = _mm_set1_epi8(-1);
        bool is_long = false;
        for (; i < last; i++) {
            uint64_t end = starts[i + 1], size = end - begin;
            if (__builtin_expect(size > WORDS_KEY_MAX, 0)) {
                is_long = true; /* and might be the same as an empty slot */
                size = 0;
            }
            __m128i key = _mm_and_si128(
                _mm_loadu_si128((const __m128i *)(const void *)(bytes + begin)),
                _mm_load_si128((const __m128i *)(const void *)(masks + size * SLOT_SIZE)));
            uint64_t hash = hash_register(key, factor);
            uint64_t offset =
                ((hash >> AES_OFFSET_SHIFT) & mask) ^ distances[hash >> distance_shift];
            __m128i slot = _mm_load_si128((const __m128i *)(const void *)(slots + offset));
            same = _mm_and_si128(same, _mm_cmpeq_epi8(key, slot));
            codes[i] = load_u16(slots + offset + 14);
            begin = end;
        }
        if ((_mm_movemask_epi8(same) & 0x3fff) != 0x3fff || is_long)
            is_whole = clear_strangers(table, bytes, starts + first, last - first, codes + first) &&
                       is_whole;
    }
    return is_whole;
}

WIDE static void pack_wide(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out)
{
    uint64_t used = ((UINT64_C(1) << width) - 1) * UINT64_C(0x0001000100010001);
    uint32_t begin = width / 2, shift = width % 2 * 4; /* of the second half: bytes, and bits */
    uint64_t shared = UINT64_MAX * (width % 2);        /* the byte that both have a part of */
    for (uint32_t eight = 0; eight < eights; eight++, codes += 8, out += width) {
        uint64_t four[2];
        memcpy(four, codes, sizeof(four));
        uint64_t first = _pext_u64(four[0], used), second = _pext_u64(four[1], used) << shift;
        second |= (first & shared) >> (begin * 8 & 63);
        memcpy(out, &first, sizeof(first));
        memcpy(out + begin, &second, sizeof(second));
    }
}

uint32_t words_find(const struct words_table *table, struct words_key key)
{
    return table->form == WORDS_AES ? find_wide(table, key) : find_plain(table, key);
}

bool words_find_all(const struct words_table *table, const uint8_t *bytes, const uint16_t *starts,
                    uint32_t count, uint16_t *codes)
{
    if (table->form == WORDS_AVX512)
        return words_find_all_avx512(table, bytes, starts, count, codes);
    return table->form == WORDS_AES ? find_all_wide(table, bytes, starts, count, codes)
                                    : find_all_plain(table, bytes, starts, count, codes);
}

void words_pack(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out)
{
    enum kernel_isa isa = kernels_chosen()->isa;
    if (isa == KERNEL_BASE) {
        pack_base(codes, eights, width, out);
        return;
    }
    uint32_t wide = isa == KERNEL_AVX512 ? eights / 4 * 4 : 0;
    if (wide != 0)
        words_pack_avx512(codes, wide, width, out);
    pack_wide(codes + (size_t)wide * 8, eights - wide, width, out + (size_t)wide * width);
}
#else
uint32_t words_find(const struct words_table *table, struct words_key key)
{
    return find_plain(table, key);
}

bool words_find_all(const struct words_table *table, const uint8_t *bytes, const uint16_t *starts,
                    uint32_t count, uint16_t *codes)
{
    return find_all_plain(table, bytes, starts, count, codes);
}

void words_pack(const uint16_t *codes, uint32_t eights, uint32_t width, uint8_t *out)
{
    pack_base(codes, eights, width, out);
}
#endif
