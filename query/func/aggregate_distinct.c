/* approx_count_distinct: HyperLogLog.
 *
 *   few values    a list of their 64-bit hashes, repetitions among them: exact below 1,024
 *   more          16,384 registers, the greatest rank of a hash with those 14 leading bits, and a
 *                 list of hashes that are not in them yet
 *
 *   rows ──▶ hashes ──▶ list of the row's group ── full ──▶ repetitions go, or 1,024 are left and
 *                                                           it goes into the registers
 *
 * What a row costs is the end of a list: for 200 groups those are 200 lines of the first cache,
 * where their registers are 3 MB. A list that is full goes into its 16 KB of registers at once. How
 * often it was looked through for repetitions, and when it went into registers, has no influence on
 * any result: what counts is the set of hashes.
 *
 * The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017):
 * no tables, no thresholds between ranges; the standard error is 1.04 / sqrt(16384) = 0.81 %. Two
 * states combine into what one over all rows would be, bit by bit.
 *
 * A state as bytes (_state, read by _merge): 'H', version 1, kind, 14, then
 *   kind 0   u32 count, u64 hashes in ascending order
 *   kind 1   16,384 registers of one byte, each at most 51
 * and the CRC32C of all before. Whatever differs from that is 22023: bytes may come from anybody.
 */
#include "query/func/aggregate.h"

#include "query/kernel/kernel.h"
#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PRECISION REGISTERS_BITS
#define REGISTERS REGISTERS_COUNT
#define RANK_MAX (64 - PRECISION + 1)
#define EXACT_MAX 1024 /* different hashes beside 0: so many go into registers */
#define VERSION 1
#define HASHES 256 /* rows that are hashed before they are added */
#define LIST_MIN 8
#define LIST_MAX (2 * EXACT_MAX)
#define PENDING 512 /* a list's length beside registers */
enum { KIND_EXACT, KIND_DENSE };

struct distinct {
    uint64_t *list;
    uint8_t *registers; /* NULL: the list is all there is */
    uint32_t capacity, used;
    bool is_set; /* a state of no values was read: _state of none at all is NULL */
};

static void distinct_init(void *state)
{
    memset(state, 0, sizeof(struct distinct));
}

static bool is_set(const struct distinct *s)
{
    return s->is_set || s->used != 0 || s->registers != NULL;
}

/* --- lists --- */

/* Takes repetitions out, the first of each stays where it was among the others, until EXACT_MAX
 * different ones beside 0 are seen: then the list still has all it had. Returns how many those
 * are. Places are few bytes and mostly free, so that nothing is compared and no branch surprises
 * while hashes are new. */
static uint32_t keep_different(uint64_t *list, uint32_t *count)
{
    uint16_t places[8 * EXACT_MAX]; /* number in the list + 1, 0: free */
    uint32_t place_count = 64, kept = 0, zeros = 0;
    while (place_count < 8 * *count && place_count < array_count(places))
        place_count *= 2;
    memset(places, 0, place_count * sizeof(*places));
    for (uint32_t i = 0; i < *count; i++) {
        uint64_t hash = list[i];
        uint32_t at = (uint32_t)hash & (place_count - 1);
        while (places[at] != 0 && list[places[at] - 1] != hash)
            at = (at + 1) & (place_count - 1);
        if (places[at] != 0)
            continue;
        list[kept++] = hash;
        places[at] = (uint16_t)kept;
        zeros += hash == 0;
        if (kept - zeros == EXACT_MAX)
            return EXACT_MAX;
    }
    *count = fault_is("sketch.repeated") && kept > 1 ? kept - 1 : kept;
    return kept - zeros;
}

/* The registers, with the list in them. */
static void make_dense(struct distinct *s, struct aggregate_memory *memory)
{
    if (s->registers == NULL)
        s->registers = arena_alloc_zero(memory->arena, REGISTERS);
    registers_add(s->registers, s->list, s->used);
    s->used = 0;
    s->capacity = s->capacity < PENDING ? s->capacity : PENDING;
}

static void list_resize(struct distinct *s, uint32_t capacity, struct aggregate_memory *memory)
{
    uint64_t *list = arena_alloc_array(memory->arena, capacity, sizeof(*list));
    if (s->used != 0)
        memcpy(list, s->list, s->used * sizeof(*list));
    s->list = list;
    s->capacity = capacity;
}

/* Lists of these lengths grow without a look at what repeats: once it was, rows that bring new
 * values mostly go on to. */
