/* Texts of dictionaries to numbers, by the lexicon and by their bytes, against a plain list: many
 * dictionaries of which some are known, rows with NULLs and selections, of codes that follow each
 * other, flat texts between. */
#include "query/exec/keys.h"
#include "query/exec/lexicon.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TEXTS = 9000, BOOKS = 6, ENTRIES = 6000 };

static struct slice texts[TEXTS];
static struct book {
    struct dictionary_notes notes;
    struct slice entries[ENTRIES];
    uint32_t text[ENTRIES]; /* which one an entry is */
} books[BOOKS];

static void make_texts(struct arena *arena)
{
    struct random_stream random;
    random_stream_init(&random, 4);
    for (uint32_t i = 0; i < TEXTS; i++) {
        char text[32] = "";
        if (i != 0)
            snprintf(text, sizeof(text), "/some/page/%05u", i);
        texts[i] = arena_copy(arena, slice_from_cstr(text));
    }
    for (uint32_t b = 0; b < BOOKS; b++)
        for (uint32_t i = 0, text = 0; i < ENTRIES; i++, text++) {
            while (text < TEXTS - (ENTRIES - i) && random_below(&random, 3) == 0)
                text++;
            books[b].entries[i] = texts[text];
            books[b].text[i] = text;
        }
}

static void free_notes(void)
{
    for (uint32_t b = 0; b < BOOKS; b++) {
        dictionary_notes_free(&books[b].notes);
    }
}

struct shape {
    bool has_nulls, is_selected, has_flat, has_look_ups, is_growing;
    size_t limit;
    uint32_t dense; /* rows of a batch are of so many texts */
};

/* A table's texts as the dictionary of a column, of which another table makes the same numbers,
 * whether it is told them by those of the lexicon or not. */
static bool is_noted_right(const struct key_table *from)
{
    struct budget budget = {.limit = 64 << 20, .name = "query"};
    struct exec_memory memory;
    struct tuple_table table;
    struct error error;
    struct dictionary_notes notes = {.newest = NULL};
    uint32_t codes[VECTOR_ROWS_MAX], ids[VECTOR_ROWS_MAX];
    struct column column = {.type = from->type,
                            .form = COLUMN_DICTIONARY,
                            .codes = codes,
                            .dictionary = (const struct slice *)(const void *)from->values,
                            .dictionary_count = from->count,
                            .dictionary_id = 90,
                            .notes = &notes};
    key_codes_note(from, &column);
    bool is_right = (lexicon_find(&column) != NULL) == from->is_lexical;
    exec_memory_init(&memory, &budget);
    tuple_table_init(&table, &from->type, 1, &memory);
    for (uint32_t first = 0; first < from->count; first += VECTOR_ROWS_MAX) {
        uint32_t left = from->count - first;
        uint32_t count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX, kept = 0;
        uint32_t selection[VECTOR_ROWS_MAX];
        for (uint32_t i = 0; i < count; i++) {
            codes[i] = first + i;
            selection[kept] = i;
            kept += first + i != from->null_id;
        }
        assert_int_equal(tuple_table_ids(&table, &column, kept == count ? NULL : selection, kept,
                                         true, ids, &error),
                         OK);
        for (uint32_t i = 0; i < kept; i++) {
            uint32_t id = first + selection[i];
            uint32_t want = id - (from->null_id != KEY_NONE && id > from->null_id ? 1 : 0);
            is_right = is_right && ids[selection[i]] == want;
        }
    }
    is_right =
        is_right && (from->is_lexical || !table.columns[0].is_lexical || from->count <= 1024);
    tuple_table_deinit(&table);
    exec_memory_deinit(&memory);
    dictionary_notes_free(&notes);
    return is_right;
}

