/* Numbers for key values: each distinct value, and each distinct combination of values, gets the
 * next number from 0 on. GROUP BY, DISTINCT and hash joins are built on these. */
#ifndef FRESHET_QUERY_EXEC_KEYS_H
#define FRESHET_QUERY_EXEC_KEYS_H

#include "query/exec/operator.h"

#define KEY_NONE UINT32_MAX

/* Places of a table by hash for so many keys: a power of two of which at most `eighths` of eight
 * are taken, and no fewer than there are. */
#define KEY_LOAD 5 /* small entries */
#define MAP_LOAD 4
static inline size_t key_places(size_t capacity, size_t count, size_t eighths)
{
    size_t places = capacity == 0 ? 64 : capacity;
    while (count > places / 8 * eighths)
        places *= 2;
    return places;
}

/* The same where the last run of the plan had `expected` keys (0: it is not known): once a
 * sixteenth of them has come the others are taken to come too, and have room from then on. A run of
 * fewer keys pays for none of that. Never more than a quarter of what the query may still take. */
#define EXPECT_SHARE 16
#define EXPECT_BUDGET_SHARE 4
size_t key_room(size_t capacity, size_t count, size_t expected, size_t eighths, size_t entry_size,
                const struct budget *budget);
/* How many elements an array by number is to have room for, which so many are needed of: those, or
 * as many as are expected, where key_room() would have room for these. */
size_t key_wanted(size_t capacity, size_t needed, size_t expected, size_t element_size,
                  const struct budget *budget);

/* u64 -> u32, linear probing. */
struct id_entry {
    uint64_t key;
    uint32_t id; /* KEY_NONE: free */
};
struct id_map {
    struct id_entry *entries;
    size_t capacity; /* power of two, or 0 */
    size_t count;
    size_t expected; /* keys of the last run; 0: not known */
    unsigned shift;
};

/* The codes of one dictionary, as numbers. */
struct code_map {
    uint64_t dictionary_id;
    uint32_t *ids;
    size_t capacity, known;
    uint32_t asked_count; /* codes that rows have asked for so far */
    bool is_whole;        /* all were looked up since */
    uint32_t absent_at;   /* the table's count when the map was made */
};
#define CODE_MAPS 4
#define KEY_LEXICON_SHARE                                                                          \
    64 /* of the query's memory: what an array by the lexicon's numbers takes */

struct text_entry {
    uint32_t hash, id;
};

/* Values of one column. NULL is a value like any other here. */
struct key_table {
    struct type type;
    enum physical physical;
    uint32_t count, null_id;
    uint32_t expected; /* values of the last run; 0: not known */
    struct exec_memory *memory;
    struct id_map map; /* bool, int, float */
    /* int, once they are many and lie close together: the number of value direct_base + i, in place
     * of the map. */
    uint32_t *direct;
    size_t direct_capacity, direct_size;
    int64_t direct_base;
    bool is_far; /* they did, and do not any more */
    /* int, a side of many pairs: numbers are value - offset_base + 1, 0 is NULL's, and no values
     * are kept; `count` is a bound of them. key_offsets.c */
    bool is_offset, is_offset_tried;
    int64_t offset_base;
    struct text_entry *text_entries; /* the rest, by their bytes */
    size_t text_capacity;
    char *values; /* by number, in physical form */
    size_t values_capacity;
    struct slice *bytes; /* numeric, interval: the canonical bytes by number */
    size_t bytes_capacity;
    size_t text_bytes; /* of all of them, and of texts, wherever they are */
    struct code_map code_maps[CODE_MAPS];
    unsigned next_code_map;
    /* Texts that all came from dictionaries of which the lexicon knows: their numbers here, plus
     * one, by their numbers there, and no entries by their bytes. */
    bool is_lexical, is_plain; /* plain: not, and never again */
    uint64_t lexicon_generation;
    uint32_t *by_number;
    size_t by_number_capacity;
};

/* Combinations of two numbers: a dense array while both ranges are small, then a hash table of
 * words, and of larger entries where words are too small. */
struct pair_table {
    struct exec_memory *memory;
    uint32_t count;
    uint32_t expected; /* pairs of the last run; 0: not known */
    enum pair_form { PAIRS_DENSE, PAIRS_PACKED, PAIRS_WIDE } form;
    unsigned left_bits, right_bits;
    uint32_t *dense;
    size_t dense_capacity;
    uint64_t *slots; /* packed: (left << right_bits | right) << slot_bits | number + 1; 0: free */
    size_t slot_count;
    unsigned slot_bits;
    uint32_t left_count, right_count; /* of the last rows added */
    struct id_map map;
    uint64_t *pairs; /* by number: left << 32 | right */
    size_t pairs_capacity;
};

