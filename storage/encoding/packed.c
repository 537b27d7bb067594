/* Packed vectors: integers in as few bits as each vector of 2,048 needs.
 *
 *   scale | per vector: base, offset, width | units …
 *
 *   value = base + scale * packed
 *
 * Every vector has its own base and width, so an outlier makes one vector wide and not all, and a
 * vector is read knowing nothing of the others. `scale` is one for the section: times that are
 * whole milliseconds save ten bits by it. The last unit of a vector ends with the last row of words
 * that has a value in it; it is unpacked through a copy with zeros behind. All arithmetic is modulo
 * 2^64, so any 64-bit values and any bytes are fine.
 *
 * Used for values (frame), codes of dictionaries, values of runs and sizes of texts.
 */
#include "storage/encoding/packed_units.h"

#include "storage/base/fault.h"

#include <assert.h>

#define SUM_WIDTH_MAX 26 /* 64 values of so many bits add up within 32 */

/* --- units --- */

uint32_t units_size(uint32_t count, uint32_t width)
{
    if (count <= UNIT_VALUES)
        return unit_size(count, width);
    return unit_size(UNIT_VALUES, width) + unit_size(count - UNIT_VALUES, width);
}

static void unit_write(const uint64_t *values, uint32_t count, uint32_t width, uint8_t *out)
{
    const struct bitpack *pack = kernels_chosen()->pack;
    uint64_t wide[UNIT_VALUES];
    uint8_t unit[UNIT_VALUES * sizeof(uint64_t)];
    memcpy(wide, values, count * sizeof(*wide));
    memset(wide + count, 0, (UNIT_VALUES - count) * sizeof(*wide));
    pack->pack64(wide, width, unit);
    memcpy(out, unit, unit_size(count, width));
}

/* Of values that become at most 32 bits, which `from` says how: they are moved, cut and packed
 * while they are in the nearest cache, and a whole unit goes where it stays. */
static void unit_write_narrow(const uint64_t *values, uint32_t count, const struct units_from *from,
                              uint32_t width, uint8_t *out)
{
    const struct bitpack *pack = kernels_chosen()->pack;
    uint32_t narrow[UNIT_VALUES];
    uint8_t unit[UNIT_VALUES * sizeof(uint32_t)];
    pack->narrow(values, count, from->base + fault_is("packed.base_moved"), from->scale.shift,
                 (uint32_t)from->scale.inverse, narrow);
    if (count == UNIT_VALUES) {
        pack->pack32(narrow, width, out);
        return;
    }
    memset(narrow + count, 0, (UNIT_VALUES - count) * sizeof(*narrow));
    pack->pack32(narrow, width, unit);
    memcpy(out, unit, unit_size(count, width));
}

void units_write(const uint64_t *values, uint32_t count, const struct units_from *from,
                 uint32_t width, uint8_t *out)
{
    uint64_t relative[UNIT_VALUES];
    for (uint32_t done = 0; width != 0 && done < count; done += UNIT_VALUES) {
        uint32_t some = count - done < UNIT_VALUES ? count - done : UNIT_VALUES;
        if (width <= 32) {
            unit_write_narrow(values + done, some, from, width, out);
        } else {
            for (uint32_t i = 0; i < some; i++)
                relative[i] = divide_exactly(values[done + i] - from->base, &from->scale);
            unit_write(relative, some, width, out);
        }
        out += unit_size(some, width);
    }
}

void units_read(const uint8_t *units, uint32_t count, uint32_t width, void *out)
{
    const struct bitpack *pack = kernels_chosen()->pack;
    uint8_t rest[UNIT_VALUES * sizeof(uint64_t)];
    for (uint32_t done = 0; done < count; done += UNIT_VALUES) {
        uint32_t values = count - done < UNIT_VALUES ? count - done : UNIT_VALUES;
        uint32_t size = unit_size(values, width);
        const uint8_t *unit = whole_unit(units, size, width, rest);
        ask_ahead(units, size);
        if (width <= 32)
            pack->unpack32[width](unit, (uint32_t *)out + done);
        else
            pack->unpack64[width - 33](unit, (uint64_t *)out + done);
        units += size;
    }
}

