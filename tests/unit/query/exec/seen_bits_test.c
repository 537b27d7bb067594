/* Integers seen, a bit each, against a plain table: ranges that grow at both ends, NULLs,
 * selections, the ends of int64, and a planted mistake. */
#include "query/exec/seen_bits.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { ROWS = 2000, SPAN = 300000 };

struct fixture {
    struct budget budget;
    struct exec_memory memory;
    struct seen_bits bits;
    struct error error;
};

static void setup(struct fixture *f, size_t limit)
{
    *f = (struct fixture){.budget = {.limit = limit, .name = "query"}};
    exec_memory_init(&f->memory, &f->budget);
    seen_bits_init(&f->bits, &f->memory);
}

static void teardown(struct fixture *f)
{
    seen_bits_deinit(&f->bits);
    exec_memory_deinit(&f->memory);
    assert_int_equal(atomic_load(&f->budget.used), 0);
}

/* Rows around `base` in a range that widens with the rounds; false at the first answer that is not
 * the plain table's. */
static bool run_model(int64_t base, bool has_null, bool is_selected)
{
    static uint8_t seen[SPAN + 1];
    struct fixture f;
    struct random_stream rng;
    int64_t numbers[ROWS], listed[ROWS];
    uint8_t validity[ROWS];
    uint32_t selection[ROWS], fresh[ROWS], places[ROWS];
    bool is_right = true;
    size_t known = 0;
    memset(seen, 0, sizeof(seen));
    random_stream_init(&rng, (uint64_t)base + 5);
    setup(&f, 64 << 20);
    for (size_t round = 0; is_right && round < 60; round++) {
        size_t half = 10 + (SPAN / 2 - 10) * round / 60, kept = 0, asked = 0, next = 0, unseen = 0;
        struct column column = {.type = type_of(TYPE_INT8), .i = numbers};
        struct seen_rows rows = {.column = &column};
        bool fits;
        if (has_null)
            column.validity = validity;
        for (uint32_t i = 0; i < ROWS; i++) {
            places[i] = (uint32_t)(SPAN / 2 - half + random_below(&rng, 2 * half));
            validity[i] = !has_null || random_below(&rng, 50) != 0;
            numbers[i] = (int64_t)((uint64_t)base + places[i]);
            places[i] = validity[i] ? places[i] : SPAN;
            if (!is_selected || i % 3 != 0)
                selection[rows.count++] = i;
        }
        rows.selection = is_selected ? selection : NULL;
        asked = seen_bits_keep(&f.bits, &rows, fresh); /* changes nothing */
        for (size_t i = 0; i < rows.count; i++)
            if (seen[places[selection[i]]] == 0)
                is_right = is_right && unseen < asked && fresh[unseen++] == selection[i];
        is_right = is_right && unseen == asked;
        rows.is_insert = true;
        assert_int_equal(seen_bits_cover(&f.bits, &rows, 0, &fits, &f.error), OK);
        assert_true(fits);
        kept = seen_bits_keep(&f.bits, &rows, fresh);
        for (size_t i = 0; i < rows.count; i++) {
            uint8_t *cell = &seen[places[selection[i]]];
            if (*cell == 0)
                is_right = is_right && next < kept && fresh[next++] == selection[i];
            known += *cell == 0 && validity[selection[i]];
            *cell = 1;
        }
        is_right = is_right && next == kept && f.bits.count == known;
    }
    size_t at = 0, count, place = 0;
    while (is_right && (count = seen_bits_list(&f.bits, &at, listed, ROWS)) != 0)
        for (size_t i = 0; i < count; i++, place++) {
            while (seen[place] == 0)
                place++;
            is_right = is_right && listed[i] == (int64_t)((uint64_t)base + place);
            known--;
        }
    teardown(&f);
    return is_right && known == 0;
}

static void test_against_a_plain_table(void **state)
{
    (void)state;
    static const int64_t bases[] = {0, -SPAN / 2, INT64_MIN, INT64_MAX - SPAN, -77, 1000000007};
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
        for (int shape = 0; shape < 4; shape++)
            assert_true(run_model(bases[i], shape % 2 != 0, shape / 2 != 0));
}

static void test_a_planted_mistake_is_found(void **state)
{
    (void)state;
    fault_plant("distinct.grown_bits");
    assert_false(run_model(0, false, false));
    fault_clear();
}

static void test_far_values_do_not_fit(void **state)
{
    (void)state;
    struct fixture f;
    int64_t values[2] = {INT64_MIN, INT64_MAX};
    struct column column = {.type = type_of(TYPE_INT8), .i = values};
    struct seen_rows rows = {.column = &column, .count = 2, .is_insert = true};
    bool fits;
    setup(&f, 1 << 20);
    assert_int_equal(seen_bits_cover(&f.bits, &rows, 1000, &fits, &f.error), OK);
    assert_false(fits);
    values[0] = INT64_MAX - 64 * 4000 + 64; /* 4,000 words, of which a small query may have 4,096 */
    assert_int_equal(seen_bits_cover(&f.bits, &rows, 0, &fits, &f.error), OK);
    assert_true(fits);
    values[0] = INT64_MAX - 64 * 40000;
    assert_int_equal(seen_bits_cover(&f.bits, &rows, 10000, &fits, &f.error), OK);
    assert_false(fits);
    assert_int_equal(seen_bits_cover(&f.bits, &rows, 10200, &fits, &f.error), OK);
    assert_true(fits);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_plain_table),
        cmocka_unit_test(test_a_planted_mistake_is_found),
        cmocka_unit_test(test_far_values_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
