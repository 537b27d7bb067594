/* Texts of dictionaries to numbers.
 *
 *   code ──▶ array by code ──▶ number of the key
 *              └ unknown: lexicon's number of the text ──▶ array ──▶ number of the key
 *              └ or, where the lexicon does not know:  text ──▶ by its bytes (key_bytes.c)
 *
 * A dictionary that is known again (its id) keeps its codes' numbers; one that is not is looked
 * through once a batch.
 *
 * While all texts came from dictionaries of which the lexicon knows the numbers there tell them
 * apart: nothing is hashed and no two texts are compared, and where dictionaries last
 * none is even read: those of new keys stay where they are. The first text that comes in
 * another way ends that, and entries by bytes are made of what is there.
 * Which way a number is found has no influence on what it is. */
#include "query/exec/key_table.h"
#include "query/exec/lexicon.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

/* A code not looked up yet. KEY_NONE, which comes next, is "looked up and absent": to be looked up
 * again if it is to be added, or if anything was since the map was made. */
#define CODE_UNKNOWN (UINT32_MAX - 1)

/* Rows whose codes follow each other: as many at least. */
#define RISING_MIN 64
#define WHOLE_MIN 1024 /* codes asked for */
#define WHOLE_SHARE 16 /* … of those there are */
/* An array by the lexicon's numbers has so many places for a text of the dictionary at most. */
#define SPREAD_MAX 32
#define SPREAD_FREE 65536
/* A dictionary of so few texts is numbered where it is met first. */
#define LEARN_MAX 1024

/* --- by the lexicon's numbers --- */

static enum err cover_numbers(struct key_table *table, const struct lexicon_numbers *numbers,
                              bool *fits, struct error *error)
{
    struct exec_memory *memory = table->memory;
    size_t end = atomic_load_explicit(&numbers->end, memory_order_relaxed);
    size_t count = atomic_load_explicit(&numbers->count, memory_order_relaxed);
    size_t capacity = end + end / 4, size = sizeof(*table->by_number);
    *fits = true;
    if (end <= table->by_number_capacity)
        return OK;
    *fits = (end <= SPREAD_FREE || end / SPREAD_MAX <= count) &&
            capacity * size <= memory->budget->limit / KEY_LEXICON_SHARE;
    enum err err = *fits ? budget_charge(memory->budget, capacity * size, error) : OK;
    if (err != OK || !*fits)
        return err;
    uint32_t *by_number = memory_alloc_zero(capacity * size);
    if (table->by_number != NULL)
        memcpy(by_number, table->by_number, table->by_number_capacity * size);
    exec_memory_release(memory, table->by_number, table->by_number_capacity * size);
    table->by_number = by_number;
    table->by_number_capacity = capacity;
    return OK;
}

enum err key_codes_leave(struct key_table *table, struct error *error)
{
    bool was_lexical = table->is_lexical;
    table->is_plain = true;
    table->is_lexical = false;
    if (!was_lexical)
        return OK;
    exec_memory_release(table->memory, table->by_number,
                        table->by_number_capacity * sizeof(*table->by_number));
    table->by_number = NULL;
    table->by_number_capacity = 0;
    enum err err = key_bytes_reserve(table, 0, error);
    const struct slice *texts = (const struct slice *)(const void *)table->values;
    for (uint32_t id = 0; err == OK && id < table->count; id++) {
        if (id == table->null_id)
            continue;
        uint32_t hash = (uint32_t)hash64(texts[id].data, texts[id].size);
        size_t slot = hash & (table->text_capacity - 1);
        while (table->text_entries[slot].id != KEY_NONE)
            slot = (slot + 1) & (table->text_capacity - 1);
        table->text_entries[slot] = (struct text_entry){.hash = hash, .id = id};
    }
    return err;
}

/* A dictionary's numbers, made where that costs less than to do without: it has grown by some
 * texts, has few, or what is here already would have to be hashed for it. One of which each query
 * needs little (the segment at the begin of the time that they ask for) would cost each of them the
 * hashes of all other texts: after some of them it is numbered too. */