/* The sum of any number of values; width 1 … 63. */
static __int128 units_sum(const uint8_t *units, uint32_t count, uint32_t width)
{
    const struct kernels *kernels = kernels_chosen();
    uint32_t narrow[BLOCK_VECTOR_ROWS];
    int64_t wide[BLOCK_VECTOR_ROWS];
    uint64_t sum = 0;
    if (width > 32) {
        units_read(units, count, width, wide);
        return kernels->sum64(wide, count);
    }
    units_read(units, count, width, narrow);
    if (width > SUM_WIDTH_MAX) {
        kernels->pack->widen(narrow, count, 0, 1, (uint64_t *)wide);
        return kernels->sum64(wide, count);
    }
    for (uint32_t done = 0, step = 1u << (32 - width); done < count; done += step)
        sum += kernels->sum32(narrow + done, count - done < step ? count - done : step);
    return sum;
}

uint32_t units_select(const uint8_t *units, uint32_t count, uint32_t width, uint32_t low,
                      uint32_t span, uint32_t *selection)
{
    const struct kernels *kernels = kernels_chosen();
    uint32_t narrow[BLOCK_VECTOR_ROWS];
    if (kernels->select_packed != NULL)
        return kernels->select_packed(units, width, count, low, span, selection);
    units_read(units, count, width, narrow);
    return kernels->select32(narrow, count, low, span, selection);
}

/* Where a value of up to 32 bits begins, and the word it may run over into: the same one where it
 * does not. Returns its first bit. Units follow each other without a gap, so rows of words count
 * through. */
static inline uint32_t words_of(const uint8_t *units, uint32_t index, uint32_t width,
                                const uint8_t **word, const uint8_t **next)
{
    uint32_t bit = index / 32 * width, shift = bit % 32;
    *word = units + bit / 32 * UNIT_ROW_BYTES + index % 32 * 4;
    *next = *word + (shift + width > 32 ? UNIT_ROW_BYTES : 0);
    return shift;
}

/* One value. Whether it runs over into the next word is as good as chance: no branch on it, the
 * same word is taken twice instead. Divisions are by constants, the two of them by powers of two.
 */
static inline uint64_t units_at32(const uint8_t *units, uint32_t index, uint32_t width)
{
    const uint8_t *word, *next;
    uint32_t shift = words_of(units, index, width, &word, &next);
    uint64_t value = load_u32(word) >> shift | (uint64_t)load_u32(next) << (32 - shift);
    return value & ((UINT64_C(1) << width) - 1);
}

static inline uint64_t units_at64(const uint8_t *units, uint32_t index, uint32_t width)
{
    uint32_t bit = index % UNIT_VALUES / 16 * width, shift = bit % 64;
    const uint8_t *word = units + index / UNIT_VALUES * (width * UNIT_ROW_BYTES) +
                          bit / 64 * UNIT_ROW_BYTES + index % 16 * 8;
    const uint8_t *next = word + (shift + width > 64 ? UNIT_ROW_BYTES : 0);
    uint64_t value = load_u64(word) >> shift | load_u64(next) << 1 << (63 - shift);
    return width == 64 ? value : value & ((UINT64_C(1) << width) - 1);
}

static uint64_t units_at(const uint8_t *units, uint32_t index, uint32_t width)
{
    if (width == 0)
        return 0;
    return width <= 32 ? units_at32(units, index, width) : units_at64(units, index, width);
}

/* --- writing --- */

