/* Integers as offsets in pairs, against a plain map: entered, moved, left, in each column's place,
 * with NULLs, selections, look-ups of what is not there, at both ends of the range. */
#include "query/exec/keys.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { ROUNDS = 90, SPAN = 30000, FAR = 3, PLACES = 1 << 20, NULL_PLACE = SPAN + FAR };

struct trial {
    size_t columns, at; /* the integers are column `at` of so many */
    int64_t base, stride;
    uint32_t others; /* values of another column */
    bool has_nulls;
    struct budget budget;
    struct exec_memory memory;
    struct tuple_table table;
    struct random_stream random;
    /* by hash: what a combination is, its number */
    uint64_t keys[PLACES];
    uint32_t ids[PLACES], count;
    uint64_t by_id[ROUNDS * VECTOR_ROWS_MAX];
    bool was_offset, was_wide, was_moved, was_left;
};

static const int64_t far_values[FAR] = {INT64_MIN, INT64_MAX, -(INT64_C(1) << 45)};

/* The rows of a batch. */
struct rows {
    int64_t values[VECTOR_ROWS_MAX], others[VECTOR_ROWS_MAX];
    uint8_t validity[VECTOR_ROWS_MAX], thirds[VECTOR_ROWS_MAX];
    uint64_t keys[VECTOR_ROWS_MAX];
    uint32_t selection[VECTOR_ROWS_MAX];
    size_t count;
    bool is_selected, has_nulls;
};

static void make_rows(struct trial *t, int round, struct rows *rows)
{
    struct random_stream *random = &t->random;
    rows->is_selected = random_below(random, 3) == 0;
    rows->has_nulls = t->has_nulls && random_below(random, 3) != 0;
    rows->count = 0;
    for (uint32_t row = 0; row < VECTOR_ROWS_MAX; row++) {
        bool is_far = round > 75 && random_below(random, 1000) == 0;
        bool is_low = round >= 35 && random_below(random, 4) == 0;
        uint64_t place = is_far   ? SPAN + random_below(random, FAR)
                         : is_low ? random_below(random, SPAN)
                                  : SPAN / 2 + random_below(random, SPAN / (round < 25 ? 3 : 2));
        rows->values[row] = place >= SPAN
                                ? far_values[place - SPAN]
                                : (int64_t)((uint64_t)t->base + place * (uint64_t)t->stride);
        uint64_t from = ((uint64_t)rows->values[row] - (uint64_t)t->base) / (uint64_t)t->stride;
        if (is_far && from < SPAN && /* one of the others, if it is not far from this base */
            (uint64_t)t->base + from * (uint64_t)t->stride == (uint64_t)rows->values[row])
            place = from;
        rows->validity[row] = !rows->has_nulls || random_below(random, 9) != 0;
        rows->others[row] = (int64_t)random_below(random, t->others);
        rows->thirds[row] = t->columns == 3 && random_below(random, 2) == 0;
        if (rows->validity[row] == 0)
            place = NULL_PLACE;
        rows->keys[row] = place << 32 | (uint64_t)rows->others[row] << 1 | rows->thirds[row];
        if (!rows->is_selected || random_below(random, 2) == 0)
            rows->selection[rows->count++] = row;
    }
}

static size_t place_of(const struct trial *t, uint64_t key)
{
    size_t place = hash_mix(key) & (PLACES - 1);
    while (t->keys[place] != 0 && t->keys[place] != key + 1)
        place = (place + 1) & (PLACES - 1);
    return place;
}

static uint32_t want(struct trial *t, uint64_t key, bool is_insert)
{
    size_t place = place_of(t, key);
    if (t->keys[place] != 0)
        return t->ids[place];
    if (!is_insert)
        return KEY_NONE;
    t->keys[place] = key + 1;
    t->by_id[t->count] = key;
    return t->ids[place] = t->count++;
}