static const struct lexicon_numbers *find_numbers(const struct key_table *table,
                                                  const struct column *column)
{
    const struct lexicon_numbers *numbers = lexicon_find(column);
    bool is_known =
        numbers != NULL && (!table->is_lexical || numbers->generation == table->lexicon_generation);
    if (is_known || column->notes == NULL)
        return numbers;
    if (column->dictionary_count > LEARN_MAX && !lexicon_is_begun(column) &&
        (!table->is_lexical || column->dictionary_count / WHOLE_SHARE > table->count) &&
        !lexicon_is_wanted(column))
        return numbers;
    lexicon_learn(column);
    return lexicon_find(column);
}

/* *out: by what numbers the rows' texts are told apart; NULL: by their bytes, for good. */
static enum err choose_way(struct key_table *table, const struct key_rows *rows,
                           const struct lexicon_numbers **out, struct error *error)
{
    const struct lexicon_numbers *numbers =
        table->is_plain ? NULL : find_numbers(table, rows->column);
    bool fits = numbers != NULL &&
                (!table->is_lexical || numbers->generation == table->lexicon_generation) &&
                (table->is_lexical || table->count == (table->null_id == KEY_NONE ? 0 : 1));
    enum err err = fits ? cover_numbers(table, numbers, &fits, error) : OK;
    *out = NULL;
    if (err == OK && !fits)
        err = key_codes_leave(table, error);
    if (err == OK && !fits && rows->is_insert)
        err = key_bytes_reserve(table, rows->count, error);
    if (err != OK || !fits)
        return err;
    table->is_lexical = true;
    table->lexicon_generation = numbers->generation;
    *out = numbers;
    return OK;
}

static uint32_t number_lexical(struct key_table *table, const struct column *column,
                               uint32_t number, uint32_t code, bool is_insert)
{
    uint32_t known = table->by_number[number];
    if (known != 0)
        return known - 1;
    if (!is_insert)
        return KEY_NONE;
    uint32_t id = table->count++;
    struct slice text = column->dictionary[code];
    ((struct slice *)(void *)table->values)[id] =
        column->is_lasting ? text : arena_copy(&table->memory->arena, text);
    table->text_bytes += text.size;
    table->by_number[number] = fault_is("keys.lexical") && id % 1000 == 999 ? id : id + 1;
    return id;
}

/* --- codes --- */

/* The map of this column's dictionary, all of its codes at least CODE_UNKNOWN. */
static enum err find_code_map(struct key_table *table, const struct column *column,
                              struct code_map **out, struct error *error)
{
    struct code_map *map = NULL;
    for (unsigned i = 0; column->dictionary_id != 0 && i < CODE_MAPS; i++)
        if (table->code_maps[i].dictionary_id == column->dictionary_id)
            map = &table->code_maps[i];
    if (map == NULL) {
        map = &table->code_maps[table->next_code_map];
        table->next_code_map = (table->next_code_map + 1) % CODE_MAPS;
        map->dictionary_id = column->dictionary_id;
        map->known = map->asked_count = 0;
        map->is_whole = false;
        map->absent_at = table->count;
    }
    enum err err = exec_memory_grow(table->memory, (void **)&map->ids, &map->capacity,
                                    column->dictionary_count, sizeof(*map->ids), error);
    for (; err == OK && map->known < column->dictionary_count; map->known++)
        map->ids[map->known] = CODE_UNKNOWN;
    *out = map;
    return err;
}

/* One call's rows, of one dictionary. */
struct coded {
    struct key_table *table;
    const struct key_rows *rows;
    struct code_map *map;
    const struct lexicon_numbers *numbers; /* NULL: by bytes */
    uint32_t unknown_kinds; /* CODE_UNKNOWN and so many values in all are to be looked up */
};

static inline bool is_unknown(uint32_t unknown_kinds, uint32_t id)
{
    return id - CODE_UNKNOWN < unknown_kinds;
}

