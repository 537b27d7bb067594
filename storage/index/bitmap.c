/* Bitmap indexes: reading, checking, sets of rows. Writing is in bitmap_write.c.
 *
 *   head | frequent keys | first key of each group | offset of each group | groups
 *   group: per key (delta of the key, count, form, size of the list), then the lists
 *
 * A segment may have 50,000 pages with three rows each, so a key may cost no more than a few bytes:
 * 64 keys share one entry of the directory, and within the group all is varints. A find is a binary
 * search over groups and a walk over at most 64 short heads, about 0.3 us.
 *
 * A key's rows have one of two forms, whichever is smaller: deltas as varints, which win nearly
 * always at densities under 1/32, or CRoaring's portable format, which wins where rows stand
 * together in runs. Sets in memory are CRoaring's.
 *
 * The safe deserialize of CRoaring 0.2.66 trusts what it finds inside of the bytes: arrays that are
 * not ascending, runs that overlap and cardinalities that lie are taken as they are and corrupt the
 * heap at the next union. roaring_is_good() proves all of that before CRoaring sees a byte.
 *
 * The keys that are too frequent are listed, so a key that is in neither list has no rows at all,
 * which is the best answer an index can give. */
#include "storage/index/bitmap.h"

#include "storage/index/bitmap_private.h"

#include <assert.h>
#include <roaring/roaring.h>
#include <string.h>

#define ROARING_COOKIE 12347         /* in the low half: with runs */
#define ROARING_COOKIE_NO_RUNS 12346 /* the whole word */
#define ROARING_OFFSETS_MIN 4        /* containers: fewer have no offsets where there are runs */
#define ROARING_BITSET_SIZE 8192

/* Of one key: its list as it is read, which costs a third of a bitmap. Else a bitmap. */
struct row_set {
    roaring_bitmap_t *rows; /* NULL: the list */
    uint32_t *list;
    uint32_t list_count;
};

/* --- checking the portable format --- */

struct roaring_header {
    uint32_t container_count;
    const uint8_t *run_flags; /* NULL: no runs */
    bool has_offsets;
};

static bool read_roaring_header(struct reader *in, struct roaring_header *header)
{
    uint32_t cookie = reader_u32(in);
    *header = (struct roaring_header){.has_offsets = true};
    if ((cookie & 0xFFFF) == ROARING_COOKIE) {
        header->container_count = (cookie >> 16) + 1;
        header->run_flags =
            (const uint8_t *)reader_bytes(in, (header->container_count + 7) / 8).data;
        header->has_offsets = header->container_count >= ROARING_OFFSETS_MIN;
    } else if (cookie == ROARING_COOKIE_NO_RUNS) {
        header->container_count = reader_u32(in);
    } else {
        return false;
    }
    return !in->failed && header->container_count > 0 &&
           header->container_count <= BITMAP_ROWS_MAX >> 16;
}

/* Each: consumes one container, sets its greatest value and its number of values. */
static bool check_run(struct reader *in, uint32_t *last, uint32_t *count)
{
    uint32_t run_count = reader_u16(in);
    uint32_t next = 0; /* the least start a run may have: not adjacent to the one before */
    *count = 0;
    for (uint32_t i = 0; i < run_count; i++) {
        uint32_t start = reader_u16(in);
        uint32_t length = reader_u16(in);
        if (in->failed || start < next || start + length > UINT16_MAX)
            return false;
        *last = start + length;
        *count += length + 1;
        next = *last + 2;
    }
    return !in->failed && run_count > 0;
}

static bool check_array(struct reader *in, uint32_t count, uint32_t *last)
{
    int32_t previous = -1;
    for (uint32_t i = 0; i < count; i++) {
        int32_t value = reader_u16(in);
        if (in->failed || value <= previous)
            return false;
        previous = value;
    }
    *last = (uint32_t)previous;
    return true;
}

static bool check_bitset(struct reader *in, uint32_t count, uint32_t *last)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < ROARING_BITSET_SIZE / 8; i++) {
        uint64_t word = reader_u64(in);
        found += (uint32_t)__builtin_popcountll(word);
        if (word != 0)
            *last = i * 64 + 63 - (uint32_t)__builtin_clzll(word);
    }
    return !in->failed && found == count;
}