static bool grows_unseen(uint32_t capacity)
{
    return capacity == EXACT_MAX / 8 || capacity == EXACT_MAX / 2;
}

/* A full list: room for one more at least. */
static __attribute__((noinline)) void make_room(struct distinct *s, struct aggregate_memory *memory)
{
    if (s->registers == NULL && s->capacity >= LIST_MIN && !grows_unseen(s->capacity) &&
        keep_different(s->list, &s->used) == EXACT_MAX)
        make_dense(s, memory);
    if (s->registers != NULL) {
        make_dense(s, memory);
        if (s->capacity < PENDING)
            list_resize(s, PENDING, memory);
    } else if (s->capacity < LIST_MIN) {
        list_resize(s, LIST_MIN, memory);
    } else if (2 * s->used > s->capacity && s->capacity < LIST_MAX) {
        list_resize(s, 2 * s->capacity < LIST_MAX ? 2 * s->capacity : LIST_MAX, memory);
    }
    assert(s->used < s->capacity);
}

static inline void distinct_add(struct distinct *s, uint64_t hash, struct aggregate_memory *memory)
{
    if (__builtin_expect(s->used == s->capacity, 0))
        make_room(s, memory);
    s->list[s->used++] = hash;
}

static void distinct_add_all(struct distinct *s, const uint64_t *hashes, size_t count,
                             struct aggregate_memory *memory)
{
    while (s->registers == NULL && count > 0) {
        if (s->used == s->capacity)
            make_room(s, memory);
        size_t room = s->capacity - s->used, taken = count < room ? count : room;
        memcpy(s->list + s->used, hashes, taken * sizeof(*hashes));
        s->used += (uint32_t)taken;
        hashes += taken;
        count -= taken;
    }
    if (count > 0)
        registers_add(s->registers, hashes, count);
}

/* --- rows --- */

static bool is_text(struct type type)
{
    return type_physical(type.id) == PHYSICAL_TEXT && !type_is_array((enum type_id)type.id);
}

/* Of a column of few texts each is hashed once a batch. */
struct known_hashes {
    uint64_t hashes[HASHES];
    bool is_known[HASHES];
};

static bool is_of_few(const struct column *in, size_t count)
{
    return in->form == COLUMN_DICTIONARY && is_text(in->type) && in->dictionary_count <= HASHES &&
           in->dictionary_count <= count / 4;
}

static uint64_t hash_row(const struct column *in, enum physical physical, bool is_of_text,
                         size_t row)
{
    if (is_of_text) {
        struct slice text = column_text(in, row);
        return hash64(text.data, text.size);
    }
    if (physical == PHYSICAL_INT)
        return hash_mix((uint64_t)in->i[column_index(in, row)]);
    struct value value = column_value(in, row);
    return value_hash(&value);
}

static uint64_t hash_code(const struct column *in, struct known_hashes *known, size_t row)
{
    uint32_t code = in->codes[row];
    if (!known->is_known[code]) {
        known->is_known[code] = true;
        known->hashes[code] = hash64(in->dictionary[code].data, in->dictionary[code].size);
    }
    return known->hashes[code];
}

/* Hashes of whole columns, as value_hash() has them; false: this is none. */
static bool hash_whole(const struct column *in, size_t first, size_t count, uint64_t *hashes)
{
    if (in->form != COLUMN_FLAT || in->validity != NULL)
        return false;
    if (type_physical(in->type.id) == PHYSICAL_INT)
        hash_ints(in->i + first, count, hashes);
    else if (is_text(in->type))
        hash64_each(in->text + first, count, hashes);
    else
        return false;
    return true;
}

/* Hashes of rows first … first + count - 1 of the selection that are not NULL, and which rows they
 * are; returns how many. */
static size_t hash_rows(const struct column *in, const uint32_t *selection, size_t first,
                        size_t count, struct known_hashes *few, uint64_t *hashes, uint32_t *rows)
{
    enum physical physical = type_physical(in->type.id);
    bool is_of_text = is_text(in->type);
    size_t known = 0;
    for (size_t k = first; k < first + count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(in, row))
            continue;
        rows[known] = (uint32_t)row;
        hashes[known++] =
            few != NULL ? hash_code(in, few, row) : hash_row(in, physical, is_of_text, row);
    }
    return known;
}

