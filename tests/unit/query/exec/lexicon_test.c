/* Numbers of texts over dictionaries: the same for the same texts and for no others, no room, a new
 * generation, threads. */
#include "query/exec/lexicon.h"

#include "storage/base/arena.h"
#include "storage/base/fault.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct book {
    struct arena arena;
    struct slice *texts;
    struct dictionary_notes notes;
    struct column column;
};

static uint64_t last_id;

/* The texts of the numbers begin, begin + step … */
static struct book *book_create(uint32_t begin, uint32_t step, uint32_t count)
{
    struct book *book = calloc(1, sizeof(*book));
    arena_init(&book->arena);
    book->texts = arena_alloc_array(&book->arena, count, sizeof(*book->texts));
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof(text), "/page/%u", begin + i * step);
        book->texts[i] = arena_copy(&book->arena, slice_from_cstr(text));
    }
    book->column = (struct column){.type = type_of(TYPE_TEXT),
                                   .form = COLUMN_DICTIONARY,
                                   .dictionary = book->texts,
                                   .dictionary_count = count,
                                   .dictionary_id = ++last_id,
                                   .notes = &book->notes};
    return book;
}

static void book_destroy(struct book *book)
{
    dictionary_notes_free(&book->notes);
    arena_deinit(&book->arena);
    free(book);
}

static void test_equal_texts_have_equal_numbers(void **state)
{
    (void)state;
    struct book *a = book_create(0, 2, 3000), *b = book_create(0, 3, 3000);
    lexicon_reset(0);
    assert_int_equal(lexicon_size(), 0);
    assert_null(lexicon_find(&a->column));
    lexicon_learn(&a->column);
    lexicon_learn(&b->column);
    const struct lexicon_numbers *of_a = lexicon_find(&a->column), *of_b = lexicon_find(&b->column);
    assert_non_null(of_a);
    assert_non_null(of_b);
    assert_true(of_a->generation == of_b->generation);
    for (uint32_t i = 0; i < 3000; i++)
        for (uint32_t j = i * 2 / 3 < 2 ? 0 : i * 2 / 3 - 2; j < i * 2 / 3 + 3 && j < 3000; j++)
            assert_int_equal(of_a->numbers[i] == of_b->numbers[j], i * 2 == j * 3);
    assert_true(of_a->end == 3000 && of_b->end <= 6000);
    struct column other = a->column; /* another dictionary must not be taken for it */
    other.dictionary = b->texts;
    other.dictionary_id = b->column.dictionary_id;
    assert_null(lexicon_find(&other));
    other = a->column;
    other.notes = NULL;
    assert_null(lexicon_find(&other));
    lexicon_learn(&other);
    size_t size = lexicon_size();
    assert_true(size > 4000 * (sizeof("/page/1000") + sizeof(struct slice)) && size < 1 << 20);
    lexicon_learn(&a->column); /* known: nothing new */
    assert_int_equal(lexicon_size(), size);
    assert_ptr_equal(lexicon_find(&a->column), of_a);
    book_destroy(a);
    book_destroy(b);
    lexicon_reset(0);
    assert_int_equal(lexicon_size(), 0);
}

/* All different, also where 32 bits of their hashes are not. */
static bool are_different(void)
{
    enum { COUNT = 300000 };
    struct book *book = book_create(0, 1, COUNT);
    uint8_t *is_used = calloc(COUNT, 1);
    bool are = true;
    lexicon_reset(0);
    lexicon_learn(&book->column);
    const struct lexicon_numbers *numbers = lexicon_find(&book->column);
    for (uint32_t i = 0; i < COUNT; i++) {
        are = are && is_used[numbers->numbers[i]] == 0;
        is_used[numbers->numbers[i]] = 1;
    }
    free(is_used);
    book_destroy(book);
    lexicon_reset(0);
    return are;
}

static void test_hashes_that_are_the_same(void **state)
{
    (void)state;
    assert_true(are_different());
    fault_plant("lexicon.hash_only");
    assert_false(are_different());
    fault_clear();
}

static void test_a_limit_and_a_new_generation(void **state)
{
    (void)state;
    struct book *first = book_create(0, 1, 600), *second = book_create(1000, 1, 600);
    lexicon_reset(1000);
    lexicon_learn(&first->column);
    uint64_t generation = lexicon_find(&first->column)->generation;
    for (int i = 0; i < 64; i++) { /* turned away */
        lexicon_learn(&second->column);
        assert_null(lexicon_find(&second->column));
    }
    lexicon_learn(&second->column); /* all is forgotten by now */
    assert_non_null(lexicon_find(&second->column));
    assert_true(lexicon_find(&second->column)->generation > generation);
    assert_int_equal(lexicon_find(&first->column)->generation, generation);
    for (int i = 0; i < 128; i++)
        lexicon_learn(&first->column);
    lexicon_learn(&first->column);
    assert_true(lexicon_find(&first->column)->generation > generation + 1);
    book_destroy(first);
    book_destroy(second);
    lexicon_reset(0);
}

/* One that grows, its array of texts made anew on the way, and another one with the same texts:
 * every size asked for has all its numbers, and what was read of an earlier size holds. */