/* Combinations of all key columns. */
struct tuple_table {
    struct exec_memory *memory;
    size_t column_count;
    struct key_table *columns;
    struct pair_table *pairs; /* column_count - 1 */
    uint32_t *scratch;        /* VECTOR_ROWS_MAX */
    uint32_t count;
#define SHORTCUT_CODES_MAX 16384
    struct key_shortcut {
        uint32_t *constants; /* by column: the others' numbers */
        size_t column;       /* the one that is not constant */
        uint64_t dictionary_id;
        uint32_t *ids; /* by its codes: numbers of combinations; KEY_NONE: not met yet */
        size_t capacity, known;
    } shortcut;
};

void pair_table_init(struct pair_table *table, struct exec_memory *memory);
void pair_table_deinit(struct pair_table *table);
/* left[row], right[row] -> ids[row] (may be left or right itself) for the rows of the selection.
 * Numbers are given in row order, so new ones are met in ascending order. If not is_insert, unknown
 * pairs and pairs with KEY_NONE give KEY_NONE. left_count, right_count: bounds of the numbers. */
struct pair_input {
    const uint32_t *left, *right;
    uint32_t left_count, right_count;
    const uint32_t *selection; /* NULL: rows 0 … count - 1 */
    size_t count;
    bool is_insert;
};
MUST_CHECK enum err pair_table_ids(struct pair_table *table, const struct pair_input *input,
                                   uint32_t *ids, struct error *error);

/* Whether numbers below these bounds fit its places, not an array, with so many new pairs:
 * then these take no more memory than pair_table_growth() says. */
bool pair_table_fits(const struct pair_table *table, uint32_t left_count, uint32_t right_count,
                     size_t extra);
/* After numbers in table->pairs were changed to such: places are made anew where they lie. */
void pair_table_place_again(struct pair_table *table, uint32_t right_count);
/* Before right numbers below such a bound come: they fit, and take no memory. */
void pair_table_cover(struct pair_table *table, uint32_t right_count);

/* Bytes that so many new pairs may take at most. */
size_t pair_table_growth(const struct pair_table *table, size_t extra);

/* Memory comes from `memory`, which must outlive it. */
void tuple_table_init(struct tuple_table *table, const struct type *types, size_t count,
                      struct exec_memory *memory);
void tuple_table_deinit(struct tuple_table *table);
/* key_hash.c: how many values and combinations there are, column by column, into
 * tuple_sizes_count() numbers; and what to expect, of the last run's. */
static inline size_t tuple_sizes_count(size_t column_count)
{
    return 2 * column_count;
}
void tuple_table_sizes(const struct tuple_table *table, uint32_t *sizes);
void tuple_table_expect(struct tuple_table *table, const uint32_t *sizes);
/* ids[row] for the rows of the selection (NULL: the first `count`); at most VECTOR_ROWS_MAX rows in
 * a batch. */
MUST_CHECK enum err tuple_table_ids(struct tuple_table *table, const struct column *columns,
                                    const uint32_t *selection, size_t count, bool is_insert,
                                    uint32_t *ids, struct error *error);
/* The same for rows [0, row_count) as "=" has it: KEY_NONE where a key is NULL. */
MUST_CHECK enum err tuple_table_equal_ids(struct tuple_table *table, const struct column *columns,
                                          size_t row_count, bool is_insert, uint32_t *ids,
                                          struct error *error);
/* key_hash.c: hashes of combinations, equal where these are: hashes[row] for the rows of the
 * selection. */
void tuple_hashes(const struct column *columns, size_t column_count, const uint32_t *selection,
                  size_t count, uint64_t *hashes);
/* How many values a column has, at most: of those that are not numbered one by one it is not known.
 */
static inline uint32_t tuple_table_values(const struct tuple_table *table, size_t column)
{
    const struct key_table *values = &table->columns[column];
    return values->is_offset && values->count > table->count ? table->count : values->count;
}
/* Of combinations, by the last run; 0: not known. */
static inline size_t tuple_table_expected(const struct tuple_table *table)
{
    size_t last = table->column_count;
    return last == 0 ? 0 : last == 1 ? table->columns[0].expected : table->pairs[last - 1].expected;
}
/* key_hash.c: bytes that so many new combinations may take at most, texts aside. */
size_t tuple_table_growth(const struct tuple_table *table, size_t extra);
/* Bytes that are equal where the values of a numeric or an interval are. `buffer` has 32. */
struct slice key_canonical(const struct column *column, size_t row, char *buffer);
/* The numbers in one column's own table of those combinations. */
void tuple_table_column_ids(const struct tuple_table *table, size_t column, uint32_t first,
                            size_t count, uint32_t *ids);
/* The values of such numbers, in the arena (texts stay where they are). */
struct column tuple_table_column(const struct tuple_table *table, size_t column,
                                 const uint32_t *ids, size_t count, struct arena *arena);
/* key_codes.c: leaves with a column, of which a table's texts are the dictionary in the order of
 * their numbers, what the lexicon knows of them, if it knew all of them where they came from. */
void key_codes_note(const struct key_table *table, const struct column *column);
/* The key columns of the combinations first … first + count - 1, in the arena (texts stay in the
 * table). */
void tuple_table_keys(const struct tuple_table *table, uint32_t first, size_t count,
                      struct arena *arena, struct column *out);

#endif
