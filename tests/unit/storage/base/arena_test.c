/* Arenas: alignment, reset, budgets that refuse without charging. */
#include "storage/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_alloc_is_aligned_and_distinct(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *last = NULL;
    for (size_t size = 0; size < 5000; size += 7) {
        char *p = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, last);
        memset(p, 0xAB, size);
        last = p;
    }
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 3 << 20));
    arena_deinit(&arena);
}

static void test_budget_refuses_past_limit(void **state)
{
    (void)state;
    struct budget parent = {.limit = 100, .name = "all"};
    struct budget child = {.parent = &parent, .limit = 80, .name = "part"};
    struct error error;
    assert_int_equal(budget_charge(&child, 80, &error), OK);
    assert_int_equal(budget_charge(&child, 1, &error), ERR_LIMIT);
    assert_string_equal(error.sqlstate, "53200");
    assert_int_equal(atomic_load(&child.used), 80);
    assert_int_equal(atomic_load(&parent.used), 80);
    budget_charge_always(&child, 30);
    assert_int_equal(atomic_load(&parent.used), 110);
    assert_int_equal(budget_charge(&parent, 1, &error), ERR_LIMIT);
    budget_release(&child, 30);
    budget_release(&child, 80);
    assert_int_equal(atomic_load(&parent.used), 0);
}

/* Large children leave the reserve to small ones. */
static void test_budget_keeps_a_reserve(void **state)
{
    (void)state;
    struct error error;
    struct budget parent = {.limit = 100, .reserve = 20, .small = 10, .name = "all"};
    struct budget large = {.parent = &parent, .limit = 1000, .name = "large"};
    struct budget small = {.parent = &parent, .limit = 1000, .name = "small"};
    assert_int_equal(budget_charge(&large, 80, &error), OK);
    assert_int_equal(budget_charge(&large, 1, &error), ERR_LIMIT);
    assert_string_equal(error.text, "out of memory: the limit of 80 bytes for all is reached");
    assert_int_equal(budget_charge(&small, 10, &error), OK);
    assert_int_equal(budget_charge(&small, 1, &error), ERR_LIMIT); /* not small any more */
    assert_int_equal(budget_charge(&parent, 10, &error), OK);
    assert_int_equal(budget_charge(&parent, 1, &error), ERR_LIMIT);
    budget_release(&parent, 10);
    budget_release(&small, 10);
    budget_release(&large, 80);
    assert_int_equal(parent.used, 0);
}

static void test_touch(void **state)
{
    (void)state;
    size_t size = 50000;
    for (size_t offset = 0; offset < 5000; offset += 617) {
        char *bytes = memory_alloc_aligned(4096, offset + size);
        assert_int_equal((uintptr_t)bytes % 4096, 0);
        memset(bytes, 7, offset + size);
        memory_touch(bytes + offset, size); /* changes nothing */
        memory_touch(bytes + offset, 0);
        for (size_t i = 0; i < offset + size; i++)
            assert_int_equal(bytes[i], 7);
        memory_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_aligned_and_distinct),
        cmocka_unit_test(test_budget_refuses_past_limit),
        cmocka_unit_test(test_budget_keeps_a_reserve),
        cmocka_unit_test(test_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