/* Whether the bytes are one whole bitmap of `count` rows below row_count that CRoaring can take. */
static bool roaring_is_good(struct slice bytes, uint32_t row_count, uint32_t count)
{
    struct reader in = reader_of(bytes);
    struct roaring_header header;
    if (!read_roaring_header(&in, &header))
        return false;
    struct reader heads = reader_of(reader_bytes(&in, (size_t)header.container_count * 4));
    struct reader offsets = {0};
    if (header.has_offsets)
        offsets = reader_of(reader_bytes(&in, (size_t)header.container_count * 4));
    if (in.failed)
        return false;
    int32_t previous_key = -1;
    uint64_t total = 0;
    for (uint32_t i = 0; i < header.container_count; i++) {
        int32_t key = reader_u16(&heads);
        uint32_t expected = reader_u16(&heads) + 1u;
        uint32_t found = expected;
        uint32_t last = 0;
        bool is_run = header.run_flags != NULL && (header.run_flags[i / 8] >> (i % 8) & 1) != 0;
        if (key <= previous_key || (header.has_offsets && reader_u32(&offsets) != in.offset))
            return false;
        previous_key = key;
        bool is_good = is_run                          ? check_run(&in, &last, &found)
                       : expected <= ROARING_ARRAY_MAX ? check_array(&in, expected, &last)
                                                       : check_bitset(&in, expected, &last);
        if (!is_good || found != expected || ((uint64_t)key << 16 | last) >= row_count)
            return false;
        total += found;
    }
    return total == count && in.offset == in.size;
}

/* --- opening and finding --- */

static int64_t get_key(const uint8_t *keys, uint32_t index)
{
    int64_t key;
    memcpy(&key, keys + (size_t)index * sizeof(key), sizeof(key));
    return key;
}

static uint32_t get_offset(const uint8_t *offsets, uint32_t index)
{
    uint32_t offset;
    memcpy(&offset, offsets + (size_t)index * sizeof(offset), sizeof(offset));
    return offset;
}

static bool are_ascending(const uint8_t *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (get_key(keys, i) <= get_key(keys, i - 1))
            return false;
    }
    return true;
}

enum err bitmap_index_open(struct slice bytes, uint32_t row_count, struct bitmap_index *out,
                           struct error *error)
{
    struct reader in = reader_of(bytes);
    uint32_t magic = reader_u32(&in);
    *out = (struct bitmap_index){.row_count = reader_u32(&in)};
    out->key_count = reader_u32(&in);
    out->frequent_count = reader_u32(&in);
    out->size = reader_u64(&in);
    if (in.failed || magic != BITMAP_MAGIC || out->row_count != row_count ||
        row_count > BITMAP_ROWS_MAX || out->key_count == 0 || out->key_count > BITMAP_KEYS_MAX ||
        out->frequent_count > BITMAP_RARE)
        return error_set(error, ERR_CORRUPT, NULL, "a bitmap index with a bad head");
    out->group_count = (out->key_count - 1) / BITMAP_GROUP_KEYS + 1;
    out->frequent = (const uint8_t *)reader_bytes(&in, out->frequent_count * sizeof(int64_t)).data;
    out->first_keys = (const uint8_t *)reader_bytes(&in, out->group_count * sizeof(int64_t)).data;
    out->offsets = (const uint8_t *)reader_bytes(&in, out->group_count * sizeof(uint32_t)).data;
    if (in.failed || reader_left(&in) != out->size)
        return error_set(error, ERR_CORRUPT, NULL, "a bitmap index of another size");
    out->data = (const uint8_t *)reader_bytes(&in, out->size).data;
    bool is_good = are_ascending(out->frequent, out->frequent_count) &&
                   are_ascending(out->first_keys, out->group_count) &&
                   get_offset(out->offsets, 0) == 0;
    for (uint32_t i = 0; is_good && i < out->group_count; i++) {
        uint32_t offset = get_offset(out->offsets, i);
        is_good = offset < out->size && (i == 0 || offset > get_offset(out->offsets, i - 1));
    }
    if (!is_good)
        return error_set(error, ERR_CORRUPT, NULL, "a bitmap index with a bad directory");
    return OK;
}

/* One key of a group, as its head says; `list` is within the data. */
struct entry {
    int64_t key;
    uint32_t count;
    enum bitmap_form form;
    struct slice list;
};

/* A walk over the entries of one group: heads are read in step with the lists behind them. */
struct group_walk {
    struct reader heads;
    struct reader lists;
    uint32_t left;
    bool is_first;
    int64_t key;
    uint32_t row_count;
};

static bool read_entry_head(struct reader *in, uint64_t *count, uint64_t *size)
{
    *count = reader_varint(in);
    *size = reader_varint(in);
    return !in->failed;
}

