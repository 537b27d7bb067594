/* Puts a sort's entries in order, key by key and word by word.
 *
 *   entries by (where NULL stands, first eight bytes of the first key)
 *     ─▶ runs of equal ones: the same by their next word, and so on
 *          words: 8 bytes of a number, of a text 8 bytes, then 7 at a time
 *
 * A level compares nothing but words that lie in the entries: what is in order already (rows mostly
 * come in order of time) costs one look at each, a few are inserted, many go by a stable radix sort
 * over the bytes in which they differ. Only runs of equal words look at their rows again, and a
 * run's words are put back behind it, so entries tell of the first key as before. Numerics,
 * intervals and arrays have no words; their runs are merge sorted by comparing values. Stable: rows
 * equal in all keys stay as they came.
 *
 * Where the first `wanted` alone matter (a top-N), of many entries those go behind that by the
 * highest byte in which they differ are not among them, and runs of equal words behind the wanted
 * ones stay as they are.
 *
 * The low byte of a text's later words tells where it ends, so "a" comes before "a\0". */
#include "query/exec/sort.h"

#include "storage/base/fault.h"

#include <string.h>

#define FEW 32
/* So many entries, and so many for one that is wanted, are worth a look at who is not wanted. */
#define NARROW_MIN 128
#define NARROW_SHARE 4
#define RUN_ROWS 16
#define DIGIT_BITS 8
#define DIGITS (1 << DIGIT_BITS)
/* Deeper, runs are sorted by comparing values: levels are calls within calls. */
#define OFFSET_MAX 120
#define KEYS_MAX 64

struct sorter {
    struct exec *exec;
    const struct sort_order *order;
    const struct column *columns;
    struct sort_entry *spare;
    size_t unchecked;
};

/* A place within a key: its first eight bytes, or those of a text from `offset` on. */
struct level {
    size_t key, offset;
};

/* --- words --- */

static bool has_words(const struct column *column)
{
    switch (type_physical((enum type_id)column->type.id)) {
    case PHYSICAL_NUMERIC:
    case PHYSICAL_INTERVAL:
        return false;
    case PHYSICAL_TEXT:
        return !type_is_array((enum type_id)column->type.id);
    default:
        return true;
    }
}

/* Seven bytes from the offset on, and below them: of a text of up to eight bytes its size, of
 * others nine and how many bytes are left, eight if more. */
static uint64_t later_word(struct slice text, size_t offset)
{
    uint64_t word = 0;
    unsigned char bytes[8] = {0};
    if (text.size <= 8)
        return text.size;
    size_t left = text.size > offset ? text.size - offset : 0;
    if (left > 0)
        memcpy(bytes, text.data + offset, left < 7 ? left : 7);
    memcpy(&word, bytes, 8);
    return __builtin_bswap64(word) | (9 + (left < 8 ? left : 8));
}

static void load_words(const struct sorter *sorter, struct level level, struct sort_entry *entries,
                       size_t count)
{
    const struct sort_key *key = &sorter->order->keys[level.key];
    const struct column *column = &sorter->columns[sorter->order->places[level.key]];
    for (size_t index = 0; index < count; index++) {
        struct sort_entry *entry = &entries[index];
        if (level.offset == 0) {
            *entry = sort_make_entry(key, column, entry->row);
            continue;
        }
        uint64_t word = later_word(column_text(column, entry->row), level.offset);
        entry->null_rank = 1;
        entry->prefix = key->is_descending ? ~word : word;
    }
}

/* Do rows with this word have more to compare in the same key? */
static bool has_more(const struct sorter *sorter, struct level level,
                     const struct sort_entry *entry)
{
    const struct sort_key *key = &sorter->order->keys[level.key];
    const struct column *column = &sorter->columns[sorter->order->places[level.key]];
    uint64_t word = key->is_descending ? ~entry->prefix : entry->prefix;
    if (entry->null_rank != 1)
        return false;
    if (!has_words(column))
        return true;
    return type_physical((enum type_id)column->type.id) == PHYSICAL_TEXT &&
           (level.offset == 0 || (word & 0xff) == 9 + 8);
}

/* --- by words --- */

static bool is_above(const struct sort_entry *a, const struct sort_entry *b)
{
    return a->null_rank != b->null_rank ? a->null_rank > b->null_rank : a->prefix > b->prefix;
}

static bool is_in_order(const struct sort_entry *entries, size_t count)
{
    for (size_t index = 1; index < count; index++)
        if (is_above(&entries[index - 1], &entries[index]))
            return false;
    return true;
}

