/* Bitmap indexes: writing. The bytes are those that bitmap.c reads.
 *
 *   number   every distinct key gets a small number: by its distance from the least key where keys
 *            are dense (codes, small integers), else by a hash table, which gives up at the first
 *            key too many: a column of unique values costs a twentieth of its rows
 *   count    rows of each number; keys with a row in 32 are left out
 *   place    one pass puts the rows of rare keys side by side, ascending
 *   write    key by key in ascending order, each list in its smaller form
 *
 * Cost: about 4 ns a row for dense keys, 15 hashed. Memory: 4 bytes a row and 8 per key. */
#include "storage/index/bitmap_private.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DENSE_RANGE_MAX (4 * (uint64_t)BITMAP_KEYS_MAX)
#define SLOT_COUNT (2 * (uint32_t)BITMAP_KEYS_MAX)
#define NO_NUMBER UINT32_MAX
#define PAUSE_WORK 32768 /* rows of lists between two pauses; */
#define PAUSE_KEY 8      /* a list costs as much as so many rows, besides its own */
#define FORM_ROWS_MIN                                                                              \
    8 /* shorter lists are never smaller as roaring: its head alone is 16 bytes                    \
       */

/* Numbers of keys. Dense: key - base. Else slots hold numbers, keys[number] the key. */
struct numbering {
    bool is_dense;
    int64_t base;
    uint32_t count; /* numbers given away; dense: the range */
    int64_t *keys;
    uint32_t *slots;
};

struct build {
    const struct bitmap_input *input;
    struct numbering numbering;
    const uint32_t *counts; /* per number: the caller's, or these: */
    uint32_t *counted;
    uint32_t *places; /* per number: the end of its rows in `rows`, while they are put there */
    uint8_t *steps;   /* per number: 1 if it is rare */
    uint32_t *rows;   /* the caller's memory, or this: */
    uint32_t *own_rows;
};

static bool is_null(const struct bitmap_input *input, uint32_t row)
{
    return input->validity != NULL && input->validity[row] == 0;
}

static int64_t key_at(const struct bitmap_input *input, uint32_t row)
{
    return input->keys != NULL ? input->keys[row] : (int64_t)input->codes[row];
}

static void pause_at(const struct bitmap_input *input, uint32_t row)
{
    if (input->pause != NULL && row % BITMAP_PAUSE_ROWS == 0)
        input->pause(input->context);
}

/* Rows between two pauses, so that inner loops have none. */
static uint32_t end_of_piece(const struct bitmap_input *input, uint32_t begin)
{
    uint32_t left = input->row_count - begin;
    return begin + (left < BITMAP_PAUSE_ROWS ? left : BITMAP_PAUSE_ROWS);
}

/* --- numbers --- */

static uint32_t *find_slot(const struct numbering *numbering, int64_t key)
{
    uint32_t at = (uint32_t)hash_mix((uint64_t)key) & (SLOT_COUNT - 1);
    while (numbering->slots[at] != NO_NUMBER && numbering->keys[numbering->slots[at]] != key)
        at = (at + 1) & (SLOT_COUNT - 1);
    return &numbering->slots[at];
}

static uint32_t number_of(const struct numbering *numbering, int64_t key)
{
    if (numbering->is_dense)
        return (uint32_t)((uint64_t)key - (uint64_t)numbering->base);
    return *find_slot(numbering, key);
}

/* False: too many keys. */
static bool number_hashed(struct build *build)
{
    const struct bitmap_input *input = build->input;
    struct numbering *numbering = &build->numbering;
    numbering->keys = memory_alloc(BITMAP_KEYS_MAX * sizeof(*numbering->keys));
    numbering->slots = memory_alloc(SLOT_COUNT * sizeof(*numbering->slots));
    memset(numbering->slots, 0xFF, SLOT_COUNT * sizeof(*numbering->slots));
    uint32_t *counts = memory_alloc_zero(BITMAP_KEYS_MAX * sizeof(*counts));
    build->counts = build->counted = counts;
    for (uint32_t row = 0; row < input->row_count; row++) {
        pause_at(input, row);
        if (is_null(input, row))
            continue;
        int64_t key = key_at(input, row);
        uint32_t *slot = find_slot(numbering, key);
        if (*slot == NO_NUMBER) {
            if (numbering->count == BITMAP_KEYS_MAX)
                return false;
            *slot = numbering->count;
            numbering->keys[numbering->count++] = key;
        }
        counts[*slot]++;
    }
    return true;
}