/* Lists begin where the heads end, which a first pass over the heads finds. */
static bool group_begin(const struct bitmap_index *index, uint32_t group, struct group_walk *walk)
{
    size_t begin = get_offset(index->offsets, group);
    size_t end =
        group + 1 < index->group_count ? get_offset(index->offsets, group + 1) : index->size;
    uint32_t before = group * BITMAP_GROUP_KEYS;
    uint32_t left = index->key_count - before;
    *walk = (struct group_walk){
        .heads = reader_of(slice_of(index->data + begin, end - begin)),
        .left = left < BITMAP_GROUP_KEYS ? left : BITMAP_GROUP_KEYS,
        .is_first = true,
        .key = get_key(index->first_keys, group),
        .row_count = index->row_count,
    };
    struct reader skip = walk->heads;
    for (uint32_t i = 0; i < walk->left; i++) {
        uint64_t count, size;
        if (i > 0)
            (void)reader_varint(&skip);
        if (!read_entry_head(&skip, &count, &size))
            return false;
    }
    walk->lists = skip;
    return true;
}

/* False at the end, and where the bytes are bad: then walk->left is not 0. */
static bool group_next(struct group_walk *walk, struct entry *entry)
{
    uint64_t count, size;
    if (walk->left == 0)
        return false;
    uint64_t delta = walk->is_first ? 0 : reader_varint(&walk->heads);
    if (!walk->is_first && (delta == 0 || delta > (uint64_t)INT64_MAX - (uint64_t)walk->key))
        return false;
    if (!read_entry_head(&walk->heads, &count, &size))
        return false;
    walk->key = (int64_t)((uint64_t)walk->key + delta);
    walk->is_first = false;
    *entry = (struct entry){
        .key = walk->key, .form = (enum bitmap_form)(count & 1), .count = (uint32_t)(count >> 1)};
    if (count >> 1 == 0 || count >> 1 > walk->row_count || size > reader_left(&walk->lists))
        return false;
    entry->list = reader_bytes(&walk->lists, (size_t)size);
    walk->left--;
    return true;
}

enum find_result { FIND_INDEXED, FIND_FREQUENT, FIND_ABSENT, FIND_BAD };

static bool is_frequent(const struct bitmap_index *index, int64_t key)
{
    for (uint32_t i = 0; i < index->frequent_count; i++) {
        if (get_key(index->frequent, i) == key)
            return true;
    }
    return false;
}

static enum find_result find(const struct bitmap_index *index, int64_t key, struct entry *entry)
{
    struct group_walk walk;
    if (is_frequent(index, key))
        return FIND_FREQUENT;
    uint32_t begin = 0; /* the last group whose first key is not above the key */
    uint32_t end = index->group_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (get_key(index->first_keys, middle) <= key)
            begin = middle + 1;
        else
            end = middle;
    }
    if (begin == 0)
        return FIND_ABSENT;
    if (!group_begin(index, begin - 1, &walk))
        return FIND_BAD;
    while (group_next(&walk, entry)) {
        if (entry->key == key)
            return FIND_INDEXED;
        if (entry->key > key)
            return FIND_ABSENT;
    }
    return walk.left == 0 ? FIND_ABSENT : FIND_BAD;
}

bool bitmap_index_find(const struct bitmap_index *index, int64_t key, uint32_t *row_count)
{
    struct entry entry;
    enum find_result result = find(index, key, &entry);
    *row_count = result == FIND_INDEXED ? entry.count : 0;
    return result == FIND_INDEXED || result == FIND_ABSENT;
}

/* --- lists to rows --- */

static roaring_bitmap_t *roaring_checked(roaring_bitmap_t *rows)
{
    assert(rows != NULL); /* memory: as arenas, exhaustion aborts */
    return rows;
}

/* Of the form with deltas; NULL: the bytes are bad. */
static uint32_t *entry_list(const struct entry *entry, uint32_t row_count)
{
    if (entry->count > entry->list.size) /* before the memory is taken */
        return NULL;
    uint32_t *rows = memory_alloc(entry->count * sizeof(*rows));
    if (deltas_read(entry->list, entry->count, row_count, rows))
        return rows;
    memory_free(rows);
    return NULL;
}

/* NULL: the bytes are bad. */
static roaring_bitmap_t *entry_rows(const struct entry *entry, uint32_t row_count)
{
    if (entry->form == BITMAP_ROARING) {
        if (!roaring_is_good(entry->list, row_count, entry->count))
            return NULL;
        return roaring_checked(
            roaring_bitmap_portable_deserialize_safe(entry->list.data, entry->list.size));
    }
    uint32_t *rows = entry_list(entry, row_count);
    roaring_bitmap_t *out = NULL;
    if (rows != NULL)
        out = roaring_checked(roaring_bitmap_of_ptr(entry->count, rows));
    memory_free(rows);
    return out;
}