/* One query over all books; false at the first number that is not the plain list's. */
static bool run_query(const struct shape *shape, uint64_t seed, bool *was_lexical)
{
    static uint32_t want[TEXTS];
    struct budget budget = {.limit = shape->limit, .name = "query"};
    struct exec_memory memory;
    struct tuple_table table;
    struct error error;
    struct type type = type_of(TYPE_TEXT);
    struct random_stream random;
    uint32_t next = 0, want_null = KEY_NONE;
    bool is_right = true;
    random_stream_init(&random, seed);
    memset(want, 0xFF, sizeof(want));
    exec_memory_init(&memory, &budget);
    tuple_table_init(&table, &type, 1, &memory);
    *was_lexical = false;
    for (int round = 0; is_right && round < 10 * BOOKS; round++) {
        struct book *book = &books[round / 10];
        uint32_t codes[VECTOR_ROWS_MAX], ids[VECTOR_ROWS_MAX], selection[VECTOR_ROWS_MAX];
        uint8_t validity[VECTOR_ROWS_MAX];
        struct slice flat[VECTOR_ROWS_MAX];
        size_t count = 0, count_max = round % 5 == 4 ? 60 + round : VECTOR_ROWS_MAX;
        uint32_t dense = shape->is_growing ? shape->dense * (round % 10 + 1) / 10 : shape->dense;
        bool is_insert = !shape->has_look_ups || round % 4 != 2;
        bool is_flat = shape->has_flat && round % 13 == 12;
        bool is_rising = round % 3 == 1 && dense > VECTOR_ROWS_MAX; /* but for one, now and then */
        uint32_t first = is_rising ? (uint32_t)random_below(&random, dense - VECTOR_ROWS_MAX) : 0;
        uint32_t other = (uint32_t)random_below(&random, 2 * VECTOR_ROWS_MAX);
        for (uint32_t row = 0; row < VECTOR_ROWS_MAX; row++) {
            bool is_next = is_rising && row != other;
            codes[row] = is_next ? first + row : (uint32_t)random_below(&random, dense);
            flat[row] = book->entries[codes[row]];
            validity[row] = !shape->has_nulls || random_below(&random, 20) != 0;
            if (row < count_max && (!shape->is_selected || random_below(&random, 3) != 0))
                selection[count++] = row;
        }
        struct column column = {.type = type,
                                .form = COLUMN_DICTIONARY,
                                .validity = shape->has_nulls ? validity : NULL,
                                .codes = codes,
                                .dictionary = book->entries,
                                .dictionary_count = shape->is_growing ? dense : ENTRIES,
                                .dictionary_id = 100 + (uint64_t)(book - books),
                                .is_lasting = round % 20 < 10,
                                .notes = &book->notes};
        if (is_flat)
            column = (struct column){.type = type, .validity = column.validity, .text = flat};
        size_t used = atomic_load(&budget.used), growth = tuple_table_growth(&table, count);
        assert_int_equal(tuple_table_ids(&table, &column, shape->is_selected ? selection : NULL,
                                         count, is_insert, ids, &error),
                         OK);
        assert_true(atomic_load(&budget.used) <= used + growth + ((size_t)1 << 20));
        for (size_t i = 0; i < count; i++) {
            uint32_t row = selection[i];
            uint32_t *known = validity[row] == 0 ? &want_null : &want[book->text[codes[row]]];
            if (*known == KEY_NONE && is_insert)
                *known = next++;
            is_right = is_right && ids[row] == *known;
        }
        *was_lexical = *was_lexical || table.columns[0].is_lexical;
    }
    for (uint32_t text = 0; is_right && text < TEXTS; text++) {
        struct column out;
        if (want[text] == KEY_NONE)
            continue;
        tuple_table_keys(&table, want[text], 1, &memory.arena, &out);
        is_right = slice_equal(out.text[0], texts[text]);
    }
    is_right = is_right && is_noted_right(&table.columns[0]);
    is_right = is_right && table.count == next;
    tuple_table_deinit(&table);
    exec_memory_deinit(&memory);
    assert_int_equal(atomic_load(&budget.used), 0);
    return is_right;
}

