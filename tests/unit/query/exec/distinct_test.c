/* DISTINCT of pairs: bits, the array and the set, and what is told across them, against a plain
 * table. */
#include "query/exec/distinct.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct budget budget;
    struct exec_memory memory;
    struct distinct distinct;
    struct error error;
};

static uint32_t expected; /* values, and pairs, of the last run */

static void setup(struct fixture *f, enum type_id id)
{
    struct type type = type_of(id);
    *f = (struct fixture){.budget = {.limit = 256 << 20, .name = "query"}};
    exec_memory_init(&f->memory, &f->budget);
    distinct_init(&f->distinct, &type, 1, &f->memory);
    distinct_expect(&f->distinct, (const uint32_t[]){expected, 0, expected});
}

static void teardown(struct fixture *f)
{
    distinct_deinit(&f->distinct);
    exec_memory_deinit(&f->memory);
    assert_int_equal(atomic_load(&f->budget.used), 0);
}

/* Random rows of so many groups and values, NULLs among them; every third row is left out. What is
 * asked for without being added changes nothing. */
static void run_model(uint32_t groups, uint32_t values, size_t rounds, bool want_sparse)
{
    enum { ROWS = 2000 };
    struct fixture f;
    struct random_stream rng;
    uint8_t *seen = calloc((size_t)groups * (values + 1), 1);
    int64_t numbers[ROWS];
    uint8_t validity[ROWS];
    uint32_t group[ROWS], selection[ROWS], fresh[ROWS];
    struct column column = {.type = type_of(TYPE_INT8), .i = numbers, .validity = validity};
    random_stream_init(&rng, groups * 31 + values);
    setup(&f, TYPE_INT8);
    for (size_t round = 0; round < rounds; round++) {
        uint32_t group_count =
            1 + (uint32_t)(groups - 1) * (uint32_t)(round + 1) / (uint32_t)rounds;
        struct distinct_rows rows = {
            .group = group, .group_count = group_count, .selection = selection};
        uint32_t value[ROWS];
        for (uint32_t i = 0; i < ROWS; i++) {
            group[i] = (uint32_t)random_below(&rng, group_count);
            value[i] = (uint32_t)random_below(&rng, values + 1);
            validity[i] = value[i] != values;
            numbers[i] = (int64_t)value[i] * 1000003;
            if (i % 3 != 0)
                selection[rows.count++] = i;
        }
        size_t asked = 0, added = 0, unseen = 0, next = 0;
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &asked, &f.error), OK);
        for (size_t i = 0; i < rows.count; i++) {
            uint32_t row = selection[i];
            if (seen[group[row] * (size_t)(values + 1) + value[row]] == 0)
                assert_int_equal(fresh[unseen++], row);
        }
        assert_int_equal(asked, unseen);
        rows.is_insert = true;
        size_t used = atomic_load(&f.budget.used);
        size_t growth = distinct_growth(&f.distinct, rows.count);
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &added, &f.error), OK);
        assert_true(atomic_load(&f.budget.used) <= used + growth + ((size_t)4 << 20));
        for (size_t i = 0; i < rows.count; i++) {
            uint8_t *cell = &seen[group[selection[i]] * (size_t)(values + 1) + value[selection[i]]];
            if (*cell == 0)
                assert_int_equal(fresh[next++], selection[i]);
            *cell = 1;
        }
        assert_int_equal(added, next);
    }
    if (expected == 0)
        assert_int_equal(f.distinct.is_sparse, want_sparse);
    teardown(&f);
    free(seen);
}

static void test_against_a_plain_table(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 5000, 100000, UINT32_MAX};
    for (size_t i = 0; i < array_count(sizes); i++) {
        expected = sizes[i];
        run_model(1, 1, 2, false);
        run_model(3, 50, 20, false);      /* bits, widened on the way */
        run_model(300, 20000, 40, true);  /* over to the set: most values in several groups */
        run_model(200, 100000, 60, true); /* most in one */
        run_model(40000, 20, 60, false);  /* many groups of few values */
        run_model(20000, 400, 60, true);  /* too many */
    }
    expected = 0;
}