struct divisor divisor_of(uint64_t value)
{
    assert(value != 0);
    struct divisor divisor = {.value = value, .shift = (uint32_t)__builtin_ctzll(value)};
    uint64_t odd = value >> divisor.shift, inverse = odd; /* right in 3 bits; each turn doubles */
    for (int turn = 0; turn < 5; turn++)
        inverse *= 2 - odd * inverse;
    divisor.inverse = inverse;
    divisor.limit = UINT64_MAX / odd;
    return divisor;
}

void packed_plan_make(const int64_t *values, uint32_t row_count, uint64_t scale,
                      struct packed_plan *plan)
{
    uint32_t vectors = vector_count_of(row_count);
    plan->row_count = row_count;
    plan->scale = scale;
    plan->size = sizeof(uint64_t) + (uint64_t)vectors * HEAD_SIZE;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        const int64_t *value = values + (size_t)vector * BLOCK_VECTOR_ROWS;
        uint32_t count = vector_rows_of(row_count, vector);
        int64_t low, high;
        integers_range(value, count, &low, &high);
        plan->base[vector] = low;
        plan->width[vector] = (uint8_t)bits_of(((uint64_t)high - (uint64_t)low) / scale);
        plan->size += units_size(count, plan->width[vector]);
    }
}

void packed_write(const struct packed_plan *plan, const int64_t *values, struct writer *out)
{
    struct units_from from = {.scale = divisor_of(plan->scale)};
    uint32_t vectors = vector_count_of(plan->row_count), offset = 0;
    uint8_t *to = writer_reserve(out, plan->size);
    if (to == NULL)
        return;
    memset(to, 0, sizeof(uint64_t) + (size_t)vectors * HEAD_SIZE);
    memcpy(to, &plan->scale, sizeof(plan->scale));
    uint8_t *head = to + sizeof(uint64_t), *units = head + (size_t)vectors * HEAD_SIZE;
    for (uint32_t vector = 0; vector < vectors; vector++, head += HEAD_SIZE) {
        const int64_t *value = values + (size_t)vector * BLOCK_VECTOR_ROWS;
        uint32_t count = vector_rows_of(plan->row_count, vector);
        from.base = (uint64_t)plan->base[vector];
        memcpy(head, &from.base, sizeof(from.base));
        memcpy(head + 8, &offset, sizeof(offset));
        head[12] = plan->width[vector];
        units_write((const uint64_t *)value, count, &from, plan->width[vector], units + offset);
        offset += units_size(count, plan->width[vector]);
    }
    assert((uint64_t)(units - to) + offset == plan->size);
    out->size += plan->size;
}

/* --- reading --- */

bool packed_open(struct slice bytes, uint32_t row_count, struct packed *out, size_t *size)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    uint32_t vectors = vector_count_of(row_count), offset = 0;
    size_t heads_size = (size_t)vectors * HEAD_SIZE;
    if (bytes.size < sizeof(uint64_t) + heads_size)
        return false;
    *out = (struct packed){.heads = data + sizeof(uint64_t),
                           .units = data + sizeof(uint64_t) + heads_size,
                           .scale = load_u64(data),
                           .row_count = row_count};
    size_t left = bytes.size - sizeof(uint64_t) - heads_size;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        const uint8_t *head = out->heads + (size_t)vector * HEAD_SIZE;
        if (head[12] > 64 || load_u32(head + 8) != offset)
            return false;
        offset += units_size(vector_rows_of(row_count, vector), head[12]);
        if (offset > left)
            return false;
    }
    *size = bytes.size - left + offset;
    return out->scale != 0;
}

void packed_read(const struct packed *packed, uint32_t vector, uint32_t count, int64_t *out)
{
    struct packed_head head = head_of(packed, vector);
    if (head.width <= 32) {
        uint32_t narrow[BLOCK_VECTOR_ROWS];
        units_read(head.units, count, head.width, narrow);
        kernels_chosen()->pack->widen(narrow, count, head.base, packed->scale, (uint64_t *)out);
        return;
    }
    uint64_t wide[BLOCK_VECTOR_ROWS];
    units_read(head.units, count, head.width, wide);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (int64_t)(head.base + wide[i] * packed->scale);
}

