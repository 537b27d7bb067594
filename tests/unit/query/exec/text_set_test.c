/* Texts in parts by their hashes against a plain table of what there is: each is told once, those
 * told before never, whatever is sifted in between. */
#include "query/exec/text_set.h"

#include "storage/base/random.h"
#include "tests/unit/planted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct budget budget;
    struct exec_memory memory;
    struct text_set set;
    struct error error;
};

static void setup(struct fixture *f, size_t limit)
{
    *f = (struct fixture){.budget = {.limit = limit, .name = "query"}};
    exec_memory_init(&f->memory, &f->budget);
    text_set_init(&f->set, &f->memory);
}

static void teardown(struct fixture *f)
{
    text_set_deinit(&f->set);
    exec_memory_deinit(&f->memory);
    assert_int_equal(atomic_load(&f->budget.used), 0);
}

/* Text number `number` of that size or longer: the number is in its last eight bytes, and texts of
 * fewer bytes are as many as those have values. */
static struct slice make_text(uint32_t number, size_t size, char *buffer)
{
    memset(buffer, 'x', size);
    for (size_t i = 0; i < size && i < 4; i++)
        buffer[size - 1 - i] = (char)(number >> 8 * i);
    return slice_of(buffer, size);
}

static uint32_t number_of(struct slice text)
{
    uint32_t number = 0;
    for (size_t i = 0; i < text.size && i < 4; i++)
        number |= (uint32_t)(uint8_t)text.data[text.size - 1 - i] << 8 * i;
    return number;
}

struct trial {
    size_t limit, size; /* bytes; of each text */
    uint32_t number_count, told_count;
    size_t batch_count, batch_rows;
};

/* Does each of the numbers that came, and was not told before, come out once? */
static bool is_right(const struct trial *trial, size_t *used_most)
{
    struct fixture f;
    struct random_stream chance;
    struct slice texts[VECTOR_ROWS_MAX];
    uint32_t seen_count = 0, given = 0;
    char *bytes = malloc(VECTOR_ROWS_MAX * (trial->size + 1));
    uint8_t *seen = calloc(trial->number_count, 1);
    bool is = true;
    setup(&f, trial->limit);
    random_stream_init(&chance, trial->size + trial->number_count);
    for (size_t batch = 0; batch < trial->batch_count; batch++) {
        uint32_t below = batch == 0 && trial->told_count > 0 ? trial->told_count : 0;
        for (size_t i = 0; i < trial->batch_rows; i++) {
            uint32_t bound = below > 0 ? below : trial->number_count;
            uint32_t number = (uint32_t)random_below(&chance, bound);
            texts[i] = make_text(number, trial->size, bytes + i * trial->size);
            seen_count += seen[number] == 0 && below == 0;
            seen[number] = seen[number] != 0 ? seen[number] : below > 0 ? 2 : 1;
        }
        assert_int_equal(text_set_add(&f.set, texts, trial->batch_rows, below > 0, &f.error), OK);
        size_t used = atomic_load(&f.budget.used);
        *used_most = used > *used_most ? used : *used_most;
    }
    for (size_t count = 1; count != 0;) {
        assert_int_equal(text_set_next(&f.set, texts, &count, &f.error), OK);
        for (size_t i = 0; i < count; i++) {
            uint32_t number = number_of(texts[i]);
            is = is && texts[i].size == trial->size && number < trial->number_count &&
                 seen[number] == 1;
            if (is)
                seen[number] = 3;
        }
        given += (uint32_t)count;
    }
    teardown(&f);
    free(bytes);
    free(seen);
    return is && given == seen_count;
}

