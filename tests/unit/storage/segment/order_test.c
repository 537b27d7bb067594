/* Rows by time beside the plainest stable sort: in order, late by a little or much, turned round,
 * all alike, in no order, by turns, with NULLs; lengths where runs begin and end. */
#include "storage/segment/collect.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS_MAX 200000

static int64_t times[ROWS_MAX];
static uint8_t validity[ROWS_MAX];
static uint32_t order[ROWS_MAX], want[ROWS_MAX];
static struct room room; /* without memory that is kept */

enum shape {
    SORTED,
    LATE,
    VERY_LATE,
    LATE_ALIKE, /* with rows of the same time before and behind */
    ONE_LATE,
    ONE_EARLY, /* for which all others are late */
    TURNED,
    ALIKE,
    CHAOS,
    TWO_SOURCES,
    TURNS,       /* bodies of 100 rows that changed places by pairs */
    TURNS_ALIKE, /* the same, with rows of one time on both sides of where bodies meet */
    SENDERS,     /* bodies of 100 rows, four by four turned round, and one row in twenty late */
    SENDERS_ALIKE,
    UNEVEN, /* most of them in a thousandth of the time */
    SHAPE_COUNT
};

static int64_t time_at(enum shape shape, uint32_t row, uint32_t row_count,
                       struct random_stream *chance)
{
    int64_t late = (int64_t)random_below(chance, 20) == 0;
    switch (shape) {
    case SORTED:
        return row / 3;
    case LATE:
        return row - late * (int64_t)random_below(chance, 200);
    case VERY_LATE:
        return row - late * (int64_t)random_below(chance, row + 1);
    case LATE_ALIKE:
        return row / 40 - late * (int64_t)random_below(chance, 5);
    case ONE_LATE:
        return row == row_count - 1 ? -1 : (int64_t)row;
    case ONE_EARLY:
        return row == row_count / 3 ? row_count : row;
    case TURNED:
        return -(int64_t)row;
    case ALIKE:
        return 7;
    case CHAOS:
        return (int64_t)random_next(chance);
    case TURNS:
        return (row / 100 ^ 1) * 100 + row % 100;
    case TURNS_ALIKE:
        return ((row / 100 ^ 1) * 100 + row % 100) / 40;
    case SENDERS:
        return (row / 100 ^ 3) * 100 + row % 100 - late * (int64_t)random_below(chance, 300);
    case SENDERS_ALIKE:
        return ((row / 100 ^ 3) * 100 + row % 100) / 40 - late * (int64_t)random_below(chance, 5);
    case UNEVEN:
        return late ? (int64_t)random_below(chance, 1000000000)
                    : (int64_t)(row / 100 ^ 1) * 100 + row % 100;
    default:
        return row < row_count / 2 ? row : row - row_count / 2;
    }
}

static int compare_rows(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (validity[left] != validity[right])
        return validity[left] != 0 ? -1 : 1;
    if (validity[left] != 0 && times[left] != times[right])
        return times[left] < times[right] ? -1 : 1;
    return (left > right) - (left < right);
}

/* Rows that are not where they should be. */
static uint32_t order_rows(enum shape shape, uint32_t row_count, bool has_null, uint64_t seed)
{
    struct random_stream chance;
    struct pauser pauser = {0};
    random_stream_init(&chance, seed);
    bool is_sorted = !has_null;
    for (uint32_t i = 0; i < row_count; i++) {
        times[i] = time_at(shape, i, row_count, &chance);
        validity[i] = !has_null || random_below(&chance, 10) != 0;
        want[i] = i;
        is_sorted = is_sorted && (i == 0 || times[i - 1] <= times[i]);
    }
    qsort(want, row_count, sizeof(*want), compare_rows);
    if (!time_order(times, has_null ? validity : NULL, row_count, &pauser, &room, order)) {
        assert_true(is_sorted);
        return 0;
    }
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < row_count; i++)
        wrong += order[i] != want[i];
    return wrong;
}