static bool grows_right(void)
{
    enum { COUNT = 5000 };
    struct book *whole = book_create(0, 1, COUNT), *growing = book_create(0, 1, COUNT);
    struct slice *moved = calloc(COUNT, sizeof(*moved));
    const struct lexicon_numbers *first = NULL;
    bool is_right = true;
    lexicon_reset(0);
    lexicon_learn(&whole->column);
    const struct lexicon_numbers *all = lexicon_find(&whole->column);
    for (uint32_t count = 1; count <= COUNT; count += count < 70 ? 1 : count / 3 + 1) {
        struct column column = growing->column;
        column.dictionary_count = count;
        if (count > 100) {
            memcpy(moved, growing->texts, COUNT * sizeof(*moved));
            column.dictionary = moved;
        }
        assert_null(lexicon_find(&column));
        assert_int_equal(lexicon_is_begun(&column), count != 1);
        lexicon_learn(&column);
        const struct lexicon_numbers *numbers = lexicon_find(&column);
        assert_non_null(numbers);
        first = first == NULL ? numbers : first;
        assert_true(numbers->generation == all->generation && numbers->end <= all->end);
        for (uint32_t code = 0; code < count; code++)
            is_right = is_right && numbers->numbers[code] == all->numbers[code];
    }
    is_right = is_right && first->numbers[0] == all->numbers[0];
    /* As many arrays as doublings, not one for each size. */
    assert_true(atomic_load(&growing->notes.size) < (size_t)4 * COUNT * sizeof(uint32_t) + 2048);
    free(moved);
    book_destroy(whole);
    book_destroy(growing);
    lexicon_reset(0);
    return is_right;
}

static void test_a_dictionary_that_grows(void **state)
{
    (void)state;
    assert_true(grows_right());
    fault_plant("lexicon.extended");
    assert_false(grows_right());
    fault_clear();
}

/* What a caller knows by itself, some of it nothing. */
static void test_numbers_that_are_left(void **state)
{
    (void)state;
    struct book *book = book_create(0, 1, 4);
    const uint32_t numbers[] = {7, LEXICON_NONE, 9, 2};
    lexicon_leave(&book->column, numbers, 5);
    const struct lexicon_numbers *found = lexicon_find(&book->column);
    assert_non_null(found);
    assert_memory_equal(found->numbers, numbers, sizeof(numbers));
    assert_true(found->generation == 5 && found->end == 10 && found->count == 4);
    book_destroy(book);
}

/* Texts of which a few are as long as all may be together. */
static void test_long_texts_are_turned_away(void **state)
{
    (void)state;
    enum { COUNT = 30, SIZE = 1 << 20 };
    char *bytes = calloc(SIZE + COUNT, 1);
    struct slice texts[COUNT];
    struct dictionary_notes notes = {.newest = NULL};
    for (size_t i = 0; i < COUNT; i++)
        texts[i] = slice_of(bytes + i, SIZE);
    bytes[SIZE] = 1; /* they differ in where this is */
    struct column column = {.type = type_of(TYPE_TEXT),
                            .form = COLUMN_DICTIONARY,
                            .dictionary = texts,
                            .dictionary_count = COUNT,
                            .notes = &notes};
    lexicon_reset(0);
    lexicon_learn(&column);
    assert_null(lexicon_find(&column));
    column.dictionary_count = 2;
    lexicon_learn(&column);
    assert_non_null(lexicon_find(&column));
    memory_free(atomic_load(&notes.newest));
    free(bytes);
    lexicon_reset(0);
}

enum { BOOKS = 12 };
static struct book *shared[BOOKS], *growing;
static _Atomic uint32_t grown = 10;

/* Each reads of a dictionary what was there when it looked, while another one numbers what is new.
 */
static void learn_growing(void *context)
{
    (void)context;
    for (int i = 0; i < 300; i++) {
        struct column column = growing->column;
        column.dictionary_count = atomic_fetch_add(&grown, 3);
        lexicon_learn(&column);
        const struct lexicon_numbers *numbers = lexicon_find(&column);
        for (uint32_t code = 1; numbers != NULL && code < column.dictionary_count; code++) {
            assert(numbers->numbers[code] != numbers->numbers[code - 1]);
            assert(numbers->numbers[code] < numbers->end);
        }
    }
}

static void test_threads_over_one_that_grows(void **state)
{
    (void)state;
    struct thread *threads[3];
    lexicon_reset(0);
    growing = book_create(0, 1, 3000);
    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(&(struct thread_options){.name = "learn", .run = learn_growing});
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
    growing->column.dictionary_count = atomic_load(&grown);
    lexicon_learn(&growing->column);
    assert_int_equal(lexicon_find(&growing->column)->end, growing->column.dictionary_count);
    book_destroy(growing);
    lexicon_reset(0);
}

static void learn_all(void *context)
{
    int start = *(int *)context;
    for (int i = 0; i < 400; i++) {
        const struct column *column = &shared[(start + i * 7) % BOOKS]->column;
        lexicon_learn(column);
        const struct lexicon_numbers *numbers = lexicon_find(column);
        for (uint32_t code = 1; numbers != NULL && code < numbers->count; code++)
            assert(numbers->numbers[code] != numbers->numbers[code - 1]);
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct thread *threads[3];
    int starts[3] = {0, 5, 9};
    lexicon_reset(4000); /* too few for all: generations change on the way */
    for (int i = 0; i < BOOKS; i++)
        shared[i] = book_create((uint32_t)i * 500, 1, 1000);
    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(
            &(struct thread_options){.name = "learn", .run = learn_all, .context = &starts[i]});
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
    for (int i = 0; i < BOOKS; i++)
        book_destroy(shared[i]);
    lexicon_reset(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_texts_have_equal_numbers),
        cmocka_unit_test(test_hashes_that_are_the_same),
        cmocka_unit_test(test_a_limit_and_a_new_generation),
        cmocka_unit_test(test_long_texts_are_turned_away),
        cmocka_unit_test(test_a_dictionary_that_grows),
        cmocka_unit_test(test_numbers_that_are_left),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_over_one_that_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