/* Dense keys without NULLs, as columns of texts have them, with all that the loops need in
 * registers: else each store might change what pointers point to. Once for numbers of each width.
 */
#define DENSE_LOOPS(NAME, KEY)                                                                     \
    static void count_##NAME(const KEY *restrict keys, uint32_t begin, uint32_t end, KEY base,     \
                             uint32_t *restrict counts)                                            \
    {                                                                                              \
        for (uint32_t row = begin; row < end; row++)                                               \
            counts[keys[row] - base]++;                                                            \
    }                                                                                              \
    static void place_##NAME(const KEY *restrict keys, uint32_t begin, uint32_t end, KEY base,     \
                             uint32_t *restrict places, const uint8_t *restrict steps,             \
                             uint32_t *restrict rows)                                              \
    {                                                                                              \
        uint32_t off = fault_is("bitmap.next_row");                                                \
        for (uint32_t row = begin; row < end; row++) {                                             \
            KEY number = keys[row] - base;                                                         \
            uint32_t place = places[number];                                                       \
            rows[place] = row + off;                                                               \
            places[number] = place + steps[number];                                                \
        }                                                                                          \
    }
DENSE_LOOPS(keys, uint64_t)
DENSE_LOOPS(codes, uint32_t)

static void number_dense(struct build *build, int64_t min, uint64_t range)
{
    const struct bitmap_input *input = build->input;
    build->numbering = (struct numbering){.is_dense = true, .base = min, .count = (uint32_t)range};
    if (input->code_rows != NULL && input->code_count == range) {
        build->counts = input->code_rows;
        return;
    }
    uint32_t *counts = memory_alloc_zero(range * sizeof(*counts));
    build->counts = build->counted = counts;
    for (uint32_t begin = 0; begin < input->row_count;) {
        uint32_t end = end_of_piece(input, begin);
        pause_at(input, 0);
        if (input->validity == NULL && input->keys != NULL)
            count_keys((const uint64_t *)input->keys, begin, end, (uint64_t)min, counts);
        else if (input->validity == NULL)
            count_codes(input->codes, begin, end, (uint32_t)min, counts);
        for (uint32_t row = begin; input->validity != NULL && row < end; row++) {
            if (!is_null(input, row))
                counts[(uint64_t)key_at(input, row) - (uint64_t)min]++;
        }
        begin = end;
    }
}

/* False: no key at all, or too many. */
static bool number_keys(struct build *build)
{
    const struct bitmap_input *input = build->input;
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    if (input->code_count != 0 && input->code_count <= DENSE_RANGE_MAX) {
        number_dense(build, 0, input->code_count);
        return true;
    }
    for (uint32_t begin = 0; begin < input->row_count;) {
        uint32_t end = end_of_piece(input, begin);
        pause_at(input, 0);
        for (uint32_t row = begin; row < end; row++) {
            int64_t key = key_at(input, row);
            if (is_null(input, row))
                continue;
            min = key < min ? key : min;
            max = key > max ? key : max;
        }
        begin = end;
    }
    if (min > max)
        return false;
    uint64_t range = (uint64_t)max - (uint64_t)min;
    if (range >= DENSE_RANGE_MAX)
        return number_hashed(build);
    number_dense(build, min, range + 1);
    return true;
}

/* --- keys in order --- */