static void insert(struct sort_entry *entries, size_t count)
{
    for (size_t index = 1; index < count; index++) {
        struct sort_entry entry = entries[index];
        size_t at = index;
        for (; at > 0 && is_above(&entries[at - 1], &entry); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static size_t digit_of(const struct sort_entry *entry, int shift)
{
    return (shift < 64 ? entry->prefix >> shift : entry->null_rank) & (DIGITS - 1);
}

static enum err check(struct sorter *sorter, size_t count, struct error *error)
{
    sorter->unchecked += count;
    if (sorter->unchecked < EXEC_CHECK_ROWS || fault_is("sort.looks_never"))
        return OK;
    sorter->unchecked = 0;
    return exec_check(sorter->exec, error);
}

static enum err scatter(struct sorter *sorter, const struct sort_entry *from, size_t count,
                        int shift, struct sort_entry *to, struct error *error)
{
    size_t places[DIGITS] = {0}, place = 0;
    for (size_t index = 0; index < count; index++)
        places[digit_of(&from[index], shift)]++;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t size = places[digit];
        places[digit] = place;
        place += size;
    }
    enum err err = OK;
    for (size_t index = 0; err == OK && index < count;) {
        size_t end = count - index < EXEC_CHECK_ROWS ? count : index + EXEC_CHECK_ROWS;
        size_t moved = end - index;
        for (; index < end; index++)
            to[places[digit_of(&from[index], shift)]++] = from[index];
        err = check(sorter, moved, error);
    }
    return err;
}

/* In which bits words differ, and in where NULL stands. */
struct difference {
    uint64_t prefix;
    uint32_t rank;
};

static struct difference find_difference(const struct sort_entry *entries, size_t count)
{
    struct difference found = {0};
    for (size_t index = 1; index < count; index++) {
        found.prefix |= entries[index].prefix ^ entries[0].prefix;
        found.rank |= entries[index].null_rank ^ entries[0].null_rank;
    }
    return found;
}

/* Puts those that may be among the first `wanted` before the others, by the highest byte in which
 * they differ; how many these are. They keep their order. */
static size_t narrow(struct sorter *sorter, struct sort_entry *entries, size_t count, size_t wanted)
{
    size_t counts[DIGITS] = {0}, front = 0, behind = 0, limit = 0;
    struct difference different = find_difference(entries, count);
    int high = different.prefix == 0 ? 0 : 63 - __builtin_clzll(different.prefix);
    int shift = different.rank != 0 ? 64 : high < DIGIT_BITS ? 0 : high - DIGIT_BITS + 1;
    size_t least = fault_is("sort.narrow") ? wanted - 1 : wanted;
    for (size_t index = 0; index < count; index++)
        counts[digit_of(&entries[index], shift)]++;
    for (size_t met = counts[0]; met < least; met += counts[limit])
        limit++;
    for (size_t index = 0; index < count; index++) {
        struct sort_entry entry = entries[index];
        bool is_front = digit_of(&entry, shift) <= limit;
        entries[front] = entry; /* at or before its place */
        sorter->spare[behind] = entry;
        front += is_front;
        behind += !is_front;
    }
    memcpy(entries + front, sorter->spare, behind * sizeof(*entries));
    return front;
}

/* Again, as long as it leaves much fewer. */
static enum err narrow_down(struct sorter *sorter, struct sort_entry *entries, size_t *count,
                            size_t wanted, struct error *error)
{
    enum err err = OK;
    size_t before = SIZE_MAX;
    while (err == OK && *count >= NARROW_MIN && *count / NARROW_SHARE >= wanted &&
           *count < before - before / 4) {
        before = *count;
        err = check(sorter, before, error);
        *count = narrow(sorter, entries, before, wanted);
    }
    return err;
}

/* From the lowest byte that differs to the highest, then by where NULL stands. */
static enum err sort_words(struct sorter *sorter, struct sort_entry *entries, size_t count,
                           struct error *error)
{
    if (count <= FEW) {
        insert(entries, count);
        return check(sorter, count, error);
    }
    struct difference different = find_difference(entries, count);
    struct sort_entry *from = entries, *to = sorter->spare;
    for (int shift = different.prefix != 0 ? __builtin_ctzll(different.prefix) : 64; shift <= 64;) {
        bool is_needed =
            shift < 64 ? (different.prefix >> shift & (DIGITS - 1)) != 0 : different.rank != 0;
        if (is_needed) {
            enum err err = scatter(sorter, from, count, shift, to, error);
            if (err != OK)
                return err;
            struct sort_entry *swap = from;
            from = to;
            to = swap;
        }
        shift = shift < 64 && shift + DIGIT_BITS > 64 ? 64 : shift + DIGIT_BITS;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof(*entries));
    return OK;
}

/* --- by comparing --- */

static bool is_after(const struct sorter *sorter, const struct sort_order *order,
                     const struct sort_entry *a, const struct sort_entry *b)
{
    return sort_compare_rows(order, sorter->columns, a->row, sorter->columns, b->row) > 0;
}

static void insert_values(const struct sorter *sorter, const struct sort_order *order,
                          struct sort_entry *entries, size_t count)
{
    for (size_t index = 1; index < count; index++) {
        struct sort_entry entry = entries[index];
        size_t at = index;
        for (; at > 0 && is_after(sorter, order, &entries[at - 1], &entry); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static void merge(const struct sorter *sorter, const struct sort_order *order,
                  const struct sort_entry *from, size_t left_count, size_t count,
                  struct sort_entry *to)
{
    size_t left = 0, right = left_count, out = 0;
    if (right < count && !is_after(sorter, order, &from[left_count - 1], &from[right]))
        right = count; /* in order already: all of it is copied below */
    size_t right_end = count;
    while (left < left_count && right < right_end)
        to[out++] =
            is_after(sorter, order, &from[left], &from[right]) ? from[right++] : from[left++];
    memcpy(to + out, from + left, (left_count - left) * sizeof(*to));
    out += left_count - left;
    memcpy(to + out, from + out, (count - out) * sizeof(*to));
}

/* From a key on that has no words; entries are equal before it. */
static enum err sort_values(struct sorter *sorter, size_t key, struct sort_entry *entries,
                            size_t count, struct error *error)
{
    struct sort_order order = *sorter->order;
    struct sort_entry *from = entries, *to = sorter->spare;
    enum err err = OK;
    order.first = key;
    for (size_t first = 0; first < count; first += RUN_ROWS)
        insert_values(sorter, &order, entries + first,
                      count - first < RUN_ROWS ? count - first : RUN_ROWS);
    for (size_t width = RUN_ROWS; err == OK && width < count; width *= 2) {
        for (size_t first = 0; err == OK && first < count; first += 2 * width) {
            size_t both = count - first < 2 * width ? count - first : 2 * width;
            merge(sorter, &order, from + first, both < width ? both : width, both, to + first);
            err = check(sorter, both, error);
        }
        struct sort_entry *swap = from;
        from = to;
        to = swap;
    }
    if (err == OK && from != entries)
        memcpy(entries, from, count * sizeof(*entries));
    return err;
}

/* --- levels --- */

static enum err sort_level(struct sorter *sorter, struct level level, struct sort_entry *entries,
                           size_t count, size_t wanted, struct error *error);

/* Entries whose words are equal, by what comes next. */
static enum err sort_equal(struct sorter *sorter, struct level level, struct sort_entry *entries,
                           size_t count, size_t wanted, struct error *error)
{
    const struct sort_entry kept = entries[0];
    const struct column *column = &sorter->columns[sorter->order->places[level.key]];
    if (has_more(sorter, level, &kept)) {
        if (!has_words(column) || level.offset >= OFFSET_MAX)
            return sort_values(sorter, level.key, entries, count, error);
        level.offset += level.offset == 0 ? 8 : 7;
    } else {
        level = (struct level){.key = level.key + 1};
        if (level.key == sorter->order->key_count)
            return OK;
        if (level.key >= KEYS_MAX)
            return sort_values(sorter, level.key, entries, count, error);
    }
    load_words(sorter, level, entries, count);
    enum err err = sort_level(sorter, level, entries, count, wanted, error);
    for (size_t index = 0; index < count; index++) {
        entries[index].prefix = kept.prefix;
        entries[index].null_rank = kept.null_rank;
    }
    return err;
}

static enum err sort_level(struct sorter *sorter, struct level level, struct sort_entry *entries,
                           size_t count, size_t wanted, struct error *error)
{
    bool is_done = is_in_order(entries, count);
    wanted = wanted < count ? wanted : count;
    enum err err = is_done ? check(sorter, count, error)
                           : narrow_down(sorter, entries, &count, wanted, error);
    if (err == OK && !is_done)
        err = sort_words(sorter, entries, count, error);
    for (size_t first = 0; err == OK && first < wanted;) {
        size_t end = first + 1;
        while (end < count && !is_above(&entries[end], &entries[first]))
            end++;
        if (end - first > 1)
            err = sort_equal(sorter, level, entries + first, end - first, wanted - first, error);
        first = end;
    }
    return err;
}

enum err sort_entries(struct exec *exec, const struct sort_order *order,
                      const struct column *columns, struct sort_entry *entries, size_t count,
                      size_t wanted, struct sort_entry *spare, struct error *error)
{
    struct sorter sorter = {.exec = exec, .order = order, .columns = columns, .spare = spare};
    if (order->key_count == 0 || count < 2 || wanted == 0)
        return OK;
    return sort_level(&sorter, (struct level){0}, entries, count, wanted, error);
}
