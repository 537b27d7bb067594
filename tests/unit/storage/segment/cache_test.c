/* The block cache: random puts, finds and drops against what must hold of it; the limit, what is in
 * use, eviction of the least used, threads. */
#include "storage/segment/cache.h"

#include "storage/base/random.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define SEGMENTS 8
#define PAGES 64

/* An entry that says which page it is. */
static struct cache_entry *make_entry(uint64_t number, uint32_t ordinal, size_t size)
{
    struct cache_entry *entry = cache_entry_create(CACHE_BLOCK, size);
    entry->block.state[0] = number;
    entry->block.state[1] = ordinal;
    return entry;
}

static bool is_page(const struct cache_entry *entry, uint64_t number, uint32_t ordinal)
{
    return entry->block.state[0] == number && entry->block.state[1] == ordinal;
}

static struct cache_entry *get(struct cache *cache, struct cache_anchor *anchors, uint64_t number,
                               uint32_t ordinal)
{
    struct cache_entry *entry = cache_find(cache, number, ordinal);
    if (entry == NULL)
        entry = cache_put(cache, &anchors[number], number, ordinal,
                          make_entry(number, ordinal, 100 + ordinal));
    return entry;
}

static void test_random_use(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random_stream random;
        random_stream_init(&random, seed);
        size_t limit = seed % 4 == 0 ? 1 : 1000 + random_below(&random, 40000);
        struct cache *cache = cache_create(limit);
        struct cache_anchor anchors[SEGMENTS] = {{0}};
        struct cache_entry *held[16] = {NULL};
        for (int step = 0; step < 5000; step++) {
            uint64_t number = random_below(&random, SEGMENTS);
            uint32_t ordinal = (uint32_t)random_below(&random, PAGES);
            size_t slot = random_below(&random, array_count(held));
            if (random_below(&random, 200) == 0) {
                cache_drop(cache, &anchors[number]);
                assert_false(cache_has(cache, number, ordinal));
                assert_null(anchors[number].first);
                continue;
            }
            struct cache_entry *entry = get(cache, anchors, number, ordinal);
            if (!is_page(entry, number, ordinal))
                fail_msg("another page, seed %llu", (unsigned long long)seed);
            if (held[slot] != NULL)
                cache_entry_unref(held[slot]);
            held[slot] = entry;
        }
        for (size_t i = 0; i < array_count(held); i++)
            cache_entry_unref(held[i]);
        /* One more put, now that nothing is held: within the limit but for the newest. */
        cache_entry_unref(cache_put(cache, &anchors[0], 0, PAGES, make_entry(0, PAGES, 100)));
        struct cache_status status;
        cache_status(cache, &status);
        assert_true(status.used <= limit + sizeof(struct cache_entry) + 200);
        assert_true(status.hits + status.misses > 4000);
        for (int i = 0; i < SEGMENTS; i++)
            cache_drop(cache, &anchors[i]);
        cache_status(cache, &status);
        assert_int_equal(status.used, 0);
        cache_destroy(cache);
    }
}

static void test_what_is_in_use_stays(void **state)
{
    (void)state;
    struct cache *cache = cache_create(1);
    struct cache_anchor anchor = {0};
    struct cache_entry *one = cache_put(cache, &anchor, 1, 1, make_entry(1, 1, 100));
    struct cache_entry *two = cache_put(cache, &anchor, 1, 2, make_entry(1, 2, 100));
    assert_true(cache_has(cache, 1, 1));
    assert_true(cache_has(cache, 1, 2));
    cache_entry_unref(one);
    cache_entry_unref(cache_put(cache, &anchor, 1, 3, make_entry(1, 3, 100)));
    assert_false(cache_has(cache, 1, 1));
    assert_true(cache_has(cache, 1, 2));
    cache_drop(cache, &anchor);
    assert_true(is_page(two, 1, 2)); /* dropped, and still the holder's */
    cache_entry_unref(two);
    cache_destroy(cache);
}

static void test_what_is_asked_for_outlives_what_is_not(void **state)
{
    (void)state;
    struct cache *cache = cache_create(10 * (sizeof(struct cache_entry) + 100));
    struct cache_anchor anchor = {0};
    for (uint32_t i = 0; i < 200; i++) {
        cache_entry_unref(cache_put(cache, &anchor, 1, i, make_entry(1, i, 100)));
        struct cache_entry *favourite = cache_find(cache, 1, 0);
        assert_non_null(favourite);
        cache_entry_unref(favourite);
    }
    cache_drop(cache, &anchor);
    cache_destroy(cache);
}

static void test_the_first_of_two_stays(void **state)
{
    (void)state;
    struct cache *cache = cache_create(100000);
    struct cache_anchor anchor = {0};
    struct cache_entry *one = cache_put(cache, &anchor, 1, 1, make_entry(1, 1, 100));
    struct cache_entry *two = cache_put(cache, &anchor, 1, 1, make_entry(1, 1, 100));
    assert_ptr_equal(one, two);
    cache_entry_unref(one);
    cache_entry_unref(two);
    cache_drop(cache, &anchor);
    cache_destroy(cache);
}

struct stage {
    struct cache *cache;
    struct cache_anchor anchors[SEGMENTS];
    _Atomic uint64_t wrong; /* relaxed: read after the joins */
};

static void run(void *context)
{
    struct stage *stage = context;
    struct random_stream random;
    random_stream_init(&random, (uintptr_t)&random);
    for (int step = 0; step < 20000; step++) {
        uint64_t number = random_below(&random, SEGMENTS);
        uint32_t ordinal = (uint32_t)random_below(&random, PAGES);
        struct cache_entry *entry = get(stage->cache, stage->anchors, number, ordinal);
        if (!is_page(entry, number, ordinal))
            atomic_fetch_add_explicit(&stage->wrong, 1, memory_order_relaxed);
        cache_entry_unref(entry);
        if (step % 500 == 0)
            cache_drop(stage->cache, &stage->anchors[number]);
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct stage stage = {.cache = cache_create(10000)};
    struct thread *threads[4];
    for (size_t i = 0; i < array_count(threads); i++)
        threads[i] =
            thread_start(&(struct thread_options){.name = "cache", .run = run, .context = &stage});
    for (size_t i = 0; i < array_count(threads); i++)
        thread_join(threads[i]);
    assert_int_equal(atomic_load(&stage.wrong), 0);
    for (int i = 0; i < SEGMENTS; i++)
        cache_drop(stage.cache, &stage.anchors[i]);
    cache_destroy(stage.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_use),
        cmocka_unit_test(test_what_is_in_use_stays),
        cmocka_unit_test(test_what_is_asked_for_outlives_what_is_not),
        cmocka_unit_test(test_the_first_of_two_stays),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
