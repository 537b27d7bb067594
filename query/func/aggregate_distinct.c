/* approx_count_distinct: HyperLogLog.
 *
 *   few values    the 64-bit hashes themselves, a hash table of up to 1,024: exact
 *   more          16,384 registers, the greatest rank of a hash with those 14 leading bits
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

#include "storage/base/bytes.h"
#include "storage/base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PRECISION 14
#define REGISTERS ((size_t)1 << PRECISION)
#define RANK_MAX (64 - PRECISION + 1)
#define SPARSE_MAX 1024
#define VERSION 1
#define HASHES 256 /* rows that are hashed before they are added */
enum { KIND_SPARSE, KIND_DENSE };

struct distinct {
    uint64_t *hashes; /* open addressing, 0 free; NULL where there are registers */
    uint8_t *registers;
    uint32_t capacity, used;
    bool has_zero; /* the hash 0 */
    bool is_set;   /* some row came: _state of none is NULL */
};

static void distinct_init(void *state)
{
    memset(state, 0, sizeof(struct distinct));
}

static void register_add(struct distinct *s, uint64_t hash)
{
    uint64_t rest = hash << PRECISION;
    uint8_t rank = rest == 0 ? RANK_MAX : (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *place = &s->registers[hash >> (64 - PRECISION)];
    if (rank > *place)
        *place = rank;
}

static void make_dense(struct distinct *s, struct aggregate_memory *memory)
{
    s->registers = arena_alloc_zero(memory->arena, REGISTERS);
    for (uint32_t i = 0; i < s->capacity; i++)
        if (s->hashes[i] != 0)
            register_add(s, s->hashes[i]);
    if (s->has_zero)
        register_add(s, 0);
    s->hashes = NULL;
    s->capacity = s->used = 0;
}

/* Its low bits place a hash here, its high bits among the registers. */
static uint64_t *sparse_find(const struct distinct *s, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (s->capacity - 1);
    while (s->hashes[at] != 0 && s->hashes[at] != hash)
        at = (at + 1) & (s->capacity - 1);
    return &s->hashes[at];
}

static void sparse_grow(struct distinct *s, struct aggregate_memory *memory)
{
    struct distinct old = *s;
    s->capacity = old.capacity == 0 ? 8 : 2 * old.capacity;
    s->hashes = arena_alloc_zero(memory->arena, s->capacity * sizeof(*s->hashes));
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.hashes[i] != 0)
            *sparse_find(s, old.hashes[i]) = old.hashes[i];
}

static void distinct_add(struct distinct *s, uint64_t hash, struct aggregate_memory *memory)
{
    s->is_set = true;
    if (s->registers != NULL) {
        register_add(s, hash);
        return;
    }
    if (hash == 0) {
        s->has_zero = true;
        return;
    }
    if (4 * (s->used + 1) > 3 * s->capacity)
        sparse_grow(s, memory);
    uint64_t *place = sparse_find(s, hash);
    if (*place == hash)
        return;
    *place = hash;
    if (++s->used == SPARSE_MAX)
        make_dense(s, memory);
}

/* Hashes of rows first … first + count - 1 of the selection that are not NULL, as value_hash() has
 * them, and which rows they are; returns how many. */
static size_t hash_rows(const struct column *in, const uint32_t *selection, size_t first,
                        size_t count, uint64_t *hashes, uint32_t *rows)
{
    enum physical physical = type_physical(in->type.id);
    bool is_text = physical == PHYSICAL_TEXT && !type_is_array((enum type_id)in->type.id);
    size_t known = 0;
    if (physical == PHYSICAL_INT && in->form == COLUMN_FLAT && in->validity == NULL &&
        selection == NULL) {
        for (size_t k = 0; k < count; k++) {
            hashes[k] = hash_mix((uint64_t)in->i[first + k]);
            rows[k] = (uint32_t)(first + k);
        }
        return count;
    }
    for (size_t k = first; k < first + count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(in, row))
            continue;
        rows[known] = (uint32_t)row;
        if (is_text) {
            struct slice text = column_text(in, row);
            hashes[known++] = hash64(text.data, text.size);
        } else if (physical == PHYSICAL_INT) {
            hashes[known++] = hash_mix((uint64_t)in->i[column_index(in, row)]);
        } else {
            struct value value = column_value(in, row);
            hashes[known++] = value_hash(&value);
        }
    }
    return known;
}

/* The registers of a few hundred groups are more than the second cache holds: they are asked for
 * before any is touched. */
static void ask_ahead(const struct distinct *s, uint64_t hash)
{
    if (s->registers != NULL)
        __builtin_prefetch(&s->registers[hash >> (64 - PRECISION)], 1);
    else if (s->capacity != 0)
        __builtin_prefetch(&s->hashes[(uint32_t)hash & (s->capacity - 1)], 1);
}