/* The same of rows that time_runs takes, put where their runs go; *by_runs: it takes them. */
static uint32_t order_runs(enum shape shape, uint32_t row_count, uint64_t seed, bool *by_runs)
{
    struct pauser pauser = {0};
    struct arena arena;
    struct row_run *runs;
    uint32_t wrong = 0, begin = 0;
    (void)order_rows(shape, row_count, false, seed);
    arena_init(&arena);
    *by_runs = time_runs(times, NULL, row_count, &pauser, &room, &arena, &runs);
    for (uint32_t i = 0; *by_runs && begin < row_count; i++) {
        assert_int_equal(runs[i].begin, begin);
        assert_true(runs[i].count > 0 && runs[i].to + runs[i].count <= row_count);
        for (uint32_t j = 0; j < runs[i].count; j++)
            wrong += want[runs[i].to + j] != runs[i].begin + j;
        begin += runs[i].count;
    }
    assert_true(!*by_runs || begin == row_count);
    assert_int_equal(room_mark(&room), 0);
    arena_deinit(&arena);
    return wrong;
}

static void check(enum shape shape, uint32_t row_count, bool has_null, uint64_t seed)
{
    uint32_t wrong = order_rows(shape, row_count, has_null, seed);
    if (wrong != 0)
        fail_msg("shape %d, %u rows, seed %llu: %u wrong", shape, row_count,
                 (unsigned long long)seed, wrong);
}

static void test_beside_a_plain_sort(void **state)
{
    static const uint32_t lengths[] = {1,  2,   31,  32,  33,   63,    64,      65,
                                       97, 255, 256, 257, 1000, 70000, ROWS_MAX};
    (void)state;
    for (int shape = SORTED; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < array_count(lengths); i++) {
            check((enum shape)shape, lengths[i], false, i + 1);
            check((enum shape)shape, lengths[i], true, i + 100);
        }
    }
}

static void test_runs_beside_a_plain_sort(void **state)
{
    static const uint32_t lengths[] = {1,   2,   63,  64,   65,    100,   101,
                                       199, 200, 201, 1000, 10050, 70000, ROWS_MAX};
    (void)state;
    for (int shape = SORTED; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < array_count(lengths); i++) {
            bool by_runs;
            assert_int_equal(order_runs((enum shape)shape, lengths[i], i + 1, &by_runs), 0);
            if (shape == TURNS && lengths[i] >= 200)
                assert_true(by_runs);
            if (shape == SORTED || (shape == CHAOS && lengths[i] > 64))
                assert_false(by_runs);
        }
    }
    bool by_runs;
    (void)order_runs(ONE_EARLY, 1000, 1, &by_runs);
    assert_true(by_runs);
    (void)order_runs(TURNS, 1000, 1, &by_runs);
    assert_true(by_runs);
    assert_false(time_runs(times, validity, 1000, &(struct pauser){0}, &room, NULL, NULL));
}

static void test_fault_is_found(void **state)
{
    (void)state;
    bool by_runs;
    fault_plant("order.runs_of_one_time");
    assert_true(order_runs(TURNS_ALIKE, 10000, 3, &by_runs) > 0);
    fault_clear();
    fault_plant("order.late_first");
    uint32_t wrong = order_rows(LATE_ALIKE, 10000, false, 3);
    fault_clear();
    assert_true(wrong > 0);
    fault_plant("order.last_first");
    wrong = order_rows(SENDERS_ALIKE, 10000, false, 3);
    fault_clear();
    assert_true(wrong > 0);
}

struct patience {
    int left;
};

static bool be_patient(void *context)
{
    struct patience *patience = context;
    return patience->left-- > 0;
}

/* Given up at any pause it ends, whatever the order then is. */
static void test_given_up(void **state)
{
    (void)state;
    struct random_stream chance;
    random_stream_init(&chance, 5);
    static const enum shape shapes[] = {CHAOS, LATE, SENDERS};
    for (int left = 0; left < 60; left += 2) {
        for (uint32_t i = 0; i < ROWS_MAX; i++)
            times[i] = time_at(shapes[left % 3], i, ROWS_MAX, &chance);
        struct patience patience = {.left = left};
        struct pauser pauser = {.pause = be_patient, .context = &patience};
        assert_true(time_order(times, NULL, ROWS_MAX, &pauser, &room, order));
        for (uint32_t i = 0; i < ROWS_MAX; i++)
            assert_true(order[i] < ROWS_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_a_plain_sort),
        cmocka_unit_test(test_runs_beside_a_plain_sort),
        cmocka_unit_test(test_fault_is_found),
        cmocka_unit_test(test_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
