/* The block pool: blocks of the stock and of the allocator are never the same bytes, come back, and
 * are counted; the stock gives way where memory is short. */
#include "storage/segment/pool.h"

#include "storage/base/fault.h"
#include "storage/base/pages.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MIB ((size_t)1 << 20)
#define HELD 48

struct held {
    unsigned char *block;
    size_t taken;
    unsigned char fill;
};

/* Both ends and the middle: blocks are large, and programs long. */
static void fill(const struct held *held)
{
    held->block[0] = held->block[held->taken / 2] = held->block[held->taken - 1] = held->fill;
}

static bool is_filled(const struct held *held)
{
    return held->block[0] == held->fill && held->block[held->taken - 1] == held->fill &&
           held->block[held->taken / 2] == held->fill;
}

static void give(struct pool *pool, struct held *held)
{
    if (held->block != NULL)
        pool_give(pool, held->block, held->taken);
    held->block = NULL;
}

/* Takes and gives blocks of all sizes, each filled with a byte of its own. False: somebody else
 * wrote into one, or the budget is not what is held. */
static bool run_program(uint64_t seed, size_t stock, size_t limit)
{
    struct budget budget = {.name = "rows", .limit = limit};
    struct pool *pool = pool_create(&budget);
    pool_stock(pool, stock, NULL, 0);
    if (seed % 2 == 0) /* else while the thread is at it */
        pool_stock_wait(pool);
    struct random_stream random;
    random_stream_init(&random, seed);
    struct held held[HELD] = {0};
    bool is_right = true;
    size_t sum = 0;
    for (int step = 0; step < 600; step++) {
        struct held *one = &held[random_below(&random, HELD)];
        is_right = is_right && (one->block == NULL || is_filled(one));
        sum -= one->block != NULL ? one->taken : 0;
        give(pool, one);
        size_t size = (size_t)1 << random_below(&random, 23);
        size += random_below(&random, size);
        one->block = pool_take(pool, size, &one->taken);
        is_right = is_right && one->taken >= size &&
                   (uintptr_t)one->block % (one->taken >= 4096 ? 64 : 16) == 0;
        one->fill = (unsigned char)step;
        fill(one);
        sum += one->taken;
        is_right = is_right && atomic_load(&budget.used) == sum;
    }
    for (int i = 0; i < HELD; i++)
        give(pool, &held[i]);
    is_right = is_right && atomic_load(&budget.used) == 0;
    pool_destroy(pool);
    return is_right;
}

static void blocks_are_apart(void **state)
{
    (void)state;
    static const size_t stocks[] = {0, 4096, 2 * MIB, 8 * MIB, 40 * MIB + 5};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        size_t stock = stocks[seed % array_count(stocks)];
        if (!run_program(seed, stock, seed % 3 == 0 ? 24 * MIB : SIZE_MAX))
            fail_msg("seed %llu", (unsigned long long)seed);
    }
}

static void blocks_of_the_stock_are_present(void **state)
{
    (void)state;
    struct budget budget = {.name = "rows", .limit = 64 * MIB};
    struct pool *pool = pool_create(&budget);
    pool_stock(pool, 8 * MIB + 17, NULL, 0);
    pool_stock_wait(pool);
    size_t taken[6];
    void *blocks[6];
    bool is_fresh;
    for (int i = 0; i < 4; i++) { /* 2 MiB each: the stock is then used up */
        blocks[i] = pool_take_told(pool, 2 * MIB, &taken[i], &is_fresh);
        assert_false(is_fresh);
        assert_int_equal((char *)blocks[i] - (char *)blocks[0], (ptrdiff_t)(i * 2 * MIB));
    }
    blocks[4] = pool_take_told(pool, 2 * MIB, &taken[4], &is_fresh);
    assert_true(is_fresh);
    blocks[5] =
        pool_take_told(pool, 100, &taken[5], &is_fresh); /* small ones are not cut from it */
    assert_true(is_fresh);
    for (int i = 0; i < 6; i++)
        pool_give(pool, blocks[i], taken[i]);
    blocks[0] = pool_take_told(pool, 2 * MIB, &taken[0], &is_fresh);
    assert_false(is_fresh);
    pool_give(pool, blocks[0], taken[0]);
    pool_destroy(pool);
}

