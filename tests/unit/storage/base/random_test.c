/* Chance: streams repeat by seed, bounds hold, the kernel's bytes are not constant. */
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void test_streams_repeat(void **state)
{
    (void)state;
    struct random_stream a, b, c;
    random_stream_init(&a, 1);
    random_stream_init(&b, 1);
    random_stream_init(&c, 2);
    int differing = 0;
    for (int index = 0; index < 1000; index++) {
        uint64_t x = random_next(&a);
        assert_true(x == random_next(&b));
        differing += x != random_next(&c);
    }
    assert_int_equal(differing, 1000);
}

static void test_below_is_even(void **state)
{
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 7);
    int counts[10] = {0};
    for (int index = 0; index < 100000; index++) {
        counts[random_below(&stream, 10)]++;
        double unit = random_unit(&stream);
        assert_true(unit >= 0 && unit < 1);
    }
    for (int index = 0; index < 10; index++)
        assert_in_range(counts[index], 9500, 10500);
    assert_true(random_below(&stream, 1) == 0);
}

static void test_installed_stream_repeats(void **state)
{
    (void)state;
    uint8_t first[13], second[13];
    struct random_stream stream;
    random_stream_init(&stream, 3);
    random_install(&stream);
    random_bytes(first, sizeof(first));
    uint64_t word = random_u64();
    random_stream_init(&stream, 3);
    random_bytes(second, sizeof(second));
    assert_memory_equal(first, second, sizeof(first));
    assert_true(word == random_u64());
    random_install(NULL);
    random_bytes(second, sizeof(second));
    assert_memory_not_equal(first, second, sizeof(first));
    assert_true(random_u64() != random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_repeat),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_installed_stream_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