static bool add_rows(struct trial *t, int round, bool is_insert)
{
    static struct rows rows;
    uint32_t ids[VECTOR_ROWS_MAX];
    struct error error;
    make_rows(t, round, &rows);
    struct column all[3] = {
        {.type = type_of(TYPE_INT8),
         .i = rows.values,
         .validity = rows.has_nulls ? rows.validity : NULL},
        {.type = type_of(TYPE_INT8), .i = rows.others},
        {.type = type_of(TYPE_BOOL), .b = rows.thirds},
    };
    struct column columns[3];
    for (size_t c = 0; c < t->columns; c++)
        columns[c] = all[(c + t->columns - t->at) % t->columns];
    const struct key_table *values = &t->table.columns[t->at];
    bool was_offset = values->is_offset;
    int64_t base = values->offset_base;
    size_t used = atomic_load(&t->budget.used), growth = tuple_table_growth(&t->table, rows.count);
    if (tuple_table_ids(&t->table, columns, rows.is_selected ? rows.selection : NULL, rows.count,
                        is_insert, ids, &error) != OK)
        return false;
    assert_true(atomic_load(&t->budget.used) <= used + growth + ((size_t)2 << 20));
    for (size_t i = 0; i < rows.count; i++)
        if (ids[rows.selection[i]] != want(t, rows.keys[rows.selection[i]], is_insert))
            return false;
    t->was_offset = t->was_offset || values->is_offset;
    t->was_moved = t->was_moved || (was_offset && values->is_offset && base != values->offset_base);
    t->was_left = t->was_left || (was_offset && !values->is_offset);
    t->was_wide = t->was_wide || (values->is_offset && t->table.pairs[1].form == PAIRS_WIDE);
    return t->table.count == t->count;
}

static bool is_value(const struct trial *t, const struct column *column, size_t row, uint64_t place)
{
    bool is_null = column->validity != NULL && column->validity[row] == 0;
    if (place == NULL_PLACE || is_null)
        return place == NULL_PLACE && is_null;
    return column->i[row] == (place >= SPAN
                                  ? far_values[place - SPAN]
                                  : (int64_t)((uint64_t)t->base + place * (uint64_t)t->stride));
}

/* The keys of all numbers, told in both ways. */
static bool are_keys_told(struct trial *t)
{
    bool is_right = true;
    for (uint32_t first = 0; first < t->count; first += VECTOR_ROWS_MAX) {
        uint32_t left = t->count - first, numbers[VECTOR_ROWS_MAX];
        size_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
        struct arena arena;
        struct column out[3], again;
        size_t other = (t->at + 1) % t->columns;
        arena_init(&arena);
        tuple_table_keys(&t->table, first, count, &arena, out);
        tuple_table_column_ids(&t->table, t->at, first, count, numbers);
        again = tuple_table_column(&t->table, t->at, numbers, count, &arena);
        for (size_t i = 0; i < count; i++) {
            uint64_t key = t->by_id[first + i];
            is_right = is_right && is_value(t, &out[t->at], i, key >> 32) &&
                       is_value(t, &again, i, key >> 32) &&
                       out[other].i[i] == (int64_t)((uint32_t)key >> 1);
        }
        arena_deinit(&arena);
    }
    return is_right;
}

static bool run(struct trial *t, uint64_t seed, int rounds)
{
    struct type types[3] = {type_of(TYPE_INT8), type_of(TYPE_INT8), type_of(TYPE_INT8)};
    bool is_right = true;
    if (t->columns == 3)
        types[(2 + t->at) % 3] = type_of(TYPE_BOOL);
    random_stream_init(&t->random, seed);
    memset(t->keys, 0, sizeof(t->keys));
    t->count = 0;
    t->was_offset = t->was_wide = t->was_moved = t->was_left = false;
    t->budget = (struct budget){.limit = 64 << 20, .name = "query"};
    exec_memory_init(&t->memory, &t->budget);
    tuple_table_init(&t->table, types, t->columns, &t->memory);
    for (int round = 0; is_right && round < rounds; round++) {
        is_right = add_rows(t, round, round % 7 != 6);
        if (is_right && (round % 30 == 29 || round + 1 == rounds))
            is_right = are_keys_told(t);
    }
    uint32_t sizes[6];
    tuple_table_sizes(&t->table, sizes);
    is_right = is_right && sizes[2 * t->at] <= t->count;
    tuple_table_deinit(&t->table);
    exec_memory_deinit(&t->memory);
    assert_int_equal(atomic_load(&t->budget.used), 0);
    return is_right;
}