/* Many groups, each pair there: bits stay, since the pairs would take more. */
static void test_bits_stay_where_they_are_smaller(void **state)
{
    (void)state;
    enum { ROWS = 2000, VALUES = 2000, GROUPS = 8192 };
    struct fixture f;
    static int64_t numbers[ROWS];
    uint32_t group[ROWS], fresh[ROWS];
    struct column column = {.type = type_of(TYPE_INT8), .i = numbers};
    setup(&f, TYPE_INT8);
    for (uint32_t round = 0; round < GROUPS; round++) {
        struct distinct_rows rows = {
            .group = group, .group_count = GROUPS, .count = ROWS, .is_insert = true};
        size_t added = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            group[i] = round;
            numbers[i] = (i + round) % VALUES;
        }
        if (round >= 100 && round < GROUPS - 1)
            continue;
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &added, &f.error), OK);
        assert_int_equal(added, ROWS);
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &added, &f.error), OK);
        assert_int_equal(added, 0);
    }
    teardown(&f);
}

static void test_without_groups(void **state)
{
    (void)state;
    struct fixture f;
    const struct slice texts[] = {SLICE("a"), SLICE("b"), SLICE("a"), SLICE("")};
    struct column column = {.type = type_of(TYPE_TEXT), .text = texts};
    uint32_t fresh[4];
    size_t count = 0;
    struct distinct_rows rows = {.count = 4, .is_insert = true};
    setup(&f, TYPE_TEXT);
    assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &count, &f.error), OK);
    assert_int_equal(count, 3);
    assert_int_equal(fresh[2], 3);
    assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &count, &f.error), OK);
    assert_int_equal(count, 0);
    teardown(&f);
}

/* Integers without groups go from bits to numbers and back as their range and count have it; what
 * is told stays right. */
static void test_integers_without_groups(void **state)
{
    (void)state;
    enum { ROWS = 2000, SPAN = 400000 };
    struct fixture f;
    struct random_stream rng;
    static uint8_t seen[SPAN + 1];
    int64_t numbers[ROWS];
    uint8_t validity[ROWS];
    uint32_t fresh[ROWS], places[ROWS];
    bool was_direct = false, was_numbered = false, is_direct_again = false;
    memset(seen, 0, sizeof(seen));
    random_stream_init(&rng, 3);
    setup(&f, TYPE_INT8);
    for (size_t round = 0; round < 600; round++) {
        /* Close together at first, then far apart, then filled up. */
        int64_t span = round < 10 ? 1000 : SPAN;
        struct column column = {.type = type_of(TYPE_INT8), .i = numbers, .validity = validity};
        struct distinct_rows rows = {.count = ROWS, .is_insert = true};
        size_t count = 0, next = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            places[i] = (uint32_t)random_below(&rng, (uint64_t)span + 1);
            validity[i] = places[i] != span;
            places[i] = validity[i] ? places[i] : SPAN;
            numbers[i] = validity[i] ? (int64_t)places[i] * 100 - 7000 : 0;
        }
        if (round % 5 == 4) { /* one value for all rows */
            column.form = COLUMN_CONSTANT;
            for (uint32_t i = 1; i < ROWS; i++)
                places[i] = places[0];
        }
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &count, &f.error), OK);
        for (uint32_t i = 0; i < ROWS; i++) {
            if (seen[places[i]] == 0)
                assert_int_equal(fresh[next++], i);
            seen[places[i]] = 1;
        }
        assert_int_equal(count, next);
        rows.is_insert = false;
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &count, &f.error), OK);
        assert_int_equal(count, 0);
        was_direct = was_direct || f.distinct.has_direct;
        was_numbered = was_numbered || !f.distinct.has_direct;
        is_direct_again = was_numbered && f.distinct.has_direct;
    }
    assert_true(was_direct && was_numbered && is_direct_again);
    teardown(&f);
}

/* Values of one group each take four bytes beside themselves. */
static void test_unlike_values_take_little(void **state)
{
    (void)state;
    enum { ROWS = 2048, ROUNDS = 200 };
    struct fixture f;
    static int64_t numbers[ROWS];
    uint32_t group[ROWS], fresh[ROWS];
    struct column column = {.type = type_of(TYPE_INT8), .i = numbers};
    struct distinct_rows rows = {
        .group = group, .group_count = 256, .count = ROWS, .is_insert = true};
    setup(&f, TYPE_INT8);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t added = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            numbers[i] = (int64_t)(round * ROWS + i) * 977;
            group[i] = i % 256;
        }
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &added, &f.error), OK);
        assert_int_equal(added, ROWS);
    }
    assert_true(f.distinct.is_sparse);
    assert_true(f.distinct.others_capacity <= 8192);
    assert_true(f.distinct.first_capacity <= 2 * ROWS * ROUNDS);
    teardown(&f);
}