static void test_against_a_plain_list(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    make_texts(&arena);
    for (uint32_t i = 0; i < 32; i++) {
        struct shape shape = {.has_nulls = i % 2 != 0,
                              .is_selected = i / 2 % 2 != 0,
                              .has_flat = i / 4 % 2 != 0,
                              .has_look_ups = i / 8 % 2 != 0,
                              .limit = 64 << 20,
                              .dense = i / 16 != 0 ? ENTRIES : 40};
        bool was_lexical;
        lexicon_reset(0);
        assert_true(run_query(&shape, i, &was_lexical)); /* nothing is known */
        assert_false(was_lexical);
        bool is_learned = shape.dense == ENTRIES; /* else too few codes were asked for */
        assert_int_equal(lexicon_find(&(struct column){.notes = &books[0].notes,
                                                       .dictionary = books[0].entries}) != NULL,
                         is_learned);
        assert_true(run_query(&shape, i, &was_lexical)); /* all is */
        assert_int_equal(was_lexical, is_learned);
        shape.limit = 1 << 20; /* too little for an array */
        assert_true(run_query(&shape, i, &was_lexical));
        assert_false(was_lexical);
        lexicon_reset(0);
        for (uint32_t b = 0; b < BOOKS; b += 2) { /* some are, of a generation of their own */
            struct column column = {.dictionary = books[b].entries,
                                    .dictionary_count = ENTRIES,
                                    .notes = &books[b].notes};
            lexicon_learn(&column);
        }
        shape.limit = 64 << 20;
        assert_true(run_query(&shape, i, &was_lexical));
        assert_true(was_lexical);
        free_notes();
    }
    arena_deinit(&arena);
    lexicon_reset(0);
}

/* Dictionaries that have more texts with each batch, known in part or not at all. */
static void test_dictionaries_that_grow(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    make_texts(&arena);
    for (uint32_t i = 0; i < 16; i++) {
        struct shape shape = {.has_nulls = i % 2 != 0,
                              .is_selected = i / 2 % 2 != 0,
                              .has_flat = i / 4 % 2 != 0,
                              .has_look_ups = i / 8 % 2 != 0,
                              .is_growing = true,
                              .limit = 64 << 20,
                              .dense = ENTRIES};
        bool was_lexical;
        lexicon_reset(0);
        for (uint32_t b = 0; b < BOOKS; b += 1 + i % 3) { /* its first texts */
            struct column column = {.dictionary = books[b].entries,
                                    .dictionary_id = 100 + b,
                                    .dictionary_count = ENTRIES / 10,
                                    .notes = &books[b].notes};
            lexicon_learn(&column);
        }
        assert_true(run_query(&shape, i, &was_lexical));
        assert_true(was_lexical);
        assert_true(run_query(&shape, i, &was_lexical));
        free_notes();
    }
    arena_deinit(&arena);
    lexicon_reset(0);
}

static void test_a_planted_mistake_is_found(void **state)
{
    (void)state;
    struct arena arena;
    struct shape shape = {.limit = 64 << 20, .dense = ENTRIES};
    bool was_lexical;
    arena_init(&arena);
    make_texts(&arena);
    lexicon_reset(0);
    assert_true(run_query(&shape, 3, &was_lexical));
    static const char *const faults[] = {"keys.lexical", "keys.noted", "keys.rising"};
    for (size_t i = 0; i < array_count(faults); i++) {
        fault_plant(faults[i]);
        assert_false(run_query(&shape, 3, &was_lexical));
        fault_clear();
    }
    assert_true(run_query(&shape, 3, &was_lexical));
    free_notes();
    arena_deinit(&arena);
    lexicon_reset(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_plain_list),
                                       cmocka_unit_test(test_dictionaries_that_grow),
                                       cmocka_unit_test(test_a_planted_mistake_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
