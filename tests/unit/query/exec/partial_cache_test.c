/* What is kept of partial results: found by plan and place, within the limit, oldest use first out.
 */
#include "query/exec/partial.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct partial *make(size_t size, uint32_t mark)
{
    struct partial *partial = memory_alloc_zero(sizeof(*partial));
    arena_init(&partial->arena);
    atomic_init(&partial->references, 1);
    partial->size = size;
    partial->group_count = mark;
    return partial;
}

static void add(struct partial_cache *cache, struct partial_plan *plan, uint64_t segment,
                uint32_t index, size_t size, uint32_t mark)
{
    struct partial *partial = make(size, mark);
    partial_cache_add(cache, plan, (struct partial_place){segment, index, PARTIAL_SEALED}, partial);
    partial_unref(partial);
}

/* Its mark, 0 if it is not there. */
static uint32_t find(struct partial_cache *cache, const struct partial_plan *plan, uint64_t segment,
                     uint32_t index)
{
    struct partial *partial =
        partial_cache_find(cache, plan, (struct partial_place){segment, index, PARTIAL_SEALED});
    uint32_t mark = partial == NULL ? 0 : partial->group_count;
    partial_unref(partial);
    return mark;
}

static enum partial_claim claim(struct partial_cache *cache, const struct partial_plan *plan,
                                uint64_t segment)
{
    struct partial *partial;
    enum partial_claim result = partial_cache_claim(
        cache, plan, (struct partial_place){segment, 0, PARTIAL_SEALED}, &partial);
    assert_int_equal(result == PARTIAL_FOUND, partial != NULL);
    partial_unref(partial);
    return result;
}

/* What one query makes the others are told to wait for, until it is there or given up. */
static void test_claims(void **state)
{
    (void)state;
    struct partial_cache *cache = partial_cache_create(1 << 20);
    struct partial_plan *a = partial_plan_hold(cache, SLICE("a")),
                        *b = partial_plan_hold(cache, SLICE("b"));
    struct partial_place place = {7, 0, PARTIAL_SEALED};
    assert_int_equal(claim(cache, a, 7), PARTIAL_MINE);
    assert_int_equal(claim(cache, a, 7), PARTIAL_BUSY);
    assert_int_equal(claim(cache, b, 7), PARTIAL_MINE);
    assert_int_equal(claim(cache, a, 8), PARTIAL_MINE);
    partial_cache_give_up(cache, a, place); /* its groups were too many */
    assert_int_equal(claim(cache, a, 7), PARTIAL_MINE);
    add(cache, a, 7, 0, 100, 1);
    partial_cache_give_up(cache, a, place);
    assert_int_equal(claim(cache, a, 7), PARTIAL_FOUND);
    partial_cache_wait(cache, 1);
    for (uint64_t segment = 100; segment < 400; segment++) /* more than are remembered */
        assert_int_equal(claim(cache, a, segment), PARTIAL_MINE);
    for (uint64_t segment = 100; segment < 400; segment++)
        partial_cache_give_up(cache, a, (struct partial_place){segment, 0, PARTIAL_SEALED});
    partial_cache_give_up(cache, b, place);
    partial_cache_give_up(cache, a, (struct partial_place){8, 0, PARTIAL_SEALED});
    partial_plan_drop(cache, a);
    partial_plan_drop(cache, b);
    partial_cache_destroy(cache);
}

static void test_found_by_plan_and_place(void **state)
{
    (void)state;
    struct partial_cache *cache = partial_cache_create(1 << 20);
    struct partial_plan *a = partial_plan_hold(cache, SLICE("a")),
                        *b = partial_plan_hold(cache, SLICE("b"));
    assert_ptr_equal(partial_plan_hold(cache, SLICE("a")), a);
    assert_ptr_not_equal(a, b);
    add(cache, a, 7, 0, 100, 1);
    add(cache, a, 7, 2, 100, 2);
    add(cache, a, 8, 0, 100, 3);
    add(cache, b, 7, 0, 100, 4);
    add(cache, b, 7, 0, 100, 5); /* it is there */
    assert_int_equal(find(cache, a, 7, 0), 1);
    assert_int_equal(find(cache, a, 7, 2), 2);
    assert_int_equal(find(cache, a, 8, 0), 3);
    assert_int_equal(find(cache, b, 7, 0), 4);
    assert_int_equal(find(cache, b, 8, 0), 0);
    struct partial_cache_status status;
    partial_cache_status(cache, &status);
    assert_int_equal(status.count, 4);
    assert_int_equal(status.hits, 4);
    assert_int_equal(status.misses, 1);
    for (int i = 0; i < 2; i++)
        partial_plan_drop(cache, a);
    assert_ptr_equal(partial_plan_hold(cache, SLICE("a")), a); /* its results hold it */
    assert_int_equal(find(cache, a, 7, 0), 1);
    partial_plan_drop(cache, a);
    partial_plan_drop(cache, b);
    partial_cache_destroy(cache);
}

static void test_limit(void **state)
{
    (void)state;
    struct partial_cache *cache = partial_cache_create(64000);
    struct partial_plan *plan = partial_plan_hold(cache, SLICE("panel"));
    struct partial_cache_status status;
    add(cache, plan, 1, 0, 4001, 1); /* larger than its share */
    assert_int_equal(find(cache, plan, 1, 0), 0);
    struct partial *held = NULL;
    for (uint64_t segment = 2; segment < 1000; segment++) {
        add(cache, plan, segment, 0, 800, (uint32_t)segment);
        assert_int_equal(find(cache, plan, 2, 0), 2); /* used again and again: it stays */
        partial_cache_status(cache, &status);
        assert_true(status.used <= status.limit);
        if (segment == 3)
            held = partial_cache_find(cache, plan, (struct partial_place){3, 0, PARTIAL_SEALED});
    }
    assert_int_equal(find(cache, plan, 3, 0), 0);
    assert_int_equal(held->group_count, 3); /* who has it keeps it */
    partial_unref(held);
    assert_int_equal(find(cache, plan, 999, 0), 999);
    assert_int_equal(status.count + status.evictions, 998);
    partial_plan_drop(cache, plan);
    partial_cache_destroy(cache);
}

/* Plans come and go, many of them. */
static void test_random(void **state)
{
    (void)state;
    struct random_stream chance;
    uint64_t seed = 20261121;
    struct partial_cache *cache = partial_cache_create(200000);
    random_stream_init(&chance, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < 20000; i++) {
        char name[16];
        uint32_t number = (uint32_t)random_below(&chance, 300);
        uint64_t segment = random_below(&chance, 40);
        uint32_t mark = 1 + number * 40 + (uint32_t)segment;
        snprintf(name, sizeof(name), "%u", number);
        struct partial_plan *plan = partial_plan_hold(cache, slice_from_cstr(name));
        uint32_t found = find(cache, plan, segment, 4);
        assert_true(found == 0 || found == mark);
        add(cache, plan, segment, 4, random_below(&chance, 2000), mark);
        partial_plan_drop(cache, plan);
    }
    struct partial_cache_status status;
    partial_cache_status(cache, &status);
    assert_true(status.used <= status.limit);
    assert_true(status.hits > 100);
    partial_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_by_plan_and_place),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