/* Numbers for those of up to TEXTS_AHEAD codes that have none yet, in order; returns how many. */
static uint32_t number_new_codes(const struct coded *coded, const uint32_t *codes, uint32_t count)
{
    const struct column *column = coded->rows->column;
    const struct slice *dictionary = column->dictionary;
    struct key_table *table = coded->table;
    uint32_t words[TEXTS_AHEAD], *ids = coded->map->ids; /* numbers there, or hashes */
    uint32_t new_count = 0;
    const uint32_t *numbers = coded->numbers != NULL ? coded->numbers->numbers : NULL;
    bool is_insert = coded->rows->is_insert;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(&dictionary[codes[i]]);
        if (numbers != NULL)
            __builtin_prefetch(&numbers[codes[i]]);
    }
    for (uint32_t i = 0; numbers != NULL && i < count; i++) {
        words[i] = numbers[codes[i]];
        __builtin_prefetch(&table->by_number[words[i]], 1);
    }
    for (uint32_t i = 0; numbers == NULL && i < count; i++)
        __builtin_prefetch(dictionary[codes[i]].data);
    for (uint32_t i = 0; numbers == NULL && i < count; i++)
        words[i] = (uint32_t)hash64(dictionary[codes[i]].data, dictionary[codes[i]].size);
    if (numbers == NULL)
        key_bytes_ask_ahead(table, words, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = codes[i];
        if (!is_unknown(coded->unknown_kinds, ids[code]))
            continue;
        ids[code] = numbers != NULL
                        ? number_lexical(table, column, words[i], code, is_insert)
                        : key_bytes_number(table, dictionary[code], words[i], NULL, is_insert);
        new_count++;
    }
    return new_count;
}

/* All of a dictionary's codes that have numbers, found in the order of the codes: the dictionary's
 * memory is read in order and the table's asked for far ahead. Texts without numbers stay unknown.
 */
static void find_all_codes(const struct coded *coded)
{
    const struct column *column = coded->rows->column;
    uint32_t codes[TEXTS_AHEAD], hashes[TEXTS_AHEAD], *ids = coded->map->ids;
    for (uint32_t code = 0; code < column->dictionary_count;) {
        uint32_t count = 0;
        for (; code < column->dictionary_count && count < TEXTS_AHEAD; code++)
            if (ids[code] == CODE_UNKNOWN) {
                struct slice text = column->dictionary[code];
                hashes[count] = (uint32_t)hash64(text.data, text.size);
                codes[count++] = code;
            }
        key_bytes_ask_ahead(coded->table, hashes, count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t id = key_bytes_number(coded->table, column->dictionary[codes[i]], hashes[i],
                                           NULL, false);
            if (id != KEY_NONE)
                ids[codes[i]] = id;
        }
    }
}

/* Once rows have asked for a share of a dictionary's codes they will ask for most of them: they are
 * found in one go, and the lexicon is told so that it is not done again. */
static void count_asked(const struct coded *coded, uint32_t count)
{
    struct code_map *map = coded->map;
    map->asked_count += count;
    if (coded->numbers != NULL || map->is_whole || map->asked_count < WHOLE_MIN ||
        map->asked_count <= coded->rows->column->dictionary_count / WHOLE_SHARE)
        return;
    map->is_whole = true;
    lexicon_learn(coded->rows->column);
    find_all_codes(coded);
}

/* Rows [0, count), none NULL: those whose codes are known first, then the others together. */
static void number_whole_codes(const struct coded *coded, uint32_t *ids)
{
    uint32_t unknown[VECTOR_ROWS_MAX + 1], unknown_count = 0, codes[TEXTS_AHEAD];
    const uint32_t *known = coded->map->ids, *all_codes = coded->rows->column->codes;
    uint32_t row_count = (uint32_t)coded->rows->count, kinds = coded->unknown_kinds;
    uint32_t new_count = 0;
    bool is_any_unknown = false;
    for (uint32_t row = 0; row < row_count; row++) {
        uint32_t id = known[all_codes[row]];
        ids[row] = id;
        is_any_unknown |= is_unknown(kinds, id);
    }
    for (uint32_t row = 0; is_any_unknown && row < row_count; row++) {
        unknown[unknown_count] = row;
        unknown_count += is_unknown(kinds, ids[row]) ? 1 : 0;
    }
    for (uint32_t i = 0; i < unknown_count; i += TEXTS_AHEAD) {
        uint32_t left = unknown_count - i, count = left < TEXTS_AHEAD ? left : TEXTS_AHEAD;
        for (uint32_t k = 0; k < count; k++)
            codes[k] = all_codes[unknown[i + k]];
        new_count += number_new_codes(coded, codes, count);
        for (uint32_t k = 0; k < count; k++)
            ids[unknown[i + k]] = known[codes[k]];
    }
    count_asked(coded, new_count);
}