static const struct trial trials[] = {
    {256 << 20, 0, 1, 0, 3, 2000},
    {256 << 20, 0, 1, 1, 3, 2000},
    {256 << 20, 1, 256, 100, 4, 1},
    {256 << 20, 1, 256, 100, 40, 63},
    {256 << 20, 2, 65536, 1000, 40, 64},
    {256 << 20, 3, 100000, 0, 70, 65},
    {256 << 20, 4, 100000, 2000, 70, 2048},
    {256 << 20, 7, 100000, 2000, 70, 2048},
    {256 << 20, 8, 100000, 2000, 70, 2047},
    {256 << 20, 9, 100000, 2000, 70, 2048},
    {256 << 20, 15, 100000, 2000, 70, 2048},
    {256 << 20, 16, 1000000, 2000, 200, 2048},
    {256 << 20, 17, 100000, 2000, 70, 2048},
    {256 << 20, 1023, 3000, 200, 30, 2048},
    {256 << 20, TEXT_SET_SIZE_MAX, 3000, 200, 30, 2048},
    /* Sifted many times: a few texts that come again and again, and ever more of them. */
    {40 << 20, 16, 20000, 2000, 1500, 2048},
    {40 << 20, 16, 400000, 2000, 1000, 2048},
    {40 << 20, 100, 60000, 2000, 500, 2048},
    {40 << 20, 1000, 9000, 2000, 100, 2048},
};

static void test_against_a_plain_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(trials); i++) {
        size_t used = 0;
        if (!is_right(&trials[i], &used))
            fail_msg("trial %zu", i);
        assert_true(used <= trials[i].limit);
    }
}

static bool is_any_wrong(void *context)
{
    (void)context;
    bool is = false;
    for (size_t t = 0; !is && t < array_count(trials); t++) {
        size_t used = 0;
        is = !is_right(&trials[t], &used);
    }
    return is;
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const char *const faults[] = {"text_set.partition_lost", "text_set.place_stale"};
    planted_are_seen(faults, array_count(faults), is_any_wrong, NULL);
}

/* Different texts until the memory is full: an error, and what is there goes away whole. */
static void test_memory_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct slice texts[VECTOR_ROWS_MAX];
    static char bytes[VECTOR_ROWS_MAX][64];
    enum err err = OK;
    uint32_t number = 0;
    setup(&f, 40 << 20);
    assert_true(text_set_is_fine(&f.memory));
    while (err == OK) {
        for (size_t i = 0; i < VECTOR_ROWS_MAX; i++)
            texts[i] = make_text(number++, 64, bytes[i]);
        err = text_set_add(&f.set, texts, VECTOR_ROWS_MAX, false, &f.error);
        assert_true(number < 1000000);
    }
    assert_int_equal(err, ERR_LIMIT);
    assert_string_equal(f.error.sqlstate, "53200");
    assert_true(number > 350000); /* most of the memory is texts */
    assert_false(text_set_is_fine(&f.memory));
    teardown(&f);
}

/* Rows are added until sifting has begun, and then all are asked for: does it end the query that
 * was cancelled before, in both? */
static void try_to_cancel(bool *in_add, bool *in_next)
{
    struct fixture f;
    struct slice texts[VECTOR_ROWS_MAX];
    static char bytes[VECTOR_ROWS_MAX][64];
    const _Atomic bool is_cancelled = true;
    const struct eval_context context = {.is_cancelled = &is_cancelled};
    enum err err = OK;
    size_t count = 0;
    setup(&f, 40 << 20);
    for (size_t i = 0; i < VECTOR_ROWS_MAX; i++)
        texts[i] = make_text((uint32_t)i, 64, bytes[i]);
    f.memory.context = &context;
    for (int batch = 0; batch < 200 && err == OK; batch++)
        err = text_set_add(&f.set, texts, VECTOR_ROWS_MAX, false, &f.error);
    *in_add = err == ERR_CANCELLED && strcmp(f.error.sqlstate, "57014") == 0;
    err = text_set_next(&f.set, texts, &count, &f.error);
    *in_next = err == ERR_CANCELLED;
    teardown(&f);
}

static void test_sifting_looks_whether_it_is_over(void **state)
{
    (void)state;
    bool in_add, in_next;
    try_to_cancel(&in_add, &in_next);
    assert_true(in_add && in_next);
    fault_plant("text_set.never_looks");
    try_to_cancel(&in_add, &in_next);
    fault_clear();
    assert_false(in_add || in_next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_plain_table),
        cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_sifting_looks_whether_it_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