struct keyed {
    int64_t key;
    uint32_t number;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a;
    const struct keyed *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* The distinct keys, ascending; NULL: more than BITMAP_KEYS_MAX. */
static struct keyed *sort_keys(const struct build *build, uint32_t *count)
{
    const struct numbering *numbering = &build->numbering;
    struct keyed *keys = memory_alloc(BITMAP_KEYS_MAX * sizeof(*keys));
    *count = 0;
    for (uint32_t number = 0; number < numbering->count; number++) {
        if (build->counts[number] == 0)
            continue;
        if (*count == BITMAP_KEYS_MAX) {
            memory_free(keys);
            return NULL;
        }
        int64_t key = numbering->is_dense ? (int64_t)((uint64_t)numbering->base + number)
                                          : numbering->keys[number];
        keys[(*count)++] = (struct keyed){.key = key, .number = number};
    }
    if (!numbering->is_dense)
        qsort(keys, *count, sizeof(*keys), compare_keyed);
    return keys;
}

static bool is_rare(const struct build *build, uint32_t number)
{
    return (uint64_t)build->counts[number] * BITMAP_RARE < build->input->row_count;
}

/* One row after the other to where its number's next row goes. Rows of frequent keys all go to one
 * place behind the others, which costs less than asking what they are. */
static void place_piece(struct build *build, uint32_t begin, uint32_t end)
{
    const struct bitmap_input *input = build->input;
    uint32_t *places = build->places, *rows = build->rows;
    const uint8_t *steps = build->steps;
    uint64_t base = (uint64_t)build->numbering.base;
    bool is_plain = build->numbering.is_dense && input->validity == NULL;
    if (is_plain && input->keys != NULL) {
        place_keys((const uint64_t *)input->keys, begin, end, base, places, steps, rows);
        return;
    }
    if (is_plain) {
        place_codes(input->codes, begin, end, (uint32_t)base, places, steps, rows);
        return;
    }
    for (uint32_t row = begin; row < end; row++) {
        if (is_null(input, row))
            continue;
        uint32_t number = number_of(&build->numbering, key_at(input, row));
        rows[places[number]] = row;
        places[number] += steps[number];
    }
}

/* Rows of rare keys side by side, in the order of numbers. */
static void place_rows(struct build *build)
{
    uint32_t number_count = build->numbering.count;
    uint32_t total = 0;
    build->places = memory_alloc(number_count * sizeof(*build->places));
    build->steps = memory_alloc(number_count);
    for (uint32_t number = 0; number < number_count; number++) {
        build->steps[number] = is_rare(build, number);
        build->places[number] = total;
        if (build->steps[number])
            total += build->counts[number];
    }
    for (uint32_t number = 0; number < number_count; number++) {
        if (!build->steps[number])
            build->places[number] = total;
    }
    const struct bitmap_input *input = build->input;
    build->rows = input->memory;
    if (input->memory == NULL)
        build->rows = build->own_rows = memory_alloc(((size_t)total + 1) * sizeof(*build->rows));
    for (uint32_t begin = 0; begin < input->row_count;) {
        uint32_t end = end_of_piece(input, begin);
        pause_at(input, 0);
        place_piece(build, begin, end);
        begin = end;
    }
}

/* --- lists --- */

/* No less than the portable format takes: per container 2 bytes a value, 4 a run or 8 KiB. */
static size_t roaring_size_least(const uint32_t *rows, uint32_t count)
{
    size_t size = 8;
    for (uint32_t i = 0; i < count;) {
        uint32_t begin = i;
        size_t run_size = 2;
        for (; i < count && rows[i] >> 16 == rows[begin] >> 16; i++)
            run_size += i == begin || rows[i] != rows[i - 1] + 1 ? 4 : 0;
        size_t array_size = (size_t)(i - begin) * 2;
        size_t least = array_size < 8192 ? array_size : 8192;
        size += 4 + (run_size < least ? run_size : least);
    }
    return size;
}

/* Appends the distances; *neighbours: rows right behind the one before. Returns how many bytes. */
static size_t write_deltas(const uint32_t *rows, uint32_t count, struct writer *lists,
                           uint32_t *neighbours)
{
    uint8_t *to = writer_reserve(lists, (size_t)count * DELTA_SIZE_MAX + DELTAS_ROOM);
    *neighbours = 0;
    if (to == NULL)
        return 0;
    size_t size = (size_t)(deltas_write(rows, count, to, neighbours) - to);
    lists->size += size;
    return size;
}

/* Appends the list to `lists`, its head to `heads`. */
static void write_list(const uint32_t *rows, uint32_t count, struct writer *heads,
                       struct writer *lists)
{
    uint32_t neighbours;
    size_t begin = lists->size, size = write_deltas(rows, count, lists, &neighbours);
    /* Arrays take two bytes a row, and a run saves less than four for each row that stands behind
     * another: most lists are below that without a further look. Bitsets begin at 4,096 rows. */
    bool is_small = count < ROARING_ARRAY_MAX && size + 4 * (size_t)neighbours <= 2 * (size_t)count;
    if (count >= FORM_ROWS_MIN && !is_small && roaring_size_least(rows, count) < size) {
        lists->size = begin;
        if (bitmap_roaring_write(rows, count, lists) < size) {
            writer_varint(heads, (uint64_t)count << 1 | BITMAP_ROARING);
            writer_varint(heads, lists->size - begin);
            return;
        }
        lists->size = begin;
        (void)write_deltas(rows, count, lists, &neighbours);
    }
    writer_varint(heads, (uint64_t)count << 1 | BITMAP_DELTAS);
    writer_varint(heads, size);
}

/* Groups of the keys, all rare; the place of each behind the first goes where the directory has
 * room for it, from `offsets` on. */
static void write_groups(const struct build *build, const struct keyed *keys, uint32_t count,
                         size_t offsets, struct writer *out)
{
    struct writer heads, lists;
    uint32_t since_pause = 0;
    size_t data = out->size;
    writer_init(&heads);
    writer_init(&lists);
    for (uint32_t begin = 0; begin < count; begin += BITMAP_GROUP_KEYS) {
        uint32_t left = count - begin;
        uint32_t end = begin + (left < BITMAP_GROUP_KEYS ? left : BITMAP_GROUP_KEYS);
        writer_reset(&heads);
        writer_reset(&lists);
        for (uint32_t i = begin; i < end; i++) {
            uint32_t number = keys[i].number;
            uint32_t rows = build->counts[number];
            if (i > begin)
                writer_varint(&heads, (uint64_t)keys[i].key - (uint64_t)keys[i - 1].key);
            write_list(build->rows + build->places[number] - rows, rows, &heads, &lists);
            since_pause += rows + PAUSE_KEY;
            if (since_pause >= PAUSE_WORK)
                pause_at(build->input, since_pause = 0);
        }
        writer_patch_u32(out, offsets, (uint32_t)(out->size - data));
        offsets += sizeof(uint32_t);
        writer_slice(out, writer_as_slice(&heads));
        writer_slice(out, writer_as_slice(&lists));
    }
    writer_deinit(&heads);
    writer_deinit(&lists);
}

static void write_index(const struct build *build, const struct keyed *keys, uint32_t rare_count,
                        const int64_t *frequent, uint32_t frequent_count, struct writer *out)
{
    writer_u32(out, BITMAP_MAGIC);
    writer_u32(out, build->input->row_count);
    writer_u32(out, rare_count);
    writer_u32(out, frequent_count);
    size_t size_at = out->size;
    writer_u64(out, 0); /* of the groups: known at the end, and below 4 GiB */
    for (uint32_t i = 0; i < frequent_count; i++)
        writer_i64(out, frequent[i]);
    for (uint32_t i = 0; i < rare_count; i += BITMAP_GROUP_KEYS)
        writer_i64(out, keys[i].key);
    size_t offsets = out->size;
    for (uint32_t i = 0; i < rare_count; i += BITMAP_GROUP_KEYS)
        writer_u32(out, 0);
    size_t data = out->size;
    write_groups(build, keys, rare_count, offsets, out);
    writer_patch_u32(out, size_at, (uint32_t)(out->size - data));
}

bool bitmap_index_write(const struct bitmap_input *input, struct writer *out)
{
    struct build build = {.input = input};
    int64_t frequent[BITMAP_RARE];
    uint32_t frequent_count = 0;
    uint32_t rare_count = 0;
    uint32_t key_count = 0;
    assert(input->row_count > 0);
    assert(input->row_count <= BITMAP_ROWS_MAX);
    struct keyed *keys = number_keys(&build) ? sort_keys(&build, &key_count) : NULL;
    /* At most BITMAP_RARE keys can have a row in BITMAP_RARE. Below that many rows all do. */
    for (uint32_t i = 0; keys != NULL && i < key_count && input->row_count > BITMAP_RARE; i++) {
        if (is_rare(&build, keys[i].number))
            keys[rare_count++] = keys[i];
        else
            frequent[frequent_count++] = keys[i].key;
    }
    if (rare_count != 0) {
        place_rows(&build);
        write_index(&build, keys, rare_count, frequent, frequent_count, out);
    }
    memory_free(keys);
    memory_free(build.numbering.keys);
    memory_free(build.numbering.slots);
    memory_free(build.counted);
    memory_free(build.places);
    memory_free(build.steps);
    memory_free(build.own_rows);
    return rare_count != 0;
}