/* A unit at a time: what is unpacked is where it is wanted, but for a last unit with room for less.
 */
static void read_codes_as_they_are(const struct packed_head *head, uint32_t count, uint32_t limit,
                                   uint32_t *out)
{
    codes32_function *codes = kernels_chosen()->pack->codes32[head->width];
    uint8_t rest[UNIT_VALUES * sizeof(uint32_t)];
    uint32_t unit_codes[UNIT_VALUES], size = UNIT_ROW_BYTES * head->width;
    const uint8_t *unit = head->units;
    for (; count >= UNIT_VALUES; count -= UNIT_VALUES, unit += size, out += UNIT_VALUES) {
        ask_ahead(unit, size);
        codes(unit, (uint32_t)head->base, limit, out);
    }
    if (count == 0)
        return;
    codes(whole_unit(unit, unit_size(count, head->width), head->width, rest), (uint32_t)head->base,
          limit, unit_codes);
    memcpy(out, unit_codes, count * sizeof(*out));
}

void packed_read_codes(const struct packed *packed, uint32_t vector, uint32_t count, uint32_t limit,
                       uint32_t *out)
{
    struct packed_head head = head_of(packed, vector);
    uint32_t narrow[BLOCK_VECTOR_ROWS];
    if (head.width >= 1 && head.width <= 32 && packed->scale == 1) {
        read_codes_as_they_are(&head, count, limit, out);
        return;
    }
    if (head.width <= 32) {
        units_read(head.units, count, head.width, narrow);
    } else {
        uint64_t wide[BLOCK_VECTOR_ROWS];
        units_read(head.units, count, head.width, wide);
        for (uint32_t i = 0; i < count; i++)
            narrow[i] = (uint32_t)wide[i];
    }
    kernels_chosen()->pack->codes(narrow, count, (uint32_t)head.base, (uint32_t)packed->scale,
                                  limit, out);
}

int64_t packed_at(const struct packed *packed, uint32_t row)
{
    struct packed_head head = head_of(packed, row / BLOCK_VECTOR_ROWS);
    uint64_t value = units_at(head.units, row % BLOCK_VECTOR_ROWS, head.width);
    return (int64_t)(head.base + value * packed->scale);
}

/* Whether values ascend as what is packed of them does: where bytes are hostile, or a frame spans
 * more than 63 bits, they wrap around. */
static bool is_straight(const struct packed_head *head, uint64_t scale)
{
    uint64_t span;
    int64_t greatest;
    return head->width < 64 &&
           !__builtin_mul_overflow((UINT64_C(1) << head->width) - 1, scale, &span) &&
           span <= INT64_MAX &&
           !__builtin_add_overflow((int64_t)head->base, (int64_t)span, &greatest);
}

bool packed_read_narrow(const struct packed *packed, uint32_t vector, uint32_t begin,
                        uint32_t count, uint32_t *out, int64_t *base)
{
    struct packed_head head = head_of(packed, vector);
    if (head.width > 32 || !is_straight(&head, packed->scale))
        return false;
    *base = (int64_t)head.base;
    units_read(head.units + begin / 8 * head.width, count, head.width, out);
    return true;
}

__int128 packed_sum(const struct packed *packed, uint32_t vector, uint32_t count)
{
    struct packed_head head = head_of(packed, vector);
    const struct kernels *kernels = kernels_chosen();
    int64_t values[BLOCK_VECTOR_ROWS];
    __int128 sum = 0;
    uint32_t done = 0;
    if (!is_straight(&head, packed->scale)) {
        packed_read(packed, vector, count, values);
        return kernels->sum64(values, count);
    }
    for (; head.width >= 1 && head.width <= FOLD_SUM_WIDTH_MAX && done + UNIT_VALUES <= count;
         done += UNIT_VALUES) {
        const uint8_t *unit = head.units + done / 8 * head.width;
        ask_ahead(unit, UNIT_ROW_BYTES * head.width);
        sum += kernels->fold->sum[head.width](unit);
    }
    if (head.width != 0 && done < count && !fault_is("packed.rest_lost"))
        sum += units_sum(head.units + done / 8 * head.width, count - done, head.width);
    return (__int128)(int64_t)head.base * count + (__int128)packed->scale * sum;
}