static struct trial trial;

static void test_against_a_map(void **state)
{
    (void)state;
    static const int64_t bases[] = {0, INT64_MIN, INT64_MAX - SPAN + 1, -SPAN / 2};
    for (uint64_t seed = 0; seed < 16; seed++) {
        trial.columns = 2 + seed / 4 % 2;
        trial.at = seed % trial.columns;
        trial.base = bases[seed % array_count(bases)];
        trial.stride = 1;
        trial.others = 40;
        trial.has_nulls = seed / 2 % 2 == 0;
        if (!run(&trial, seed, ROUNDS))
            fail_msg("seed %llu", (unsigned long long)seed);
        bool is_seen = trial.columns == 2 || trial.at != 1; /* beside a bool pairs are an array */
        assert_true(trial.was_offset || !is_seen);
        assert_true(trial.was_moved || !is_seen || trial.base == INT64_MIN);
        assert_true(trial.was_left || !is_seen);
    }
}

/* Offsets of 30 bits beside numbers of 17: words get too small once there are many pairs. */
static void test_wide(void **state)
{
    (void)state;
    trial = (struct trial){.columns = 2, .stride = 20000, .others = 40000, .has_nulls = true};
    for (trial.at = 0; trial.at < 2; trial.at++) {
        assert_true(run(&trial, 5, ROUNDS));
        assert_true(trial.was_offset && trial.was_wide && trial.was_moved && trial.was_left);
    }
}

/* The array by codes is of numbers from before. */
static bool is_shortcut_right(void)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
    struct slice texts[40];
    struct type types[2] = {type_of(TYPE_INT8), type_of(TYPE_TEXT)};
    struct budget budget = {.limit = 64 << 20, .name = "query"};
    struct exec_memory memory;
    struct tuple_table table;
    struct error error;
    int64_t values[VECTOR_ROWS_MAX];
    uint32_t codes[VECTOR_ROWS_MAX], ids[VECTOR_ROWS_MAX], again[VECTOR_ROWS_MAX];
    uint32_t old = 0;
    bool is_right = true;
    for (size_t i = 0; i < array_count(texts); i++)
        texts[i] = slice_of(letters + i, 1);
    exec_memory_init(&memory, &budget);
    tuple_table_init(&table, types, 2, &memory);
    struct column columns[2] = {{.type = types[0], .i = values},
                                {.type = types[1],
                                 .form = COLUMN_DICTIONARY,
                                 .codes = codes,
                                 .dictionary = texts,
                                 .dictionary_count = 40,
                                 .dictionary_id = 7}};
    for (int64_t round = 0; round < 12; round++) {
        for (uint32_t row = 0; row < VECTOR_ROWS_MAX; row++) {
            values[row] = 100 + (round * VECTOR_ROWS_MAX + row) * 3 % 20011;
            codes[row] = row % 40;
        }
        if (round == 11) /* what has the number now that the constant has had */
            values[0] = table.columns[0].offset_base + old - 1;
        columns[0].form = round == 3 || round == 11 ? COLUMN_CONSTANT : COLUMN_FLAT;
        assert_int_equal(tuple_table_ids(&table, columns, NULL, VECTOR_ROWS_MAX, true, ids, &error),
                         OK);
        if (round == 3)
            old = table.shortcut.constants[0];
        assert_int_equal(table.columns[0].is_offset, round > 4);
    }
    for (uint32_t row = 0; row < VECTOR_ROWS_MAX; row++)
        values[row] = values[0];
    columns[0].form = COLUMN_FLAT;
    assert_int_equal(tuple_table_ids(&table, columns, NULL, VECTOR_ROWS_MAX, true, again, &error),
                     OK);
    is_right = memcmp(ids, again, sizeof(ids)) == 0;
    tuple_table_deinit(&table);
    exec_memory_deinit(&memory);
    return is_right;
}

