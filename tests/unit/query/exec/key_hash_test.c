/* Hashes of keys are equal where keys are. */
#include "query/exec/keys.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static uint64_t hash_one(const struct value *value, struct arena *arena)
{
    uint64_t hash;
    struct column column = column_from_value(value, arena);
    tuple_hashes(&column, 1, NULL, 1, &hash);
    return hash;
}

static void test_equal_values(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct value zero = {.type = type_of(TYPE_FLOAT8), .f = 0}, minus = zero;
    minus.f = -0.0;
    assert_int_equal(hash_one(&zero, &arena), hash_one(&minus, &arena));
    struct value nan = {.type = type_of(TYPE_FLOAT8), .f = NAN}, other = nan;
    other.f = -NAN;
    assert_int_equal(hash_one(&nan, &arena), hash_one(&other, &arena));
    assert_int_not_equal(hash_one(&nan, &arena), hash_one(&zero, &arena));
    struct value one = {.type = type_of(TYPE_NUMERIC), .n = {.digits = 1}}, long_one = one;
    long_one.n = (struct numeric){.digits = 100, .scale = 2};
    assert_int_equal(hash_one(&one, &arena), hash_one(&long_one, &arena));
    struct value month = {.type = type_of(TYPE_INTERVAL), .interval = {.months = 1}}, days = month;
    days.interval = (struct interval){.days = 30};
    assert_int_equal(hash_one(&month, &arena), hash_one(&days, &arena));
    struct value null = {.type = type_of(TYPE_TEXT), .is_null = true};
    struct value empty = {.type = type_of(TYPE_TEXT), .text = SLICE("")};
    assert_int_not_equal(hash_one(&null, &arena), hash_one(&empty, &arena));
    arena_deinit(&arena);
}

/* A dictionary's texts hash as flat ones do, and parts of the hash are spread. */
static void test_forms_and_spread(void **state)
{
    (void)state;
    static const struct slice words[] = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
    static const uint32_t codes[] = {2, 0, 1, 1};
    struct slice flat[4];
    uint64_t hashes[2][4];
    for (size_t i = 0; i < 4; i++)
        flat[i] = words[codes[i]];
    struct column columns[2] = {{.type = type_of(TYPE_TEXT), .form = COLUMN_FLAT, .text = flat},
                                {.type = type_of(TYPE_TEXT),
                                 .form = COLUMN_DICTIONARY,
                                 .codes = codes,
                                 .dictionary = words,
                                 .dictionary_count = 3}};
    for (size_t i = 0; i < 2; i++)
        tuple_hashes(&columns[i], 1, NULL, 4, hashes[i]);
    assert_memory_equal(hashes[0], hashes[1], sizeof(hashes[0]));

    int64_t numbers[2048];
    uint64_t spread[2048];
    size_t counts[32] = {0};
    for (size_t i = 0; i < 2048; i++)
        numbers[i] = (int64_t)i * 1000000;
    struct column ints = {.type = type_of(TYPE_INT8), .form = COLUMN_FLAT, .i = numbers};
    tuple_hashes(&ints, 1, NULL, 2048, spread);
    for (size_t i = 0; i < 2048; i++)
        counts[spread[i] >> 59]++;
    for (size_t i = 0; i < 32; i++)
        assert_in_range(counts[i], 32, 128);
}

static void test_growth(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "query"};
    struct exec_memory memory;
    struct tuple_table table;
    struct type types[2] = {type_of(TYPE_INT8), type_of(TYPE_TEXT)};
    struct error error;
    int64_t numbers[512];
    struct slice texts[512];
    char bytes[512][8];
    uint32_t ids[512];
    exec_memory_init(&memory, &budget);
    tuple_table_init(&table, types, 2, &memory);
    for (int64_t first = 0; first < 40000; first += 512) {
        for (size_t i = 0; i < 512; i++) {
            numbers[i] = (first + (int64_t)i) * 1000003;
            memcpy(bytes[i], &numbers[i], 8);
            texts[i] = slice_of(bytes[i], 8);
        }
        struct column columns[2] = {{.type = types[0], .form = COLUMN_FLAT, .i = numbers},
                                    {.type = types[1], .form = COLUMN_FLAT, .text = texts}};
        size_t promised = tuple_table_growth(&table, 512);
        size_t before = atomic_load(&budget.used);
        assert_int_equal(tuple_table_ids(&table, columns, NULL, 512, true, ids, &error), OK);
        size_t after = atomic_load(&budget.used);
        assert_true(after <= before + promised + (2u << 20)); /* the texts' arena aside */
    }
    tuple_table_deinit(&table);
    exec_memory_deinit(&memory);
    assert_int_equal(atomic_load(&budget.used), 0);
}

/* Room for what the last run had: once a sixteenth has come, if it is little of what is left. */
static void test_wanted(void **state)
{
    (void)state;
    static const struct {
        size_t capacity, needed, expected, used, want;
    } cases[] = {
        {0, 100, 0, 0, 100},         /* nothing is known */
        {0, 99, 1600, 0, 99},        /* too few have come */
        {0, 100, 1600, 0, 1600},     /* a sixteenth */
        {200, 200, 1600, 0, 200},    /* there is room */
        {0, 1600, 1600, 0, 1600},    /* all have come */
        {0, 1601, 1600, 0, 1601},    /* and more */
        {0, 100, 1600, 48800, 1600}, /* a quarter of what is left */
        {0, 100, 1600, 48801, 100},  /* a little more than that */
        {0, 100, 1600, 100000, 100}, /* nothing is left */
        {0, 100, 1600, 200000, 100},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct budget budget = {.limit = 100000, .name = "this query", .used = cases[i].used};
        assert_int_equal(
            key_wanted(cases[i].capacity, cases[i].needed, cases[i].expected, 8, &budget),
            cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_values),
        cmocka_unit_test(test_forms_and_spread),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