static AGGREGATE_UPDATE(distinct_update)
{
    (void)error;
    uint64_t hashes[HASHES];
    uint32_t rows[HASHES];
    struct known_hashes known_hashes, *few = NULL;
    if (is_of_few(&arguments[0], count)) {
        few = &known_hashes;
        memset(few->is_known, 0, sizeof(few->is_known));
    }
    for (size_t first = 0; first < count; first += HASHES) {
        size_t size = count - first < HASHES ? count - first : HASHES, known = size;
        bool is_whole = selection == NULL && hash_whole(&arguments[0], first, size, hashes);
        if (!is_whole)
            known = hash_rows(&arguments[0], selection, first, size, few, hashes, rows);
        if (group == NULL)
            distinct_add_all((struct distinct *)(void *)states, hashes, known, memory);
        for (size_t k = 0; group != NULL && k < known; k++)
            distinct_add(aggregate_state(states, stride, group, is_whole ? first + k : rows[k]),
                         hashes[k], memory);
    }
    return OK;
}

/* An empty state becomes a copy of another. */
static void copy_state(struct distinct *to, const struct distinct *from,
                       struct aggregate_memory *memory)
{
    if (from->registers != NULL) {
        to->registers = arena_alloc(memory->arena, REGISTERS);
        memcpy(to->registers, from->registers, REGISTERS);
        registers_add(to->registers, from->list, from->used);
    } else if (from->used != 0) {
        list_resize(to, from->used, memory);
        memcpy(to->list, from->list, from->used * sizeof(*to->list));
        to->used = from->used;
    }
}

static AGGREGATE_COMBINE(distinct_combine)
{
    (void)error;
    struct distinct *to = target;
    const struct distinct *from = source;
    if (to->registers == NULL && to->capacity == 0) {
        copy_state(to, from, memory);
    } else {
        if (from->registers != NULL) {
            make_dense(to, memory);
            registers_max(to->registers, from->registers);
        }
        distinct_add_all(to, from->list, from->used, memory);
    }
    to->is_set = is_set(to) || is_set(from);
    return OK;
}

/* --- the estimate --- */

static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static int64_t estimate(const uint8_t *registers)
{
    uint32_t counts[RANK_MAX + 1] = {0},
                               others[RANK_MAX + 1] = {0}; /* neighbours are mostly alike */
    for (size_t i = 0; i < REGISTERS; i += 2) {
        counts[registers[i]]++;
        others[registers[i + 1]]++;
    }
    for (size_t i = 0; i <= RANK_MAX; i++)
        counts[i] += others[i];
    double m = (double)REGISTERS;
    double z = m * tau(1 - counts[RANK_MAX] / m);
    for (int k = RANK_MAX - 1; k >= 1; k--)
        z = 0.5 * (z + counts[k]);
    z += m * sigma(counts[0] / m);
    double result = m * m / (2 * M_LN2 * z);
    return result < 9e18 ? (int64_t)llround(result) : INT64_MAX;
}

/* What a state comes to: its registers, or NULL where the first *count of `list` are all its
 * different hashes. The state stays as it is: a window's frame goes on with it. */
struct settled {
    uint64_t list[LIST_MAX];
    uint32_t count;
    uint8_t own[REGISTERS];
};

static const uint8_t *settle(const struct distinct *s, struct settled *out)
{
    if (s->registers != NULL && s->used == 0)
        return s->registers;
    if (s->registers != NULL) {
        memcpy(out->own, s->registers, REGISTERS);
        if (!fault_is("sketch.pending"))
            registers_add(out->own, s->list, s->used);
        return out->own;
    }
    out->count = s->used;
    if (s->used != 0)
        memcpy(out->list, s->list, s->used * sizeof(*s->list));
    if (keep_different(out->list, &out->count) < EXACT_MAX)
        return NULL;
    memset(out->own, 0, REGISTERS);
    registers_add(out->own, s->list, s->used);
    return out->own;
}

static AGGREGATE_FINISH(distinct_finish)
{
    (void)memory, (void)error;
    struct settled settled;
    const uint8_t *registers = settle(state, &settled);
    *out = (struct value){.type = call->type,
                          .i = registers != NULL ? estimate(registers) : settled.count};
    return OK;
}