/* Does each row have the code behind that of the row before, and is its text to be numbered? So it
 * is with what is kept of other rows' groups: there each text comes once. */
static bool are_rising(const struct coded *coded)
{
    const struct key_rows *rows = coded->rows;
    const struct column *column = rows->column;
    const uint32_t *codes = column->codes;
    uint32_t count = (uint32_t)rows->count, first = count == 0 ? 0 : codes[0], difference = 0;
    if (count < RISING_MIN || !rows->is_insert || coded->numbers == NULL || !column->is_lasting ||
        column->validity != NULL || rows->selection != NULL ||
        codes[count - 1] != first + count - 1)
        return false;
    for (uint32_t row = 0; row < count; row++)
        difference |= codes[row] ^ (first + row);
    return difference == 0;
}

/* Their numbers, without a branch and without a map by code, as no code comes again. */
static void number_rising(const struct coded *coded, uint32_t *ids)
{
    struct key_table *table = coded->table;
    const struct column *column = coded->rows->column;
    uint32_t count = (uint32_t)coded->rows->count, first = column->codes[0], next = table->count;
    const struct slice *texts = column->dictionary + first;
    const uint32_t *numbers = coded->numbers->numbers + first;
    struct slice *values = (struct slice *)(void *)table->values; /* room for all of the rows */
    uint32_t *by_number = table->by_number;
    size_t text_bytes = 0;
    for (uint32_t row = 0; row < count; row++) {
        uint32_t known = by_number[numbers[row]], is_new = known == 0;
        uint32_t id = is_new != 0 ? next : known - 1;
        values[next] = texts[row];
        text_bytes += is_new != 0 ? texts[row].size : 0;
        by_number[numbers[row]] = id + 1;
        ids[row] = id;
        next += is_new;
    }
    if (fault_is("keys.rising"))
        by_number[numbers[count - 1]] = 1;
    table->count = next;
    table->text_bytes += text_bytes;
}

enum err key_codes_ids(struct key_table *table, const struct key_rows *rows, uint32_t *ids,
                       struct error *error)
{
    const struct column *column = rows->column;
    struct coded coded = {.table = table, .rows = rows};
    enum err err = choose_way(table, rows, &coded.numbers, error);
    if (err == OK && are_rising(&coded)) {
        number_rising(&coded, ids);
        return OK;
    }
    if (err == OK)
        err = find_code_map(table, column, &coded.map, error);
    if (err != OK)
        return err;
    coded.unknown_kinds = rows->is_insert || coded.map->absent_at != table->count ? 2 : 1;
    if (column->validity == NULL && rows->selection == NULL) {
        number_whole_codes(&coded, ids);
        return OK;
    }
    uint32_t asked_count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        if (column->validity != NULL && column->validity[row] == 0) {
            ids[row] = key_null_number(table, rows->is_insert);
            continue;
        }
        uint32_t code = column->codes[row];
        if (is_unknown(coded.unknown_kinds, coded.map->ids[code]))
            asked_count += number_new_codes(&coded, &code, 1);
        ids[row] = coded.map->ids[code];
    }
    count_asked(&coded, asked_count);
    return OK;
}

void key_codes_note(const struct key_table *table, const struct column *column)
{
    uint32_t count = column->dictionary_count;
    bool is_wrong = fault_is("keys.noted");
    assert(count == table->count);
    if (!table->is_lexical)
        return;
    uint32_t *numbers = memory_alloc(count * sizeof(*numbers));
    for (uint32_t id = 0; id < count; id++)
        numbers[id] = LEXICON_NONE;
    for (size_t number = 0; number < table->by_number_capacity; number++)
        if (table->by_number[number] != 0)
            numbers[table->by_number[number] - 1] = (uint32_t)number / (is_wrong ? 2 : 1);
    lexicon_leave(column, numbers, table->lexicon_generation);
    memory_free(numbers);
}