/* What is there without a page fault: of the stock, and what came back. */
static void what_is_present_is_counted(void **state)
{
    (void)state;
    struct budget budget = {.name = "rows", .limit = 64 * MIB};
    struct pool *pool = pool_create(&budget);
    assert_true(pool_present(pool) == SIZE_MAX); /* nobody asked for a stock */
    pool_stock(pool, 4 * MIB, NULL, 0);
    pool_stock_wait(pool);
    assert_int_equal(pool_present(pool), 4 * MIB);
    size_t taken[3];
    void *blocks[3];
    for (int i = 0; i < 3; i++) { /* the last one is the allocator's */
        blocks[i] = pool_take(pool, 2 * MIB, &taken[i]);
        assert_int_equal(pool_present(pool), i == 0 ? 2 * MIB : 0);
    }
    for (int i = 0; i < 3; i++) {
        pool_give(pool, blocks[i], taken[i]);
        assert_int_equal(pool_present(pool), (size_t)(i + 1) * 2 * MIB);
    }
    pool_destroy(pool);
}

/* What of the stock nobody has had is no longer there once other blocks need the room. */
static void the_stock_gives_way(void **state)
{
    static char beside[5 << 20]; /* no whole number of huge pages */
    beside[0] = beside[sizeof(beside) - 1] = 3;
    (void)state;
    struct budget budget = {.name = "rows", .limit = 64 * MIB};
    struct pool *pool = pool_create(&budget);
    pool_stock(pool, 16 * MIB, beside, sizeof(beside));
    pool_stock_wait(pool);
    size_t first_taken, taken, large_taken;
    bool is_fresh;
    char *first = pool_take(pool, 64 << 10, &first_taken);
    char *large = pool_take(pool, 60 * MIB, &large_taken); /* 60 + 16 > 64 */
    memset(first, 1, first_taken);
    char *rest = pool_take_told(pool, 64 << 10, &taken, &is_fresh);
    assert_false(is_fresh); /* the page that was begun stays */
    pool_give(pool, rest, taken);
    rest = pool_take_told(pool, 4 * MIB, &taken, &is_fresh);
    assert_true(is_fresh);
    assert_int_equal(first[first_taken - 1], 1);
    assert_int_equal(beside[0] + beside[sizeof(beside) - 1], 6);
    pool_give(pool, rest, taken);
    pool_give(pool, large, large_taken);
    pool_give(pool, first, first_taken);
    pool_destroy(pool);
}

static void an_end_needs_no_whole_stock(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct budget budget = {.name = "rows", .limit = SIZE_MAX};
        struct pool *pool = pool_create(&budget);
        pool_stock(pool, 64 * MIB, NULL, 0);
        pool_destroy(pool);
    }
}

static void discarded_pages_are_zeros(void **state)
{
    (void)state;
    char *region = memory_alloc_huge(2 * MEMORY_HUGE_SIZE);
    memset(region, 7, 2 * MEMORY_HUGE_SIZE);
    pages_discard(region + MEMORY_HUGE_SIZE, MEMORY_HUGE_SIZE);
    assert_int_equal(region[MEMORY_HUGE_SIZE - 1], 7);
    assert_int_equal(region[MEMORY_HUGE_SIZE], 0);
    assert_int_equal(region[2 * MEMORY_HUGE_SIZE - 1], 0);
    memory_free(region);
}

/* Whether what is written into one block of the stock leaves another alone. */
static bool are_two_apart(void)
{
    struct budget budget = {.name = "rows", .limit = SIZE_MAX};
    struct pool *pool = pool_create(&budget);
    pool_stock(pool, 4 * MIB, NULL, 0);
    pool_stock_wait(pool);
    size_t taken[2];
    unsigned char *first = pool_take(pool, 64 << 10, &taken[0]);
    unsigned char *second = pool_take(pool, 128 << 10, &taken[1]);
    memset(first, 1, taken[0]);
    memset(second, 2, taken[1]);
    bool is_apart = first[0] == 1 && first[taken[0] - 1] == 1;
    pool_give(pool, first, taken[0]);
    pool_give(pool, second, taken[1]);
    pool_destroy(pool);
    return is_apart;
}

static void a_stock_cut_twice_is_found(void **state)
{
    (void)state;
    assert_true(are_two_apart());
    fault_plant("pool.stock_cut_twice");
    assert_false(are_two_apart());
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart),
        cmocka_unit_test(blocks_of_the_stock_are_present),
        cmocka_unit_test(what_is_present_is_counted),
        cmocka_unit_test(the_stock_gives_way),
        cmocka_unit_test(an_end_needs_no_whole_stock),
        cmocka_unit_test(discarded_pages_are_zeros),
        cmocka_unit_test(a_stock_cut_twice_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