/* --- as bytes --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static AGGREGATE_FINISH(distinct_state_finish)
{
    (void)error;
    const struct distinct *s = state;
    struct settled settled;
    *out = (struct value){.type = call->type, .is_null = !is_set(s)};
    if (out->is_null)
        return OK;
    const uint8_t *registers = settle(s, &settled);
    struct writer bytes;
    writer_init(&bytes);
    writer_u8(&bytes, 'H');
    writer_u8(&bytes, VERSION);
    writer_u8(&bytes, registers != NULL ? KIND_DENSE : KIND_EXACT);
    writer_u8(&bytes, PRECISION);
    if (registers != NULL) {
        writer_bytes(&bytes, registers, REGISTERS);
    } else {
        qsort(settled.list, settled.count, sizeof(*settled.list), compare_hashes);
        writer_u32(&bytes, settled.count);
        for (uint32_t i = 0; i < settled.count; i++)
            writer_u64(&bytes, settled.list[i]);
    }
    writer_u32(&bytes, crc32c(0, bytes.data, bytes.size));
    out->text = arena_copy(memory->arena, writer_as_slice(&bytes));
    writer_deinit(&bytes);
    return OK;
}

static bool read_exact(struct reader *reader, struct distinct *s, struct aggregate_memory *memory)
{
    uint32_t count = reader_u32(reader);
    if (count > EXACT_MAX || reader_left(reader) != (size_t)count * 8)
        return false;
    uint64_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = reader_u64(reader);
        if (i > 0 && hash <= before)
            return false;
        before = hash;
        distinct_add(s, hash, memory);
    }
    return true;
}

static bool read_dense(struct reader *reader, struct distinct *s, struct aggregate_memory *memory)
{
    if (reader_left(reader) != REGISTERS)
        return false;
    const uint8_t *registers = reader->data + reader->offset;
    for (size_t i = 0; i < REGISTERS; i++)
        if (registers[i] > RANK_MAX)
            return false;
    make_dense(s, memory);
    registers_max(s->registers, registers);
    return true;
}

static bool read_state(struct slice bytes, struct distinct *s, struct aggregate_memory *memory)
{
    if (bytes.size < 8)
        return false;
    struct reader tail = reader_of(slice_of(bytes.data + bytes.size - 4, 4));
    if (reader_u32(&tail) != crc32c(0, bytes.data, bytes.size - 4))
        return false;
    struct reader reader = reader_of(slice_of(bytes.data, bytes.size - 4));
    bool is_ours = reader_u8(&reader) == 'H' && reader_u8(&reader) == VERSION;
    uint8_t kind = reader_u8(&reader);
    if (!is_ours || reader_u8(&reader) != PRECISION || kind > KIND_DENSE)
        return false;
    s->is_set = true;
    return kind == KIND_DENSE ? read_dense(&reader, s, memory) : read_exact(&reader, s, memory);
}

static AGGREGATE_UPDATE(distinct_merge_update)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(&arguments[0], row))
            continue;
        if (!read_state(column_text(&arguments[0], row),
                        aggregate_state(states, stride, group, row), memory))
            return error_set(error, ERR_INPUT, "22023",
                             "these bytes are not a state of approx_count_distinct");
    }
    return OK;
}

#define FORM(name_text, from, to, update_form, finish_form, doc_text, example_text)                \
    {.name = name_text,                                                                            \
     .argument = from,                                                                             \
     .result = to,                                                                                 \
     .state_size = AGGREGATE_STATE_SIZE(distinct),                                                 \
     .init = distinct_init,                                                                        \
     .update = update_form,                                                                        \
     .combine = distinct_combine,                                                                  \
     .finish = finish_form,                                                                        \
     .doc = doc_text,                                                                              \
     .example = example_text},

static const struct aggregate aggregates[] = {
    FORM("approx_count_distinct", AGGREGATE_ANY, TYPE_INT8, distinct_update, distinct_finish,
         "about how many different values (standard error 0.81 %, exact below 1,024)",
         "approx_count_distinct(s)")
        FORM("approx_count_distinct_state", AGGREGATE_ANY, TYPE_BYTEA, distinct_update,
             distinct_state_finish, "the state of approx_count_distinct, to be stored",
             "length(approx_count_distinct_state(s))")
            FORM("approx_count_distinct_merge", TYPE_BYTEA, TYPE_INT8, distinct_merge_update,
                 distinct_finish, "about how many different values are in all these states",
                 "approx_count_distinct_merge(NULL::bytea)")
                FORM("approx_count_distinct_merge_state", TYPE_BYTEA, TYPE_BYTEA,
                     distinct_merge_update, distinct_state_finish, "all these states as one",
                     "approx_count_distinct_merge_state(NULL::bytea)")};

const struct aggregate_group aggregates_distinct = {aggregates, array_count(aggregates)};