/* Rows [begin, end) of a unit; what they say goes into *least and *greatest. */
static void unit_ends(const uint8_t *unit, uint32_t width, uint32_t begin, uint32_t end,
                      uint32_t *least, uint32_t *greatest)
{
    uint32_t narrow[UNIT_VALUES], low, high;
    units_read(unit, end, width, narrow);
    kernels_chosen()->range32(narrow + begin, end - begin, &low, &high);
    *least = low < *least ? low : *least;
    *greatest = high > *greatest ? high : *greatest;
}

/* Whole units lane by lane, what is cut of the others by its values. */
static void units_ends(const uint8_t *units, uint32_t width, uint32_t first, uint32_t count,
                       uint32_t *least, uint32_t *greatest)
{
    const struct kernels *kernels = kernels_chosen();
    struct lane_ends ends;
    uint32_t whole = 0, low, high;
    memset(ends.least, UINT8_MAX, sizeof(ends.least));
    memset(ends.greatest, 0, sizeof(ends.greatest));
    for (uint32_t done = first, next; done < first + count; done = next) {
        uint32_t begin = done / UNIT_VALUES * UNIT_VALUES, all = first + count;
        const uint8_t *unit = units + begin / 8 * width;
        next = begin + UNIT_VALUES < all ? begin + UNIT_VALUES : all;
        if (next - done != UNIT_VALUES) {
            unit_ends(unit, width, done - begin, next - begin, least, greatest);
            continue;
        }
        ask_ahead(unit, UNIT_ROW_BYTES * width);
        kernels->fold->ends[width](unit, &ends);
        whole++;
    }
    if (whole == 0 || fault_is("packed.lanes_lost"))
        return;
    kernels->range32(ends.least, array_count(ends.least), &low, &high);
    *least = low < *least ? low : *least;
    kernels->range32(ends.greatest, array_count(ends.greatest), &low, &high);
    *greatest = high > *greatest ? high : *greatest;
}

bool packed_range(const struct packed *packed, uint32_t vector, uint32_t first, uint32_t count,
                  int64_t *least, int64_t *greatest)
{
    struct packed_head head = head_of(packed, vector);
    uint32_t low = UINT32_MAX, high = 0;
    assert(count > 0);
    if (head.width > 32 || !is_straight(&head, packed->scale))
        return false;
    if (head.width == 0)
        low = 0;
    else
        units_ends(head.units, head.width, first, count, &low, &high);
    *least = (int64_t)(head.base + low * packed->scale);
    *greatest = (int64_t)(head.base + high * packed->scale);
    return true;
}

/* --- single rows --- */

#define PICK_BODY static inline __attribute__((always_inline))
#define PICK_ROWS 64 /* of a round: as many lines as are asked for ahead */
#define PICK_FEW 8   /* below it setting up costs more than it saves */
#define UNIT_ROW_WORDS (UNIT_ROW_BYTES / 4)

/* A word of a unit, wherever the bytes lie. */
typedef uint32_t pick_word __attribute__((aligned(1), may_alias));

/* What rows need to know of their vector. */
struct pick_vectors {
    uint32_t units[BLOCK_VECTORS_MAX], width[BLOCK_VECTORS_MAX];
    uint64_t base[BLOCK_VECTORS_MAX], mask[BLOCK_VECTORS_MAX];
};

/* Where the values of a round lie, in words from the first unit. */
struct pick_round {
    uint32_t word[PICK_ROWS], next[PICK_ROWS], shift[PICK_ROWS];
};