static void test_shortcut(void **state)
{
    (void)state;
    assert_true(is_shortcut_right());
    fault_plant("keys.offset_shortcut");
    bool is_right = is_shortcut_right();
    fault_clear();
    assert_false(is_right);
}

static void test_faults(void **state)
{
    (void)state;
    static const char *const faults[] = {"keys.offset_null", "keys.offset_base"};
    trial = (struct trial){.columns = 2, .stride = 1, .others = 40, .has_nulls = true};
    for (size_t i = 0; i < array_count(faults); i++) {
        fault_plant(faults[i]);
        bool is_right = run(&trial, 3, ROUNDS);
        fault_clear();
        if (is_right)
            fail_msg("%s", faults[i]);
    }
}

/* --- memory --- */

/* As rows are put aside (spill_is_due) before memory is short: until then any batch finds what it
 * needs, also one of values far from those before. */
static bool is_growth_told(uint64_t seed, bool *was_offset)
{
    struct type types[3] = {type_of(TYPE_INT8), type_of(TYPE_INT8), type_of(TYPE_INT8)};
    int64_t values[3][VECTOR_ROWS_MAX];
    uint32_t ids[VECTOR_ROWS_MAX];
    struct random_stream random;
    struct tuple_table table;
    struct exec_memory memory;
    struct error error;
    enum err err = OK;
    random_stream_init(&random, seed);
    struct budget budget = {.limit = (3 << 20) + random_below(&random, 24 << 20), .name = "query"};
    size_t column_count = 2 + random_below(&random, 2);
    uint64_t quiet = 6 + random_below(&random, 60), others = random_below(&random, 2) ? 20000 : 9;
    int64_t far[3]; /* from what came before */
    for (size_t c = 0; c < 3; c++) {
        int64_t leap = INT64_C(1) << (16 + random_below(&random, 16));
        far[c] = random_below(&random, 3) == 0 ? 0 : random_below(&random, 4) == 0 ? -leap : leap;
    }
    exec_memory_init(&memory, &budget);
    tuple_table_init(&table, types, column_count, &memory);
    for (uint64_t round = 0; err == OK && round < 400; round++) {
        size_t used = atomic_load(&budget.used);
        if (used + tuple_table_growth(&table, VECTOR_ROWS_MAX) > budget.limit / 4 * 3)
            break;
        struct column columns[3];
        for (size_t c = 0; c < column_count; c++) {
            for (size_t row = 0; row < VECTOR_ROWS_MAX; row++) {
                bool is_far = round > quiet && random_below(&random, 50) == 0;
                values[c][row] =
                    (int64_t)random_below(&random, c == 2 ? others : 20000) + (is_far ? far[c] : 0);
            }
            columns[c] = (struct column){.type = types[c], .i = values[c]};
        }
        err = tuple_table_ids(&table, columns, NULL, VECTOR_ROWS_MAX, true, ids, &error);
        *was_offset = *was_offset || table.columns[0].is_offset || table.columns[1].is_offset;
    }
    tuple_table_deinit(&table);
    exec_memory_deinit(&memory);
    return err == OK;
}

static void test_growth_is_told(void **state)
{
    (void)state;
    bool was_offset = false;
    for (uint64_t seed = 200; seed < 520; seed++)
        if (!is_growth_told(seed, &was_offset))
            fail_msg("seed %llu", (unsigned long long)seed);
    assert_true(was_offset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_map), cmocka_unit_test(test_wide),
        cmocka_unit_test(test_shortcut),      cmocka_unit_test(test_growth_is_told),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