/* One key whose rows are a list; *out NULL: it is something else. */
static enum err list_of_one(const struct bitmap_index *index, int64_t key, struct row_set **out,
                            struct error *error)
{
    struct entry entry;
    *out = NULL;
    if (find(index, key, &entry) != FIND_INDEXED || entry.form != BITMAP_DELTAS)
        return OK;
    uint32_t *list = entry_list(&entry, index->row_count);
    if (list == NULL)
        return error_set(error, ERR_CORRUPT, NULL, "a bitmap index with a bad list of rows");
    *out = memory_alloc_zero(sizeof(**out));
    (*out)->list = list;
    (*out)->list_count = entry.count;
    return OK;
}

enum err bitmap_index_rows(const struct bitmap_index *index, const int64_t *keys, size_t key_count,
                           struct row_set **out, struct error *error)
{
    roaring_bitmap_t *all = NULL;
    if (key_count == 1) {
        enum err err = list_of_one(index, keys[0], out, error);
        if (err != OK || *out != NULL)
            return err;
    }
    for (size_t i = 0; i < key_count; i++) {
        struct entry entry;
        enum find_result result = find(index, keys[i], &entry);
        assert(result != FIND_FREQUENT);
        if (result == FIND_ABSENT)
            continue;
        roaring_bitmap_t *rows = result == FIND_BAD ? NULL : entry_rows(&entry, index->row_count);
        if (rows == NULL) {
            if (all != NULL)
                roaring_bitmap_free(all);
            return error_set(error, ERR_CORRUPT, NULL, "a bitmap index with a bad list of rows");
        }
        if (all == NULL) {
            all = rows;
            continue;
        }
        roaring_bitmap_or_inplace(all, rows);
        roaring_bitmap_free(rows);
    }
    *out = memory_alloc_zero(sizeof(**out));
    (*out)->rows = all != NULL ? all : roaring_checked(roaring_bitmap_create());
    return OK;
}

/* --- checking against the values --- */

static uint64_t count_frequent(const struct bitmap_index *index, const struct bitmap_input *input)
{
    uint64_t count = 0;
    for (uint32_t row = 0; row < input->row_count; row++) {
        bool is_null = input->validity != NULL && input->validity[row] == 0;
        count += is_null || is_frequent(index, input->keys[row]);
        if (input->pause != NULL && row % BITMAP_PAUSE_ROWS == 0)
            input->pause(input->context);
    }
    return count;
}

static bool has_key(const struct bitmap_input *input, uint32_t row, int64_t key)
{
    return input->keys[row] == key && (input->validity == NULL || input->validity[row] != 0);
}

/* Every row of the entry has its key. */
static bool is_entry_true(const struct entry *entry, const struct bitmap_input *input)
{
    roaring_uint32_iterator_t at;
    roaring_bitmap_t *rows = entry_rows(entry, input->row_count);
    if (rows == NULL)
        return false;
    bool is_true = true;
    roaring_init_iterator(rows, &at);
    for (; is_true && at.has_value; (void)roaring_advance_uint32_iterator(&at))
        is_true = has_key(input, at.current_value, entry->key);
    roaring_bitmap_free(rows);
    return is_true;
}

enum err bitmap_index_check(const struct bitmap_index *index, const struct bitmap_input *input,
                            struct error *error)
{
    assert(index->row_count == input->row_count);
    /* No key comes twice and no row has two keys, so counts that add up leave no row out. */
    uint64_t total = count_frequent(index, input);
    int64_t previous = 0;
    for (uint32_t group = 0; group < index->group_count; group++) {
        struct group_walk walk;
        struct entry entry;
        bool is_good = group_begin(index, group, &walk);
        for (uint32_t i = 0; is_good && group_next(&walk, &entry); i++) {
            is_good = (group == 0 && i == 0) || entry.key > previous;
            is_good = is_good && !is_frequent(index, entry.key) && is_entry_true(&entry, input);
            previous = entry.key;
            total += entry.count;
            if (input->pause != NULL)
                input->pause(input->context);
        }
        if (!is_good || walk.left != 0 || reader_left(&walk.lists) != 0)
            return error_set(error, ERR_CORRUPT, NULL,
                             "group %u of a bitmap index does not say what the rows say", group);
    }
    if (total != index->row_count)
        return error_set(error, ERR_CORRUPT, NULL, "a bitmap index leaves rows out");
    return OK;
}

/* --- sets --- */

void row_set_destroy(struct row_set *set)
{
    if (set == NULL)
        return;
    if (set->rows != NULL)
        roaring_bitmap_free(set->rows);
    memory_free(set->list);
    memory_free(set);
}