/* False: some vector is packed in another way, or nothing is packed at all. A vector of width 0 has
 * no words: what is read for it is the beginning of another's, and masked away. */
static bool pick_prepare(const struct packed *packed, uint32_t first, uint32_t last,
                         struct pick_vectors *vectors)
{
    uint32_t widest = 0;
    for (uint32_t vector = first; vector <= last; vector++) {
        struct packed_head head = head_of(packed, vector);
        widest = head.width > widest ? head.width : widest;
        vectors->units[vector] =
            head.width == 0 ? 0 : (uint32_t)(head.units - packed->units) / sizeof(uint32_t);
        vectors->width[vector] = head.width;
        vectors->base[vector] = head.base;
        vectors->mask[vector] = head.width > 32 ? 0 : (UINT64_C(1) << head.width) - 1;
    }
    return widest > 0 && widest <= 32;
}

/* Single rows lie cache lines apart, where the processor does not see them coming: a round of rows
 * is found, and while its words are asked for one by one, the round before, whose words are there
 * by now, is read. Without that a row costs what its line takes to come; with all of a round asked
 * for before anything is read, memory has nothing to do meanwhile. Rounds have a fixed length, so
 * that the compiler makes vector instructions of finding. */
PICK_BODY void pick_find_body(const struct pick_vectors *restrict vectors,
                              const uint32_t *restrict rows, struct pick_round *restrict out)
{
    for (uint32_t i = 0; i < PICK_ROWS; i++) {
        uint32_t vector = rows[i] / BLOCK_VECTOR_ROWS, index = rows[i] % BLOCK_VECTOR_ROWS;
        uint32_t width = vectors->width[vector], bit = index / 32 * width, shift = bit % 32;
        uint32_t word = vectors->units[vector] + bit / 32 * UNIT_ROW_WORDS + index % 32;
        out->word[i] = word;
        out->next[i] = word + (shift + width > 32 ? UNIT_ROW_WORDS : 0);
        out->shift[i] = shift;
    }
}

PICK_BODY void pick_read_body(const struct pick_vectors *restrict vectors,
                              const pick_word *restrict units, const uint32_t *restrict rows,
                              const struct pick_round *restrict round,
                              const struct pick_round *restrict ahead, uint64_t scale,
                              uint64_t *restrict out)
{
    for (uint32_t i = 0; i < PICK_ROWS; i++) {
        uint32_t vector = rows[i] / BLOCK_VECTOR_ROWS;
        __builtin_prefetch(&units[ahead->word[i]]);
        __builtin_prefetch(&units[ahead->next[i]]);
        uint64_t both = units[round->word[i]] | (uint64_t)units[round->next[i]] << 32;
        out[i] = vectors->base[vector] + (both >> round->shift[i] & vectors->mask[vector]) * scale;
    }
}

#define PICK_FUNCTIONS(isa, attributes)                                                            \
    attributes static void pick_find_##isa(const struct pick_vectors *restrict vectors,            \
                                           const uint32_t *restrict rows,                          \
                                           struct pick_round *restrict out)                        \
    {                                                                                              \
        pick_find_body(vectors, rows, out);                                                        \
    }                                                                                              \
    attributes static void pick_read_##isa(                                                        \
        const struct pick_vectors *restrict vectors, const pick_word *restrict units,              \
        const uint32_t *restrict rows, const struct pick_round *restrict round,                    \
        const struct pick_round *restrict ahead, uint64_t scale, uint64_t *restrict out)           \
    {                                                                                              \
        pick_read_body(vectors, units, rows, round, ahead, scale, out);                            \
    }
PICK_FUNCTIONS(base, )
#if defined(__x86_64__)
PICK_FUNCTIONS(avx2, __attribute__((target("avx2,bmi2"))))
#else
#define pick_find_avx2 pick_find_base
#define pick_read_avx2 pick_read_base
#endif

