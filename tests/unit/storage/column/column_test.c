/* Columns: every form reads the same after flatten, gather and copy; builders; nothing borrowed
 * after a copy. */
#include "storage/column/column.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define ROWS 500

static struct value value_of(enum type_id id, uint64_t x, char text[24])
{
    struct value value = {.type = type_of(id), .is_null = x % 7 == 3};
    if (value.is_null)
        return value;
    switch (type_physical(id)) {
    case PHYSICAL_BOOL:
        value.b = x & 1;
        break;
    case PHYSICAL_INT:
        value.i = (int64_t)(x * UINT64_C(0x9E3779B97F4A7C15));
        break;
    case PHYSICAL_FLOAT:
        value.f = (double)x / 7;
        break;
    case PHYSICAL_NUMERIC:
        value.n = numeric_from_int128((__int128)x * x, 3);
        break;
    case PHYSICAL_TEXT:
        value.text = slice_of(text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)x % 40));
        break;
    case PHYSICAL_INTERVAL:
        value.interval = (struct interval){.months = (int32_t)x, .microseconds = -(int64_t)x};
        break;
    }
    return value;
}

static bool cell_equal(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    return value_compare(a, b) == 0;
}

static void expect_equal(const struct column *a, const struct column *b, const uint32_t *selection,
                         size_t count)
{
    for (size_t row = 0; row < count; row++) {
        struct value want = column_value(a, selection != NULL ? selection[row] : row);
        struct value got = column_value(b, row);
        assert_true(cell_equal(&want, &got));
    }
}

static struct column build(enum type_id id, enum column_form form, struct arena *arena)
{
    struct column_builder builder;
    column_builder_init(&builder, type_of(id), arena);
    for (uint64_t row = 0; row < ROWS; row++) {
        char text[24];
        struct value value = value_of(id, form == COLUMN_CONSTANT ? 12 : row, text);
        column_builder_add(&builder, &value);
    }
    struct column column = column_builder_finish(&builder);
    if (form == COLUMN_CONSTANT) {
        char text[24];
        struct value value = value_of(id, 12, text);
        return column_from_value(&value, arena);
    }
    if (form == COLUMN_DICTIONARY) {
        struct slice *entries = arena_alloc_array(arena, 40, sizeof(*entries));
        uint32_t *codes = arena_alloc_array(arena, ROWS, sizeof(*codes));
        for (uint32_t i = 0; i < 40; i++)
            entries[i] = slice_from_cstr(arena_printf(arena, "%u", i));
        for (uint32_t row = 0; row < ROWS; row++)
            codes[row] = column_is_null(&column, row) ? 0 : row % 40;
        column.form = COLUMN_DICTIONARY;
        column.codes = codes;
        column.dictionary = entries;
        column.dictionary_count = 40;
    }
    return column;
}

static void check_form(enum type_id id, enum column_form form)
{
    struct arena arena, other;
    arena_init(&arena);
    arena_init(&other);
    struct column column = build(id, form, &arena);
    struct column flat = column_flatten(&column, ROWS, &arena);
    assert_int_equal(flat.form, COLUMN_FLAT);
    expect_equal(&column, &flat, NULL, ROWS);

    struct random_stream random;
    random_stream_init(&random, id);
    uint32_t selection[300];
    for (size_t i = 0; i < 300; i++)
        selection[i] = (uint32_t)random_below(&random, ROWS);
    struct column gathered = column_gather(&column, selection, 300, &arena);
    assert_int_equal(gathered.form, form);
    expect_equal(&column, &gathered, selection, 300);
    struct column none = column_gather(&column, selection, 0, &arena);
    assert_int_equal(none.form, form);

    struct dictionary_notes notes = {.newest = NULL};
    gathered.notes = &notes;
    gathered.is_lasting = true;
    struct column copy = column_copy(&gathered, 300, &other);
    assert_true(form != COLUMN_DICTIONARY || (copy.notes == NULL && !copy.is_lasting));
    struct column few = column_copy(&column, 2, &other);
    struct column again = build(id, form, &other);
    arena_deinit(&arena); /* under ASan a borrowed byte shows here */
    expect_equal(&again, &copy, selection, 300);
    expect_equal(&again, &few, NULL, 2);
    arena_deinit(&other);
}

static void test_forms_read_the_same(void **state)
{
    (void)state;
    static const enum type_id ids[] = {TYPE_BOOL,    TYPE_INT8, TYPE_FLOAT8,
                                       TYPE_NUMERIC, TYPE_TEXT, TYPE_INTERVAL};
    for (size_t i = 0; i < array_count(ids); i++) {
        check_form(ids[i], COLUMN_FLAT);
        check_form(ids[i], COLUMN_CONSTANT);
    }
    check_form(TYPE_TEXT, COLUMN_DICTIONARY);
}

static void test_nulls(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct value null = {.type = type_of(TYPE_TEXT), .is_null = true};
    struct column constant = column_from_value(&null, &arena);
    assert_true(column_is_null(&constant, 99));
    struct column flat = column_flatten(&constant, 3, &arena);
    assert_true(column_is_null(&flat, 2));
    /* A dictionary without entries: all rows are NULL. */
    static const uint8_t validity[2] = {0, 0};
    static const uint32_t codes[2] = {0, 0};
    struct column empty = {.type = type_of(TYPE_TEXT),
                           .form = COLUMN_DICTIONARY,
                           .validity = validity,
                           .codes = codes};
    flat = column_flatten(&empty, 2, &arena);
    assert_true(column_is_null(&flat, 1));
    struct column copy = column_copy(&empty, 2, &arena);
    assert_true(column_value(&copy, 0).is_null);
    arena_deinit(&arena);
}

static void test_builder_without_nulls_has_no_validity(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct column_builder builder;
    column_builder_init(&builder, type_of(TYPE_INT4), &arena);
    struct column none = column_builder_finish(&builder);
    assert_non_null(none.values);
    for (int64_t i = 0; i < 1000; i++)
        column_builder_add(&builder, &(struct value){.type = builder.type, .i = i});
    struct column column = column_builder_finish(&builder);
    assert_null(column.validity);
    assert_int_equal(column.i[999], 999);
    column_builder_add_null(&builder);
    column = column_builder_finish(&builder);
    assert_true(column_is_null(&column, 1000));
    assert_false(column_is_null(&column, 999));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_read_the_same),
        cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_builder_without_nulls_has_no_validity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