static uint32_t list_find(const struct row_set *set, uint32_t row)
{
    uint32_t first = 0, last = set->list_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (set->list[middle] < row)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static bool row_set_has(const struct row_set *set, uint32_t row)
{
    if (set->rows != NULL)
        return roaring_bitmap_contains(set->rows, row);
    uint32_t at = list_find(set, row);
    return at < set->list_count && set->list[at] == row;
}

/* Both are gone through, without a branch on which is first. */
uint32_t rows_common(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count,
                     uint32_t *out)
{
    uint32_t i = 0, j = 0, kept = 0;
    while (i < a_count && j < b_count) {
        uint32_t row = a[i], other = b[j];
        out[kept] = row;
        kept += row == other ? 1 : 0;
        i += row <= other ? 1 : 0;
        j += other <= row ? 1 : 0;
    }
    return kept;
}

/* The rows of `list` that the set has, into `out` (may be `list`); their number. */
static uint32_t keep_common(const uint32_t *list, uint32_t count, const struct row_set *set,
                            uint32_t *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = list[i];
        out[kept] = row;
        kept += row_set_has(set, row) ? 1 : 0;
    }
    return kept;
}

void row_set_intersect(struct row_set *set, const struct row_set *other)
{
    if (set->rows == NULL && other->rows == NULL) {
        set->list_count =
            rows_common(set->list, set->list_count, other->list, other->list_count, set->list);
    } else if (set->rows == NULL) {
        set->list_count = keep_common(set->list, set->list_count, other, set->list);
    } else if (other->rows == NULL) {
        set->list = memory_alloc(other->list_count * sizeof(*set->list));
        set->list_count = keep_common(other->list, other->list_count, set, set->list);
        roaring_bitmap_free(set->rows);
        set->rows = NULL;
    } else {
        roaring_bitmap_and_inplace(set->rows, other->rows);
    }
}

uint64_t row_set_count(const struct row_set *set)
{
    return set->rows != NULL ? roaring_bitmap_get_cardinality(set->rows) : set->list_count;
}

bool row_set_has_range(const struct row_set *set, uint32_t begin, uint32_t end)
{
    if (set->rows == NULL) {
        uint32_t at = list_find(set, begin);
        return at < set->list_count && set->list[at] < end;
    }
    roaring_uint32_iterator_t at;
    roaring_init_iterator(set->rows, &at);
    return roaring_move_uint32_iterator_equalorlarger(&at, begin) && at.current_value < end;
}

#define COPY_STRIDE 32 /* a length that is known: the compiler makes vector instructions of it */

/* Rows from `begin` on. */
static void copy_from(const uint32_t *restrict rows, uint32_t count, uint32_t begin,
                      uint32_t *restrict out)
{
    uint32_t done = 0;
    for (; count - done >= COPY_STRIDE; done += COPY_STRIDE) {
        for (uint32_t i = 0; i < COPY_STRIDE; i++)
            out[done + i] = rows[done + i] - begin;
    }
    for (; done < count; done++)
        out[done] = rows[done] - begin;
}

uint32_t row_set_read(const struct row_set *set, uint32_t begin, uint32_t end, uint32_t *selection,
                      uint32_t limit)
{
    uint32_t count;
    assert(begin <= end);
    if (set->rows == NULL) {
        uint32_t first = list_find(set, begin), left = list_find(set, end) - first;
        count = left < limit ? left : limit;
        copy_from(set->list + first, count, begin, selection);
        return count;
    } else {
        roaring_uint32_iterator_t at;
        roaring_init_iterator(set->rows, &at);
        if (!roaring_move_uint32_iterator_equalorlarger(&at, begin))
            return 0;
        count = roaring_read_uint32_iterator(&at, selection, limit);
    }
    while (count > 0 && selection[count - 1] >= end)
        count--;
    for (uint32_t i = 0; i < count; i++)
        selection[i] -= begin;
    return count;
}

/* --- for bitmap_write.c --- */

size_t bitmap_roaring_write(const uint32_t *rows, uint32_t count, struct writer *out)
{
    roaring_bitmap_t *set = roaring_checked(roaring_bitmap_of_ptr(count, rows));
    (void)roaring_bitmap_run_optimize(set);
    size_t size = roaring_bitmap_portable_size_in_bytes(set);
    char *bytes = writer_reserve(out, size);
    if (bytes != NULL) {
        size_t written = roaring_bitmap_portable_serialize(set, bytes);
        assert(written == size);
        out->size += size;
    }
    roaring_bitmap_free(set);
    return size;
}