/* Rows of texts of which some are long, NULL or of a dictionary, so that all ways are taken: what
 * is kept and what comes at the end are all different ones, each once. */
static size_t count_texts(uint32_t expected_count, uint32_t value_count, bool can_defer,
                          bool *is_deferred)
{
    enum { ROWS = 2000, LONG = 1500 };
    static char bytes[ROWS][LONG + 12];
    struct slice texts[VECTOR_ROWS_MAX];
    uint8_t validity[ROWS];
    uint32_t fresh[ROWS], codes[ROWS];
    struct random_stream chance;
    struct fixture f;
    size_t total = 0, count = 0;
    expected = expected_count;
    setup(&f, TYPE_TEXT);
    expected = 0;
    if (can_defer)
        distinct_defer(&f.distinct);
    random_stream_init(&chance, value_count);
    for (uint32_t row = 0; row < 2 * value_count; row += ROWS) {
        for (uint32_t i = 0; i < ROWS; i++) {
            uint32_t number = (row + i) % value_count;
            bool is_long = number > 30000 && number % 997 == 0;
            memset(bytes[i], 'y', is_long ? LONG : 4);
            snprintf(bytes[i] + (is_long ? LONG : 4), 12, "%u", number);
            texts[i] = slice_from_cstr(bytes[i]);
            validity[i] = number % 501 != 500;
            codes[i] = i;
        }
        bool is_dictionary = row / ROWS % 5 == 4;
        struct column column = {.type = type_of(TYPE_TEXT),
                                .form = is_dictionary ? COLUMN_DICTIONARY : COLUMN_FLAT,
                                .validity = validity,
                                .values = texts};
        if (is_dictionary) {
            column.dictionary = texts;
            column.dictionary_count = ROWS;
            column.codes = codes;
        }
        struct distinct_rows rows = {.count = ROWS, .is_insert = true};
        assert_int_equal(distinct_keep(&f.distinct, &column, &rows, fresh, &count, &f.error), OK);
        for (size_t i = 1; i < count; i++)
            assert_true(fresh[i] > fresh[i - 1]);
        total += count;
    }
    *is_deferred = f.distinct.is_deferred;
    do {
        struct column column;
        assert_int_equal(distinct_rest(&f.distinct, texts, &column, &count, &f.error), OK);
        total += count;
    } while (count != 0);
    uint32_t sizes[3];
    distinct_sizes(&f.distinct, sizes);
    assert_int_equal(sizes[0], total);
    assert_int_equal(sizes[2], 0);
    teardown(&f);
    return total;
}

static void test_texts_without_groups(void **state)
{
    (void)state;
    static const uint32_t counts[] = {600, 10000, 16384, 20000, 50000, 200000};
    for (size_t i = 0; i < array_count(counts); i++) {
        bool is_deferred;
        size_t plain = count_texts(0, counts[i], false, &is_deferred);
        assert_false(is_deferred);
        assert_int_equal(plain, counts[i] - counts[i] / 501 + 1);
        assert_int_equal(count_texts(0, counts[i], true, &is_deferred), plain);
        assert_int_equal(is_deferred, counts[i] >= 20000);
        assert_int_equal(count_texts(20000, counts[i], true, &is_deferred), plain);
        assert_int_equal(is_deferred, counts[i] >= 10000);
        assert_int_equal(count_texts(UINT32_MAX, counts[i], true, &is_deferred), plain);
    }
    fault_plant("text_set.partition_lost");
    bool is_deferred;
    assert_true(count_texts(0, 50000, true, &is_deferred) < 50000 - 50000 / 501);
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_without_groups),
        cmocka_unit_test(test_against_a_plain_table),
        cmocka_unit_test(test_bits_stay_where_they_are_smaller),
        cmocka_unit_test(test_without_groups),
        cmocka_unit_test(test_integers_without_groups),
        cmocka_unit_test(test_unlike_values_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
