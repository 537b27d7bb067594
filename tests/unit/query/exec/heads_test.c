/* Rows that cannot be among the first of their key, against counting: a row goes only if as many
 * rows as are wanted come strictly before it, and none of the wanted ones goes. */
#include "query/exec/heads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261122
#define ROUNDS 300
#define ROWS_MAX 600

static uint64_t state_of = SEED;

static uint64_t draw(uint64_t range)
{
    state_of = state_of * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state_of >> 33) % range;
}

struct rows {
    size_t count;
    int64_t key[ROWS_MAX], order[ROWS_MAX];
    uint8_t key_valid[ROWS_MAX], order_valid[ROWS_MAX], stays[ROWS_MAX];
};

static void make_rows(struct rows *rows)
{
    uint64_t keys = 1 + draw(40), orders = 1 + draw(200);
    bool is_rising = draw(3) == 0; /* as times are */
    rows->count = 1 + draw(ROWS_MAX);
    for (size_t row = 0; row < rows->count; row++) {
        rows->key[row] = (int64_t)draw(keys) - 5;
        rows->key_valid[row] = draw(12) != 0;
        rows->order[row] = (int64_t)draw(orders) - 50 + (is_rising ? (int64_t)row : 0);
        rows->order_valid[row] = draw(12) != 0;
    }
}

static bool same_key(const struct rows *rows, size_t a, size_t b)
{
    if (rows->key_valid[a] != rows->key_valid[b])
        return false;
    return rows->key_valid[a] == 0 || rows->key[a] == rows->key[b];
}

static bool before(const struct rows *rows, const struct sort_key *key, size_t a, size_t b)
{
    if (rows->order_valid[a] != rows->order_valid[b])
        return (rows->order_valid[a] == 0) == key->is_nulls_first;
    if (rows->order_valid[a] == 0 || rows->order[a] == rows->order[b])
        return false;
    return (rows->order[a] < rows->order[b]) != key->is_descending;
}

static size_t rows_before(const struct rows *rows, const struct plan *plan, size_t row)
{
    size_t count = 0;
    for (size_t other = 0; other < rows->count; other++)
        count += same_key(rows, row, other) && before(rows, &plan->sort.keys[1], other, row);
    return count;
}

static void feed(struct heads *heads, struct rows *rows)
{
    for (size_t first = 0; first < rows->count;) {
        size_t count = 1 + draw(90), kept = SIZE_MAX;
        uint32_t selection[VECTOR_ROWS_MAX];
        if (count > rows->count - first)
            count = rows->count - first;
        struct column columns[2] = {{.type = type_of(TYPE_INT8),
                                     .validity = rows->key_valid + first,
                                     .values = rows->key + first},
                                    {.type = type_of(TYPE_INT8),
                                     .validity = rows->order_valid + first,
                                     .values = rows->order + first}};
        bool is_some = heads_keep(heads, columns, count, selection, &kept);
        assert_int_equal(is_some, kept != SIZE_MAX);
        memset(rows->stays + first, !is_some, count);
        for (size_t index = 0; is_some && index < kept; index++)
            rows->stays[first + selection[index]] = 1;
        first += count;
    }
}

static void test_random_rows(void **state)
{
    (void)state;
    static struct rows rows;
    print_message("seed %d\n", SEED);
    for (int round = 0; round < ROUNDS; round++) {
        struct budget budget = {.limit = (size_t)1 << 24, .name = "test"};
        struct sort_key keys[2] = {{.is_descending = false},
                                   {.is_descending = draw(2) == 1, .is_nulls_first = draw(2) == 1}};
        struct plan plan = {.kind = PLAN_SORT,
                            .sort = {.key_count = 2,
                                     .keys = keys,
                                     .head_keys = 1,
                                     .head_rows = 1 + draw(4),
                                     .has_head_order = draw(5) != 0}};
        struct type types[1] = {type_of(TYPE_INT8)};
        struct heads heads;
        size_t kept_of_key = 0;
        make_rows(&rows);
        heads_init(&heads, &plan, types, &budget);
        feed(&heads, &rows);
        heads_deinit(&heads);
        assert_int_equal(budget.used, 0);
        for (size_t row = 0; row < rows.count; row++) {
            if (plan.sort.has_head_order && rows.stays[row] == 0)
                assert_true(rows_before(&rows, &plan, row) >= plan.sort.head_rows);
            kept_of_key += same_key(&rows, 0, row) && rows.stays[row] != 0;
        }
        size_t of_key = 0;
        for (size_t row = 0; row < rows.count; row++)
            of_key += same_key(&rows, 0, row);
        size_t least = of_key < plan.sort.head_rows ? of_key : plan.sort.head_rows;
        assert_true(kept_of_key >= least);
        if (!plan.sort.has_head_order)
            assert_int_equal(kept_of_key, least);
    }
}

/* Without memory all rows stay, and nothing is held. */
static void test_memory(void **state)
{
    (void)state;
    struct budget budget = {.limit = 64, .name = "test"};
    struct sort_key keys[1] = {{.is_descending = false}};
    struct plan plan = {.kind = PLAN_SORT,
                        .sort = {.key_count = 1, .keys = keys, .head_keys = 1, .head_rows = 1}};
    struct type types[1] = {type_of(TYPE_INT8)};
    static struct rows rows;
    struct heads heads;
    make_rows(&rows);
    heads_init(&heads, &plan, types, &budget);
    feed(&heads, &rows);
    for (size_t row = 0; row < rows.count; row++)
        assert_int_equal(rows.stays[row], 1);
    assert_null(heads.plan);
    assert_int_equal(budget.used, 0);
}

/* However many keys there are, most of the memory is left to the sort. */
static void test_many_keys(void **state)
{
    (void)state;
    struct budget budget = {.limit = (size_t)1 << 18, .name = "test"};
    struct sort_key keys[1] = {{.is_descending = false}};
    struct plan plan = {.kind = PLAN_SORT,
                        .sort = {.key_count = 1, .keys = keys, .head_keys = 1, .head_rows = 1}};
    struct type types[1] = {type_of(TYPE_INT8)};
    static int64_t values[VECTOR_ROWS_MAX];
    uint32_t selection[VECTOR_ROWS_MAX];
    struct heads heads;
    size_t kept;
    heads_init(&heads, &plan, types, &budget);
    for (int64_t first = 0; first < 100 * VECTOR_ROWS_MAX; first += VECTOR_ROWS_MAX) {
        struct column column = {.type = type_of(TYPE_INT8), .values = values};
        for (int64_t row = 0; row < VECTOR_ROWS_MAX; row++)
            values[row] = (first + row) * 7919;
        assert_false(heads_keep(&heads, &column, VECTOR_ROWS_MAX, selection, &kept));
        assert_true(budget.used <= budget.limit / 8);
    }
    assert_null(heads.plan);
    assert_int_equal(budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