static AGGREGATE_UPDATE(distinct_update)
{
    (void)error;
    uint64_t hashes[HASHES];
    uint32_t rows[HASHES];
    for (size_t first = 0; first < count; first += HASHES) {
        size_t left = count - first;
        size_t known =
            hash_rows(&arguments[0], selection, first, left < HASHES ? left : HASHES, hashes, rows);
        struct distinct *only = (struct distinct *)(void *)states;
        for (size_t k = 0; group != NULL && k < known; k++)
            ask_ahead(aggregate_state(states, stride, group, rows[k]), hashes[k]);
        if (group == NULL && only->registers != NULL)
            for (size_t k = 0; k < known; k++)
                register_add(only, hashes[k]);
        else
            for (size_t k = 0; k < known; k++)
                distinct_add(aggregate_state(states, stride, group, rows[k]), hashes[k], memory);
    }
    return OK;
}

typedef uint8_t lanes __attribute__((vector_size(16)));

/* The greater of each two registers: partial results are combined by the hundred. */
static void combine_registers(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < REGISTERS; i += sizeof(lanes)) {
        lanes a, b;
        memcpy(&a, to + i, sizeof(a));
        memcpy(&b, from + i, sizeof(b));
        lanes is_above = (lanes)(b > a);
        a = (b & is_above) | (a & ~is_above);
        memcpy(to + i, &a, sizeof(a));
    }
}

static AGGREGATE_COMBINE(distinct_combine)
{
    (void)error;
    struct distinct *to = target;
    const struct distinct *from = source;
    if (from->registers != NULL && to->registers == NULL)
        make_dense(to, memory);
    if (from->registers != NULL)
        combine_registers(to->registers, from->registers);
    for (uint32_t i = 0; i < from->capacity; i++)
        if (from->hashes[i] != 0)
            distinct_add(to, from->hashes[i], memory);
    if (from->has_zero && from->registers == NULL)
        distinct_add(to, 0, memory);
    to->is_set = to->is_set || from->is_set;
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

static int64_t estimate(const struct distinct *s)
{
    if (s->registers == NULL)
        return (int64_t)s->used + s->has_zero;
    uint32_t counts[RANK_MAX + 1] = {0};
    for (size_t i = 0; i < REGISTERS; i++)
        counts[s->registers[i]]++;
    double m = (double)REGISTERS;
    double z = m * tau(1 - counts[RANK_MAX] / m);
    for (int k = RANK_MAX - 1; k >= 1; k--)
        z = 0.5 * (z + counts[k]);
    z += m * sigma(counts[0] / m);
    double result = m * m / (2 * M_LN2 * z);
    return result < 9e18 ? (int64_t)llround(result) : INT64_MAX;
}

static AGGREGATE_FINISH(distinct_finish)
{
    (void)memory, (void)error;
    *out = (struct value){.type = call->type, .i = estimate(state)};
    return OK;
}

/* --- as bytes --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void write_sparse(const struct distinct *s, struct writer *out)
{
    uint64_t hashes[SPARSE_MAX + 1];
    uint32_t count = 0;
    if (s->has_zero)
        hashes[count++] = 0;
    for (uint32_t i = 0; i < s->capacity; i++)
        if (s->hashes[i] != 0)
            hashes[count++] = s->hashes[i];
    qsort(hashes, count, sizeof(*hashes), compare_hashes);
    writer_u32(out, count);
    for (uint32_t i = 0; i < count; i++)
        writer_u64(out, hashes[i]);
}

static AGGREGATE_FINISH(distinct_state_finish)
{
    (void)error;
    const struct distinct *s = state;
    *out = (struct value){.type = call->type, .is_null = !s->is_set};
    if (out->is_null)
        return OK;
    struct writer bytes;
    writer_init(&bytes);
    writer_u8(&bytes, 'H');
    writer_u8(&bytes, VERSION);
    writer_u8(&bytes, s->registers != NULL ? KIND_DENSE : KIND_SPARSE);
    writer_u8(&bytes, PRECISION);
    if (s->registers != NULL)
        writer_bytes(&bytes, s->registers, REGISTERS);
    else
        write_sparse(s, &bytes);
    writer_u32(&bytes, crc32c(0, bytes.data, bytes.size));
    out->text = arena_copy(memory->arena, writer_as_slice(&bytes));
    writer_deinit(&bytes);
    return OK;
}

static bool read_sparse(struct reader *reader, struct distinct *s, struct aggregate_memory *memory)
{
    uint32_t count = reader_u32(reader);
    if (count > SPARSE_MAX || reader_left(reader) != (size_t)count * 8)
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
    if (s->registers == NULL)
        make_dense(s, memory);
    for (size_t i = 0; i < REGISTERS; i++)
        if (registers[i] > s->registers[i])
            s->registers[i] = registers[i];
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
    return kind == KIND_DENSE ? read_dense(&reader, s, memory) : read_sparse(&reader, s, memory);
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