/* One round's rows, the last one as often as it takes where there are fewer. */
static const uint32_t *pick_rows(const uint32_t *rows, uint32_t count, uint32_t *padded)
{
    if (count >= PICK_ROWS)
        return rows;
    memcpy(padded, rows, count * sizeof(*rows));
    for (uint32_t i = count; i < PICK_ROWS; i++)
        padded[i] = rows[count - 1];
    return padded;
}

static void pick_fetch(const pick_word *units, const struct pick_round *round)
{
    for (uint32_t i = 0; i < PICK_ROWS; i++) {
        __builtin_prefetch(&units[round->word[i]]);
        __builtin_prefetch(&units[round->next[i]]);
    }
}

/* Each turn finds the next round and reads the one in hand; behind the last there is only itself
 * to be asked for. */
static void pick_all(const struct packed *packed, const struct pick_vectors *vectors,
                     const uint32_t *rows, uint32_t count, uint64_t *out)
{
    bool has_avx2 = kernels_chosen()->isa != KERNEL_BASE;
    const pick_word *units = (const pick_word *)(const void *)packed->units;
    uint32_t padded[2][PICK_ROWS];
    struct pick_round rounds[2];
    uint64_t rest[PICK_ROWS];
    const uint32_t *current = pick_rows(rows, count, padded[0]);
    (has_avx2 ? pick_find_avx2 : pick_find_base)(vectors, current, &rounds[0]);
    pick_fetch(units, &rounds[0]);
    for (uint32_t begin = 0, turn = 0; begin < count; begin += PICK_ROWS, turn ^= 1) {
        uint32_t left = count - begin;
        const uint32_t *found = current;
        struct pick_round *ahead = &rounds[turn];
        if (left > PICK_ROWS) {
            ahead = &rounds[turn ^ 1];
            found = pick_rows(rows + begin + PICK_ROWS, left - PICK_ROWS, padded[turn ^ 1]);
            (has_avx2 ? pick_find_avx2 : pick_find_base)(vectors, found, ahead);
        }
        uint64_t *target = left < PICK_ROWS ? rest : out + begin;
        (has_avx2 ? pick_read_avx2 : pick_read_base)(vectors, units, current, &rounds[turn], ahead,
                                                     packed->scale, target);
        if (left < PICK_ROWS)
            memcpy(out + begin, rest, left * sizeof(*out));
        current = found;
    }
}

void packed_pick(const struct packed *packed, const uint32_t *rows, uint32_t count, int64_t *out)
{
    struct pick_vectors vectors;
    if (count >= PICK_FEW && pick_prepare(packed, rows[0] / BLOCK_VECTOR_ROWS,
                                          rows[count - 1] / BLOCK_VECTOR_ROWS, &vectors)) {
        pick_all(packed, &vectors, rows, count, (uint64_t *)out);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        out[i] = packed_at(packed, rows[i]);
}

uint32_t packed_select(const struct packed *packed, uint32_t vector, uint32_t count, int64_t low,
                       int64_t high, uint32_t *selection)
{
    struct packed_head head = head_of(packed, vector);
    int64_t base = (int64_t)head.base;
    uint64_t mask = head.width == 64 ? UINT64_MAX : (UINT64_C(1) << head.width) - 1;
    if (high < base)
        return 0;
    /* The same question about what is packed. */
    uint64_t first = low <= base ? 0 : ((uint64_t)low - head.base - 1) / packed->scale + 1;
    uint64_t last = ((uint64_t)high - head.base) / packed->scale;
    last = last < mask ? last : mask;
    if (first > last)
        return 0;
    if (first == 0 && last == mask)
        return select_rows_between(0, count, selection, 0);
    if (head.width <= 32)
        return units_select(head.units, count, head.width, (uint32_t)first,
                            (uint32_t)(last - first), selection);
    uint64_t wide[BLOCK_VECTOR_ROWS];
    units_read(head.units, count, head.width, wide);
    return kernels_chosen()->select64(wide, count, first, last - first, selection);
}
